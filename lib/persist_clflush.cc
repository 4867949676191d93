// Flush by CLFLUSH, which every x86-64 CPU has: the line leaves the cache, and
// lines are written back one after the other.
#include <immintrin.h>

#include "persist_x86.h"

namespace pmem {
namespace {

bool is_supported() { return true; }

void flush(const std::byte* address, std::size_t length_bytes) {
  const std::byte* end = address + length_bytes;
  for (const std::byte* line = line_of(address); line < end;
       line += kCacheLineBytes) {
    _mm_clflush(line);
  }
}

}  // namespace

const FlushBackend kClflush = {"clflush", is_supported, flush};

}  // namespace pmem
