#include "fs/dax_data.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>

#include "pmem/source.h"

namespace pmemfs {

using pmem::fail;
using pmem::Fault;
using pmem::pass_on;
using pmem::Result;

Result<std::shared_ptr<DaxData>> DaxData::open(
    const std::string& path, pmem::Access access, const std::string& sysfs_root,
    const std::string& dev_root, std::optional<std::uint64_t> binding) {
  Result<pmem::Source> source = pmem::Source::open(path, access, sysfs_root);
  if (!source) {
    return pass_on(source);
  }
  if (!source->dax_device()) {
    return fail(EINVAL, "opening what is no Device DAX: " + path);
  }
  // What was opened between two bindings would crash the kernel at mmap(2).
  const std::uint64_t found = source->dax_device()->binding;
  if (found != binding.value_or(found)) {
    return fail(ENXIO, "opening a device that has been unbound: " + path);
  }
  pmem::MappingOptions options;
  options.wants_details = false;
  Result<pmem::Mapping> mapping = pmem::Mapping::create(*source, options);
  if (!mapping) {
    return pass_on(mapping);
  }
  return std::shared_ptr<DaxData>(new DaxData(
      std::move(*mapping), *source->dax_device(), sysfs_root, dev_root));
}

Result<void> DaxData::check_binding() {
  const pmem::Lock lock(binding_mutex_);
  if (!is_lost_ && pmem::binding_of(number(), sysfs_root_) != binding_) {
    is_lost_ = true;
    // Where this is not to be had, only the last close lets go of it.
    [[maybe_unused]] const Result<void> ignored = mapping_.disconnect();
  }
  return is_lost_ ? Result<void>(fail(EIO, "using a device that is lost"))
                  : Result<void>();
}

// What was done before the fault, if that is anything.
Result<std::size_t> DaxData::done_before(const std::optional<Fault>& fault,
                                         const std::byte* begin,
                                         std::size_t length,
                                         const char* doing) {
  if (!fault) {
    return length;
  }
  Result<void> bound = check_binding();
  if (!bound) {
    return pass_on(bound);
  }
  bad_blocks_.look();  // the kernel may have learnt of one by this fault
  if (fault->address <= begin) {
    return fail(EIO, doing);
  }
  const auto before = static_cast<std::size_t>(fault->address - begin);
  return std::min(before, length);
}

Result<std::size_t> DaxData::read(std::uint64_t offset_bytes,
                                  std::span<std::byte> to) {
  if (to.empty() || offset_bytes >= size()) {
    return std::size_t{0};
  }
  const std::size_t length = bad_blocks_.readable(
      offset_bytes, std::min<std::uint64_t>(to.size(), size() - offset_bytes));
  if (length == 0) {
    return fail(EIO, "reading a bad block of a Device DAX");
  }
  const auto from = mapping_.bytes().subspan(offset_bytes, length);
  return done_before(pmem::guarded_read(to.first(length), from), from.data(),
                     length, "reading a Device DAX");
}

Result<std::size_t> DaxData::write(const WriteRequest& request) {
  if (!mapping_.writable()) {
    return fail(EBADF, "writing a Device DAX");
  }
  if (request.bytes.empty()) {
    return std::size_t{0};
  }
  const std::uint64_t offset = request.at_end ? size() : request.offset_bytes;
  if (offset >= size()) {
    return fail(ENOSPC, "writing beyond the end of a Device DAX");
  }
  const std::size_t length = bad_blocks_.writable(
      offset, std::min<std::uint64_t>(request.bytes.size(), size() - offset));
  if (length == 0) {
    return fail(EIO, "writing to a bad block of a Device DAX");
  }
  const auto to = mapping_.writable_bytes().subspan(offset, length);
  return done_before(
      pmem::guarded_durable_write(to, request.bytes.first(length)), to.data(),
      length, "writing a Device DAX");
}

Result<void> DaxData::truncate(std::uint64_t length_bytes) {
  if (!mapping_.writable() || length_bytes != size()) {
    return fail(EINVAL, "changing the size of a Device DAX");
  }
  return check_binding();
}

Result<void> DaxData::allocate(int mode, std::uint64_t offset_bytes,
                               std::uint64_t length_bytes,
                               const Caller& /*caller*/) {
  if (!mapping_.writable()) {
    return fail(EBADF, "fallocate on a Device DAX");
  }
  const int kind = mode & ~FALLOC_FL_KEEP_SIZE;
  if (kind != 0 && kind != FALLOC_FL_ZERO_RANGE &&
      kind != FALLOC_FL_PUNCH_HOLE) {
    return fail(EOPNOTSUPP, "fallocate on a Device DAX");
  }
  if (offset_bytes > size() || length_bytes > size() - offset_bytes) {
    return fail(ENOSPC, "fallocate beyond the end of a Device DAX");
  }
  if (kind == 0) {
    return check_binding();
  }
  if (bad_blocks_.writable(offset_bytes, length_bytes) < length_bytes) {
    return fail(EIO, "zeroing a bad block of a Device DAX");
  }
  const auto zeroed =
      mapping_.writable_bytes().subspan(offset_bytes, length_bytes);
  if (pmem::guarded_durable_zero(zeroed)) {
    bad_blocks_.look();
    [[maybe_unused]] const Result<void> bound = check_binding();
    return fail(EIO, "zeroing a part of a Device DAX");
  }
  return {};
}

Result<std::uint64_t> DaxData::seek(std::uint64_t offset_bytes,
                                    int whence) const {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) {
    return fail(EINVAL, "lseek");
  }
  if (offset_bytes >= size()) {
    return fail(ENXIO, "lseek");
  }
  return whence == SEEK_DATA ? offset_bytes : size();
}

Result<void> DaxData::sync(bool /*data_only*/) { return check_binding(); }

// --- after O_TRUNC ----------------------------------------------------------

Result<std::size_t> TruncatedDaxData::write(const WriteRequest& request) {
  WriteRequest placed = request;
  {
    // Only gaps are filled under the lock; writes that meet none run together.
    const pmem::Lock lock(mutex_);
    if (placed.at_end) {
      placed.at_end = false;
      placed.offset_bytes = written_end_;
    }
    Result<void> zeroed = zero_up_to(placed.offset_bytes);
    if (!zeroed) {
      return pass_on(zeroed);
    }
    const std::uint64_t end = placed.offset_bytes + placed.bytes.size();
    written_end_ = std::max(written_end_, std::min(end, device_->size()));
  }
  return device_->write(placed);
}

Result<void> TruncatedDaxData::truncate(std::uint64_t length_bytes) {
  const pmem::Lock lock(mutex_);
  if (length_bytes < written_end_ || length_bytes > device_->size()) {
    return device_->truncate(length_bytes);
  }
  return zero_up_to(length_bytes);
}

Result<void> TruncatedDaxData::zero_up_to(std::uint64_t end) {
  const std::uint64_t gap_end = std::min(end, device_->size());
  if (gap_end <= written_end_) {
    return {};
  }
  Result<void> zeroed = device_->allocate(FALLOC_FL_ZERO_RANGE, written_end_,
                                          gap_end - written_end_, Caller{});
  if (zeroed) {
    written_end_ = gap_end;
  }
  return zeroed;
}

}  // namespace pmemfs
