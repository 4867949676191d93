// What the file systems of the sources forbid by how they are mounted, for the
// mount to forbid it as well: the kernel holds a program to the flags of the
// mount that it uses, and asks nobody about those beneath. Any thread.
#pragma once

#include <string>
#include <vector>

#include "fs/mountinfo.h"
#include "fs/options.h"

namespace pmemfs {

// In the order of how much they forbid.
enum class ReadOnly {
  kNo,
  kByMount,       // a bind mount, say: who lacks permission is told that first
  kByFileSystem,  // EROFS for everybody
};

struct SourceRestrictions {
  ReadOnly read_only = ReadOnly::kNo;
  bool no_exec = false;
  bool no_symfollow = false;
};

// What holds for every source: for the mount that it lies on, and for those
// inside of it, which belong to it. Nothing does where a source is no
// directory. `mounts`: the mount table.
// Source: statvfs(3), proc_pid_mountinfo(5).
[[nodiscard]] SourceRestrictions common_restrictions(
    const std::vector<SourceSpec>& sources, const std::vector<Mount>& mounts);

// As options of mount(8): "ro", "noexec".
[[nodiscard]] std::vector<std::string> mount_options_of(
    const SourceRestrictions& restrictions);

// For people: "read-only and noexec", or "" for none.
[[nodiscard]] std::string in_words(const SourceRestrictions& restrictions);

}  // namespace pmemfs
