// What this process needs of the system around it: its standard streams, its
// limits, other programs. REQUIRES: before there are threads, where not said
// otherwise.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pmem/result.h"

namespace pmemfs {

// For the start of main(): opens what is closed of the file descriptors 0, 1
// and 2 on /dev/null, so that no other file gets their numbers; a reader that
// went away becomes an error of write(2) and not our end (SIGPIPE); news of
// broken memory that nobody reads now are not our end either (SIGBUS, where
// vm.memory_failure_early_kill is 1); and as many files may be open as the hard
// limit allows.
void prepare_process();

// Sets 0, 1 and 2 to /dev/null. Any thread.
void detach_standard_streams();

struct ProgramResult {
  int exit_status = 0;         // 128 + the signal, if one ended it
  std::string standard_error;  // without a newline at the end
};

// Runs a program of PATH to its end, with its standard error led to us. Any
// thread. Errors: those of posix_spawnp(3), such as ENOENT.
[[nodiscard]] pmem::Result<ProgramResult> run_program(
    const std::vector<std::string>& command);

// Where a program lies in PATH; nothing when it is not there. Any thread.
[[nodiscard]] std::optional<std::string> find_program(const std::string& name);

}  // namespace pmemfs
