// What the command line asks of `pmemfs mount`, as it was written: nothing is
// resolved or checked against the machine yet. A value; no thread rule.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fs/options.h"
#include "src/logging.h"

namespace pmemfs {

struct MountRequest {
  std::vector<std::string> sources;
  std::string mountpoint;

  bool foreground = false;
  bool debug = false;  // implies foreground
  bool fake = false;   // mount(8)'s -f: check everything, mount nothing
  std::string log_file;
  std::optional<LogLevel> log_level;
  std::string pid_file;

  IoMode io = IoMode::kAutomatic;
  bool list_virtual_xattrs = true;
  double attr_timeout_s = 1.0;
  double entry_timeout_s = 1.0;
  bool io_uring = false;
  unsigned max_threads = 10;
  std::optional<bool> allow_other;  // unset: for root yes, for others no
  std::string fsname;               // empty: the sources

  // Words of mount(8) for the kernel, in the order given: "ro", "noatime".
  std::vector<std::string> kernel_options;
  // Unknown -o options that mount(8)'s -s told us to overlook.
  std::vector<std::string> overlooked_options;
};

}  // namespace pmemfs
