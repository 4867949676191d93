// What is mounted where, as the kernel tells this process: /proc/self/mountinfo
// (proc_pid_mountinfo(5)). Values; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pmem/result.h"

namespace pmemfs {

// The type of our mounts: libfuse makes it of "fuse." and subtype=pmemfs.
inline constexpr std::string_view kMountType = "fuse.pmemfs";

struct Mount {
  int id = 0;
  int parent_id = 0;
  std::string mount_point;
  std::string type;
  std::string source;
};

// The text with \040, \011, \012 and \134, as the kernel writes them, turned
// back into what they stand for.
[[nodiscard]] std::string decode_octal_escapes(std::string_view text);

// Lines that are not as the man page has them are left out.
[[nodiscard]] std::vector<Mount> parse_mountinfo(std::string_view text);

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
