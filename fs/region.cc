#include "fs/region.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "fs/backing_io.h"
#include "fs/proc_path.h"
#include "pmem/fault_guard.h"

namespace pmemfs {
namespace {

using pmem::Access;
using pmem::fail;
using pmem::fail_errno;
using pmem::Mapping;
using pmem::pass_on;
using pmem::Result;
using pmem::Source;
using pmem::UniqueFd;

constexpr std::uint64_t kSmallestCapacity = std::uint64_t{4} << 20;
constexpr std::uint64_t kPageBytes = 4096;

std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

ByteRange whole_pages(ByteRange range) {
  return {range.begin / kPageBytes * kPageBytes,
          round_up(range.end, kPageBytes)};
}

// Room to grow, where growth is to be expected.
std::uint64_t capacity_for(std::uint64_t end, bool may_grow) {
  const std::uint64_t roomy = may_grow ? 2 * end : end;
  return round_up(std::max(roomy, kSmallestCapacity), kSmallestCapacity);
}

// Whether every write(2) is to be durable: by chattr +S, or mount -o sync.
bool is_synchronous(int fd) {
  struct statvfs file_system = {};
  unsigned flags = 0;
  return (::fstatvfs(fd, &file_system) == 0 &&
          (file_system.f_flag & ST_SYNCHRONOUS) != 0) ||
         (::ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
          (flags & FS_SYNC_FL) != 0);
}

// Errors: errno of open(2).
UniqueFd open_backing(int path_fd, int flags) {
  return UniqueFd(
      ::open(ProcPath(path_fd).c_str(), flags | O_CLOEXEC | O_NOCTTY));
}

}  // namespace

Result<std::shared_ptr<Region>> Region::open(int path_fd, Access access,
                                             Growth growth, Writes writes) {
  std::shared_ptr<Region> region(new Region);
  region->growth_ = growth;
  Result<void> allowed = region->allow(path_fd, access, writes);
  if (!allowed) {
    return pass_on(allowed);
  }
  return region;
}

Result<std::shared_ptr<Region>> Region::adopt(UniqueFd fd) {
  std::shared_ptr<Region> region(new Region);
  const pmem::Lock lock(region->mutex_);
  Result<void> installed = region->install(std::move(fd), O_RDWR);
  if (!installed) {
    return pass_on(installed);
  }
  return region;
}

Result<void> Region::allow(int path_fd, Access access, Writes writes) {
  const pmem::Lock lock(mutex_);
  if (access == Access::kReadWrite) {
    return allow_writing(path_fd, writes);
  }
  if (read_fd_.load() >= 0) {
    return {};
  }
  UniqueFd fd = open_backing(path_fd, O_RDONLY);
  return fd.valid() ? install(std::move(fd), O_RDONLY) : fail_errno("open");
}

Result<void> Region::allow_writing(int path_fd, Writes writes) {
  if (write_fd_.load() >= 0 && !writes_only_at_end_.load()) {
    return {};
  }
  // A file that may be written but not read cannot be mapped.
  int flags = O_RDWR;
  UniqueFd fd = open_backing(path_fd, flags);
  if (!fd.valid() && errno == EPERM && writes == Writes::kAtEnd) {
    if (write_fd_.load() >= 0) {
      return {};
    }
    flags |= O_APPEND;
    fd = open_backing(path_fd, flags);
  }
  if (!fd.valid() && errno == EACCES) {
    flags = (flags & ~O_ACCMODE) | O_WRONLY;
    fd = open_backing(path_fd, flags);
  }
  return fd.valid() ? install(std::move(fd), flags) : fail_errno("open");
}

Result<void> Region::install(UniqueFd fd, int open_flags) {
  const int number = fd.get();
  const int access_mode = open_flags & O_ACCMODE;
  // Readers of the first descriptor look at the facts without a lock.
  if (read_fd_.load() < 0 && write_fd_.load() < 0) {
    learn_about(number);
  }
  if (access_mode != O_RDONLY) {
    const bool at_end = (open_flags & O_APPEND) != 0;
    writes_only_at_end_.store(at_end);
    is_synchronous_.store(is_synchronous(number));
    if (at_end) {
      is_for_kernel_.store(false);
    }
  }
  if (access_mode == O_WRONLY) {
    other_fds_.push_back(std::move(fd));
    write_fd_.store(number);
    return {};
  }
  const Access access =
      access_mode == O_RDWR ? Access::kReadWrite : Access::kRead;
  Result<Source> source = Source::adopt(std::move(fd), access);
  if (!source) {
    return pass_on(source);
  }
  sources_.push_back(std::make_unique<Source>(std::move(*source)));
  source_ = sources_.back().get();
  is_unmappable_.store(false);
  read_fd_.store(number);
  if (access == Access::kReadWrite) {
    write_fd_.store(number);
  }
  return {};
}

void Region::learn_durability() {
  const int fd = write_fd_.load();
  if (fd >= 0) {
    is_synchronous_.store(is_synchronous(fd));
  }
}

void Region::learn_about(int fd) {
  struct statx facts = {};
  is_dax_ = ::statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &facts) == 0 &&
            (facts.stx_attributes & STATX_ATTR_DAX) != 0;
  read_faults_allocate_ = read_faults_allocate(fd);
  struct statfs file_system = {};
  is_mapped_by_writers_alone_ = ::fstatfs(fd, &file_system) == 0 &&
                                file_system.f_type == OVERLAYFS_SUPER_MAGIC;
}

