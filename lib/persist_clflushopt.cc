// Flush by CLFLUSHOPT: the line leaves the cache, lines are not ordered.
#include <immintrin.h>

#include "persist_x86.h"

namespace pmem {
namespace {

bool is_supported() { return has_leaf7_ebx(23); }

__attribute__((target("clflushopt"))) void flush(const std::byte* address,
                                                 std::size_t length_bytes) {
  const std::byte* end = address + length_bytes;
  for (const std::byte* line = line_of(address); line < end;
       line += kCacheLineBytes) {
    // The intrinsic writes no memory, but its parameter is not const.
    _mm_clflushopt(const_cast<std::byte*>(line));
  }
}

}  // namespace

const FlushBackend kClflushopt = {"clflushopt", is_supported, flush};

}  // namespace pmem
