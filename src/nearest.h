// Guesses what somebody meant by a misspelled word. Pure; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace pmemfs {

// How many letters must be inserted, deleted, replaced or swapped with their
// neighbour to make `to` of `from` (optimal string alignment).
[[nodiscard]] std::size_t edit_distance(std::string_view from,
                                        std::string_view to);

// The word of `known` that is nearest to `word`; of equally near ones the
// first. Empty when none is near enough to be meant: more than a third of the
// letters differ.
[[nodiscard]] std::string nearest(std::string_view word,
                                  std::span<const std::string> known);

}  // namespace pmemfs
