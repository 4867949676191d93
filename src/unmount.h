// Takes a mount away: as root by umount2(2), else by fusermount3(1). Any
// thread.
#pragma once

#include <string>

#include "src/exit_code.h"

namespace pmemfs {

enum class UnmountMode {
  kNow,   // refused while in use
  kLazy,  // out of the tree now, ended when the last user is gone
};

// Unmounts what is topmost at `path`; returns when it is out of the tree.
// REQUIRES: `path` is absolute, without symbolic links. Errors: kUmountRefused
// (busy, or what fusermount3 said), kNotPermitted, kNoFuse (no fusermount3).
[[nodiscard]] Outcome<void> unmount(const std::string& path, UnmountMode mode);

}  // namespace pmemfs
