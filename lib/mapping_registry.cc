#include "pmem/mapping_registry.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
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
                          bool is_pmem, std::optional<dev_t> dax_number) {
  const std::uintptr_t begin = number(address);
  const std::uintptr_t end = begin + length_bytes;
  // Only what may be called persistent memory is ever compared.
  const Identity identity = is_pmem ? identify(begin, end) : Identity{};
  const Lock lock(mutex_);
  // Whole pages: what an older range had behind `end` is dead as well.
  forget(begin, end_of_pages(begin, length_bytes));
  ranges_.emplace(begin, Range{end, is_pmem, dax_number, identity});
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
  auto at = at_or_above(begin);
  while (at != ranges_.end() && at->first < end) {
    const std::uintptr_t old_begin = at->first;
    const Range old = at->second;
    at = ranges_.erase(at);
    if (old_begin < begin) {
      Range before = old;
      before.end = begin;
      ranges_.emplace(old_begin, before);
    }
    if (old.end > end) {
      Range behind = old;
      behind.identity = old.identity.moved(end - old_begin);
      ranges_.emplace(end, behind);
      return;
    }
  }
}

MappingRegistry::Ranges::const_iterator MappingRegistry::at_or_above(
    std::uintptr_t address) const {
  if (ranges_.empty() || address < ranges_.begin()->first) {
    return ranges_.begin();  // most memory of a program is below all mappings
  }
  const auto above = ranges_.upper_bound(address);
  if (above != ranges_.begin() && std::prev(above)->second.end > address) {
    return std::prev(above);
  }
  return above;
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
  for (auto at = at_or_above(begin); begin < end; ++at) {
    if (at == ranges_.end() || at->first > begin || !at->second.is_pmem) {
      return false;
    }
    const Range& range = at->second;
    const std::uintptr_t part_end = std::min(end, range.end);
    if (!is_still_there(range.identity.moved(begin - at->first), begin,
                        part_end)) {
      return false;
    }
    begin = part_end;
  }
  return true;
}

std::optional<MappingRegistry::Part> MappingRegistry::first_part(
    std::uintptr_t begin, std::uintptr_t end) const {
  const SharedLock lock(mutex_);
  const auto at = at_or_above(begin);
  if (begin >= end || at == ranges_.end() || at->first >= end) {
    return std::nullopt;
  }
  const Range& range = at->second;
  Part part = {std::max(begin, at->first), std::min(end, range.end),
               range.dax_number};
  if (!is_still_there(range.identity.moved(part.begin - at->first), part.begin,
                      part.end)) {
    part.dax_number = std::nullopt;
  }
  return part;
}

MappingRegistry::Identity MappingRegistry::identify(std::uintptr_t begin,
                                                    std::uintptr_t end) {
  Identity identity;
  const std::optional<MappedRange> mapped = mapped_range_at(begin);
  identity.was_mapped = mapped || (begin < end && is_mapped(begin, end));
  if (mapped) {
    identity.object = mapped->object;
    identity.begin_offset_bytes = mapped->offset_bytes + begin - mapped->begin;
  }
  return identity;
}

bool MappingRegistry::is_still_there(const Identity& identity,
                                     std::uintptr_t begin, std::uintptr_t end) {
  if (!identity.was_mapped) {
    return true;
  }
  std::uintptr_t at = begin;
  while (identity.object && at < end) {
    const std::optional<MappedRange> mapped = mapped_range_at(at);
    if (!mapped) {  // unmapped, or the kernel could not be asked this time
      break;
    }
    // Memory without a file has no offsets to compare.
    const bool is_file = mapped->object.inode != 0;
    const std::uint64_t offset =
        mapped->offset_bytes + (at - mapped->begin) - (at - begin);
    if (mapped->object != *identity.object ||
        (is_file && offset != identity.begin_offset_bytes)) {
      return false;
    }
    at = mapped->end;
  }
  return at >= end || is_mapped(at, end);
}

}  // namespace pmem
