// How an aligned address is found without a race:
//
// The quick way. A range with room for the alignment is reserved and given back
// at once, which tells a free address; the file is mapped there, first with
// MAP_SYNC, then without. The address is only a hint: the kernel takes it if it
// is still free, and never replaces anything. (MAP_FIXED_NOREPLACE would say
// the same, but not beside MAP_SYNC: MAP_SHARED_VALIDATE refuses it.) If
// another thread has taken the addresses meanwhile, it is left for
//
// the sure way. One unit of the file is mapped anywhere and unmapped again, to
// learn which flags the file takes. Then a range is reserved, its ends are
// given back, and the file is mapped over the rest (MAP_FIXED). Nobody can have
// taken these addresses. The flags must be known before, because a failing
// MAP_FIXED may already have removed the reservation, and a second attempt
// would then hit whatever came there since.
#include "placement.h"

#include <sys/mman.h>

#include <limits>
#include <optional>

#include "pmem/address_space.h"

namespace pmem {
namespace {

constexpr int kSyncFlags = MAP_SHARED_VALIDATE | MAP_SYNC;

// Threads that map at the same time take gaps from each other.
constexpr int kGapsToTry = 64;

// The file cannot be mapped with MAP_SYNC, but perhaps without.
bool refuses_sync(int error) { return error == EINVAL || error == EOPNOTSUPP; }

void* map_file_at(const PlacementRequest& request, void* address, int flags) {
  return ::mmap(address, request.length_bytes, request.protection, flags,
                request.fd, static_cast<off_t>(request.offset_bytes));
}

void* reserve_at(void* address, std::size_t length, int flags) {
  return ::mmap(address, length, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

// NOLINTNEXTLINE(performance-no-int-to-ptr)
void* pointer(std::uintptr_t address) {
  return reinterpret_cast<void*>(address);
}

// Room for the mapping at the wanted alignment.
struct Room {
  std::byte* begin;
  std::size_t length;
  std::byte* aligned;
};

Result<Room> reserve_room(const PlacementRequest& request) {
  const std::size_t length = request.length_bytes + request.align_bytes;
  void* reserved = reserve_at(nullptr, length, 0);
  if (reserved == MAP_FAILED) {
    return fail_errno("reserving addresses for a mapping");
  }
  auto* begin = static_cast<std::byte*>(reserved);
  const std::size_t misfit =
      reinterpret_cast<std::uintptr_t>(begin) % request.align_bytes;
  return Room{begin, length,
              misfit == 0 ? begin : begin + (request.align_bytes - misfit)};
}

// An address that is free now, if one is to be had.
Result<void*> find_free_address(const PlacementRequest& request) {
  if (request.lowest_address != 0) {
    const std::optional<std::uintptr_t> gap = find_gap(
        request.lowest_address, request.length_bytes, request.align_bytes);
    if (gap) {
      return pointer(*gap);
    }
  }
  Result<Room> room = reserve_room(request);
  if (!room) {
    return pass_on(room);
  }
  ::munmap(room->begin, room->length);
  return room->aligned;
}

// The errno, 0 when it is mapped exactly there. EEXIST: somebody else is there.
int try_at(const PlacementRequest& request, void* address, int flags) {
  void* mapped = map_file_at(request, address, flags);
  if (mapped == MAP_FAILED) {
    return errno;
  }
  if (mapped != address) {
    ::munmap(mapped, request.length_bytes);
    return EEXIST;
  }
  return 0;
}

// Nothing if somebody else was quicker.
Result<std::optional<Placement>> place_quickly(
    const PlacementRequest& request) {
  Result<void*> address = find_free_address(request);
  if (!address) {
    return pass_on(address);
  }
  const int sync_refusal = try_at(request, *address, kSyncFlags);
  int error = sync_refusal;
  if (refuses_sync(sync_refusal)) {
    error = try_at(request, *address, MAP_SHARED);
  }
  if (error == 0) {
    return std::optional(
        Placement{static_cast<std::byte*>(*address), sync_refusal});
  }
  if (error == EEXIST) {
    return std::nullopt;
  }
  return fail(error, "mapping");
}

// The errno, 0 if the file can be mapped so.
int probe(const PlacementRequest& request, int flags) {
  void* address = ::mmap(nullptr, request.unit_bytes, request.protection, flags,
                         request.fd, 0);
  if (address == MAP_FAILED) {
    return errno;
  }
  ::munmap(address, request.unit_bytes);
  return 0;
}

Result<Placement> place_surely(const PlacementRequest& request) {
  const int sync_refusal = probe(request, kSyncFlags);
  if (sync_refusal != 0) {
    const int refusal =
        refuses_sync(sync_refusal) ? probe(request, MAP_SHARED) : sync_refusal;
    if (refusal != 0) {
      return fail(refusal, "mapping");
    }
  }
  Result<Room> room = reserve_room(request);
  if (!room) {
    return pass_on(room);
  }
  const auto before = static_cast<std::size_t>(room->aligned - room->begin);
  const std::size_t behind = room->length - before - request.length_bytes;
  if (before > 0) {
    ::munmap(room->begin, before);
  }
  if (behind > 0) {
    ::munmap(room->aligned + request.length_bytes, behind);
  }
  const int flags = sync_refusal == 0 ? kSyncFlags : MAP_SHARED;
  if (map_file_at(request, room->aligned, flags | MAP_FIXED) == MAP_FAILED) {
    const int code = errno;
    ::munmap(room->aligned, request.length_bytes);
    return fail(code, "mapping");
  }
  return Placement{room->aligned, sync_refusal};
}

}  // namespace

Result<Placement> place_mapping(const PlacementRequest& request) {
  if (request.length_bytes >
      std::numeric_limits<std::size_t>::max() - request.align_bytes) {
    return fail(ENOMEM, "reserving addresses for a mapping");
  }
  // Above a lowest address the next gap is tried when one is lost.
  const int attempts = request.lowest_address != 0 ? kGapsToTry : 1;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    Result<std::optional<Placement>> placed = place_quickly(request);
    if (!placed) {
      return pass_on(placed);
    }
    if (*placed) {
      return **placed;
    }
  }
  PlacementRequest anywhere = request;
  anywhere.lowest_address = 0;
  return place_surely(anywhere);
}

}  // namespace pmem
