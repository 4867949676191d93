#include "fs/inode_control.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>

#include "fs/proc_path.h"
#include "pmem/unique_fd.h"

namespace pmemfs {
namespace {

using pmem::fail;
using pmem::fail_errno;
using pmem::Result;

constexpr std::array kPassedOn = {
    static_cast<unsigned>(FS_IOC_GETFLAGS),
    static_cast<unsigned>(FS_IOC_SETFLAGS),
    static_cast<unsigned>(FS_IOC_FSGETXATTR),
    static_cast<unsigned>(FS_IOC_FSSETXATTR),
    static_cast<unsigned>(FS_IOC_GETVERSION),
    static_cast<unsigned>(FS_IOC_GETFSLABEL),
};

}  // namespace

Result<std::string> control_inode(int path_fd, unsigned command,
                                  std::string_view in, std::size_t out_bytes,
                                  const Caller& caller) {
  if (std::find(kPassedOn.begin(), kPassedOn.end(), command) ==
      kPassedOn.end()) {
    return fail(ENOTTY, "ioctl");
  }
  // The kernel's own numbers call an int a long: there is room for either.
  std::array<char, 4096> argument = {};
  if (in.size() > argument.size() || out_bytes > argument.size()) {
    return fail(EINVAL, "ioctl");
  }
  std::copy(in.begin(), in.end(), argument.begin());
  const pmem::UniqueFd fd(
      ::open(ProcPath(path_fd).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    return fail_errno("open");
  }
  const CallerScope as_caller(caller);
  if (::ioctl(fd.get(), command, argument.data()) < 0) {
    return fail_errno("ioctl");
  }
  return std::string(argument.data(), out_bytes);
}

}  // namespace pmemfs
