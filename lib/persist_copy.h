// memmove and memset for persistent memory, written once for every instruction
// set. For the back-end files only; see persist_flush.h about the unnamed
// namespace. Nothing of the standard library is called: its functions would be
// compiled for this file's CPU and might be linked into code for any CPU.
//
// A back-end brings its words, from the narrowest to the widest: each a struct
// with
//   kBytes                the width
//   kRegisters            how many the CPU has (of those that stream)
//   Value                 the register
//   Narrower              the next narrower word; void for the narrowest
//   load, store           at any alignment
//   splat                 a value with all bytes alike
// and its lines: a struct with
//   copy_lines<kLines>    loads whole cache lines, then stores them to a
//                         line-aligned target around the caches
//   kMostLines            how many it can hold: a power of two
//   kEvenLines            how many keep reads and writes evenly mixed
//   Pattern, pattern, fill_line
//   copy_tail, fill_tail  store less than a line at the beginning of one around
//                         the caches, if they can at once; else false
//
// Short pieces are loaded whole before anything is stored, by words that meet
// or overlap in the middle. So they need neither a loop nor care for overlaps,
// and where target and length are multiples of 8 so is every store. Longer
// ones go block by block, front to back if the target lies before the source,
// else back to front; the piece at the far end, which need not fill a block, is
// loaded at the start and stored at the end.
#pragma once

#include <cstddef>
#include <cstdint>

#include "persist_backend.h"
#include "persist_flush.h"
#include "persist_hook.h"

namespace pmem {
namespace {  // NOLINT(google-build-namespaces)

// memmove goes front to back unless the target begins inside the source.
[[gnu::always_inline]] inline bool goes_forward(const std::byte* to,
                                                const std::byte* from,
                                                std::size_t length) {
  return reinterpret_cast<std::uintptr_t>(to) -
             reinterpret_cast<std::uintptr_t>(from) >=
         length;
}

// Keeps the compiler from moving stores across: left to itself it shuffles the
// lines of a block, and streaming stores are combined best at rising addresses.
[[gnu::always_inline]] inline void keep_order() {
  asm volatile("" : : : "memory");
}

// Whole integers, which every CPU has.
template <typename Integer, typename Next>
struct ScalarWord {
  // At any address, whatever else is there; never torn or left out.
  using Unaligned [[gnu::aligned(1), gnu::may_alias]] = volatile Integer;

  static constexpr std::size_t kBytes = sizeof(Integer);
  using Value = Integer;
  using Narrower = Next;

  [[gnu::always_inline]] static Value load(const std::byte* from) {
    return *reinterpret_cast<const Unaligned*>(from);
  }
  [[gnu::always_inline]] static void store(std::byte* to, Value value) {
    *reinterpret_cast<Unaligned*>(to) = value;
  }
  [[gnu::always_inline]] static Value splat(int value) {
    constexpr std::uint64_t kOnes = 0x0101010101010101U;
    return static_cast<Integer>(kOnes * static_cast<unsigned char>(value));
  }
};

using Word1 = ScalarWord<std::uint8_t, void>;
using Word2 = ScalarWord<std::uint16_t, Word1>;
using Word4 = ScalarWord<std::uint32_t, Word2>;
struct Word8 : ScalarWord<std::uint64_t, Word4> {
  [[gnu::always_inline]] static void stream(std::byte* to, Value value) {
    _mm_stream_si64(reinterpret_cast<long long*>(to),
                    static_cast<long long>(value));
  }
};

template <typename Word>
[[gnu::always_inline]] inline void put(std::byte* to,
                                       typename Word::Value value) {
  Word::store(to, value);
  store_hook::stored(to, Word::kBytes);
}

// kWords words in a row, in registers.
template <typename Word, std::size_t kWords>
struct Block {
  static constexpr std::size_t kBytes = kWords * Word::kBytes;

  [[gnu::always_inline]] void load(const std::byte* from) {
#pragma GCC unroll 32
    for (std::size_t i = 0; i < kWords; ++i) {
      words[i] = Word::load(from + i * Word::kBytes);
    }
  }
  [[gnu::always_inline]] void store(std::byte* to) const {
#pragma GCC unroll 32
    for (std::size_t i = 0; i < kWords; ++i) {
      put<Word>(to + i * Word::kBytes, words[i]);
    }
  }
  [[gnu::always_inline]] void fill(typename Word::Value value) {
#pragma GCC unroll 32
    for (std::size_t i = 0; i < kWords; ++i) {
      words[i] = value;
    }
  }

