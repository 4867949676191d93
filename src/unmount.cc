#include "src/unmount.h"

#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "src/process.h"

namespace pmemfs {
namespace {

tl::unexpected<Failure> refuse_busy(const std::string& path) {
  return refuse(ExitCode::kUmountRefused,
                "'" + path +
                    "' is busy: a file in it is open, or a process works in "
                    "it (fuser -vm " +
                    path +
                    " lists them); end those, or detach it now and let it end "
                    "with them: pmemfs umount --lazy " +
                    path);
}

Outcome<void> unmount_as_root(const std::string& path, UnmountMode mode) {
  const int lazy = mode == UnmountMode::kLazy ? MNT_DETACH : 0;
  if (::umount2(path.c_str(), UMOUNT_NOFOLLOW | lazy) == 0) {
    return {};
  }
  const int error = errno;
  if (error == EBUSY) {
    return refuse_busy(path);
  }
  const bool is_forbidden = error == EPERM || error == EACCES;
  return refuse(
      is_forbidden ? ExitCode::kNotPermitted : ExitCode::kUmountRefused,
      "'" + path + "' cannot be unmounted: " + std::strerror(error));
}

Outcome<void> unmount_as_user(const std::string& path, UnmountMode mode) {
  std::vector<std::string> command = {"fusermount3", "-u"};
  if (mode == UnmountMode::kLazy) {
    command.emplace_back("-z");
  }
  command.insert(command.end(), {"--", path});
  const pmem::Result<ProgramResult> result = run_program(command);
  if (!result) {
    return refuse(ExitCode::kNoFuse, result.error().message());
  }
  if (result->exit_status == 0) {
    return {};
  }
  // What fusermount3 prints is strerror's text, in no language but English.
  const std::string& said = result->standard_error;
  if (said.find("Device or resource busy") != std::string::npos) {
    return refuse_busy(path);
  }
  // It knows each user's own mounts, and tells of others that they are not.
  const bool is_anothers =
      said.find("not found in") != std::string::npos ||
      said.find("Operation not permitted") != std::string::npos;
  if (is_anothers) {
    return refuse(ExitCode::kNotPermitted,
                  "not permitted to unmount '" + path +
                      "', which another user mounted (" + said + ")");
  }
  return refuse(ExitCode::kUmountRefused,
                "'" + path + "' cannot be unmounted: " + said);
}

}  // namespace

Outcome<void> unmount(const std::string& path, UnmountMode mode) {
  return ::geteuid() == 0 ? unmount_as_root(path, mode)
                          : unmount_as_user(path, mode);
}

}  // namespace pmemfs
