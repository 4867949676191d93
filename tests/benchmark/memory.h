// Where copies come from and go to: the target is a mapped file on tmpfs, the
// nearest to persistent memory that every machine has, the source ordinary
// memory. All of it is there (touched) before anything is measured.
//
// One owner; the addresses are valid as long as it lives.
#pragma once

#include <cstddef>

namespace benchmarks {

inline constexpr std::size_t kLargestCopy = std::size_t{64} << 20;

class Memory {
 public:
  // Throws std::runtime_error.
  Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  // At least 1.5 times kLargestCopy and a page, page-aligned.
  [[nodiscard]] std::byte* target() const { return target_; }
  // At least kLargestCopy and a page, page-aligned.
  [[nodiscard]] const std::byte* source() const { return source_; }

 private:
  std::byte* target_;
  std::byte* source_;
};

}  // namespace benchmarks