  typename Word::Value words[kWords];  // NOLINT(modernize-avoid-c-arrays)
};

// REQUIRES: one block <= length <= two blocks.
template <typename Word, std::size_t kWords>
[[gnu::always_inline]] inline void move_two_blocks(std::byte* to,
                                                   const std::byte* from,
                                                   std::size_t length) {
  Block<Word, kWords> first;
  Block<Word, kWords> last;
  const std::size_t to_last = length - first.kBytes;
  first.load(from);
  last.load(from + to_last);
  first.store(to);
  last.store(to + to_last);
}

template <typename Word, std::size_t kWords>
[[gnu::always_inline]] inline void fill_two_blocks(std::byte* to,
                                                   typename Word::Value value,
                                                   std::size_t length) {
  Block<Word, kWords> block;
  block.fill(value);
  block.store(to);
  block.store(to + (length - block.kBytes));
}

// REQUIRES: length <= 2 * Word::kBytes.
template <typename Word>
[[gnu::always_inline]] inline void move_short(std::byte* to,
                                              const std::byte* from,
                                              std::size_t length) {
  if (length >= Word::kBytes) {
    move_two_blocks<Word, 1>(to, from, length);
    return;
  }
  if constexpr (Word::kBytes > 1) {
    move_short<typename Word::Narrower>(to, from, length);
  }
}

template <typename Word>
[[gnu::always_inline]] inline void fill_short(std::byte* to, int value,
                                              std::size_t length) {
  if (length >= Word::kBytes) {
    fill_two_blocks<Word, 1>(to, Word::splat(value), length);
    return;
  }
  if constexpr (Word::kBytes > 1) {
    fill_short<typename Word::Narrower>(to, value, length);
  }
}

inline constexpr std::size_t kWordsPerBlock = 4;

// REQUIRES: length > two blocks.
template <typename Word>
void move_long(std::byte* to, const std::byte* from, std::size_t length) {
  using Piece = Block<Word, kWordsPerBlock>;
  Piece far_end;
  Piece block;
  if (goes_forward(to, from, length)) {
    const std::size_t to_last = length - Piece::kBytes;
    far_end.load(from + to_last);
    for (std::size_t at = 0; at < to_last; at += Piece::kBytes) {
      block.load(from + at);
      block.store(to + at);
    }
    far_end.store(to + to_last);
    return;
  }
  far_end.load(from);
  for (std::size_t rest = length; rest > Piece::kBytes; rest -= Piece::kBytes) {
    block.load(from + rest - Piece::kBytes);
    block.store(to + rest - Piece::kBytes);
  }
  far_end.store(to);
}

template <typename Word>
void fill_long(std::byte* to, int value, std::size_t length) {
  Block<Word, kWordsPerBlock> block;
  block.fill(Word::splat(value));
  const std::size_t to_last = length - block.kBytes;
  for (std::size_t at = 0; at < to_last; at += block.kBytes) {
    block.store(to + at);
  }
  block.store(to + to_last);
}

template <typename Word>
[[gnu::always_inline]] inline void move_cached(std::byte* to,
                                               const std::byte* from,
                                               std::size_t length) {
  if (length <= 2 * Word::kBytes) {
    move_short<Word>(to, from, length);
  } else if (length <= 4 * Word::kBytes) {
    move_two_blocks<Word, 2>(to, from, length);
  } else if (length <= 8 * Word::kBytes) {
    move_two_blocks<Word, 4>(to, from, length);
  } else {
    move_long<Word>(to, from, length);
  }
}

template <typename Word>
[[gnu::always_inline]] inline void fill_cached(std::byte* to, int value,
                                               std::size_t length) {
  if (length <= 2 * Word::kBytes) {
    fill_short<Word>(to, value, length);
  } else if (length <= 4 * Word::kBytes) {
    fill_two_blocks<Word, 2>(to, Word::splat(value), length);
  } else if (length <= 8 * Word::kBytes) {
    fill_two_blocks<Word, 4>(to, Word::splat(value), length);
  } else {
    fill_long<Word>(to, value, length);
  }
}

// The target of a streaming store: less than a line before its first whole
// one, whole lines, less than a line behind the last.
struct Cut {
  [[gnu::always_inline]] Cut(const std::byte* to, std::size_t length) {
    const std::size_t misfit =
        -reinterpret_cast<std::uintptr_t>(to) % kCacheLineBytes;
    head = misfit < length ? misfit : length;
    lines = (length - head) / kCacheLineBytes;
    tail = (length - head) % kCacheLineBytes;
  }

