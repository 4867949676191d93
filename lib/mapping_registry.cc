#include "pmem/mapping_registry.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

namespace pmem {
namespace {

std::uintptr_t number(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

// The end of the last page of [begin, begin+length), begin being a page's.
std::uintptr_t end_of_pages(std::uintptr_t begin, std::size_t length) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  return begin + (length + page - 1) / page * page;
}

}  // namespace

void MappingRegistry::add(const void* address, std::size_t length_bytes,
                          bool is_pmem, bool is_device_dax) {
  const std::uintptr_t begin = number(address);
  const std::uintptr_t end = begin + length_bytes;
  const Lock lock(mutex_);
  // Whole pages: what an older range had behind `end` is dead as well.
  forget(begin, end_of_pages(begin, length_bytes));
  ranges_.emplace(begin, Range{end, is_pmem, is_device_dax});
}

Result<void> MappingRegistry::unmap(void* address, std::size_t length_bytes) {
  const std::uintptr_t begin = number(address);
  // Both under one lock: otherwise another thread could be given the addresses
  // and register them before the old range is forgotten.
  const Lock lock(mutex_);
  if (::munmap(address, length_bytes) != 0) {
    return fail_errno("unmapping");
  }
  forget(begin, end_of_pages(begin, length_bytes));
  return {};
}

void MappingRegistry::forget(std::uintptr_t begin, std::uintptr_t end) {
  auto at = ranges_.upper_bound(begin);
  if (at != ranges_.begin() && std::prev(at)->second.end > begin) {
    --at;
  }
  while (at != ranges_.end() && at->first < end) {
    const std::uintptr_t old_begin = at->first;
    const Range old = at->second;
    at = ranges_.erase(at);
    if (old_begin < begin) {
      ranges_.emplace(old_begin, Range{begin, old.is_pmem, old.is_device_dax});
    }
    if (old.end > end) {
      ranges_.emplace(end, old);
      return;
    }
  }
}

bool MappingRegistry::is_pmem(const void* address,
                              std::size_t length_bytes) const {
  std::uintptr_t begin = number(address);
  if (length_bytes == 0 ||
      length_bytes > std::numeric_limits<std::uintptr_t>::max() - begin) {
    return false;
  }
  const std::uintptr_t end = begin + length_bytes;
  const SharedLock lock(mutex_);
  auto at = ranges_.upper_bound(begin);
  if (at == ranges_.begin()) {
    return false;
  }
  for (--at; at != ranges_.end() && at->first <= begin; ++at) {
    if (at->second.end <= begin || !at->second.is_pmem) {
      return false;
    }
    begin = at->second.end;
    if (begin >= end) {
      return true;
    }
  }
  return false;
}

bool MappingRegistry::is_device_dax(const void* address) const {
  const SharedLock lock(mutex_);
  const auto after = ranges_.upper_bound(number(address));
  if (after == ranges_.begin()) {
    return false;
  }
  const Range& range = std::prev(after)->second;
  return range.end > number(address) && range.is_device_dax;
}

}  // namespace pmem
