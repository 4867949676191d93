// Makes up operations on files. Pure: what comes depends on the seed, the
// layout and the thread alone, not on what becomes of the operations. One
// thread.
#pragma once

#include <cstdint>
#include <vector>

#include "random/data_layout.h"
#include "random/data_operation.h"
#include "random/seed.h"

namespace random_tests {

class DataGenerator {
 public:
  // `thread` counts from 0; the layout outlives the object.
  DataGenerator(std::uint64_t seed, const DataLayout& layout,
                std::uint64_t thread)
      : random_(seed_of_part(seed, thread)),
        layout_(&layout),
        thread_(thread) {}

  [[nodiscard]] DataOperation next();

 private:
  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };

  DataKind next_kind();
  std::uint64_t next_length(std::uint64_t most);
  Range next_range(std::uint64_t begin, std::uint64_t bytes);
  Range next_range_of(std::uint64_t file, DataKind kind);
  std::uint64_t own_stripe(const FileLayout& file);
  std::uint64_t next_file();
  std::uint64_t next_flags(DataKind kind, bool is_shared);

  Random random_;
  const DataLayout* layout_;
  std::uint64_t thread_;
};

// The first operations of a thread.
[[nodiscard]] inline std::vector<DataOperation> first_operations(
    std::uint64_t seed, const DataLayout& layout, std::uint64_t thread,
    std::uint64_t count) {
  DataGenerator generator(seed, layout, thread);
  std::vector<DataOperation> operations;
  for (std::uint64_t i = 0; i < count; ++i) {
    operations.push_back(generator.next());
  }
  return operations;
}

}  // namespace random_tests