// --- mapping ----------------------------------------------------------------

const Mapping* Region::mapping_for(std::uint64_t end, bool for_writing) {
  const auto fits = [&](const Mapping* mapping) {
    return mapping != nullptr && mapping->length_bytes() >= end &&
           (!for_writing || mapping->writable());
  };
  const Mapping* mapping = mapping_.load(std::memory_order_acquire);
  if (fits(mapping) || is_unmappable_.load(std::memory_order_relaxed)) {
    return fits(mapping) ? mapping : nullptr;
  }
  if (is_mapped_by_writers_alone_ && read_fd_.load() != write_fd_.load()) {
    return nullptr;
  }
  const pmem::Lock lock(mutex_);
  mapping = mapping_.load(std::memory_order_acquire);
  if (fits(mapping)) {
    return mapping;
  }
  if (source_ == nullptr ||
      end > std::numeric_limits<std::int64_t>::max() / 4) {
    is_unmappable_.store(true);
    return nullptr;
  }
  pmem::MappingOptions options;
  const bool has_grown = mapping != nullptr && mapping->length_bytes() < end;
  options.length_bytes = capacity_for(end, for_writing || has_grown);
  Result<Mapping> created = map_backing(*source_, options);
  if (!created) {
    // No room to grow: then as much as is needed now.
    options.length_bytes = end;
    created = map_backing(*source_, options);
  }
  if (!created || (for_writing && !created->writable())) {
    is_unmappable_.store(true);
    return nullptr;
  }
  mappings_.push_back(std::make_unique<Mapping>(std::move(*created)));
  mapping_.store(mappings_.back().get(), std::memory_order_release);
  return mappings_.back().get();
}

// --- reading ----------------------------------------------------------------

std::uint64_t Region::visible_size(std::uint64_t backing_size) const {
  return std::min(backing_size, extending_from_.load());
}

Result<std::size_t> Region::read(std::uint64_t offset_bytes,
                                 std::span<std::byte> to) {
  return read_as(Noted::kYes, offset_bytes, to);
}

Result<std::size_t> Region::read_unnoticed(std::uint64_t offset_bytes,
                                           std::span<std::byte> to) {
  return read_as(Noted::kNo, offset_bytes, to);
}

