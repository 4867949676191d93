// A buffer with guard bytes around it, to see what a copy really touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace support {

// Holds `capacity` bytes that begin on a cache line, between guards.
class GuardedBuffer {
 public:
  static constexpr std::byte kGuard{0xA5};

  explicit GuardedBuffer(std::size_t capacity)
      : storage_(capacity + 3 * kGuardBytes, kGuard), capacity_(capacity) {
    const auto begin =
        reinterpret_cast<std::uintptr_t>(storage_.data()) + kGuardBytes;
    offset_ = kGuardBytes + (kGuardBytes - begin % kGuardBytes) % kGuardBytes;
  }

  [[nodiscard]] std::byte* data() { return storage_.data() + offset_; }
  [[nodiscard]] std::span<std::byte> bytes() { return {data(), capacity_}; }

  // Restores the guard byte everywhere.
  void clear() { storage_.assign(storage_.size(), kGuard); }

  // A byte of a pattern that differs between neighbouring cache lines and
  // never is the guard byte.
  [[nodiscard]] static std::byte pattern(std::size_t offset) {
    return static_cast<std::byte>((offset * 7 + offset / 64) % 163);
  }
  void fill_with_pattern() {
    for (std::size_t i = 0; i < capacity_; ++i) {
      data()[i] = pattern(i);
    }
  }

  // "" if [begin, begin+length) holds what `expected(i)` says and everything
  // around it is a guard byte, else which byte is wrong.
  template <typename Expected>
  [[nodiscard]] std::string find_wrong(std::size_t begin, std::size_t length,
                                       const Expected& expected) const {
    for (std::size_t i = 0; i < storage_.size(); ++i) {
      const std::size_t from_begin = i - offset_ - begin;  // may wrap
      const bool is_inside = from_begin < length;
      if (storage_[i] != (is_inside ? expected(from_begin) : kGuard)) {
        return std::string(is_inside ? "inside" : "guard") + " at " +
               std::to_string(static_cast<std::ptrdiff_t>(from_begin)) +
               " of " + std::to_string(length);
      }
    }
    return "";
  }

 private:
  static constexpr std::size_t kGuardBytes = 64;

  std::vector<std::byte> storage_;
  std::size_t capacity_;
  std::size_t offset_ = 0;
};

}  // namespace support
