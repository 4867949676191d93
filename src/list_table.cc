#include "src/list_table.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>
#include <string_view>

namespace pmemfs {
namespace {

constexpr std::size_t kColumns = 10;
using Line = std::array<std::string, kColumns>;

// Letters that would break a line are written as in /proc/mounts.
std::string in_one_line(std::string_view text) {
  std::string line;
  for (const char letter : text) {
    if (static_cast<unsigned char>(letter) < ' ' || letter == '\x7f') {
      std::array<char, 5> octal = {};
      std::snprintf(octal.data(), octal.size(), "\\%03o",
                    static_cast<unsigned>(letter));
      line += octal.data();
    } else {
      line += letter;
    }
  }
  return line;
}

template <typename T, typename InWords>
std::string cell(const Fact<T>& fact, const InWords& in_words) {
  if (!fact) {
    return "?";
  }
  return *fact ? in_words(**fact) : "-";
}

std::string bad_in_words(const pmem::BadBlocks& blocks) {
  const std::uint64_t bytes =
      std::accumulate(blocks.begin(), blocks.end(), std::uint64_t{0},
                      [](std::uint64_t sum, const pmem::BadRange& range) {
                        return sum + range.length_bytes;
                      });
  return blocks.empty() ? "0"
                        : std::to_string(blocks.size()) + " (" +
                              size_in_words(bytes) + ")";
}

std::string mounted_in_words(const std::vector<std::string>& places) {
  std::string text;
  for (const std::string& place : places) {
    text += text.empty() ? "" : ",";
    text += in_one_line(place);
  }
  return text.empty() ? "-" : text;
}

// The reason, and what else could not be found out.
std::string why(const InventoryRow& row) {
  std::string text = in_one_line(row.reason);
  if (!row.bad_blocks) {
    text += text.empty() ? "" : "; ";
    text += "bad blocks: " + in_one_line(row.bad_blocks.error().message());
  }
  return text.empty() ? "-" : text;
}

Line line_of(const InventoryRow& row) {
  const auto number = [](auto value) { return std::to_string(value); };
  const auto word = [](const std::string& text) { return in_one_line(text); };
  return {in_one_line(row.name),
          row.kind,
          cell(row.size_bytes, size_in_words),
          cell(row.mode, word),
          cell(row.is_pmem, [](bool is) { return is ? "1" : "0"; }),
          cell(row.align_bytes, size_in_words),
          cell(row.numa_node, number),
          cell(row.bad_blocks, bad_in_words),
          mounted_in_words(row.mounted_on),
          why(row)};
}

}  // namespace

std::string size_in_words(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  auto value = static_cast<double>(bytes);
  // What would be rounded up to 1024 is one of the next unit.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text = {};
  std::snprintf(text.data(), text.size(), "%.1f", value);
  std::string number = text.data();
  if (number.ends_with(".0")) {
    number.resize(number.size() - 2);
  }
  return number + kUnits[unit];
}

std::string list_as_table(const std::vector<InventoryRow>& rows) {
  std::vector<Line> lines = {{"NAME", "KIND", "SIZE", "MODE", "PMEM", "ALIGN",
                              "NUMA", "BAD", "MOUNTED", "WHY"}};
  for (const InventoryRow& row : rows) {
    lines.push_back(line_of(row));
  }
  std::array<std::size_t, kColumns> widths = {};
  for (const Line& line : lines) {
    for (std::size_t column = 0; column < kColumns; ++column) {
      widths[column] = std::max(widths[column], line[column].size());
    }
  }
  std::string text;
  for (const Line& line : lines) {
    for (std::size_t column = 0; column + 1 < kColumns; ++column) {
      text += line[column];
      text.append(widths[column] - line[column].size() + 2, ' ');
    }
    text += line.back() + "\n";
  }
  return text;
}

}  // namespace pmemfs
