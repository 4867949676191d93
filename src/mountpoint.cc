#include "src/mountpoint.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "fs/dax_mounts.h"
#include "src/mount_table.h"
#include "src/unmount.h"

namespace pmemfs {
namespace {

tl::unexpected<Failure> refuse_mountpoint(std::string message) {
  return refuse(ExitCode::kMountpointRefused, std::move(message));
}

// What statx(2) says to whoever comes to a mount without a daemon.
bool means_dead(int error) {
  return error == ENOTCONN || error == ECONNABORTED;
}

tl::unexpected<Failure> refuse_unreachable(const std::string& word, int error) {
  if (error == ENOENT) {
    return refuse_mountpoint("mountpoint '" + word +
                             "' does not exist; make it first: mkdir -p " +
                             word);
  }
  return refuse_mountpoint("mountpoint '" + word +
                           "' cannot be reached: " + std::strerror(error));
}

tl::unexpected<Failure> refuse_living(const std::string& word,
                                      const Mount& mount) {
  return refuse_mountpoint(
      "mountpoint '" + word + "' already has a pmemfs on it, which shows " +
      mount.source + "; to end that one: pmemfs umount " + word);
}

tl::unexpected<Failure> refuse_dead_stranger(const std::string& word,
                                             const Mount& mount) {
  return refuse_mountpoint("mountpoint '" + word +
                           "' has a dead mount of type " + mount.type +
                           " on it; unmount that first: umount " + word);
}

// fusermount3(1) lets a user mount only where that user may write.
Outcome<void> check_user_may_mount(const std::string& word,
                                   const std::string& path,
                                   const FileStatus& status) {
  const uid_t user = ::geteuid();
  if (user == 0) {
    return {};
  }
  const bool may_write = ::access(path.c_str(), W_OK) == 0;
  const bool is_anothers_sticky =
      (status.mode & S_ISVTX) != 0 && status.owner != user;
  if (may_write && !is_anothers_sticky) {
    return {};
  }
  return refuse(ExitCode::kNotPermitted,
                "not permitted to mount on '" + word +
                    "': without root's rights the mountpoint must be a "
                    "directory of yours that you may write to");
}

}  // namespace

pmem::Result<FileStatus> ask_status(const std::string& path) {
  struct statx status {};
  constexpr unsigned kWanted = STATX_TYPE | STATX_MODE | STATX_UID;
  if (::statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, kWanted, &status) !=
      0) {
    return pmem::fail_errno("asking for the status of the mountpoint");
  }
  return FileStatus{.mode = status.stx_mode, .owner = status.stx_uid};
}

Outcome<Mountpoint> inspect_mountpoint(const std::string& word) {
  pmem::Result<std::string> resolved = resolve_mountpoint(word);
  if (!resolved) {
    return refuse_unreachable(word, resolved.error().code);
  }
  Mountpoint mountpoint{.path = std::move(*resolved)};

  const pmem::Result<std::optional<Mount>> mount = mount_at(mountpoint.path);
  if (!mount) {
    return refuse_mountpoint("mountpoint '" + word +
                             "': " + mount.error().message());
  }
  const pmem::Result<FileStatus> status = ask_status(mountpoint.path);
  const bool is_dead = !status && means_dead(status.error().code);
  if (*mount && (*mount)->type == kMountType) {
    if (!is_dead) {
      return refuse_living(word, **mount);
    }
    mountpoint.has_dead_mount = true;
    return mountpoint;
  }
  if (*mount && is_dead) {
    return refuse_dead_stranger(word, **mount);
  }
  if (!status) {
    return refuse_unreachable(word, status.error().code);
  }
  if (!S_ISDIR(status->mode)) {
    return refuse_mountpoint("mountpoint '" + word +
                             "' is not a directory; pmemfs mounts on one");
  }
  Outcome<void> permitted =
      check_user_may_mount(word, mountpoint.path, *status);
  if (!permitted) {
    return hand_on(permitted);
  }
  return mountpoint;
}

Outcome<void> check_outside_sources(const std::string& mountpoint,
                                    const std::vector<SourceSpec>& sources) {
  for (const SourceSpec& source : sources) {
    if (source.kind == SourceKind::kDirectory &&
        is_within(mountpoint, source.path)) {
      return refuse_mountpoint("mountpoint '" + mountpoint +
                               "' lies in the source '" + source.path +
                               "', which would then show itself; mount "
                               "elsewhere");
    }
  }
  return {};
}

Outcome<void> check_hides_no_source(const std::string& mountpoint,
                                    const std::vector<SourceSpec>& sources,
                                    const std::vector<Mount>& mounts) {
  const bool discovers =
      std::any_of(sources.begin(), sources.end(), [](const SourceSpec& source) {
        return source.kind == SourceKind::kEverything;
      });
  for (const Mount& mount : mounts) {
    if (discovers && is_mounted_with_dax(mount) &&
        is_within(mount.mount_point, mountpoint)) {
      return refuse_mountpoint("mountpoint '" + mountpoint +
                               "' would hide what is to be shown: " +
                               mount.source + " is mounted with DAX at '" +
                               mount.mount_point + "'; mount elsewhere");
    }
  }
  return {};
}

Outcome<void> detach_dead_mounts(const Mountpoint& mountpoint) {
  // Several can lie on one another; more than these, and something mounts there
  // as fast as we detach.
  constexpr int kMost = 100;
  bool is_dead = mountpoint.has_dead_mount;
  for (int count = 0; is_dead && count < kMost; ++count) {
    Outcome<void> detached = unmount(mountpoint.path, UnmountMode::kLazy);
    if (!detached) {
      return refuse_mountpoint(
          "the dead pmemfs mount at '" + mountpoint.path +
          "' cannot be detached: " + detached.error().message);
    }
    spdlog::warn("detached a dead pmemfs mount at {}: its daemon was gone",
                 mountpoint.path);
    Outcome<Mountpoint> beneath = inspect_mountpoint(mountpoint.path);
    if (!beneath) {
      return hand_on(beneath);
    }
    is_dead = beneath->has_dead_mount;
  }
  return {};
}

}  // namespace pmemfs
