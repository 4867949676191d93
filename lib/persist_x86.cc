// Copies through the caches by the string instructions: no call, no register
// that a fault could leave half-used, nothing that a sanitizer would take for
// an ordinary access to memory of this program.
#include "persist_x86.h"

namespace pmem {
namespace {

// Whole words where both length and target allow it, so that an aligned 8-byte
// value is never torn.
bool is_word_wise(const std::byte* to, std::size_t length) {
  return (reinterpret_cast<std::uintptr_t>(to) | length) % 8 == 0;
}

// Below this many bytes `rep movsq` starts up faster than `rep movsb`, and it
// never stores less than a word.
constexpr std::size_t kWordWiseLimit = 512;

}  // namespace

void copy_forward(std::byte* to, const std::byte* from,
                  std::size_t length_bytes) {
  if (is_word_wise(to, length_bytes) && length_bytes < kWordWiseLimit) {
    std::size_t words = length_bytes / 8;
    asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    return;
  }
  asm volatile("rep movsb"
               : "+D"(to), "+S"(from), "+c"(length_bytes)
               :
               : "memory");
}

void fill_forward(std::byte* to, int value, std::size_t length_bytes) {
  if (is_word_wise(to, length_bytes)) {
    std::size_t words = length_bytes / 8;
    const std::uint64_t pattern =
        0x0101010101010101U * static_cast<unsigned char>(value);
    asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    return;
  }
  asm volatile("rep stosb"
               : "+D"(to), "+c"(length_bytes)
               : "a"(value)
               : "memory");
}

}  // namespace pmem
