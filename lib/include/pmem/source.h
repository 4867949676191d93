// What can be mapped: a regular file or a Device DAX, from a path or from a
// file descriptor.
//
// A Source owns its descriptor. Its members may be called from any thread; what
// changes the file (set_length, allocate) is ordered by the kernel alone.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

#include "pmem/dax_device.h"
#include "pmem/result.h"
#include "pmem/unique_fd.h"

namespace pmem {

enum class Access { kRead, kReadWrite };

class Source {
 public:
  // Opens what exists at `path`. Errors: those of open(2), and those of adopt.
  [[nodiscard]] static Result<Source> open(
      const std::string& path, Access access,
      const std::string& sysfs_root = kSysfsRoot);

  // Takes over a descriptor that was opened for (at least) `access`.
  // Errors: EISDIR (a directory), EINVAL (neither a regular file nor a Device
  // DAX), EIO (a Device DAX that does not tell its size), ENXIO (one that is
  // not to be mapped now: without a driver, or in the mode system-ram).
  [[nodiscard]] static Result<Source> adopt(
      UniqueFd fd, Access access, const std::string& sysfs_root = kSysfsRoot);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Access access() const { return access_; }

  // Facts of the device; nothing for a regular file.
  [[nodiscard]] const std::optional<DaxDevice>& dax_device() const {
    return dax_device_;
  }

  // Size in bytes as of now. Errors: those of fstat(2).
  [[nodiscard]] Result<std::uint64_t> size_bytes() const;

  // What a mapping's address and offset must be multiples of, in bytes.
  [[nodiscard]] std::uint64_t align_bytes() const;

  // Gives a regular file exactly this length; what is added is a hole.
  // Errors: EINVAL (a Device DAX, unless it has that length), and those of
  // ftruncate(2).
  [[nodiscard]] Result<void> set_length(std::uint64_t length_bytes) const;

  // Makes sure that the range has blocks, and that the file reaches its end.
  // Errors: ENOSPC, EFBIG, EOPNOTSUPP and the others of posix_fallocate(3).
  [[nodiscard]] Result<void> allocate(std::uint64_t offset_bytes,
                                      std::uint64_t length_bytes) const;

 private:
  Source(UniqueFd fd, Access access, std::optional<DaxDevice> dax_device)
      : fd_(std::move(fd)),
        access_(access),
        dax_device_(std::move(dax_device)) {}

  UniqueFd fd_;
  Access access_;
  std::optional<DaxDevice> dax_device_;
};

}  // namespace pmem
