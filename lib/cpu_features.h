// What this CPU and this kernel can do. Any thread.
#pragma once

#include <cpuid.h>

#include <cstdint>

namespace pmem {

// The registers of CPUID leaf 7, subleaf 0; zeros where there is no such leaf.
struct CpuidLeaf7 {
  unsigned ebx = 0;
  unsigned ecx = 0;
};

[[nodiscard]] inline CpuidLeaf7 cpuid_leaf7() {
  unsigned eax = 0;
  unsigned edx = 0;
  CpuidLeaf7 leaf;
  if (__get_cpuid_count(7, 0, &eax, &leaf.ebx, &leaf.ecx, &edx) == 0) {
    return {};
  }
  return leaf;
}

[[nodiscard]] inline bool cpu_has_clflushopt() {
  return ((cpuid_leaf7().ebx >> 23) & 1U) != 0;
}

[[nodiscard]] inline bool cpu_has_clwb() {
  return ((cpuid_leaf7().ebx >> 24) & 1U) != 0;
}

[[nodiscard]] inline bool cpu_has_movdir64b() {
  return ((cpuid_leaf7().ecx >> 28) & 1U) != 0;
}

// These ask the kernel as well: it must save the registers.
[[nodiscard]] inline bool cpu_has_avx() {
  return static_cast<bool>(__builtin_cpu_supports("avx"));
}

[[nodiscard]] inline bool cpu_has_avx512f() {
  return static_cast<bool>(__builtin_cpu_supports("avx512f"));
}

}  // namespace pmem
