// Which mount stands at a path. Any thread.
#pragma once

#include <optional>
#include <string>

#include "fs/mountinfo.h"
#include "pmem/result.h"

namespace pmemfs {

// The mount whose root is seen at `path`: the topmost one of those there.
// Nothing when `path` is no mountpoint. Asks no daemon, so that it answers for
// dead mounts too. REQUIRES: `path` is absolute, without symbolic links.
// Errors: those of open(2) with O_PATH.
[[nodiscard]] pmem::Result<std::optional<Mount>> mount_at(
    const std::string& path);

// The absolute path of a mountpoint without symbolic links, also where a dead
// mount stands. Errors: those of realpath(3).
[[nodiscard]] pmem::Result<std::string> resolve_mountpoint(
    const std::string& path);

}  // namespace pmemfs
