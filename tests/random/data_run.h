// A run of the data tester: threads with their own and with shared files, and
// what is told when something was wrong. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "random/data_file.h"
#include "random/data_layout.h"
#include "random/data_operation.h"

namespace random_tests {

struct DataRun {
  DataPlace place;
  DataLayout layout;
  std::uint64_t seed = 0;
  std::uint64_t operations = 0;  // of all threads together
  // Whether it makes sense to play operations again.
  std::function<bool()> is_alive = [] { return true; };
};

struct DataOutcome {
  std::string report;  // "" when all was right
  // The fewest operations that were found to show what was wrong; none if it
  // did not come again.
  std::vector<DataOperation> shortest;
};

// The files that it makes in the directories stay.
[[nodiscard]] DataOutcome run_data(const DataRun& run);

// Plays operations of one thread on fresh files, with all checks. What was
// wrong, or "".
[[nodiscard]] std::string play_data(
    const DataRun& run, const std::vector<DataOperation>& operations,
    const std::string& prefix);

}  // namespace random_tests
