// One cache line written back, by each instruction there is for it. For the
// back-end files only, which are compiled for CPUs that may lack what other
// files' CPUs have: hence the unnamed namespace, so that no two of them share a
// compiled function.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "persist_backend.h"
#include "persist_hook.h"

namespace pmem {
namespace {  // NOLINT(google-build-namespaces): see above

// The beginning of the cache line that holds the byte.
[[gnu::always_inline]] inline const std::byte* line_of(
    const std::byte* address) {
  return address - reinterpret_cast<std::uintptr_t>(address) % kCacheLineBytes;
}

struct NoFlush {
  static constexpr bool kFlushes = false;
  static void flush_line(const std::byte* /*line*/) {}
};

struct Clflush {
  static constexpr bool kFlushes = true;
  [[gnu::always_inline]] static void flush_line(const std::byte* line) {
    _mm_clflush(line);
  }
};

// The intrinsics below write no memory, but their parameters are not const.

#ifdef __CLFLUSHOPT__
struct Clflushopt {
  static constexpr bool kFlushes = true;
  [[gnu::always_inline]] static void flush_line(const std::byte* line) {
    _mm_clflushopt(const_cast<std::byte*>(line));
  }
};
#endif

#ifdef __CLWB__
struct Clwb {
  static constexpr bool kFlushes = true;
  [[gnu::always_inline]] static void flush_line(const std::byte* line) {
    _mm_clwb(const_cast<std::byte*>(line));
  }
};
#endif

template <typename Flush>
[[gnu::always_inline]] inline void flush_lines(const std::byte* address,
                                               std::size_t length_bytes) {
  if constexpr (Flush::kFlushes) {
    const std::byte* end = address + length_bytes;
    for (const std::byte* line = line_of(address); line < end;
         line += kCacheLineBytes) {
      Flush::flush_line(line);
      store_hook::flushed(line);
    }
  }
}

}  // namespace
}  // namespace pmem
