// `pmemfs umount`: ends a mount of ours, alive or dead, and no other. One
// thread.
#pragma once

#include <string>

#include "src/exit_code.h"

namespace pmemfs {

struct UmountRequest {
  std::string mountpoint;
  bool lazy = false;
};

// Returns when the mount is out of the tree. A failure has been told on
// standard error.
[[nodiscard]] ExitCode run_umount(const UmountRequest& request);

}  // namespace pmemfs
