#include "src/fuse_access.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "pmem/unique_fd.h"
#include "src/process.h"

namespace pmemfs {

Outcome<void> check_fuse_access() {
  // libfuse opens the device itself, also for a user whose mount(2) then goes
  // through fusermount3.
  const pmem::UniqueFd fd(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    const int error = errno;
    if (error == EACCES || error == EPERM) {
      return refuse(ExitCode::kNotPermitted,
                    std::string("not permitted to use FUSE: /dev/fuse: ") +
                        std::strerror(error) +
                        "; run as root, or let root give the device to you");
    }
    return refuse(ExitCode::kNoFuse,
                  std::string("FUSE is not available: /dev/fuse: ") +
                      std::strerror(error) +
                      "; load the kernel's module: modprobe fuse (in a "
                      "container: pass the device in)");
  }
  if (::geteuid() != 0 && !find_program("fusermount3")) {
    return refuse(ExitCode::kNoFuse,
                  "FUSE is not available to ordinary users: fusermount3 is "
                  "not in PATH; install the package fuse3");
  }
  return {};
}

}  // namespace pmemfs
