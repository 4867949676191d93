// A guest with emulated persistent memory, in QEMU without hardware's help.
#pragma once

#include <string>
#include <vector>

#include "support/command.h"

namespace clients {

// Skips the test, for a reason, where QEMU or the guest's image cannot be had;
// the caller returns when IsSkipped().
void need_guest();

// Boots one that runs a script as its payload, and waits for its end. The
// options are those of scripts/vm-run, and so is the exit status. What it says
// is printed.
[[nodiscard]] support::CommandResult run_in_guest(
    const std::string& script, const std::vector<std::string>& options);

}  // namespace clients
