// The C interface: checks in libpmem's order, then one call into the C++ API,
// whose Result becomes a return value, errno and the thread's error message.
//
// The registry of this process's mappings lives here, because the C interface
// has no object that it could hang from.
//
// (Those functions that only store and flush are in c_api_persist.cc.)
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <new>
#include <optional>

#include "deep_drain.h"
#include "libpmem.h"
#include "pmem/dax_device.h"
#include "pmem/environment.h"
#include "pmem/map_file.h"
#include "pmem/mapping_registry.h"
#include "pmem/persist.h"
#include "thread_message.h"

namespace {

using pmem::Error;
using pmem::MappingRegistry;
using pmem::Result;

// Never destroyed: other objects' destructors may still unmap at exit.
MappingRegistry& registry() {
  static auto* const kRegistry = new MappingRegistry;
  return *kRegistry;
}

void report(const Error& error) {
  pmem::set_thread_message(error.message().c_str());
  errno = error.code;
}

// Nothing is thrown through the C interface. The only exception that the C++
// API lets through is the lack of memory.
template <typename Code>
auto guarded_call(const Code& code, decltype(code()) failure) {
  try {
    return code();
  } catch (const std::bad_alloc&) {
    pmem::set_thread_message("out of memory");
    errno = ENOMEM;
    return failure;
  }
}

// 0, or -1 with errno and the message.
template <typename Code>
int status_of(const Code& code) {
  return guarded_call(
      [&] {
        const Result<void> done = code();
        if (!done) {
          report(done.error());
          return -1;
        }
        return 0;
      },
      -1);
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
  constexpr bool kWithoutDetails = false;
  Result<pmem::Mapping> mapping =
      pmem::map_file(path, len, flags, mode, pmem::kSysfsRoot, kWithoutDetails);
  if (!mapping) {
    report(mapping.error());
    return nullptr;
  }
  const std::size_t length = mapping->length_bytes();
  registry().add(mapping->address(), length, mapping->is_pmem(),
                 mapping->dax_number());
  void* address = mapping->release();
  if (mapped_lenp != nullptr) {
    *mapped_lenp = length;
  }
  if (is_pmemp != nullptr) {
    *is_pmemp = is_pmem(address, length) ? 1 : 0;
  }
  return address;
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
  return status_of([&] { return registry().unmap(addr, len); });
}

int pmem_is_pmem(const void* addr, size_t len) {
  return is_pmem(addr, len) ? 1 : 0;
}

int pmem_msync(const void* addr, size_t len) {
  return status_of([&] { return pmem::sync_range(registry(), addr, len); });
}

int pmem_deep_drain(const void* addr, size_t len) {
  return status_of([&] {
    return pmem::deep_drain(registry(), addr, len, pmem::kSysfsRoot);
  });
}

int pmem_deep_persist(const void* addr, size_t len) {
  pmem::deep_flush(addr, len);
  return ::pmem_deep_drain(addr, len);
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
  std::array<char, 128> sentence = {};
  std::snprintf(sentence.data(), sentence.size(),
                "libpmem %s version mismatch (need %u, found %u)", part, needed,
                found);
  pmem::set_thread_message(sentence.data());
  return pmem::thread_message();
}

const char* pmem_errormsg(void) { return pmem::thread_message(); }

}  // extern "C"
