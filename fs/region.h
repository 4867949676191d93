// The data of one open regular file: read, written, grown and made durable
// through one mapping that everybody who has the file open shares.
//
// A Region owns its descriptors and mappings; it lives while somebody has the
// file open. Every member may be called from any thread. Reads take no lock;
// writes inside the file lock only the cache of allocated ranges; what changes
// the length is done one at a time.
//
// The way of a store: (1) the length is made to reach its end (see Growth), (2)
// its blocks are allocated, (3) the bytes are copied under the fault guard, (4)
// they are made durable as far as the granularity promises and the writer asks,
// and the file's times move on, as by write(2). Wherever the mapping is not to
// be had (a file too large to map, no space left, a fault because another
// process cut the file short) the same bytes go through pread(2) and pwrite(2)
// of the backing file, so that the caller gets the count or the errno that the
// file system beneath gives.
//
// A mapping reaches beyond the end of the file, so that growing needs no new
// one each time. When it is outgrown, one twice as long takes its place; the
// old one stays until the Region ends, because readers may be in it.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "fs/backing_id.h"
#include "fs/caller.h"
#include "fs/extents.h"
#include "fs/file_data.h"
#include "fs/now_and_then.h"
#include "pmem/mapping.h"
#include "pmem/mutex.h"
#include "pmem/result.h"
#include "pmem/unique_fd.h"

namespace pmemfs {

class Region final : public FileData {
 public:
  // How a write beyond the end makes the file longer.
  enum class Growth {
    // On DAX through the mapping. Elsewhere by pwrite(2), which puts the bytes
    // into the same page cache and lets the file system choose their blocks
    // late, for many writes together: block by block, small appends would be a
    // transaction and a fragment each.
    kByGranularity,
    kThroughMapping,  // always; for tests on machines without DAX
  };

  // Opens what the (O_PATH) descriptor refers to. Errors: those of open(2).
  [[nodiscard]] static pmem::Result<std::shared_ptr<Region>> open(
      int path_fd, pmem::Access access, Growth growth = Growth::kByGranularity,
      Writes writes = Writes::kAnywhere);

  // Takes over a descriptor open for reading and writing.
  [[nodiscard]] static pmem::Result<std::shared_ptr<Region>> adopt(
      pmem::UniqueFd fd);

  // Makes sure that the region can be written (kReadWrite), or read.
  // Errors: those of open(2): EACCES, EPERM, EROFS, ETXTBSY.
  [[nodiscard]] pmem::Result<void> allow(int path_fd, pmem::Access access,
                                         Writes writes = Writes::kAnywhere)
      PMEM_EXCLUDES(mutex_);

  [[nodiscard]] pmem::Result<std::size_t> read(
      std::uint64_t offset_bytes, std::span<std::byte> to) override;
  [[nodiscard]] pmem::Result<std::size_t> read_unnoticed(
      std::uint64_t offset_bytes, std::span<std::byte> to) override;
  [[nodiscard]] pmem::Result<std::size_t> write(
      const WriteRequest& request) override;
  // What is added is a hole.
  [[nodiscard]] pmem::Result<void> truncate(
      std::uint64_t length_bytes) override;
  // truncate(2), which knows the file by its name: it moves no times where the
  // length stays as it is. REQUIRES: the region can be written.
  [[nodiscard]] pmem::Result<void> truncate_by_name(std::uint64_t length_bytes);
  [[nodiscard]] pmem::Result<void> allocate(int mode,
                                            std::uint64_t offset_bytes,
                                            std::uint64_t length_bytes,
                                            const Caller& caller) override;
  [[nodiscard]] pmem::Result<std::uint64_t> seek(std::uint64_t offset_bytes,
                                                 int whence) const override;
  [[nodiscard]] pmem::Result<void> sync(bool data_only) override;
  [[nodiscard]] pmem::Result<void> sync_as(Durability durability) override;
  // Somebody has seen the times of the file: the next write moves them, even
  // within the same tick of the clock.
  // Source: multigrain timestamps of Linux.
  void note_times_seen() { are_times_seen_.store(true); }
  // Looks anew at what chattr(1) and mount(8) say of the durability of writes.
  void learn_durability();
  // On DAX: elsewhere a page would have to be locked.
  [[nodiscard]] bool takes_parallel_writes() const override { return is_dax_; }
  [[nodiscard]] Region* as_region() override { return this; }

  // copy_file_range(2) between the backing files, as the caller.
  [[nodiscard]] static pmem::Result<std::size_t> copy_range(
      Region& from, std::uint64_t from_offset, Region& to,
      std::uint64_t to_offset, std::size_t length_bytes, const Caller& caller);

  // The length that readers may see, given the backing file's: an append shows
  // only when its bytes are in place.
  [[nodiscard]] std::uint64_t visible_size(std::uint64_t backing_size) const;

  // Whether the kernel may map the backing file in our place: it would not see
  // that it is append-only, and let stores through.
  [[nodiscard]] bool is_for_kernel() const { return is_for_kernel_.load(); }

