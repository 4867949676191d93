// Streaming copies and fills by MOVNTDQ, which every x86-64 CPU has.
//
// The target is cut in three: what comes before its first whole cache line and
// what comes after its last one goes through the caches and is flushed; the
// whole lines between are stored around the caches.
#include <immintrin.h>

#include <algorithm>

#include "persist_x86.h"

namespace pmem {
namespace {

struct Cut {
  std::size_t head;
  std::size_t lines;
  std::size_t tail;
};

Cut cut(const std::byte* to, std::size_t length) {
  const auto misfit = reinterpret_cast<std::uintptr_t>(to) % kCacheLineBytes;
  const std::size_t head =
      misfit == 0 ? 0 : std::min(kCacheLineBytes - misfit, length);
  const std::size_t lines = (length - head) / kCacheLineBytes;
  return {head, lines, length - head - lines * kCacheLineBytes};
}

__m128i load(const std::byte* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

void store_line(std::byte* to, __m128i a, __m128i b, __m128i c, __m128i d) {
  auto* line = reinterpret_cast<__m128i*>(to);
  _mm_stream_si128(line, a);
  _mm_stream_si128(line + 1, b);
  _mm_stream_si128(line + 2, c);
  _mm_stream_si128(line + 3, d);
}

bool is_supported() { return true; }

void copy(std::byte* to, const std::byte* from, std::size_t length_bytes,
          FlushFunction flush) {
  const Cut parts = cut(to, length_bytes);
  if (parts.head > 0) {
    copy_forward(to, from, parts.head);
    flush(to, parts.head);
    to += parts.head;
    from += parts.head;
  }
  for (std::size_t i = 0; i < parts.lines; ++i) {
    store_line(to, load(from), load(from + 16), load(from + 32),
               load(from + 48));
    to += kCacheLineBytes;
    from += kCacheLineBytes;
  }
  if (parts.tail > 0) {
    copy_forward(to, from, parts.tail);
    flush(to, parts.tail);
  }
}

void fill(std::byte* to, int value, std::size_t length_bytes,
          FlushFunction flush) {
  const Cut parts = cut(to, length_bytes);
  if (parts.head > 0) {
    fill_forward(to, value, parts.head);
    flush(to, parts.head);
    to += parts.head;
  }
  const __m128i pattern = _mm_set1_epi8(static_cast<char>(value));
  for (std::size_t i = 0; i < parts.lines; ++i) {
    store_line(to, pattern, pattern, pattern, pattern);
    to += kCacheLineBytes;
  }
  if (parts.tail > 0) {
    fill_forward(to, value, parts.tail);
    flush(to, parts.tail);
  }
}

}  // namespace

const StreamBackend kSse2 = {"sse2", is_supported, copy, fill};

}  // namespace pmem
