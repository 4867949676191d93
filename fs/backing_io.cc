#include "fs/backing_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace pmemfs {
namespace {

using pmem::Result;

template <typename Byte, typename Transfer>
Result<std::size_t> transfer_all(std::span<Byte> bytes, std::uint64_t offset,
                                 const Transfer& transfer, const char* doing) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t moved = transfer(bytes.data() + done, bytes.size() - done,
                                   static_cast<off_t>(offset + done));
    if (moved < 0 && errno == EINTR) {
      continue;
    }
    if (moved < 0 && done == 0) {
      return pmem::fail_errno(doing);
    }
    if (moved <= 0) {
      break;
    }
    done += static_cast<std::size_t>(moved);
  }
  return done;
}

}  // namespace

Result<std::size_t> read_backing(int fd, std::uint64_t offset_bytes,
                                 std::span<std::byte> to) {
  const auto transfer = [fd](std::byte* data, std::size_t size, off_t at) {
    return ::pread(fd, data, size, at);
  };
  return transfer_all(to, offset_bytes, transfer, "pread");
}

Result<std::size_t> write_backing(int fd, std::uint64_t offset_bytes,
                                  std::span<const std::byte> from) {
  const auto transfer = [fd](const std::byte* data, std::size_t size,
                             off_t at) { return ::pwrite(fd, data, size, at); };
  return transfer_all(from, offset_bytes, transfer, "pwrite");
}

Result<std::size_t> append_backing(int fd, std::span<const std::byte> from) {
  const auto transfer = [fd](const std::byte* data, std::size_t size,
                             off_t /*at*/) {
    // writev's parts are not const, though they are only read.
    const struct iovec part = {const_cast<std::byte*>(data), size};
    return ::pwritev2(fd, &part, 1, 0, RWF_APPEND);
  };
  return transfer_all(from, 0, transfer, "pwritev2");
}

Result<void> allocate_backing(int fd, int mode, ByteRange range) {
  while (::fallocate(fd, mode, static_cast<off_t>(range.begin),
                     static_cast<off_t>(range.end - range.begin)) != 0) {
    if (errno != EINTR) {
      return pmem::fail_errno("fallocate");
    }
  }
  return {};
}

Result<pmem::Mapping> map_backing(const pmem::Source& source,
                                  const pmem::MappingOptions& options) {
  const int flags = ::fcntl(source.fd(), F_GETFL);
  const bool is_quiet =
      flags >= 0 && ::fcntl(source.fd(), F_SETFL, flags | O_NOATIME) == 0;
  Result<pmem::Mapping> mapping = pmem::Mapping::create(source, options);
  if (is_quiet) {
    ::fcntl(source.fd(), F_SETFL, flags);
  }
  return mapping;
}

std::int64_t file_time_now_ns() {
  struct timespec now = {};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return in_ns(now);
}

void move_modification_time(int fd) {
  constexpr std::array<struct timespec, 2> kNow = {
      {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
       {.tv_sec = 0, .tv_nsec = UTIME_NOW}}};
  if (::futimens(fd, kNow.data()) != 0) {
    // Not the owner, who may move both alone.
    ::futimens(fd, nullptr);
  }
}

}  // namespace pmemfs
