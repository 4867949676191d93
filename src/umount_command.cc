#include "src/umount_command.h"

#include <cstring>
#include <optional>

#include "src/mount_table.h"
#include "src/tell.h"
#include "src/unmount.h"

namespace pmemfs {
namespace {

tl::unexpected<Failure> refuse_umount(std::string message) {
  return refuse(ExitCode::kUmountRefused, std::move(message));
}

// The path of the mount of ours that the request means.
Outcome<std::string> find_our_mount(const std::string& word) {
  pmem::Result<std::string> path = resolve_mountpoint(word);
  if (!path) {
    return refuse_umount("'" + word + "' is not a pmemfs mount: " +
                         std::strerror(path.error().code));
  }
  const pmem::Result<std::optional<Mount>> mount = mount_at(*path);
  if (!mount) {
    return refuse_umount("'" + word + "': " + mount.error().message());
  }
  if (!*mount) {
    return refuse_umount("'" + word +
                         "' is not a pmemfs mount: nothing is mounted on it");
  }
  if ((*mount)->type != kMountType) {
    return refuse_umount("'" + word +
                         "' is not a pmemfs mount but one of type " +
                         (*mount)->type + "; umount(8) ends that");
  }
  return std::move(*path);
}

}  // namespace

ExitCode run_umount(const UmountRequest& request) {
  const Outcome<std::string> path = find_our_mount(request.mountpoint);
  if (!path) {
    return tell(path.error());
  }
  const Outcome<void> unmounted =
      unmount(*path, request.lazy ? UnmountMode::kLazy : UnmountMode::kNow);
  return unmounted ? ExitCode::kOk : tell(unmounted.error());
}

}  // namespace pmemfs
