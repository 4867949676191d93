#include "src/mount_table.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "pmem/unique_fd.h"

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

std::optional<int> number(std::string_view text) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return std::nullopt;
  }
  return value;
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
  const std::optional<int> id = number(fields[0]);
  const std::optional<int> parent_id = number(fields[1]);
  if (std::distance(separator, fields.end()) < 3 || !id || !parent_id) {
    return std::nullopt;
  }
  return Mount{.id = *id,
               .parent_id = *parent_id,
               .mount_point = decode_octal_escapes(fields[4]),
               .type = decode_octal_escapes(separator[1]),
               .source = decode_octal_escapes(separator[2])};
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

// The id of the mount that an open file lies in.
std::optional<int> mount_id(int fd) {
  constexpr std::string_view kKey = "mnt_id:";
  const std::string facts =
      read_text("/proc/self/fdinfo/" + std::to_string(fd));
  const std::size_t key = facts.find(kKey);
  if (key == std::string::npos) {
    return std::nullopt;
  }
  const std::size_t begin = facts.find_first_not_of(" \t", key + kKey.size());
  const std::size_t end = facts.find('\n', begin);
  if (begin == std::string::npos) {
    return std::nullopt;
  }
  return number(std::string_view(facts).substr(begin, end - begin));
}

pmem::Result<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(
      ::realpath(path.c_str(), nullptr), &std::free);
  if (resolved == nullptr) {
    return pmem::fail_errno("resolving the path");
  }
  return std::string(resolved.get());
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

pmem::Result<std::optional<Mount>> mount_at(const std::string& path) {
  // The table alone cannot tell which of several mounts at a path is on top, or
  // whether a later one further up hides them all. Where the path leads can.
  const pmem::UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd.valid()) {
    return pmem::fail_errno("opening the mountpoint");
  }
  const std::optional<int> id = mount_id(fd.get());
  if (!id) {
    return pmem::fail(ENOSYS, "asking /proc for the mount of a path");
  }
  for (Mount& mount : parse_mountinfo(read_text("/proc/self/mountinfo"))) {
    if (mount.id == *id && mount.mount_point == path) {
      return std::optional<Mount>(std::move(mount));
    }
  }
  return std::optional<Mount>();
}

pmem::Result<std::string> resolve_mountpoint(const std::string& path) {
  pmem::Result<std::string> resolved = real_path(path);
  if (resolved || resolved.error().code != ENOTCONN) {
    return resolved;
  }
  // Older C libraries ask the root of the mount, which nobody answers for.
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') {
    trimmed.pop_back();
  }
  const std::size_t slash = trimmed.rfind('/');
  const bool is_relative = slash == std::string::npos;
  const std::string parent = is_relative ? "." : trimmed.substr(0, slash + 1);
  const std::string name = is_relative ? trimmed : trimmed.substr(slash + 1);
  if (name == "." || name == "..") {
    return resolved;
  }
  resolved = real_path(parent);
  if (!resolved) {
    return resolved;
  }
  return *resolved == "/" ? "/" + name : *resolved + "/" + name;
}

}  // namespace pmemfs
