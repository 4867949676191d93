// The C interface: checks in libpmem's order, then one call into the C++ API,
// whose Result becomes a return value, errno and the thread's error message.
//
// The registry of this process's mappings lives here, because the C interface
// has no object that it could hang from.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <new>
#include <optional>
#include <string>

#include "libpmem.h"
#include "pmem/environment.h"
#include "pmem/map_file.h"
#include "pmem/mapping_registry.h"
#include "pmem/persist.h"

namespace {

using pmem::Error;
using pmem::MappingRegistry;
using pmem::Result;
using pmem::StoreKind;

constexpr std::size_t kMessageBytes = 8192;

std::array<char, kMessageBytes>& thread_message() {
  static thread_local std::array<char, kMessageBytes> message = {};
  return message;
}

// Never destroyed: other objects' destructors may still unmap at exit.
MappingRegistry& registry() {
  static auto* const kRegistry = new MappingRegistry;
  return *kRegistry;
}

void report(const Error& error) {
  std::snprintf(thread_message().data(), kMessageBytes, "%s",
                error.message().c_str());
  errno = error.code;
}

// Nothing is thrown through the C interface. The only exception that the C++
// API lets through is the lack of memory.
template <typename Code>
auto guarded_call(const Code& code, decltype(code()) failure) {
  try {
    return code();
  } catch (const std::bad_alloc&) {
    std::snprintf(thread_message().data(), kMessageBytes, "out of memory");
    errno = ENOMEM;
    return failure;
  }
}

bool is_pmem(const void* address, std::size_t length_bytes) {
  const std::optional<bool> forced = pmem::is_pmem_forced();
  if (forced) {
    return *forced && length_bytes > 0;
  }
  return registry().is_pmem(address, length_bytes);
}

void* map_file(const char* path, std::size_t len, int flags, mode_t mode,
               std::size_t* mapped_lenp, int* is_pmemp) {
  Result<pmem::Mapping> mapping = pmem::map_file(path, len, flags, mode);
  if (!mapping) {
    report(mapping.error());
    return nullptr;
  }
  const std::size_t length = mapping->length_bytes();
  registry().add(mapping->address(), length, mapping->is_pmem(),
                 mapping->is_device_dax());
  void* address = mapping->release();
  if (mapped_lenp != nullptr) {
    *mapped_lenp = length;
  }
  if (is_pmemp != nullptr) {
    *is_pmemp = is_pmem(address, length) ? 1 : 0;
  }
  return address;
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
    pmem::fence();
  }
}

}  // namespace

extern "C" {

void* pmem_map_file(const char* path, size_t len, int flags, mode_t mode,
                    size_t* mapped_lenp, int* is_pmemp) {
  return guarded_call(
      [&] { return map_file(path, len, flags, mode, mapped_lenp, is_pmemp); },
      static_cast<void*>(nullptr));
}

int pmem_unmap(void* addr, size_t len) {
  return guarded_call(
      [&] {
        const Result<void> unmapped = registry().unmap(addr, len);
        if (!unmapped) {
          report(unmapped.error());
          return -1;
        }
        return 0;
      },
      -1);
}

int pmem_is_pmem(const void* addr, size_t len) {
  return is_pmem(addr, len) ? 1 : 0;
}

void pmem_persist(const void* addr, size_t len) { pmem::persist(addr, len); }

int pmem_msync(const void* addr, size_t len) {
  if (registry().is_device_dax(addr)) {
    return 0;
  }
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t into_page =
      reinterpret_cast<std::uintptr_t>(addr) % page;
  if (len > std::numeric_limits<std::size_t>::max() - into_page) {
    report({ENOMEM, "msync of a range that wraps"});
    return -1;
  }
  // The function promises const for what msync takes without.
  auto* begin = static_cast<char*>(const_cast<void*>(addr)) - into_page;
  if (::msync(begin, len + into_page, MS_SYNC) != 0) {
    report({errno, "msync"});
    return -1;
  }
  return 0;
}

void pmem_flush(const void* addr, size_t len) { pmem::flush(addr, len); }

void pmem_drain(void) { pmem::fence(); }

int pmem_has_auto_flush(void) {
  return guarded_call(
      [] {
        const std::optional<bool> saved =
            pmem::platform_saves_caches(pmem::kSysfsRoot);
        if (!saved) {
          return -1;
        }
        return *saved ? 1 : 0;
      },
      -1);
}

int pmem_has_hw_drain(void) { return 0; }

void* pmem_memmove(void* pmemdest, const void* src, size_t len,
                   unsigned flags) {
  if ((flags & PMEM_F_MEM_NOFLUSH) != 0) {
    pmem::copy_no_flush(pmemdest, src, len);
  } else {
    pmem::copy_and_flush(pmemdest, src, len, store_kind(flags));
  }
  drain_unless_waived(flags);
  return pmemdest;
}

void* pmem_memcpy(void* pmemdest, const void* src, size_t len, unsigned flags) {
  return pmem_memmove(pmemdest, src, len, flags);
}

void* pmem_memset(void* pmemdest, int c, size_t len, unsigned flags) {
  if ((flags & PMEM_F_MEM_NOFLUSH) != 0) {
    pmem::fill_no_flush(pmemdest, c, len);
  } else {
    pmem::fill_and_flush(pmemdest, c, len, store_kind(flags));
  }
  drain_unless_waived(flags);
  return pmemdest;
}

void* pmem_memmove_persist(void* pmemdest, const void* src, size_t len) {
  return pmem_memmove(pmemdest, src, len, 0);
}

void* pmem_memcpy_persist(void* pmemdest, const void* src, size_t len) {
  return pmem_memmove(pmemdest, src, len, 0);
}

void* pmem_memset_persist(void* pmemdest, int c, size_t len) {
  return pmem_memset(pmemdest, c, len, 0);
}

void* pmem_memmove_nodrain(void* pmemdest, const void* src, size_t len) {
  return pmem_memmove(pmemdest, src, len, PMEM_F_MEM_NODRAIN);
}

void* pmem_memcpy_nodrain(void* pmemdest, const void* src, size_t len) {
  return pmem_memmove(pmemdest, src, len, PMEM_F_MEM_NODRAIN);
}

void* pmem_memset_nodrain(void* pmemdest, int c, size_t len) {
  return pmem_memset(pmemdest, c, len, PMEM_F_MEM_NODRAIN);
}

const char* pmem_check_version(unsigned major_required,
                               unsigned minor_required) {
  const char* part = nullptr;
  unsigned needed = 0;
  unsigned found = 0;
  if (major_required != PMEM_MAJOR_VERSION) {
    part = "major";
    needed = major_required;
    found = PMEM_MAJOR_VERSION;
  } else if (minor_required > PMEM_MINOR_VERSION) {
    part = "minor";
    needed = minor_required;
    found = PMEM_MINOR_VERSION;
  } else {
    return nullptr;
  }
  std::snprintf(thread_message().data(), kMessageBytes,
                "libpmem %s version mismatch (need %u, found %u)", part, needed,
                found);
  return thread_message().data();
}

const char* pmem_errormsg(void) { return thread_message().data(); }

}  // extern "C"
