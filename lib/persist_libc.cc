// Copies and fills by libc, which PMEM_NO_GENERIC_MEMCPY=1 asks for in place of
// the portable back-end.
#include <cstring>

#include "persist_flush.h"

namespace pmem {
namespace {

bool is_supported() { return true; }

// libc does not tell which stores it uses: one report for all.
template <typename Flush>
void copy(std::byte* to, const std::byte* from, std::size_t length) {
  if (length == 0 || to == from) {
    return;
  }
  std::memmove(to, from, length);
  store_hook::stored(to, length);
  flush_lines<Flush>(to, length);
}

template <typename Flush>
void fill(std::byte* to, int value, std::size_t length) {
  if (length == 0) {
    return;
  }
  std::memset(to, value, length);
  store_hook::stored(to, length);
  flush_lines<Flush>(to, length);
}

template <typename Flush>
constexpr CopyFunctions functions() {
  return {copy<Flush>, fill<Flush>, copy<Flush>, fill<Flush>};
}

}  // namespace

constinit const CopyBackend kLibc = {
    "libc",
    is_supported,
    {functions<NoFlush>(), functions<Clflush>(), functions<Clflushopt>(),
     functions<Clwb>()}};

}  // namespace pmem