Result<std::size_t> Region::read_as(Noted noted, std::uint64_t offset_bytes,
                                    std::span<std::byte> to) {
  const int fd = read_fd_.load();
  if (fd < 0) {
    return fail(EBADF, "read");
  }
  // Asked before and after: an append that ends in between must not show its
  // length without its bytes.
  const std::uint64_t shown = extending_from_.load();
  struct stat status = {};
  if (::fstat(fd, &status) != 0) {
    return fail_errno("fstat");
  }
  if (noted == Noted::kYes) {
    note_read(fd, status, offset_bytes);
  }
  const std::uint64_t size =
      std::min(visible_size(static_cast<std::uint64_t>(status.st_size)), shown);
  if (offset_bytes >= size) {
    return std::size_t{0};
  }
  to = to.first(std::min<std::uint64_t>(to.size(), size - offset_bytes));
  const bool has_missing_blocks =
      static_cast<std::uint64_t>(status.st_blocks) * 512 < size;
  if (read_faults_allocate_ && has_missing_blocks) {
    return read_around_holes(offset_bytes, to);
  }
  return read_data(offset_bytes, to);
}

// What is read through a mapping does not move the time of access, which
// depends on how the file system is mounted (relatime, noatime). A byte that is
// read natively has the kernel decide: where relatime would move it, unless it
// was seen not to, and once per second.
void Region::note_read(int fd, const struct stat& status,
                       std::uint64_t offset) {
  const std::int64_t accessed = in_ns(status.st_atim);
  const std::int64_t changed = in_ns(status.st_ctim);
  const bool is_behind =
      accessed <= in_ns(status.st_mtim) || accessed <= changed;
  if (is_behind &&
      unmoved_at_change_ns_.load(std::memory_order_relaxed) != changed) {
    have_read_noted(fd, status, offset);
    return;
  }
  if (noted_reads_.is_due()) {
    have_read_noted(fd, status, offset);
  }
}

void Region::have_read_noted(int fd, const struct stat& status,
                             std::uint64_t offset) {
  // On DAX the kernel, too, would load from memory that may be broken, and not
  // every CPU survives that. There a read at the end counts although it gives
  // nothing. Source: ext4_dax_read_iter(), xfs_file_dax_read() of Linux.
  const std::uint64_t place =
      is_dax_ ? static_cast<std::uint64_t>(status.st_size) : offset;
  std::byte byte;
  [[maybe_unused]] const Result<std::size_t> ignored =
      read_backing(fd, place, {&byte, 1});
  struct stat after = {};
  const bool has_moved =
      ::fstat(fd, &after) == 0 && in_ns(after.st_atim) != in_ns(status.st_atim);
  unmoved_at_change_ns_.store(has_moved ? 0 : in_ns(status.st_ctim),
                              std::memory_order_relaxed);
}

Result<std::size_t> Region::read_data(std::uint64_t offset,
                                      std::span<std::byte> to) {
  const int fd = read_fd_.load();
  const Mapping* mapping = mapping_for(offset + to.size(), false);
  if (mapping == nullptr) {
    return read_backing(fd, offset, to);
  }
  const auto from = mapping->bytes().subspan(offset, to.size());
  const std::optional<pmem::Fault> fault = pmem::guarded_read(to, from);
  if (!fault) {
    return to.size();
  }
  // Broken memory is not for the kernel to read: not every CPU lets it survive.
  Result<std::size_t> got = fault->is_hardware_error
                                ? fail(EIO, "reading broken memory")
                                : read_backing(fd, offset, to);
  if (!got && fault->address > from.data()) {
    // A bad block: DAX file systems give nothing of a range that has one, but
    // what lies before it has been read.
    return static_cast<std::size_t>(fault->address - from.data());
  }
  return got;
}

