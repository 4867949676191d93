// What the kernel has mapped where, in this process: how the registry finds out
// that a range which it knows has been unmapped behind its back, or that its
// addresses have been given to something else.
//
// The kernel is asked by the ioctl PROCMAP_QUERY on /proc/self/maps, which
// answers for one address in a fraction of a microsecond (Linux 6.11 and
// later). Where it cannot be asked, only msync(2) tells mapped from unmapped.
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace pmem {

// What lies in a mapping. Two mappings of one file have the same.
struct MappedObject {
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::uint64_t inode = 0;  // 0: no file
  bool is_shared = false;

  bool operator==(const MappedObject&) const = default;
};

struct MappedRange {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::uint64_t offset_bytes = 0;  // of `begin` in the file
  MappedObject object;
};

// The mapping that holds the address; nothing where there is none, and nothing
// where the kernel cannot be asked.
[[nodiscard]] std::optional<MappedRange> mapped_range_at(
    std::uintptr_t address);

// Whether something is mapped at every page of [begin, end). It says nothing
// about what, and changes nothing. REQUIRES: begin < end.
[[nodiscard]] bool is_mapped(std::uintptr_t begin, std::uintptr_t end);

// The lowest multiple of `align` not below `lowest` that is followed by
// `length` bytes of which none is mapped; nothing where there is no such gap.
// What it finds another thread may map before the caller does.
[[nodiscard]] std::optional<std::uintptr_t> find_gap(std::uintptr_t lowest,
                                                     std::uint64_t length,
                                                     std::uint64_t align);

}  // namespace pmem
