#include "src/list_command.h"

#include <iostream>
#include <vector>

#include "fs/inventory.h"
#include "src/list_json.h"
#include "src/list_table.h"
#include "src/tell.h"

namespace pmemfs {

ExitCode run_list(const ListRequest& request) {
  const std::vector<InventoryRow> rows = take_inventory({});
  if (request.json) {
    std::cout << list_as_json(rows);
  } else if (!rows.empty()) {
    std::cout << list_as_table(rows);
  }
  std::cout << std::flush;
  if (!std::cout) {
    return tell({ExitCode::kUnexpected, "standard output cannot be written"});
  }
  if (rows.empty()) {
    return tell({ExitCode::kNothingFound,
                 "no persistent memory found: no Device DAX, no pmem block "
                 "device, and no file system that is mounted with DAX"});
  }
  return ExitCode::kOk;
}

}  // namespace pmemfs