// Holes are filled with zeros here, because touching them would allocate.
Result<std::size_t> Region::read_around_holes(std::uint64_t offset,
                                              std::span<std::byte> to) {
  const int fd = read_fd_.load();
  const std::uint64_t end = offset + to.size();
  std::uint64_t at = offset;
  while (at < end) {
    const off_t found = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
    const std::uint64_t data =
        found < 0 ? end : std::min(end, static_cast<std::uint64_t>(found));
    std::memset(to.data() + (at - offset), 0, data - at);
    at = data;
    if (at == end) {
      break;
    }
    const off_t hole = ::lseek(fd, static_cast<off_t>(at), SEEK_HOLE);
    const std::uint64_t data_end =
        hole < 0 ? end : std::min(end, static_cast<std::uint64_t>(hole));
    if (data_end <= at) {
      continue;  // the file changed between the two questions
    }
    Result<std::size_t> got =
        read_data(at, to.subspan(at - offset, data_end - at));
    if (!got) {
      return at == offset ? got : Result<std::size_t>(at - offset);
    }
    at += *got;
    if (at < data_end) {
      break;
    }
  }
  return at - offset;
}

// --- writing ----------------------------------------------------------------

Result<std::size_t> Region::write(const WriteRequest& request) {
  Result<std::size_t> written = write_somehow(request);
  if (!written) {
    return written;
  }
  Result<void> synced = sync_as(request.durability);
  if (!synced) {
    return pass_on(synced);
  }
  return written;
}

Result<std::size_t> Region::write_somehow(const WriteRequest& request) {
  const int fd = write_fd_.load();
  if (fd < 0) {
    return fail(EBADF, "write");
  }
  if (request.bytes.empty()) {
    return std::size_t{0};
  }
  if (writes_only_at_end_.load(std::memory_order_relaxed) && !request.at_end) {
    return fail(EPERM, "write");
  }
  struct statx status = {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_MODE, &status) != 0) {
    return fail_errno("statx");
  }
  // What a store would do here without asking.
  const bool is_immutable = (status.stx_attributes & STATX_ATTR_IMMUTABLE) != 0;
  if (is_immutable || takes_privileges(request, fd, status.stx_mode)) {
    return write_as_caller(request);
  }
  const std::uint64_t end = request.offset_bytes + request.bytes.size();
  const bool extends = request.at_end || end > status.stx_size;
  return extends ? write_and_extend(request) : write_inside(request);
}

Result<std::size_t> Region::write_inside(const WriteRequest& request) {
  const ByteRange range = {request.offset_bytes,
                           request.offset_bytes + request.bytes.size()};
  if (mapping_for(range.end, true) != nullptr &&
      make_blocks(write_fd_.load(), whole_pages(range), request.writer) &&
      store(range.begin, request.bytes)) {
    return request.bytes.size();
  }
  return write_natively(request);
}

Result<std::size_t> Region::write_and_extend(WriteRequest request) {
  const int fd = write_fd_.load();
  const bool by_store = is_dax_ || growth_ == Growth::kThroughMapping;
  const pmem::Lock lock(length_mutex_);
  if (request.at_end && !by_store) {
    return write_natively(request);
  }
  struct stat status = {};
  if (::fstat(fd, &status) != 0) {
    return fail_errno("fstat");
  }
  const auto old_size = static_cast<std::uint64_t>(status.st_size);
  if (std::exchange(request.at_end, false)) {
    // A store cannot find the end and take it in one step: an append by another
    // process beneath may meet this one. pwrite can, elsewhere.
    request.offset_bytes = old_size;
  }
  if (request.offset_bytes + request.bytes.size() <= old_size) {
    return write_inside(request);  // somebody else has extended it meanwhile
  }
  return by_store ? extend_by_store(old_size, request)
                  : write_natively(request);
}

Result<std::size_t> Region::extend_by_store(std::uint64_t old_size,
                                            const WriteRequest& request) {
  const int fd = write_fd_.load();
  const ByteRange range = {request.offset_bytes,
                           request.offset_bytes + request.bytes.size()};
  const Mapping* mapping = mapping_for(range.end, true);
  if (mapping == nullptr) {
    return write_natively(request);
  }
  extending_from_.store(old_size);
  const bool stored = extend(fd, old_size, range, request.writer) &&
                      store(range.begin, request.bytes);
  // A flush makes the bytes durable, but not the length.
  const bool durable = !stored || !mapping->is_pmem() || ::fdatasync(fd) == 0;
  if (!stored) {
    // As it was, for pwrite to write what fits.
    [[maybe_unused]] const int ignored =
        ::ftruncate(fd, static_cast<off_t>(old_size));
  }
  extending_from_.store(kNotExtending);
  if (!durable) {
    return fail(EIO, "fdatasync");
  }
  if (!stored) {
    return write_natively(request);
  }
  return request.bytes.size();
}

