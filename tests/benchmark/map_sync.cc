#include "benchmark/map_sync.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

// A function that libc's users call by name has no object to hang it from.
bool is_pretending = false;

constexpr int kMapTypeBits = 0x0f;

}  // namespace

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
extern "C" void* mmap(void* address, size_t length, int protection, int flags,
                      int fd, off_t offset) noexcept {
  if (is_pretending && (flags & MAP_SYNC) != 0) {
    flags = (flags & ~(MAP_SYNC | kMapTypeBits)) | MAP_SHARED;
  }
  return reinterpret_cast<void*>(
      ::syscall(SYS_mmap, address, length, protection, flags, fd, offset));
}

namespace benchmarks {

PretendedMapSync::PretendedMapSync() { is_pretending = true; }
PretendedMapSync::~PretendedMapSync() { is_pretending = false; }

}  // namespace benchmarks
