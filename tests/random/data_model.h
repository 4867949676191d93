// What a file should hold: bytes, and zeros beyond them.
//
// Threads may use it at the same time as long as each keeps to ranges of its
// own, and one alone changes the size.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

namespace random_tests {

class DataModel {
 public:
  // The file never gets longer than that.
  explicit DataModel(std::uint64_t limit) : bytes_(limit) {}

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t limit() const { return bytes_.size(); }

  void write(std::uint64_t offset, std::string_view bytes) {
    std::copy(bytes.begin(), bytes.end(), at(offset));
    if (!bytes.empty()) {
      extend(offset + bytes.size());
    }
  }

  void extend(std::uint64_t end) {
    if (end > size_) {
      size_ = end;
    }
  }

  void truncate(std::uint64_t size) {
    zero(size, limit() - size);
    size_ = size;
  }

  // What lies beyond the end is zero already.
  void zero(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t end = std::min(offset + length, size());
    if (offset < end) {
      std::fill(at(offset), at(end), '\0');
    }
  }

  // Those of the range that are in the file.
  [[nodiscard]] std::string_view bytes(std::uint64_t offset,
                                       std::uint64_t length) const {
    const std::uint64_t begin = std::min(offset, size());
    return {bytes_.data() + begin, std::min(length, size() - begin)};
  }

  // All of the range, with the zeros beyond the end.
  [[nodiscard]] std::string_view memory(std::uint64_t offset,
                                        std::uint64_t length) const {
    return {bytes_.data() + offset, std::min(length, limit() - offset)};
  }

  [[nodiscard]] bool is_zero(std::uint64_t begin, std::uint64_t end) const {
    return std::all_of(at(begin), at(end),
                       [](char byte) { return byte == '\0'; });
  }

 private:
  std::vector<char>::iterator at(std::uint64_t offset) {
    return bytes_.begin() + static_cast<std::ptrdiff_t>(offset);
  }
  [[nodiscard]] std::vector<char>::const_iterator at(
      std::uint64_t offset) const {
    return bytes_.begin() + static_cast<std::ptrdiff_t>(offset);
  }

  std::vector<char> bytes_;  // zeros beyond the size
  std::atomic<std::uint64_t> size_ = 0;
};

}  // namespace random_tests
