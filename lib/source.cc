#include "pmem/source.h"

#include <fcntl.h>
#include <unistd.h>

#include <limits>

namespace pmem {
namespace {

constexpr std::uint64_t kMaxOffset =
    static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());

}  // namespace

Result<Source> Source::open(const std::string& path, Access access,
                            const std::string& sysfs_root) {
  // O_NONBLOCK: a fifo must be refused, not waited for.
  const int flags =
      (access == Access::kRead ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
  UniqueFd fd(::open(path.c_str(), flags));
  if (!fd.valid()) {
    const int code = errno;
    return fail(code, "opening \"" + path + "\"");
  }
  Result<Source> source = adopt(std::move(fd), access, sysfs_root);
  if (!source) {
    source.error().doing += " (\"" + path + "\")";
  }
  return source;
}

Result<Source> Source::adopt(UniqueFd fd, Access access,
                             const std::string& sysfs_root) {
  struct stat status = {};
  if (::fstat(fd.get(), &status) != 0) {
    return fail_errno("asking for the type of a file");
  }
  if (S_ISREG(status.st_mode)) {
    return Source(std::move(fd), access, std::nullopt);
  }
  if (S_ISDIR(status.st_mode)) {
    return fail(EISDIR, "mapping a directory");
  }
  if (!S_ISCHR(status.st_mode) || !is_dax_device(status.st_rdev, sysfs_root)) {
    return fail(EINVAL, "mapping what is no regular file and no Device DAX");
  }
  Result<DaxDevice> device = read_dax_device(status.st_rdev, sysfs_root);
  if (!device) {
    return pass_on(device);
  }
  if (!device->is_mappable()) {
    return fail(ENXIO, "mapping the Device DAX " + device->name +
                           ", which is in the mode " + device->mode());
  }
  return Source(std::move(fd), access, std::move(*device));
}

Result<std::uint64_t> Source::size_bytes() const {
  if (dax_device_) {
    return dax_device_->size_bytes;
  }
  struct stat status = {};
  if (::fstat(fd_.get(), &status) != 0) {
    return fail_errno("asking for the size of a file");
  }
  return static_cast<std::uint64_t>(status.st_size);
}

std::uint64_t Source::align_bytes() const {
  return dax_device_ ? dax_device_->align_bytes
                     : static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Result<void> Source::set_length(std::uint64_t length_bytes) const {
  if (dax_device_) {
    if (length_bytes == dax_device_->size_bytes) {
      return {};
    }
    return fail(EINVAL, "changing the size of a Device DAX");
  }
  if (length_bytes > kMaxOffset) {
    return fail(EFBIG, "setting the length of a file");
  }
  if (::ftruncate(fd_.get(), static_cast<off_t>(length_bytes)) != 0) {
    return fail_errno("setting the length of a file");
  }
  return {};
}

Result<void> Source::allocate(std::uint64_t offset_bytes,
                              std::uint64_t length_bytes) const {
  if (offset_bytes > kMaxOffset || length_bytes > kMaxOffset - offset_bytes) {
    return fail(EFBIG, "allocating blocks of a file");
  }
  // posix_fallocate returns its error and leaves errno alone.
  const int code =
      ::posix_fallocate(fd_.get(), static_cast<off_t>(offset_bytes),
                        static_cast<off_t>(length_bytes));
  if (code != 0) {
    return fail(code, "allocating blocks of a file");
  }
  return {};
}

}  // namespace pmem
