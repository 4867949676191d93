// What the x86-64 back-ends share. Any thread.
#pragma once

#include <cpuid.h>

#include <cstddef>
#include <cstdint>

#include "persist_backend.h"

namespace pmem {

// Bit `bit` of EBX of CPUID leaf 7: CLFLUSHOPT 23, CLWB 24.
[[nodiscard]] inline bool has_leaf7_ebx(unsigned bit) {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 &&
         ((ebx >> bit) & 1U) != 0;
}

// The beginning of the cache line that holds the byte.
[[nodiscard]] inline const std::byte* line_of(const std::byte* address) {
  return address - reinterpret_cast<std::uintptr_t>(address) % kCacheLineBytes;
}

}  // namespace pmem
