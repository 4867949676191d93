// Whether we may mount there. Any thread.
//
// Failures are ExitCode::kMountpointRefused, or kNotPermitted where it is a
// matter of rights.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "fs/mountinfo.h"
#include "fs/options.h"
#include "pmem/result.h"
#include "src/exit_code.h"

namespace pmemfs {

struct Mountpoint {
  std::string path;  // absolute, without symbolic links
  // A mount of ours stands there whose daemon is gone: it has to be detached
  // before the next one.
  bool has_dead_mount = false;
};

// What stat(2) tells, of what matters here.
struct FileStatus {
  mode_t mode = 0;
  uid_t owner = 0;
};

// Asks the file system for it, although the kernel may remember the answer: it
// remembers those of a dead mount, too. Errors: those of statx(2).
[[nodiscard]] pmem::Result<FileStatus> ask_status(const std::string& path);

// Refuses what is missing or no directory, and where a pmemfs already answers.
// Other mounts may be mounted over, and the directory need not be empty.
[[nodiscard]] Outcome<Mountpoint> inspect_mountpoint(const std::string& word);

// Refuses a mountpoint which is a source or lies in one: the mount would show
// itself, and wait for itself. REQUIRES: paths are resolved.
[[nodiscard]] Outcome<void> check_outside_sources(
    const std::string& mountpoint, const std::vector<SourceSpec>& sources);

// Refuses a mountpoint that would hide a file system which is to be discovered:
// one that is mounted with DAX there or below. `mounts`: the mount table.
[[nodiscard]] Outcome<void> check_hides_no_source(
    const std::string& mountpoint, const std::vector<SourceSpec>& sources,
    const std::vector<Mount>& mounts);

// Detaches the dead mounts at the mountpoint, and logs it.
[[nodiscard]] Outcome<void> detach_dead_mounts(const Mountpoint& mountpoint);

}  // namespace pmemfs
