// The rows of `pmemfs list` as a table for people. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fs/inventory.h"

namespace pmemfs {

// "62MiB", "1.5GiB", "512B": rounded to one decimal, which is left out where it
// is 0.
[[nodiscard]] std::string size_in_words(std::uint64_t bytes);

// A head line and one line a row, each with its newline. "-" is what is not
// known at all, "?" what could not be found out, for the reason in the last
// column.
[[nodiscard]] std::string list_as_table(const std::vector<InventoryRow>& rows);

}  // namespace pmemfs
