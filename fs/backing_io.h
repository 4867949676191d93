// System calls on a backing file, finished: not cut short by a signal, and with
// the error as a value. Free functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "fs/extents.h"
#include "pmem/result.h"

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

// fallocate(2). Errors: its own.
[[nodiscard]] pmem::Result<void> allocate_backing(int fd, int mode,
                                                  ByteRange range);

// The time that the kernel would stamp on a file now, in nanoseconds since the
// epoch.
[[nodiscard]] std::int64_t file_time_now_ns();

// Sets the time of modification, unless the file shows a later one.
void raise_modification_time(int fd, std::int64_t time_ns);

}  // namespace pmemfs
