// Which cache lines of a target a streaming copy stores around the caches: the
// whole ones, and the last if what lies in it is just what one streaming store
// takes.
#pragma once

#include <cstddef>
#include <string>

#include "persist_backend.h"

namespace support {

inline bool streams_tail(const pmem::CopyBackend& backend, std::size_t tail) {
  const std::string name = backend.name;
  const bool has_32 = name == "avx" || name == "avx512f";
  const bool has_16 = has_32 || name == "sse2";
  return (has_16 && (tail == 8 || tail == 16)) || (has_32 && tail == 32);
}

// `line` and [begin, end) are addresses, or offsets from a line's beginning.
inline bool streams_line(const pmem::CopyBackend& backend, std::size_t line,
                         std::size_t begin, std::size_t end) {
  const bool starts_inside = line >= begin;
  const bool is_whole = starts_inside && line + pmem::kCacheLineBytes <= end;
  return is_whole ||
         (starts_inside && line < end && streams_tail(backend, end - line));
}

}  // namespace support
