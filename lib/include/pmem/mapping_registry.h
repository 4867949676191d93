// The ranges that pmem_map_file made: what pmem_is_pmem and pmem_unmap know.
//
// Ranges are byte-exact ([address, address+length)), never merged and never
// overlapping. A program may unmap behind our back, by munmap(2), and map
// something else there; so a range that would be answered "persistent memory"
// is first compared with what the kernel has mapped there now.
//
// All members may be called from any thread; questions run beside each other,
// changes alone.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "pmem/address_space.h"
#include "pmem/mutex.h"
#include "pmem/result.h"

namespace pmem {

class MappingRegistry {
 public:
  // A part of one remembered range.
  struct Part {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::optional<dev_t> dax_number;  // of the Device DAX, if it still is one
  };

  // Remembers a fresh mapping. An older range at the same addresses is
  // forgotten: the kernel has given them away, so it is dead.
  void add(const void* address, std::size_t length_bytes, bool is_pmem,
           std::optional<dev_t> dax_number);

  // munmap(2), then forgets what it removed: whole pages, so the length is
  // rounded up. When munmap fails nothing is forgotten.
  // Errors: EINVAL (address or length that munmap refuses).
  [[nodiscard]] Result<void> unmap(void* address, std::size_t length_bytes);

  // Whether every byte of the range lies in remembered ranges that are
  // persistent memory and still mapped. A length of 0 and a range that wraps:
  // false.
  [[nodiscard]] bool is_pmem(const void* address,
                             std::size_t length_bytes) const;

  // The first part of [begin, end) that lies in a remembered range.
  [[nodiscard]] std::optional<Part> first_part(std::uintptr_t begin,
                                               std::uintptr_t end) const;

 private:
  // How to recognise a range that is still what it was.
  struct Identity {
    bool was_mapped = false;  // else it is an invented one: nothing to compare
    std::optional<MappedObject> object;    // where the kernel tells
    std::uint64_t begin_offset_bytes = 0;  // of the range in the file, mod 2^64

    // That of a part which begins so many bytes later.
    [[nodiscard]] Identity moved(std::size_t bytes) const {
      Identity part = *this;
      part.begin_offset_bytes += bytes;
      return part;
    }
  };

  struct Range {
    std::uintptr_t end;
    bool is_pmem;
    std::optional<dev_t> dax_number;
    Identity identity;
  };

  using Ranges = std::map<std::uintptr_t, Range>;  // by begin

  static Identity identify(std::uintptr_t begin, std::uintptr_t end);
  static bool is_still_there(const Identity& identity, std::uintptr_t begin,
                             std::uintptr_t end);

  // The range that holds the address, or the first one above it.
  Ranges::const_iterator at_or_above(std::uintptr_t address) const
      PMEM_REQUIRES_SHARED(mutex_);

  // Cuts [begin, end) out of the remembered ranges.
  void forget(std::uintptr_t begin, std::uintptr_t end) PMEM_REQUIRES(mutex_);

  mutable SharedMutex mutex_;
  Ranges ranges_ PMEM_GUARDED_BY(mutex_);
};

}  // namespace pmem
