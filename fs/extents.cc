#include "fs/extents.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

namespace pmemfs {
namespace {

constexpr std::size_t kExtentsPerCall = 64;
constexpr std::size_t kMostRanges = 4096;  // a cache, not a record
constexpr std::uint64_t kStatBlockBytes = 512;

// struct fiemap ends in a flexible array; this is one with room.
struct ExtentQuery {
  alignas(struct fiemap) std::array<
      std::byte, sizeof(struct fiemap) +
                     kExtentsPerCall * sizeof(struct fiemap_extent)> bytes = {};

  struct fiemap& header() {
    return *reinterpret_cast<struct fiemap*>(bytes.data());
  }
};

// A store there finds its block: not compressed, not inside the inode, and not
// shared with another file, which would have to be copied first.
bool takes_stores(const struct fiemap_extent& extent) {
  constexpr std::uint32_t kNeedsNewBlock =
      FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_SHARED;
  return (extent.fe_flags & kNeedsNewBlock) == 0;
}

// Calls `visit(extent)` for each extent in the range until it returns false.
// False when the file system has no FIEMAP.
template <typename Visit>
bool for_each_extent(int fd, ByteRange range, const Visit& visit) {
  while (range.begin < range.end) {
    ExtentQuery query;
    struct fiemap& header = query.header();
    header.fm_start = range.begin;
    header.fm_length = range.end - range.begin;
    header.fm_extent_count = kExtentsPerCall;
    if (::ioctl(fd, FS_IOC_FIEMAP, &header) != 0) {
      return false;
    }
    for (std::uint32_t i = 0; i < header.fm_mapped_extents; ++i) {
      const struct fiemap_extent& extent = header.fm_extents[i];
      if (!visit(extent) || (extent.fe_flags & FIEMAP_EXTENT_LAST) != 0) {
        return true;
      }
      range.begin = extent.fe_logical + extent.fe_length;
    }
    if (header.fm_mapped_extents == 0) {
      return true;
    }
  }
  return true;
}

// Data as SEEK_HOLE sees it, for file systems without FIEMAP.
bool is_data(int fd, ByteRange range) {
  const auto begin = static_cast<off_t>(range.begin);
  const off_t hole = ::lseek(fd, begin, SEEK_HOLE);
  return hole > begin && static_cast<std::uint64_t>(hole) >= range.end;
}

}  // namespace

bool has_holes(int fd, const struct stat& status) {
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::uint64_t covered = 0;
  const bool has_fiemap =
      for_each_extent(fd, {0, size}, [&](const struct fiemap_extent& extent) {
        if (extent.fe_logical > covered) {
          return false;
        }
        covered = extent.fe_logical + extent.fe_length;
        return true;
      });
  if (has_fiemap) {
    return covered < size;
  }
  return static_cast<std::uint64_t>(status.st_blocks) * kStatBlockBytes < size;
}

std::optional<std::vector<PlacedExtent>> placed_extents(
    int fd, const struct stat& status) {
  constexpr std::uint32_t kHasNoPlace =
      FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC |
      FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_NOT_ALIGNED;
  std::vector<PlacedExtent> extents;
  const ByteRange all = {0, static_cast<std::uint64_t>(status.st_size)};
  const bool has_fiemap =
      for_each_extent(fd, all, [&](const struct fiemap_extent& extent) {
        if ((extent.fe_flags & kHasNoPlace) == 0) {
          extents.push_back(
              {extent.fe_logical, extent.fe_physical, extent.fe_length});
        }
        return true;
      });
  return has_fiemap ? std::optional(std::move(extents)) : std::nullopt;
}

bool read_faults_allocate(int fd) {
  struct statfs status = {};
  return ::fstatfs(fd, &status) == 0 &&
         (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC ||
          status.f_type == HUGETLBFS_MAGIC);
}

bool AllocatedRanges::covers(int fd, ByteRange range) {
  {
    const pmem::Lock lock(mutex_);
    if (contains(range)) {
      return true;
    }
  }
  const bool has_fiemap =
      for_each_extent(fd, range, [&](const struct fiemap_extent& extent) {
        if (takes_stores(extent)) {
          add({extent.fe_logical, extent.fe_logical + extent.fe_length});
        }
        return true;
      });
  if (!has_fiemap && is_data(fd, range)) {
    add(range);
  }
  const pmem::Lock lock(mutex_);
  return contains(range);
}

void AllocatedRanges::add(ByteRange range) {
  const pmem::Lock lock(mutex_);
  insert(range);
}

void AllocatedRanges::clear() {
  const pmem::Lock lock(mutex_);
  ranges_.clear();
}

bool AllocatedRanges::contains(ByteRange range) const {
  const auto after = ranges_.upper_bound(range.begin);
  return after != ranges_.begin() && std::prev(after)->second >= range.end;
}

void AllocatedRanges::insert(ByteRange range) {
  if (ranges_.size() >= kMostRanges) {
    ranges_.clear();
  }
  auto at = ranges_.upper_bound(range.begin);
  if (at != ranges_.begin() && std::prev(at)->second >= range.begin) {
    --at;
  }
  while (at != ranges_.end() && at->first <= range.end) {
    range.begin = std::min(range.begin, at->first);
    range.end = std::max(range.end, at->second);
    at = ranges_.erase(at);
  }
  ranges_.emplace(range.begin, range.end);
}

}  // namespace pmemfs
