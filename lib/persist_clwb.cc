// Flush by CLWB: the line stays in the cache.
#include <immintrin.h>

#include "persist_x86.h"

namespace pmem {
namespace {

bool is_supported() { return has_leaf7_ebx(24); }

__attribute__((target("clwb"))) void flush(const std::byte* address,
                                           std::size_t length_bytes) {
  const std::byte* end = address + length_bytes;
  for (const std::byte* line = line_of(address); line < end;
       line += kCacheLineBytes) {
    // The intrinsic writes no memory, but its parameter is not const.
    _mm_clwb(const_cast<std::byte*>(line));
  }
}

}  // namespace

const FlushBackend kClwb = {"clwb", is_supported, flush};

}  // namespace pmem
