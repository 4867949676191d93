#include "src/nearest.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace pmemfs {

std::size_t edit_distance(std::string_view from, std::string_view to) {
  // Three rows of the table of distances between the beginnings of both words.
  std::vector<std::size_t> before(to.size() + 1);
  std::vector<std::size_t> above(to.size() + 1);
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t column = 0; column <= to.size(); ++column) {
    row[column] = column;
  }
  for (std::size_t line = 1; line <= from.size(); ++line) {
    before = std::exchange(above, row);
    row[0] = line;
    for (std::size_t column = 1; column <= to.size(); ++column) {
      const bool same = from[line - 1] == to[column - 1];
      row[column] = std::min({above[column] + 1, row[column - 1] + 1,
                              above[column - 1] + (same ? 0U : 1U)});
      const bool swapped = line > 1 && column > 1 &&
                           from[line - 1] == to[column - 2] &&
                           from[line - 2] == to[column - 1];
      if (swapped) {
        row[column] = std::min(row[column], before[column - 2] + 1);
      }
    }
  }
  return row[to.size()];
}

std::string nearest(std::string_view word, std::span<const std::string> known) {
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  std::string best;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace pmemfs
