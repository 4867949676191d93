// Which parts of a file have blocks. Free functions on a descriptor, and a
// cache of what they found. The functions may be called from any thread.
//
// SEEK_HOLE alone is no answer: it calls blocks that were allocated but never
// written a hole. FIEMAP tells them apart; where a file system lacks it
// (tmpfs), the block count does. Source: fallocate(2), lseek(2),
// Documentation/filesystems/fiemap.rst of Linux.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "pmem/mutex.h"
#include "pmem/result.h"

namespace pmemfs {

// Half-open: [begin, end), in bytes.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// Whether the file has a hole before its end. `status` is its fstat(2).
[[nodiscard]] bool has_holes(int fd, const struct stat& status);

// Where a part of a file lies on its block device.
struct PlacedExtent {
  std::uint64_t file_offset_bytes = 0;
  std::uint64_t device_offset_bytes = 0;
  std::uint64_t length_bytes = 0;
};

// The parts that have blocks of their own, ascending; nothing where the file
// system does not tell. `status` is the file's fstat(2).
[[nodiscard]] std::optional<std::vector<PlacedExtent>> placed_extents(
    int fd, const struct stat& status);

// Whether a read through a mapping may allocate blocks (tmpfs: the page that a
// fault in a hole makes stays).
[[nodiscard]] bool read_faults_allocate(int fd);

// Ranges that are known to have blocks. Others may punch holes meanwhile; the
// store into such a hole then allocates, or faults on a full file system.
class AllocatedRanges {
 public:
  // Whether a store into the range finds blocks, asking the file system about
  // what is not known yet, and remembering the answer.
  [[nodiscard]] bool covers(int fd, ByteRange range) PMEM_EXCLUDES(mutex_);

  // Remembers that the range has blocks.
  void add(ByteRange range) PMEM_EXCLUDES(mutex_);

  // Forgets everything: something may have taken blocks away.
  void clear() PMEM_EXCLUDES(mutex_);

 private:
  [[nodiscard]] bool contains(ByteRange range) const PMEM_REQUIRES(mutex_);
  void insert(ByteRange range) PMEM_REQUIRES(mutex_);

  mutable pmem::Mutex mutex_;
  // begin -> end; neither overlapping nor touching.
  std::map<std::uint64_t, std::uint64_t> ranges_ PMEM_GUARDED_BY(mutex_);
};

}  // namespace pmemfs
