// From a series of operations that fails to a short one that still fails.
//
// First the shortest tail that fails by itself is looked for, then whatever can
// be left out of it is. Pure but for what `fails` does. One thread.
// Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
// Input" (2002), for the second half.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace random_tests {

template <typename Operation>
struct Shrunk {
  std::vector<Operation> operations;
  std::string failure;  // of these; "" if they do not fail any more
};

namespace internal {

template <typename Operation>
std::vector<Operation> tail_of(const std::vector<Operation>& operations,
                               std::size_t count) {
  return {operations.end() - static_cast<std::ptrdiff_t>(count),
          operations.end()};
}

template <typename Operation>
std::vector<Operation> without(const std::vector<Operation>& operations,
                               std::size_t first, std::size_t count) {
  std::vector<Operation> left = operations;
  const auto begin = left.begin() + static_cast<std::ptrdiff_t>(first);
  left.erase(begin, begin + static_cast<std::ptrdiff_t>(
                                std::min(count, left.size() - first)));
  return left;
}

// Tails that double in length, as short ones take no time to try.
template <typename Operation, typename Fails>
Shrunk<Operation> failing_tail(const std::vector<Operation>& operations,
                               const Fails& fails) {
  for (std::size_t count = 1;; count *= 2) {
    count = std::min(count, operations.size());
    std::vector<Operation> tail = tail_of(operations, count);
    std::string failure = fails(tail);
    if (!failure.empty() || count == operations.size()) {
      return {std::move(tail), std::move(failure)};
    }
  }
}

}  // namespace internal

// `fails(operations)` plays them from the beginning, and tells the failure in
// words, or "". It is asked at most so often after a tail was found.
template <typename Operation, typename Fails>
Shrunk<Operation> shrink(const std::vector<Operation>& operations,
                         const Fails& fails, unsigned most_attempts = 2000) {
  if (operations.empty()) {
    return {};
  }
  Shrunk<Operation> best = internal::failing_tail(operations, fails);
  if (best.failure.empty()) {
    return best;
  }
  std::size_t part = std::max<std::size_t>(1, best.operations.size() / 2);
  for (unsigned attempt = 0; attempt < most_attempts;) {
    bool has_shrunk = false;
    for (std::size_t first = 0; first < best.operations.size() &&
                                best.operations.size() > 1 &&
                                attempt < most_attempts;) {
      std::vector<Operation> fewer =
          internal::without(best.operations, first, part);
      ++attempt;
      std::string failure = fewer.empty() ? "" : fails(fewer);
      if (failure.empty()) {
        first += part;
      } else {
        best = {std::move(fewer), std::move(failure)};
        has_shrunk = true;
      }
    }
    if (part == 1 && !has_shrunk) {
      break;
    }
    part = std::max<std::size_t>(1, has_shrunk ? part : part / 2);
    part = std::min(part, std::max<std::size_t>(1, best.operations.size() / 2));
  }
  return best;
}

}  // namespace random_tests
