#include "deep_drain.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <limits>

#include "pmem/dax_device.h"
#include "pmem/persist.h"

namespace pmem {
namespace {

Result<void> sync_pages(std::uintptr_t begin, std::uintptr_t end) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t first = begin - begin % page;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  if (::msync(reinterpret_cast<void*>(first), end - first, MS_SYNC) != 0) {
    return fail_errno("msync");
  }
  return {};
}

// Cuts the range where mappings of Device DAX begin and end, and hands the
// pieces over in order; stops at the first that fails.
template <typename OnDax, typename OnOther>
Result<void> for_each_piece(const MappingRegistry& registry,
                            const void* address, std::size_t length_bytes,
                            const OnDax& on_dax, const OnOther& on_other) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  if (length_bytes > std::numeric_limits<std::uintptr_t>::max() - begin) {
    return fail(ENOMEM, "synchronising a range that wraps");
  }
  const std::uintptr_t end = begin + length_bytes;
  std::uintptr_t other = begin;  // up to here all is done
  std::uintptr_t at = begin;
  while (at < end) {
    const auto part = registry.first_part(at, end);
    if (!part) {
      break;
    }
    at = part->end;
    if (!part->dax_number) {
      continue;
    }
    if (other < part->begin) {
      Result<void> done = on_other(other, part->begin);
      if (!done) {
        return done;
      }
    }
    Result<void> done = on_dax(*part->dax_number);
    if (!done) {
      return done;
    }
    other = part->end;
  }
  return other < end ? on_other(other, end) : Result<void>();
}

}  // namespace

Result<void> deep_drain(const MappingRegistry& registry, const void* address,
                        std::size_t length_bytes,
                        const std::string& sysfs_root) {
  fence();
  return for_each_piece(
      registry, address, length_bytes,
      [&](dev_t device) { return flush_region(device, sysfs_root); },
      sync_pages);
}

Result<void> sync_range(const MappingRegistry& registry, const void* address,
                        std::size_t length_bytes) {
  return for_each_piece(
      registry, address, length_bytes,
      [](dev_t /*device*/) { return Result<void>(); }, sync_pages);
}

}  // namespace pmem
