// The rows of `pmemfs list` as JSON, whose members docs/pmemfs.8 tells. Pure;
// any thread.
#pragma once

#include <string>
#include <vector>

#include "fs/inventory.h"

namespace pmemfs {

// An array of objects, with a newline at the end. Each object has every member;
// null is what is not known. What could not be found out is null as well, and
// has a member of its name with _error behind it, which tells why.
[[nodiscard]] std::string list_as_json(const std::vector<InventoryRow>& rows);

}  // namespace pmemfs