// Makes the file reach the end of the range, with blocks beneath it.
bool Region::extend(int fd, std::uint64_t old_size, ByteRange range,
                    const Caller* writer) {
  // The part before the old end may lie in a hole, too.
  const ByteRange inside = {std::min(range.begin, old_size), old_size};
  if (range.begin < old_size && !make_blocks(fd, whole_pages(inside), writer)) {
    return false;
  }
  const AllocationScope as_writer(writer);
  if (!allocate_backing(fd, 0, range)) {
    return false;
  }
  allocated_.add(whole_pages(range));
  return true;
}

bool Region::make_blocks(int fd, ByteRange range, const Caller* writer) {
  if (allocated_.covers(fd, range)) {
    return true;
  }
  const AllocationScope as_writer(writer);
  if (!allocate_backing(fd, FALLOC_FL_KEEP_SIZE, range)) {
    return false;
  }
  allocated_.add(range);
  return true;
}

// False when the memory faulted; then part of the bytes may be in place.
bool Region::store(std::uint64_t offset, std::span<const std::byte> bytes) {
  const Mapping* mapping = mapping_for(offset + bytes.size(), true);
  if (mapping == nullptr) {
    return false;
  }
  const auto target = mapping->writable_bytes().subspan(offset, bytes.size());
  const bool faulted =
      mapping->is_pmem()
          ? pmem::guarded_durable_write(target, bytes).has_value()
          : pmem::guarded_write(target, bytes).has_value();
  if (faulted) {
    allocated_.clear();
    return false;
  }
  note_write();
  return true;
}

// Stores do not always move the file's times. As a write(2), this does so once
// a tick of the clock, and when somebody has seen them since.
void Region::note_write() {
  const std::int64_t now = file_time_now_ns();
  const bool are_seen = are_times_seen_.load(std::memory_order_relaxed) &&
                        are_times_seen_.exchange(false);
  if (are_seen || times_moved_ns_.load(std::memory_order_relaxed) != now) {
    times_moved_ns_.store(now, std::memory_order_relaxed);
    move_modification_time(write_fd_.load());
  }
}

Result<std::size_t> Region::write_natively(const WriteRequest& request) {
  const AllocationScope as_writer(request.writer);
  return transfer(request);
}

Result<std::size_t> Region::transfer(const WriteRequest& request) {
  const int fd = write_fd_.load();
  Result<std::size_t> written =
      request.at_end ? append_backing(fd, request.bytes)
                     : write_backing(fd, request.offset_bytes, request.bytes);
  // The promise for DAX files: what is acknowledged is durable.
  if (written && is_dax_ && ::fdatasync(fd) != 0) {
    return fail_errno("fdatasync");
  }
  return written;
}

// Set-id bits that this writer must not keep, or capabilities, which nobody
// keeps. Those cannot be seen in the mode: the first write asks for them.
bool Region::takes_privileges(const WriteRequest& request, int fd,
                              mode_t mode) {
  const bool loses_set_id =
      request.writer != nullptr && request.writer->loses_set_id;
  if (loses_set_id && (mode & (S_ISUID | S_ISGID)) != 0) {
    return true;
  }
  return !has_dropped_capabilities_.exchange(true) &&
         ::fgetxattr(fd, "security.capability", nullptr, 0) > 0;
}

