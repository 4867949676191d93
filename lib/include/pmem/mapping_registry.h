// The ranges that pmem_map_file made: what pmem_is_pmem and pmem_unmap know.
//
// Ranges are byte-exact ([address, address+length)), never merged and never
// overlapping. All members may be called from any thread; questions run beside
// each other, changes alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "pmem/mutex.h"
#include "pmem/result.h"

namespace pmem {

class MappingRegistry {
 public:
  // Remembers a fresh mapping. An older range at the same addresses is
  // forgotten: the kernel has given them away, so it is dead.
  void add(const void* address, std::size_t length_bytes, bool is_pmem,
           bool is_device_dax);

  // munmap(2), then forgets what it removed: whole pages, so the length is
  // rounded up. When munmap fails nothing is forgotten.
  // Errors: EINVAL (address or length that munmap refuses).
  [[nodiscard]] Result<void> unmap(void* address, std::size_t length_bytes);

  // Whether every byte of the range lies in remembered ranges that are
  // persistent memory. A length of 0 and a range that wraps: false.
  [[nodiscard]] bool is_pmem(const void* address,
                             std::size_t length_bytes) const;

  // Whether the byte lies in a remembered mapping of a Device DAX.
  [[nodiscard]] bool is_device_dax(const void* address) const;

 private:
  struct Range {
    std::uintptr_t end;
    bool is_pmem;
    bool is_device_dax;
  };

  // Cuts [begin, end) out of the remembered ranges.
  void forget(std::uintptr_t begin, std::uintptr_t end) PMEM_REQUIRES(mutex_);

  mutable SharedMutex mutex_;
  std::map<std::uintptr_t, Range> ranges_ PMEM_GUARDED_BY(mutex_);  // by begin
};

}  // namespace pmem
