// Random choices that depend on a seed alone, and the seed that a run has.
//
// The same seed gives the same choices with every compiler and library. Values;
// share none between threads.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <random>
#include <string>
#include <string_view>

#include "support/sanitizers.h"

namespace random_tests {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  // From 0 to below the limit. REQUIRES: limit > 0.
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }

  std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    return least + below(most - least + 1);
  }

  bool one_in(std::uint64_t count) { return below(count) == 0; }

  template <typename Value>
  Value one_of(std::initializer_list<Value> values) {
    return *(values.begin() + below(values.size()));
  }

 private:
  std::mt19937_64 engine_;
};

// A seed of its own for each part of a run.
[[nodiscard]] inline std::uint64_t seed_of_part(std::uint64_t seed,
                                                std::uint64_t part) {
  std::uint64_t mixed = seed + (part + 1) * 0x9E3779B97F4A7C15U;
  mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9U;
  mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBU;
  return mixed ^ mixed >> 31;
}

// PMEMFS_SEED, a fresh one if that is "fresh", or else always the same: what
// lands is to be judged by what it changes.
[[nodiscard]] inline std::uint64_t seed_of_this_run() {
  constexpr std::uint64_t kUsual = 20261123;
  const char* text = std::getenv("PMEMFS_SEED");
  if (text == nullptr) {
    return kUsual;
  }
  return std::string_view(text) == "fresh" ? std::random_device()()
                                           : std::strtoull(text, nullptr, 0);
}

// PMEMFS_OPERATIONS, or what the test has by itself.
[[nodiscard]] inline std::uint64_t operations_of_this_run(
    std::uint64_t otherwise) {
  const char* text = std::getenv("PMEMFS_OPERATIONS");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

// How many times fewer operations a sanitized program does by itself, to end in
// a similar time.
inline constexpr std::uint64_t kSlowerBy = support::kHasThreadSanitizer    ? 4
                                           : support::kHasAddressSanitizer ? 2
                                                                           : 1;

// How the run can be had again.
[[nodiscard]] inline std::string how_to_repeat(std::uint64_t seed,
                                               std::uint64_t operations) {
  return "PMEMFS_SEED=" + std::to_string(seed) +
         " PMEMFS_OPERATIONS=" + std::to_string(operations);
}

}  // namespace random_tests
