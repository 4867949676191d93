#include "sysfs.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <memory>

#include "pmem/unique_fd.h"

namespace pmem {

std::optional<std::string> read_attribute(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return std::nullopt;
  }
  std::array<char, 4096> text;  // sysfs attributes are at most one page
  const ssize_t length = ::read(fd.get(), text.data(), text.size());
  if (length < 0) {
    return std::nullopt;
  }
  std::string value(text.data(), static_cast<std::size_t>(length));
  while (!value.empty() && value.back() == '\n') {
    value.pop_back();
  }
  return value;
}

std::optional<std::int64_t> read_number(const std::string& path) {
  const std::optional<std::string> text = read_attribute(path);
  if (!text || text->empty()) {
    return std::nullopt;
  }
  const bool is_hexadecimal = text->starts_with("0x");
  const char* begin = text->data() + (is_hexadecimal ? 2 : 0);
  const char* end = text->data() + text->size();
  std::int64_t number = 0;
  const auto parsed =
      std::from_chars(begin, end, number, is_hexadecimal ? 16 : 10);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(
      ::realpath(path.c_str(), nullptr), &std::free);
  if (resolved == nullptr) {
    return std::nullopt;
  }
  return std::string(resolved.get());
}

std::string last_component(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace pmem
