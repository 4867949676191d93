// Makes up operations on a tree of few names and levels, so that they meet
// again. Some names are mostly directories, others mostly something else: else
// most calls would be refused. Pure: what comes depends on the seed alone. One
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "random/seed.h"
#include "random/tree_operation.h"

namespace random_tests {

inline constexpr std::uint64_t kSlots = 4;

struct TreeRules {
  bool has_root = false;  // calls come from root and two users, else one user
  // Its owner is locked out of a directory now and then.
  bool locks = true;
};

class TreeGenerator {
 public:
  TreeGenerator(std::uint64_t seed, const TreeRules& rules)
      : random_(seed), rules_(rules) {}

  [[nodiscard]] TreeOperation next();

 private:
  TreeKind next_kind();
  std::string next_name(bool of_directory);
  std::string next_path(bool of_directory);
  std::string next_path_for(TreeKind kind);
  std::string next_target();
  std::string next_xattr();
  std::uint64_t next_mode();
  std::uint64_t next_owner();
  std::uint64_t next_time();
  void fill(TreeOperation& operation);

  Random random_;
  TreeRules rules_;
};

[[nodiscard]] inline std::vector<TreeOperation> first_tree_operations(
    std::uint64_t seed, const TreeRules& rules, std::uint64_t count) {
  TreeGenerator generator(seed, rules);
  std::vector<TreeOperation> operations;
  for (std::uint64_t i = 0; i < count; ++i) {
    operations.push_back(generator.next());
  }
  return operations;
}

}  // namespace random_tests
