// What `pmemfs --version` prints. Any thread.
#pragma once

#include <string>

namespace pmemfs {

// The versions of the program and of libfuse, a line each.
[[nodiscard]] std::string version_text();

}  // namespace pmemfs