// A write by which the file loses its set-id bits and capabilities, if the
// kernel finds that this writer must not keep them.
// Source: inode(7), file_remove_privs() of Linux.
Result<std::size_t> Region::write_as_caller(const WriteRequest& request) {
  std::optional<CallerScope> as_caller;
  if (request.writer != nullptr) {
    as_caller.emplace(*request.writer);
  }
  const pmem::Lock lock(length_mutex_);
  return transfer(request);
}

// --- length, times, durability ----------------------------------------------

template <typename Cut>
Result<void> Region::truncate_with(const Cut& cut) {
  const int fd = write_fd_.load();
  if (fd < 0) {
    return fail(EBADF, "truncate");
  }
  const pmem::Lock lock(length_mutex_);
  if (cut(fd) != 0) {
    return fail_errno("truncate");
  }
  allocated_.clear();
  return {};
}

Result<void> Region::truncate(std::uint64_t length_bytes) {
  return truncate_with([length_bytes](int fd) {
    return ::ftruncate(fd, static_cast<off_t>(length_bytes));
  });
}

Result<void> Region::truncate_by_name(std::uint64_t length_bytes) {
  return truncate_with([length_bytes](int fd) {
    return ::truncate(ProcPath(fd).c_str(), static_cast<off_t>(length_bytes));
  });
}

Result<void> Region::allocate(int mode, std::uint64_t offset_bytes,
                              std::uint64_t length_bytes,
                              const Caller& caller) {
  const int fd = write_fd_.load();
  if (fd < 0) {
    return fail(EBADF, "fallocate");
  }
  const CallerScope as_caller(caller);
  const pmem::Lock lock(length_mutex_);
  Result<void> done =
      allocate_backing(fd, mode, {offset_bytes, offset_bytes + length_bytes});
  allocated_.clear();
  return done;
}

Result<std::uint64_t> Region::seek(std::uint64_t offset_bytes,
                                   int whence) const {
  const off_t found =
      ::lseek(backing_fd(), static_cast<off_t>(offset_bytes), whence);
  if (found < 0) {
    return fail_errno("lseek");
  }
  return static_cast<std::uint64_t>(found);
}

Result<std::size_t> Region::copy_range(Region& from, std::uint64_t from_offset,
                                       Region& to, std::uint64_t to_offset,
                                       std::size_t length_bytes,
                                       const Caller& caller) {
  const CallerScope as_caller(caller);
  auto from_position = static_cast<loff_t>(from_offset);
  auto to_position = static_cast<loff_t>(to_offset);
  const pmem::Lock lock(to.length_mutex_);
  const ssize_t copied =
      ::copy_file_range(from.read_fd_.load(), &from_position,
                        to.write_fd_.load(), &to_position, length_bytes, 0);
  if (copied < 0) {
    return fail_errno("copy_file_range");
  }
  // The copy may share blocks with its original, or have made holes.
  to.allocated_.clear();
  if (to.is_dax_ && ::fdatasync(to.write_fd_.load()) != 0) {
    return fail_errno("fdatasync");
  }
  return static_cast<std::size_t>(copied);
}

Result<void> Region::sync(bool data_only) {
  const int fd = backing_fd();
  if ((data_only ? ::fdatasync(fd) : ::fsync(fd)) != 0) {
    return fail_errno("fsync");
  }
  return {};
}

// Where stores are durable by themselves, what is left is the status.
Result<void> Region::sync_as(Durability durability) {
  if (is_synchronous_.load(std::memory_order_relaxed)) {
    durability = Durability::kDataAndStatus;
  }
  const Mapping* mapping = mapping_.load(std::memory_order_acquire);
  const bool has_durable_data =
      is_dax_ && mapping != nullptr && mapping->is_pmem();
  switch (durability) {
    case Durability::kOfRegion:
      return {};
    case Durability::kData:
      return has_durable_data ? Result<void>() : sync(true);
    case Durability::kDataAndStatus:
      return sync(false);
  }
  return {};
}

int Region::backing_fd() const {
  const int write_fd = write_fd_.load();
  return write_fd >= 0 ? write_fd : read_fd_.load();
}

}  // namespace pmemfs
