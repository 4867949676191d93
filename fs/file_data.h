// The bytes of one open file of the mount, whatever holds them: a Region of a
// regular file, or the memory of a Device DAX.
//
// It lives while somebody has the file open. Members may be called from any
// thread, several at a time.
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "fs/caller.h"
#include "pmem/result.h"
#include "pmem/source.h"

namespace pmemfs {

class Region;

// What an acknowledged write is to outlive: at least what every one does.
enum class Durability {
  kOfRegion,       // what the granularity of the region promises
  kData,           // as after fdatasync(2): O_DSYNC
  kDataAndStatus,  // as after fsync(2): O_SYNC
};

[[nodiscard]] inline Durability durability_of(int open_flags) {
  if ((open_flags & O_SYNC) == O_SYNC) {
    return Durability::kDataAndStatus;
  }
  return (open_flags & O_DSYNC) != 0 ? Durability::kData
                                     : Durability::kOfRegion;
}

struct WriteRequest {
  std::uint64_t offset_bytes = 0;
  std::span<const std::byte> bytes;
  bool at_end = false;  // O_APPEND: the offset is the end, whatever it is
  Durability durability = Durability::kOfRegion;
  // By whose rights space is taken and set-id bits are kept; outlives the call.
  // Without one, by the daemon's.
  const Caller* writer = nullptr;
};

// What open(2) flags ask of the data. Who only writes reads, too: a mapping
// that can be written is readable.
[[nodiscard]] inline pmem::Access access_of(int open_flags) {
  return (open_flags & O_ACCMODE) == O_RDONLY ? pmem::Access::kRead
                                              : pmem::Access::kReadWrite;
}

// Where a writer may write: an append-only file (chattr +a) opens for those
// alone who write at its end (O_APPEND).
enum class Writes { kAnywhere, kAtEnd };

[[nodiscard]] inline Writes writes_of(int open_flags) {
  return (open_flags & O_APPEND) != 0 ? Writes::kAtEnd : Writes::kAnywhere;
}

class FileData {
 public:
  FileData() = default;
  virtual ~FileData() = default;
  FileData(const FileData&) = delete;
  FileData& operator=(const FileData&) = delete;

  // Reads up to to.size() bytes; fewer at the end of the file and before bytes
  // that cannot be read, 0 beyond the end.
  // Errors: EIO (the memory or the file system failed before the first byte),
  // EBADF (not open for reading).
  [[nodiscard]] virtual pmem::Result<std::size_t> read(
      std::uint64_t offset_bytes, std::span<std::byte> to) = 0;

  // The same for a reader with O_NOATIME, where the data have a time of access.
  [[nodiscard]] virtual pmem::Result<std::size_t> read_unnoticed(
      std::uint64_t offset_bytes, std::span<std::byte> to) {
    return read(offset_bytes, to);
  }

  // Writes; the count is short when space ran out on the way.
  // Errors: ENOSPC, EDQUOT, EFBIG, EIO, EBADF (not open for writing).
  [[nodiscard]] virtual pmem::Result<std::size_t> write(
      const WriteRequest& request) = 0;

  // ftruncate(2), with its errors.
  [[nodiscard]] virtual pmem::Result<void> truncate(
      std::uint64_t length_bytes) = 0;

  // fallocate(2), with its modes and errors, as the caller.
  [[nodiscard]] virtual pmem::Result<void> allocate(int mode,
                                                    std::uint64_t offset_bytes,
                                                    std::uint64_t length_bytes,
                                                    const Caller& caller) = 0;

  // lseek(2) for SEEK_DATA and SEEK_HOLE. Errors: ENXIO, EINVAL.
  [[nodiscard]] virtual pmem::Result<std::uint64_t> seek(
      std::uint64_t offset_bytes, int whence) const = 0;

  // Makes everything written durable: fsync(2), or fdatasync(2).
  [[nodiscard]] virtual pmem::Result<void> sync(bool data_only) = 0;

  // As much of that as is asked for beyond what has been done already.
  [[nodiscard]] virtual pmem::Result<void> sync_as(Durability /*durability*/) {
    return {};
  }

  // Whether writes of several threads may run side by side.
  [[nodiscard]] virtual bool takes_parallel_writes() const = 0;

  // This, if it is a Region: a file that the kernel can open in our place.
  [[nodiscard]] virtual Region* as_region() { return nullptr; }
};

}  // namespace pmemfs
