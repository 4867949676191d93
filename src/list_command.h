// `pmemfs list`: the persistent memory of the machine, one row a region. One
// thread.
#pragma once

#include "src/exit_code.h"

namespace pmemfs {

struct ListRequest {
  bool json = false;
};

// Prints on standard output. Without any persistent memory: kNothingFound, told
// on standard error, and with json an empty array.
[[nodiscard]] ExitCode run_list(const ListRequest& request);

}  // namespace pmemfs