  std::size_t head;
  std::size_t lines;
  std::size_t tail;
};

template <typename Word, typename Lines, typename Flush>
struct Copier {
  // Where source and target are in a cache, many lines at once are fastest;
  // where they come from memory, a few: reads then run ahead evenly. A source
  // that has just been streamed over must come back from memory; many lines at
  // once meet that least often. Measured by scripts/benchmark.
  static constexpr std::size_t kFewLines = 1024;  // 64 KiB
  static constexpr std::size_t kCloseBytes = 4096;

  [[gnu::always_inline]] static bool wants_most_lines(const std::byte* to,
                                                      const std::byte* from,
                                                      std::size_t lines) {
    const auto distance =
        static_cast<std::size_t>(to > from ? to - from : from - to);
    return lines <= kFewLines || distance < kCloseBytes;
  }

  static void copy(std::byte* to, const std::byte* from, std::size_t length) {
    if (length == 0 || to == from) {
      return;
    }
    move_cached<Word>(to, from, length);
    flush_lines<Flush>(to, length);
  }

  static void fill(std::byte* to, int value, std::size_t length) {
    if (length == 0) {
      return;
    }
    fill_cached<Word>(to, value, length);
    flush_lines<Flush>(to, length);
  }

  static void stream_copy(std::byte* to, const std::byte* from,
                          std::size_t length) {
    if (length == 0 || to == from) {
      return;
    }
    const Cut cut(to, length);
    if (goes_forward(to, from, length)) {
      stream_forward(to, from, cut);
    } else {
      stream_backward(to + length, from + length, cut);
    }
  }

  static void stream_fill(std::byte* to, int value, std::size_t length) {
    const Cut cut(to, length);
    fill_end(to, value, cut.head);
    to += cut.head;
    const typename Lines::Pattern pattern = Lines::pattern(value);
    for (std::size_t line = 0; line < cut.lines; ++line) {
      Lines::fill_line(to, pattern);
      to += kCacheLineBytes;
    }
    if (!Lines::fill_tail(to, value, cut.tail)) {
      fill_end(to, value, cut.tail);
    }
  }

  // What lies outside whole lines; within one line.
  [[gnu::always_inline]] static void copy_end(std::byte* to,
                                              const std::byte* from,
                                              std::size_t length) {
    if (length > 0) {
      move_cached<Word>(to, from, length);
      flush_lines<Flush>(to, length);
    }
  }

  // At a line's beginning a single streaming store may do.
  [[gnu::always_inline]] static void copy_tail(std::byte* to,
                                               const std::byte* from,
                                               std::size_t length) {
    if (!Lines::copy_tail(to, from, length)) {
      copy_end(to, from, length);
    }
  }

  [[gnu::always_inline]] static void fill_end(std::byte* to, int value,
                                              std::size_t length) {
    if (length > 0) {
      fill_cached<Word>(to, value, length);
      flush_lines<Flush>(to, length);
    }
  }

  static void stream_forward(std::byte* to, const std::byte* from,
                             const Cut& cut) {
    copy_end(to, from, cut.head);
    to += cut.head;
    from += cut.head;
    if (wants_most_lines(to, from, cut.lines)) {
      stream_lines_forward<Lines::kMostLines>(to, from, cut.lines);
    } else {
      stream_lines_forward<Lines::kEvenLines>(to, from, cut.lines);
    }
    const std::size_t done = cut.lines * kCacheLineBytes;
    copy_tail(to + done, from + done, cut.tail);
  }

  // Takes the ends of both ranges.
  static void stream_backward(std::byte* to, const std::byte* from,
                              const Cut& cut) {
    to -= cut.tail;
    from -= cut.tail;
    copy_tail(to, from, cut.tail);
    if (wants_most_lines(to, from, cut.lines)) {
      stream_lines_backward<Lines::kMostLines>(to, from, cut.lines);
    } else {
      stream_lines_backward<Lines::kEvenLines>(to, from, cut.lines);
    }
    const std::size_t rest = cut.lines * kCacheLineBytes + cut.head;
    copy_end(to - rest, from - rest, cut.head);
  }

