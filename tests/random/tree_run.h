// A run of the tree tester: the same calls in a native directory and in the one
// that is tested, and what is told when they differ.
//
// For a process of its own: as root it becomes other users, and it changes the
// umask. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "random/tree_operation.h"
#include "random/tree_place.h"

namespace random_tests {

struct TreeRun {
  // Directories in which the trees are made.
  std::string native;
  std::string seen;     // the one that is tested
  std::string beneath;  // the same without the mount; or the same
  std::uint64_t seed = 0;
  std::uint64_t operations = 0;
  bool locks = true;  // as in TreeRules
  // Whether it makes sense to make calls again.
  std::function<bool()> is_alive = [] { return true; };
  // Makes the place that is tested.
  std::function<std::unique_ptr<TreePlace>(const std::string& directory)>
      make_place = [](const std::string& directory) {
        return std::make_unique<TreePlace>(directory);
      };
};

struct TreeOutcome {
  std::string report;  // "" when all was the same
  // The fewest operations that were found to show the difference; none if it
  // did not come again.
  std::vector<TreeOperation> shortest;
  std::uint64_t succeeded = 0;  // calls that were not refused
};

[[nodiscard]] TreeOutcome run_tree(const TreeRun& run);

// Makes the calls in fresh trees of that name. The difference, or "".
[[nodiscard]] std::string play_tree(
    const TreeRun& run, const std::vector<TreeOperation>& operations,
    const std::string& name);

}  // namespace random_tests
