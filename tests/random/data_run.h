// A run of the data tester: threads with their own and with shared files, and
// what is told when something was wrong. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "random/data_file.h"
#include "random/data_layout.h"

namespace random_tests {

struct DataRun {
  DataPlace place;
  DataLayout layout;
  std::uint64_t seed = 0;
  std::uint64_t operations = 0;  // of all threads together
  // Whether it makes sense to play operations again.
  std::function<bool()> is_alive = [] { return true; };
};

// "" when all was right; else what was wrong, with the shortest series of
// operations found that shows it. What it makes in the directories stays.
[[nodiscard]] std::string run_data(const DataRun& run);

// Plays operations of one thread on fresh files, with all checks. What was
// wrong, or "".
[[nodiscard]] std::string play_data(
    const DataRun& run, const std::vector<DataOperation>& operations,
    const std::string& prefix);

}  // namespace random_tests
