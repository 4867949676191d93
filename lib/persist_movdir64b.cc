// Streaming copies and fills by MOVDIR64B: a whole cache line at once, from
// memory to memory, around the caches and never torn. Its cached stores are
// those of SSE2; persist.cc takes these from a wider back-end.
#include "cpu_features.h"
#include "persist_words.h"

namespace pmem {
namespace {

struct DirectLines {
  static constexpr std::size_t kMostLines = 8;
  static constexpr std::size_t kEvenLines = 1;

  template <std::size_t kLines>
  [[gnu::always_inline]] static void copy_lines(std::byte* to,
                                                const std::byte* from) {
    // Back to front where the target lies behind the source: a line is read
    // only when it is stored.
    const bool is_forward = goes_forward(to, from, kLines * kCacheLineBytes);
    for (std::size_t i = 0; i < kLines; ++i) {
      const std::size_t at =
          (is_forward ? i : kLines - 1 - i) * kCacheLineBytes;
      _movdir64b(to + at, from + at);
      store_hook::streamed(to + at, kCacheLineBytes);
    }
  }

  struct alignas(kCacheLineBytes) Pattern {
    std::byte bytes[kCacheLineBytes];  // NOLINT(modernize-avoid-c-arrays)
  };
  [[gnu::always_inline]] static Pattern pattern(int value) {
    Pattern pattern;
    for (std::size_t at = 0; at < kCacheLineBytes; at += Word16::kBytes) {
      Word16::store(pattern.bytes + at, Word16::splat(value));
    }
    return pattern;
  }
  [[gnu::always_inline]] static void fill_line(std::byte* to,
                                               const Pattern& pattern) {
    _movdir64b(to, pattern.bytes);
    store_hook::streamed(to, kCacheLineBytes);
  }
  static bool copy_tail(std::byte* /*to*/, const std::byte* /*from*/,
                        std::size_t /*length*/) {
    return false;
  }
  static bool fill_tail(std::byte* /*to*/, int /*value*/,
                        std::size_t /*length*/) {
    return false;
  }
};

}  // namespace

constinit const CopyBackend kMovdir64b =
    copy_backend<Word16, DirectLines>("movdir64b", cpu_has_movdir64b);

}  // namespace pmem
