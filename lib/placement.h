// Where in the address space a file is mapped, and how: the part of
// Mapping::create that other threads' mappings can interfere with. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pmem/result.h"

namespace pmem {

struct PlacementRequest {
  int fd = -1;
  int protection = 0;                 // PROT_*
  std::uint64_t offset_bytes = 0;     // in the file
  std::size_t length_bytes = 0;       // a multiple of the unit
  std::size_t unit_bytes = 0;         // the smallest piece that can be mapped
  std::size_t align_bytes = 0;        // of the address: a power of two
  std::uintptr_t lowest_address = 0;  // 0: anywhere
};

struct Placement {
  std::byte* address = nullptr;
  int sync_refusal = 0;  // errno of the attempt with MAP_SYNC; 0: accepted
};

// Maps the file shared, with MAP_SYNC if that is accepted, at an address of the
// wanted alignment, without ever replacing what somebody else has mapped.
// Errors: those of mmap(2).
[[nodiscard]] Result<Placement> place_mapping(const PlacementRequest& request);

}  // namespace pmem
