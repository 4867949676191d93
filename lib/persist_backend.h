// The CPU-dependent halves of persist.h: one file per instruction set, one
// entry in the lists of persist.cc. All functions are stateless and run on
// memory that others may change meanwhile; none fails.
#pragma once

#include <cstddef>

namespace pmem {

inline constexpr std::size_t kCacheLineBytes = 64;

// Writes back the cache lines that [address, address+length) touches.
using FlushFunction = void (*)(const std::byte* address,
                               std::size_t length_bytes);

struct FlushBackend {
  const char* name;
  bool (*is_supported)();
  FlushFunction flush;
};

extern const FlushBackend kClwb;        // persist_clwb.cc
extern const FlushBackend kClflushopt;  // persist_clflushopt.cc
extern const FlushBackend kClflush;     // persist_clflush.cc

// Copies and fills with stores that bypass the caches. What lies outside whole
// cache lines of the target is stored through the caches and flushed with
// `flush`. A fence must follow.
struct StreamBackend {
  const char* name;
  bool (*is_supported)();
  // REQUIRES: `to` does not lie inside (from, from+length).
  void (*copy)(std::byte* to, const std::byte* from, std::size_t length_bytes,
               FlushFunction flush);
  void (*fill)(std::byte* to, int value, std::size_t length_bytes,
               FlushFunction flush);
};

extern const StreamBackend kSse2;  // persist_sse2.cc

// Copies through the caches, front to back, without calling into libc: for
// memory that other threads and processes change at the same time, and for
// guarded code. REQUIRES: `to` does not lie inside (from, from+length).
void copy_forward(std::byte* to, const std::byte* from,
                  std::size_t length_bytes);  // persist_x86.cc
void fill_forward(std::byte* to, int value, std::size_t length_bytes);

}  // namespace pmem
