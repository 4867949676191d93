// The CPU-dependent halves of persist.h: one file per instruction set, one
// entry in the lists of persist.cc. All functions are stateless and run on
// memory that others may change meanwhile; none fails.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "pmem/persist.h"

namespace pmem {

inline constexpr std::size_t kCacheLineBytes = 64;

// Writes back the cache lines that [address, address+length) touches.
using FlushFunction = void (*)(const std::byte* address,
                               std::size_t length_bytes);

// memmove(3) and memset(3), followed by a flush of what was written.
using CopyFunction = void (*)(std::byte* to, const std::byte* from,
                              std::size_t length_bytes);
using FillFunction = void (*)(std::byte* to, int value,
                              std::size_t length_bytes);

// How cache lines are written back. The order is that of the arrays below.
enum class FlushKind : std::size_t { kNone, kClflush, kClflushopt, kClwb };
inline constexpr std::size_t kFlushKinds = 4;

struct FlushBackend {
  const char* name;
  FlushKind kind;
  bool (*is_supported)();
  FlushFunction flush;
};

extern const FlushBackend kClwb;        // persist_clwb.cc
extern const FlushBackend kClflushopt;  // persist_clflushopt.cc
extern const FlushBackend kClflush;     // persist_clflush.cc

// The stores of one instruction set, together with one kind of flush.
// The cached pair stores through the caches. The streaming pair stores whole
// cache lines around them; what lies outside whole lines of the target goes
// through the caches. Every copy takes overlapping ranges. A target and length
// that are multiples of 8 are written by stores of at least 8 bytes.
struct CopyFunctions {
  CopyFunction copy;
  FillFunction fill;
  CopyFunction stream_copy;
  FillFunction stream_fill;
};

struct CopyBackend {
  const char* name;
  bool (*is_supported)();
  std::array<CopyFunctions, kFlushKinds> functions;  // by FlushKind

  [[nodiscard]] const CopyFunctions& with(FlushKind kind) const {
    return functions[static_cast<std::size_t>(kind)];
  }
};

extern const CopyBackend kMovdir64b;  // persist_movdir64b.cc
extern const CopyBackend kAvx512f;    // persist_avx512f.cc
extern const CopyBackend kAvx;        // persist_avx.cc
extern const CopyBackend kSse2;       // persist_sse2.cc
extern const CopyBackend kPortable;   // persist_portable.cc
extern const CopyBackend kLibc;       // persist_libc.cc

// Copies through the caches, front to back, without calling into libc: for
// guarded code and memory that other processes change at the same time.
// REQUIRES: `to` does not lie inside (from, from+length).
void copy_forward(std::byte* to, const std::byte* from,
                  std::size_t length_bytes);  // persist_x86.cc

// What was chosen for this process, once, when the library was loaded.
struct PersistChoice {
  FlushFunction flush;       // what durability needs: maybe nothing
  FlushFunction deep_flush;  // the same, but never nothing
  const char* flush_name;    // "none" if flush does nothing
  const char* copy_name;     // the instruction set of the cached stores
  const char* stream_name;   // that of the streaming stores; "none"
  std::size_t stream_threshold_bytes;
  CopyFunctions functions;  // with the flush that durability needs
  CopyFunction copy_no_flush;
  FillFunction fill_no_flush;
  CopyFunction stream_copy_piece;  // null: streams are not cut in pieces
  FillFunction stream_fill_piece;
};

[[gnu::visibility("hidden")]] extern PersistChoice persist_choice;

// The inner parts of persist.h, to be inlined into the C interface.

inline bool is_streamed(std::size_t length_bytes, StoreKind kind) {
  return kind == StoreKind::kNonTemporal ||
         (kind == StoreKind::kAuto &&
          length_bytes >= persist_choice.stream_threshold_bytes);
}

inline CopyFunction copy_function(std::size_t length_bytes, StoreKind kind) {
  const CopyFunctions& functions = persist_choice.functions;
  return is_streamed(length_bytes, kind) ? functions.stream_copy
                                         : functions.copy;
}

inline FillFunction fill_function(std::size_t length_bytes, StoreKind kind) {
  const CopyFunctions& functions = persist_choice.functions;
  return is_streamed(length_bytes, kind) ? functions.stream_fill
                                         : functions.fill;
}

}  // namespace pmem
