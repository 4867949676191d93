// System calls on a backing file, finished: not cut short by a signal, and with
// the error as a value. Free functions; any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "fs/extents.h"
#include "pmem/mapping.h"
#include "pmem/result.h"
#include "pmem/source.h"

namespace pmemfs {

// pread(2) until the span is full or the file ends. What went through before an
// error counts. Errors: those of pread(2), before the first byte.
[[nodiscard]] pmem::Result<std::size_t> read_backing(int fd,
                                                     std::uint64_t offset_bytes,
                                                     std::span<std::byte> to);

// pwrite(2) of all bytes, or of those that fit. Errors: those of pwrite(2),
// before the first byte.
[[nodiscard]] pmem::Result<std::size_t> write_backing(
    int fd, std::uint64_t offset_bytes, std::span<const std::byte> from);

// The same at the end of the file, which the kernel finds and takes in one
// step.
[[nodiscard]] pmem::Result<std::size_t> append_backing(
    int fd, std::span<const std::byte> from);

// fallocate(2). Errors: its own.
[[nodiscard]] pmem::Result<void> allocate_backing(int fd, int mode,
                                                  ByteRange range);

// Maps the file. mmap(2) counts as a read; here, where the owner of the file or
// root maps, it does not move the file's time of access. (A read by the same
// descriptor at that moment does not move it either.) Errors: those of
// Mapping::create().
[[nodiscard]] pmem::Result<pmem::Mapping> map_backing(
    const pmem::Source& source, const pmem::MappingOptions& options);

// To be compared; what is further away than 1677 or 2262 is as far as that.
[[nodiscard]] inline std::int64_t in_ns(const struct timespec& time) {
  constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
  constexpr std::int64_t kMostSeconds =
      std::numeric_limits<std::int64_t>::max() / kNanosecondsPerSecond - 1;
  const std::int64_t seconds =
      std::clamp<std::int64_t>(time.tv_sec, -kMostSeconds, kMostSeconds);
  return seconds * kNanosecondsPerSecond + time.tv_nsec;
}

// The tick of the clock by which the kernel stamps files, in nanoseconds since
// the epoch.
[[nodiscard]] std::int64_t file_time_now_ns();

// Moves the time of modification to now, as a write(2) does.
void move_modification_time(int fd);

}  // namespace pmemfs
