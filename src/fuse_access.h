// Whether this process can have FUSE at all, asked before the mount so that the
// answer is one that people understand. Any thread.
#pragma once

#include "src/exit_code.h"

namespace pmemfs {

// Errors: kNoFuse (no /dev/fuse; for ordinary users no fusermount3), or
// kNotPermitted (/dev/fuse may not be opened).
[[nodiscard]] Outcome<void> check_fuse_access();

}  // namespace pmemfs
