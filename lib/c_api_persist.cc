// The half of the C interface that stores, flushes and fences: nothing in it
// fails, and each function is a few instructions long, so that the time goes
// into the stores. No function calls another exported one, which would take the
// way through the procedure linkage table.
#include <immintrin.h>

#include <new>
#include <optional>

#include "libpmem.h"
#include "persist_backend.h"
#include "persist_hook.h"
#include "pmem/dax_device.h"
#include "pmem/persist.h"

namespace {

using pmem::persist_choice;
using pmem::StoreKind;

std::byte* bytes(void* address) { return static_cast<std::byte*>(address); }

const std::byte* bytes(const void* address) {
  return static_cast<const std::byte*>(address);
}

void drain() {
  _mm_sfence();
  pmem::store_hook::fenced();
}

StoreKind store_kind(unsigned flags) {
  if ((flags & (PMEM_F_MEM_WC | PMEM_F_MEM_NONTEMPORAL)) != 0) {
    return StoreKind::kNonTemporal;
  }
  if ((flags & (PMEM_F_MEM_WB | PMEM_F_MEM_TEMPORAL)) != 0) {
    return StoreKind::kTemporal;
  }
  return StoreKind::kAuto;
}

void drain_unless_waived(unsigned flags) {
  if ((flags & (PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NOFLUSH)) == 0) {
    drain();
  }
}

void* move_nodrain(void* to, const void* from, size_t length) {
  pmem::copy_function(length, StoreKind::kAuto)(bytes(to), bytes(from), length);
  return to;
}

void* move_persist(void* to, const void* from, size_t length) {
  move_nodrain(to, from, length);
  drain();
  return to;
}

void* move_by_flags(void* to, const void* from, size_t length, unsigned flags) {
  const pmem::CopyFunction move =
      (flags & PMEM_F_MEM_NOFLUSH) != 0
          ? persist_choice.copy_no_flush
          : pmem::copy_function(length, store_kind(flags));
  move(bytes(to), bytes(from), length);
  drain_unless_waived(flags);
  return to;
}

}  // namespace

extern "C" {

void pmem_flush(const void* addr, size_t len) {
  persist_choice.flush(bytes(addr), len);
}

void pmem_drain(void) { drain(); }

void pmem_persist(const void* addr, size_t len) {
  persist_choice.flush(bytes(addr), len);
  drain();
}

void pmem_deep_flush(const void* addr, size_t len) {
  persist_choice.deep_flush(bytes(addr), len);
}

int pmem_has_auto_flush(void) {
  try {
    const std::optional<bool> saved =
        pmem::platform_saves_caches(pmem::kSysfsRoot);
    if (!saved) {
      return -1;
    }
    return *saved ? 1 : 0;
  } catch (const std::bad_alloc&) {
    return -1;
  }
}

int pmem_has_hw_drain(void) { return 0; }

void* pmem_memmove(void* pmemdest, const void* src, size_t len,
                   unsigned flags) {
  return move_by_flags(pmemdest, src, len, flags);
}

void* pmem_memcpy(void* pmemdest, const void* src, size_t len, unsigned flags) {
  return move_by_flags(pmemdest, src, len, flags);
}

void* pmem_memset(void* pmemdest, int c, size_t len, unsigned flags) {
  const pmem::FillFunction fill =
      (flags & PMEM_F_MEM_NOFLUSH) != 0
          ? persist_choice.fill_no_flush
          : pmem::fill_function(len, store_kind(flags));
  fill(bytes(pmemdest), c, len);
  drain_unless_waived(flags);
  return pmemdest;
}

void* pmem_memmove_persist(void* pmemdest, const void* src, size_t len) {
  return move_persist(pmemdest, src, len);
}

void* pmem_memcpy_persist(void* pmemdest, const void* src, size_t len) {
  return move_persist(pmemdest, src, len);
}

void* pmem_memset_persist(void* pmemdest, int c, size_t len) {
  pmem::fill_function(len, StoreKind::kAuto)(bytes(pmemdest), c, len);
  drain();
  return pmemdest;
}

void* pmem_memmove_nodrain(void* pmemdest, const void* src, size_t len) {
  return move_nodrain(pmemdest, src, len);
}

void* pmem_memcpy_nodrain(void* pmemdest, const void* src, size_t len) {
  return move_nodrain(pmemdest, src, len);
}

void* pmem_memset_nodrain(void* pmemdest, int c, size_t len) {
  pmem::fill_function(len, StoreKind::kAuto)(bytes(pmemdest), c, len);
  return pmemdest;
}

}  // extern "C"