  // A descriptor of the backing file, for the kernel to open (passthrough).
  [[nodiscard]] int backing_fd() const;

  // Somebody may have given the file capabilities, which a write takes away.
  void expect_capabilities() { has_dropped_capabilities_.store(false); }

  // Whether somebody has it open for writing, or had.
  [[nodiscard]] bool may_be_written() const { return write_fd_.load() >= 0; }

  // The kernel's name for the backing file, while it uses it.
  [[nodiscard]] BackingId& backing_id() { return backing_id_; }

 private:
  static constexpr std::uint64_t kNotExtending =
      std::numeric_limits<std::uint64_t>::max();

  Region() = default;

  void learn_about(int fd);
  pmem::Result<void> allow_writing(int path_fd, Writes writes)
      PMEM_REQUIRES(mutex_);
  pmem::Result<void> install(pmem::UniqueFd fd, int open_flags)
      PMEM_REQUIRES(mutex_);

  enum class Noted { kYes, kNo };
  pmem::Result<std::size_t> read_as(Noted noted, std::uint64_t offset,
                                    std::span<std::byte> to);
  void note_read(int fd, const struct stat& status, std::uint64_t offset);
  void have_read_noted(int fd, const struct stat& status, std::uint64_t offset);
  template <typename Cut>
  pmem::Result<void> truncate_with(const Cut& cut) PMEM_EXCLUDES(length_mutex_);

  const pmem::Mapping* mapping_for(std::uint64_t end, bool for_writing)
      PMEM_EXCLUDES(mutex_);

  pmem::Result<std::size_t> read_data(std::uint64_t offset,
                                      std::span<std::byte> to);
  pmem::Result<std::size_t> read_around_holes(std::uint64_t offset,
                                              std::span<std::byte> to);

  pmem::Result<std::size_t> write_somehow(const WriteRequest& request);
  pmem::Result<std::size_t> write_inside(const WriteRequest& request);
  pmem::Result<std::size_t> write_and_extend(WriteRequest request)
      PMEM_EXCLUDES(length_mutex_);
  pmem::Result<std::size_t> extend_by_store(std::uint64_t old_size,
                                            const WriteRequest& request)
      PMEM_REQUIRES(length_mutex_);
  bool extend(int fd, std::uint64_t old_size, ByteRange range,
              const Caller* writer);
  bool make_blocks(int fd, ByteRange range, const Caller* writer);
  bool store(std::uint64_t offset, std::span<const std::byte> bytes);
  void note_write();
  pmem::Result<std::size_t> write_natively(const WriteRequest& request);
  pmem::Result<std::size_t> transfer(const WriteRequest& request);
  bool takes_privileges(const WriteRequest& request, int fd, mode_t mode);
  pmem::Result<std::size_t> write_as_caller(const WriteRequest& request)
      PMEM_EXCLUDES(length_mutex_);

  // Facts of the file, known before anybody shares the region.
  Growth growth_ = Growth::kByGranularity;
  bool is_dax_ = false;
  bool read_faults_allocate_ = false;
  // On overlayfs a file becomes another one when it is first opened for
  // writing, by whomever: what was mapped until then stays as it was.
  // Source: "Non-standard behavior" in filesystems/overlayfs.rst of Linux.
  bool is_mapped_by_writers_alone_ = false;

  // The descriptors that the sources own; -1 until somebody needs them.
  std::atomic<int> read_fd_ = -1;
  std::atomic<int> write_fd_ = -1;
  std::atomic<const pmem::Mapping*> mapping_ = nullptr;
  std::atomic<bool> is_unmappable_ = false;
  // The descriptor for writing has O_APPEND.
  std::atomic<bool> writes_only_at_end_ = false;
  std::atomic<bool> is_for_kernel_ = true;

  // At which tick of the clock a store last moved the file's times.
  std::atomic<std::int64_t> times_moved_ns_ = 0;
  std::atomic<bool> are_times_seen_ = false;
  std::atomic<bool> is_synchronous_ = false;  // whoever writes, and however
  NowAndThen noted_reads_{std::chrono::seconds(1)};
  // The time of change of the file when a read moved no time of access.
  std::atomic<std::int64_t> unmoved_at_change_ns_ = 0;
  std::atomic<std::uint64_t> extending_from_ = kNotExtending;
  std::atomic<bool> has_dropped_capabilities_ = false;  // or has none
  AllocatedRanges allocated_;
  BackingId backing_id_;

  // Held by what changes the length of the file.
  pmem::Mutex length_mutex_;

  pmem::Mutex mutex_;
  std::vector<std::unique_ptr<pmem::Source>> sources_ PMEM_GUARDED_BY(mutex_);
  std::vector<pmem::UniqueFd> other_fds_ PMEM_GUARDED_BY(mutex_);
  const pmem::Source* source_ PMEM_GUARDED_BY(mutex_) = nullptr;
  std::vector<std::unique_ptr<pmem::Mapping>> mappings_ PMEM_GUARDED_BY(mutex_);
};

}  // namespace pmemfs
