// Tells a failure on standard error, in the one form that all commands use.
#pragma once

#include "src/exit_code.h"

namespace pmemfs {

// "pmemfs: MESSAGE". Returns the failure's exit code.
ExitCode tell(const Failure& failure);

}  // namespace pmemfs