  // Blocks of so many lines, then of half as many, down to one.

  template <std::size_t kLines>
  [[gnu::always_inline]] static void stream_lines_forward(std::byte* to,
                                                          const std::byte* from,
                                                          std::size_t lines) {
    for (; lines >= kLines; lines -= kLines) {
      Lines::template copy_lines<kLines>(to, from);
      to += kLines * kCacheLineBytes;
      from += kLines * kCacheLineBytes;
    }
    if constexpr (kLines > 1) {
      stream_lines_forward<kLines / 2>(to, from, lines);
    }
  }

  template <std::size_t kLines>
  [[gnu::always_inline]] static void stream_lines_backward(
      std::byte* to, const std::byte* from, std::size_t lines) {
    for (; lines >= kLines; lines -= kLines) {
      to -= kLines * kCacheLineBytes;
      from -= kLines * kCacheLineBytes;
      Lines::template copy_lines<kLines>(to, from);
    }
    if constexpr (kLines > 1) {
      stream_lines_backward<kLines / 2>(to, from, lines);
    }
  }

  static constexpr CopyFunctions kFunctions = {copy, fill, stream_copy,
                                               stream_fill};
};

// The streaming stores of a word that has them.
template <typename Word>
struct StreamedLines {
  static constexpr std::size_t kWordsPerLine = kCacheLineBytes / Word::kBytes;
  static constexpr std::size_t kMostLines = Word::kRegisters / kWordsPerLine;
  static constexpr std::size_t kEvenLines = 4 / kWordsPerLine;

  template <std::size_t kLines>
  [[gnu::always_inline]] static void copy_lines(std::byte* to,
                                                const std::byte* from) {
    constexpr std::size_t kWords = kLines * kWordsPerLine;
    Block<Word, kWords> block;
    block.load(from);
#pragma GCC unroll 32
    for (std::size_t i = 0; i < kWords; ++i) {
      stream(to + i * Word::kBytes, block.words[i]);
    }
  }

  using Pattern = typename Word::Value;
  [[gnu::always_inline]] static Pattern pattern(int value) {
    return Word::splat(value);
  }
  [[gnu::always_inline]] static void fill_line(std::byte* to, Pattern pattern) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kWordsPerLine; ++i) {
      stream(to + i * Word::kBytes, pattern);
    }
  }

  [[gnu::always_inline]] static bool copy_tail(std::byte* to,
                                               const std::byte* from,
                                               std::size_t length) {
    return stream_one<Word>(
        to, length, [from]<typename Any>(Any) { return Any::load(from); });
  }
  [[gnu::always_inline]] static bool fill_tail(std::byte* to, int value,
                                               std::size_t length) {
    return stream_one<Word>(
        to, length, [value]<typename Any>(Any) { return Any::splat(value); });
  }

 private:
  [[gnu::always_inline]] static void stream(std::byte* to,
                                            typename Word::Value value) {
    stream_word<Word>(to, value);
  }
  template <typename Any>
  [[gnu::always_inline]] static void stream_word(std::byte* to,
                                                 typename Any::Value value) {
    Any::stream(to, value);
    keep_order();
    store_hook::streamed(to, Any::kBytes);
  }
  // Streams one word, if one has just this length and is not a whole line.
  template <typename Any, typename Value>
  [[gnu::always_inline]] static bool stream_one(std::byte* to,
                                                std::size_t length,
                                                const Value& value) {
    if constexpr (Any::kBytes < kCacheLineBytes) {
      if (length == Any::kBytes) {
        stream_word<Any>(to, value(Any{}));
        return true;
      }
    }
    if constexpr (Any::kBytes > 8) {
      return stream_one<typename Any::Narrower>(to, length, value);
    }
    return false;
  }
};

// A back-end's entry in the list, with each kind of flush.
template <typename Word, typename Lines>
constexpr CopyBackend copy_backend(const char* name, bool (*is_supported)()) {
  return {name,
          is_supported,
          {Copier<Word, Lines, NoFlush>::kFunctions,
           Copier<Word, Lines, Clflush>::kFunctions,
           Copier<Word, Lines, Clflushopt>::kFunctions,
           Copier<Word, Lines, Clwb>::kFunctions}};
}

}  // namespace
}  // namespace pmem
