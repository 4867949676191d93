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

// The same at the end of the file, which the kernel finds and takes in one
// step.
[[nodiscard]] pmem::Result<std::size_t> append_backing(
    int fd, std::span<const std::byte> from);

// fallocate(2). Errors: its own.
[[nodiscard]] pmem::Result<void> allocate_backing(int fd, int mode,
                                                  ByteRange range);

// While it lives, what is done with the descriptor moves no time of access:
// mmap(2) does, as reading. Without effect where the file is not ours.
class Unnoticed {
 public:
  explicit Unnoticed(int fd);
  ~Unnoticed();
  Unnoticed(const Unnoticed&) = delete;
  Unnoticed& operator=(const Unnoticed&) = delete;

 private:
  const int fd_;
  const int flags_;
};

[[nodiscard]] inline std::int64_t in_ns(const struct timespec& time) {
  constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
  return time.tv_sec * kNanosecondsPerSecond + time.tv_nsec;
}

// CLOCK_MONOTONIC_COARSE, in nanoseconds: for what happens every now and then.
[[nodiscard]] std::int64_t coarse_time_ns();

// The time that the kernel would stamp on a file now, in nanoseconds since the
// epoch.
[[nodiscard]] std::int64_t file_time_now_ns();

// Sets the time of modification to that of a write, unless the file shows one
// between then and now.
void stamp_modification_time(int fd, std::int64_t written_ns);

}  // namespace pmemfs
