// The vector registers of x86-64 as words of persist_copy.h. For the back-end
// files only; each gets those that it is compiled for.
#pragma once

#include <immintrin.h>

#include "persist_copy.h"

namespace pmem {
namespace {  // NOLINT(google-build-namespaces)

struct Word16 {
  static constexpr std::size_t kBytes = 16;
  static constexpr std::size_t kRegisters = 16;
  using Value = __m128i;
  using Narrower = Word8;

  [[gnu::always_inline]] static Value load(const std::byte* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }
  [[gnu::always_inline]] static void store(std::byte* to, Value value) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value);
  }
  [[gnu::always_inline]] static void stream(std::byte* to, Value value) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to), value);
  }
  [[gnu::always_inline]] static Value splat(int value) {
    return _mm_set1_epi8(static_cast<char>(value));
  }
};

#ifdef __AVX__
struct Word32 {
  static constexpr std::size_t kBytes = 32;
  static constexpr std::size_t kRegisters = 16;
  using Value = __m256i;
  using Narrower = Word16;

  [[gnu::always_inline]] static Value load(const std::byte* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  [[gnu::always_inline]] static void store(std::byte* to, Value value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value);
  }
  [[gnu::always_inline]] static void stream(std::byte* to, Value value) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), value);
  }
  [[gnu::always_inline]] static Value splat(int value) {
    return _mm256_set1_epi8(static_cast<char>(value));
  }
};
#endif

#ifdef __AVX512F__
struct Word64 {
  static constexpr std::size_t kBytes = 64;
  static constexpr std::size_t kRegisters = 32;
  using Value = __m512i;
  using Narrower = Word32;

  [[gnu::always_inline]] static Value load(const std::byte* from) {
    return _mm512_loadu_si512(from);
  }
  [[gnu::always_inline]] static void store(std::byte* to, Value value) {
    _mm512_storeu_si512(to, value);
  }
  [[gnu::always_inline]] static void stream(std::byte* to, Value value) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), value);
  }
  [[gnu::always_inline]] static Value splat(int value) {
    return _mm512_set1_epi8(static_cast<char>(value));
  }
};
#endif

}  // namespace
}  // namespace pmem
