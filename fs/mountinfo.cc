#include "fs/mountinfo.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

namespace pmemfs {
namespace {

bool is_octal(char digit) { return digit >= '0' && digit <= '7'; }

std::vector<std::string_view> split_fields(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    if (end > 0) {
      fields.push_back(line.substr(0, end));
    }
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return fields;
}

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return std::nullopt;
  }
  return value;
}

// MAJOR:MINOR
std::optional<dev_t> device_number(std::string_view text) {
  const std::size_t colon = std::min(text.find(':'), text.size() - 1);
  const auto major_number = number<unsigned>(text.substr(0, colon));
  const auto minor_number = number<unsigned>(text.substr(colon + 1));
  if (!major_number || !minor_number) {
    return std::nullopt;
  }
  return ::makedev(*major_number, *minor_number);
}

// id parent major:minor root mount_point options [tags...] - type source
// options
std::optional<Mount> parse_line(std::string_view line) {
  constexpr std::size_t kFieldsBeforeTags = 6;
  const std::vector<std::string_view> fields = split_fields(line);
  if (fields.size() < kFieldsBeforeTags) {
    return std::nullopt;
  }
  const auto separator =
      std::find(fields.begin() + kFieldsBeforeTags, fields.end(), "-");
  const std::optional<int> id = number<int>(fields[0]);
  const std::optional<int> parent_id = number<int>(fields[1]);
  const std::optional<dev_t> device = device_number(fields[2]);
  if (std::distance(separator, fields.end()) < 3 || !id || !parent_id ||
      !device) {
    return std::nullopt;
  }
  const bool has_options = std::distance(separator, fields.end()) > 3;
  return Mount{
      .id = *id,
      .parent_id = *parent_id,
      .device = *device,
      .root = decode_octal_escapes(fields[3]),
      .mount_point = decode_octal_escapes(fields[4]),
      .options = decode_octal_escapes(fields[5]),
      .type = decode_octal_escapes(separator[1]),
      .source = decode_octal_escapes(separator[2]),
      .file_options = has_options ? decode_octal_escapes(separator[3]) : ""};
}

}  // namespace

std::string decode_octal_escapes(std::string_view text) {
  std::string decoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool escaped = text[at] == '\\' && at + 3 < text.size() &&
                         is_octal(text[at + 1]) && is_octal(text[at + 2]) &&
                         is_octal(text[at + 3]);
    if (!escaped) {
      decoded += text[at];
      continue;
    }
    const int value = (text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 +
                      (text[at + 3] - '0');
    decoded += static_cast<char>(value);
    at += 3;
  }
  return decoded;
}

std::vector<Mount> parse_mountinfo(std::string_view text) {
  std::vector<Mount> mounts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::optional<Mount> mount = parse_line(text.substr(0, end));
    if (mount) {
      mounts.push_back(std::move(*mount));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return mounts;
}

std::vector<Mount> read_mountinfo(const std::string& path) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file),
                         std::istreambuf_iterator<char>()};
  return parse_mountinfo(text);
}

bool has_option(std::string_view options, std::string_view word) {
  while (!options.empty()) {
    const std::size_t end = std::min(options.find(','), options.size());
    if (options.substr(0, end) == word) {
      return true;
    }
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  return false;
}

bool is_within(std::string_view path, std::string_view directory) {
  if (directory == "/") {
    return true;
  }
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace pmemfs
