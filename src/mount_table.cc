#include "src/mount_table.h"

#include <fcntl.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "pmem/unique_fd.h"

namespace pmemfs {
namespace {

std::optional<int> number(std::string_view text) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return std::nullopt;
  }
  return value;
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
  for (Mount& mount : read_mountinfo(kMountinfoPath)) {
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
