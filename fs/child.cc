#include "fs/child.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace pmemfs {

using pmem::UniqueFd;

UniqueFd open_child(int directory, const char* name, bool enters_mounts) {
  constexpr int kMostAttempts = 16;
  struct open_how how = {};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
                (enters_mounts ? 0U : RESOLVE_NO_XDEV);
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    const long fd = ::syscall(SYS_openat2, directory, name, &how, sizeof(how));
    // The kernel lost sight of the path because of a rename somewhere (EAGAIN),
    // or of this very entry, out of the directory (EXDEV, which is also said of
    // a mount that is not to be entered).
    if (fd >= 0 || (errno != EAGAIN && errno != EXDEV)) {
      return UniqueFd(static_cast<int>(fd));
    }
  }
  errno = ENOENT;
  return {};
}

}  // namespace pmemfs
