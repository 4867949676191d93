// A copy through the caches by the string instructions: no call, no register
// that a fault could leave half-used, nothing that a sanitizer would take for
// an ordinary access to memory of this program.
#include "persist_backend.h"

namespace pmem {
namespace {

// Below this many bytes `rep movsq` starts up faster than `rep movsb`.
constexpr std::size_t kWordWiseLimit = 512;

}  // namespace

void copy_forward(std::byte* to, const std::byte* from,
                  std::size_t length_bytes) {
  const bool is_word_wise =
      (reinterpret_cast<std::uintptr_t>(to) | length_bytes) % 8 == 0;
  if (is_word_wise && length_bytes < kWordWiseLimit) {
    std::size_t words = length_bytes / 8;
    asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    return;
  }
  asm volatile("rep movsb"
               : "+D"(to), "+S"(from), "+c"(length_bytes)
               :
               : "memory");
}

}  // namespace pmem
