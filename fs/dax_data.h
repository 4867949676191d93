// The bytes of an open Device DAX: its memory, mapped whole as long as somebody
// has it open. Reads and writes take no lock; what is written is durable when
// the call returns.
//
// Who loses its driver, or goes, is lost for those who have it open: they get
// EIO, and it is let go of, because a device that is bound again while somebody
// still has it open gets lost with the last close (Linux 6.1 and 6.12).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "fs/file_data.h"
#include "fs/known_bad_blocks.h"
#include "pmem/fault_guard.h"
#include "pmem/mapping.h"
#include "pmem/mutex.h"

namespace pmemfs {

class DaxData : public FileData {
 public:
  // `sysfs_root` as in dax_device.h, `dev_root` as in bad_blocks.h. Errors:
  // those of open(2) and mmap(2): ENXIO for a device that is not to be mapped
  // now (system-ram, unbound), or that has not this binding (any more), if one
  // is given; EACCES, EPERM, EINVAL (what is at the path is no Device DAX).
  [[nodiscard]] static pmem::Result<std::shared_ptr<DaxData>> open(
      const std::string& path, pmem::Access access,
      const std::string& sysfs_root,
      const std::string& dev_root = pmem::kDevRoot,
      std::optional<std::uint64_t> binding = std::nullopt);

  // Short before bad blocks, known ones and others (EIO if they are the first).
  [[nodiscard]] pmem::Result<std::size_t> read(
      std::uint64_t offset_bytes, std::span<std::byte> to) override;

  // ENOSPC at or beyond the end, short across it. Known bad blocks that are
  // overwritten as a whole are cleared, where the platform can; before others
  // it is short (EIO if they are the first).
  [[nodiscard]] pmem::Result<std::size_t> write(
      const WriteRequest& request) override;

  // EINVAL but for the size that the device has. EIO when it is lost.
  [[nodiscard]] pmem::Result<void> truncate(
      std::uint64_t length_bytes) override;

  // Mode 0 and KEEP_SIZE have nothing to do, ZERO_RANGE and PUNCH_HOLE zero.
  // ENOSPC beyond the end, EOPNOTSUPP for other modes, EIO with bad blocks in
  // the range that cannot be cleared, and when it is lost.
  [[nodiscard]] pmem::Result<void> allocate(int mode,
                                            std::uint64_t offset_bytes,
                                            std::uint64_t length_bytes,
                                            const Caller& caller) override;

  // All is data.
  [[nodiscard]] pmem::Result<std::uint64_t> seek(std::uint64_t offset_bytes,
                                                 int whence) const override;

  // Nothing to do but to tell (EIO) when the device is lost.
  [[nodiscard]] pmem::Result<void> sync(bool data_only) override;

  [[nodiscard]] bool takes_parallel_writes() const override { return true; }

  // Now; it is done once per second anyway.
  void look_for_bad_blocks() { bad_blocks_.look(); }

  [[nodiscard]] bool is_writable() const { return mapping_.writable(); }
  [[nodiscard]] std::uint64_t size() const { return mapping_.length_bytes(); }

  // Of the device.
  [[nodiscard]] dev_t number() const {
    return mapping_.dax_number().value_or(0);
  }

  // Whether the device is still bound as it was when it was opened. Where it is
  // not, it is let go of, for good. Errors: EIO.
  [[nodiscard]] pmem::Result<void> check_binding()
      PMEM_EXCLUDES(binding_mutex_);

 private:
  DaxData(pmem::Mapping mapping, const pmem::DaxDevice& device,
          const std::string& sysfs_root, const std::string& dev_root)
      : mapping_(std::move(mapping)),
        bad_blocks_(device, sysfs_root, dev_root),
        binding_(device.binding),
        sysfs_root_(sysfs_root) {}

  pmem::Result<std::size_t> done_before(const std::optional<pmem::Fault>& fault,
                                        const std::byte* begin,
                                        std::size_t length, const char* doing);

  pmem::Mapping mapping_;
  KnownBadBlocks bad_blocks_;
  const std::uint64_t binding_;
  const std::string sysfs_root_;

  pmem::Mutex binding_mutex_;
  bool is_lost_ PMEM_GUARDED_BY(binding_mutex_) = false;
};

// A device that was opened with O_TRUNC. It keeps its bytes and its size; but
// who has emptied a file takes what he then leaves out for zeros, as cp(1) does
// with the holes of what it copies. So what is skipped is zeroed: before a
// write behind the last one, and where the file is made to end behind it.
class TruncatedDaxData : public FileData {
 public:
  explicit TruncatedDaxData(std::shared_ptr<DaxData> device)
      : device_(std::move(device)) {}

  [[nodiscard]] pmem::Result<std::size_t> read(
      std::uint64_t offset_bytes, std::span<std::byte> to) override {
    return device_->read(offset_bytes, to);
  }
  // O_APPEND: behind what was written until now.
  [[nodiscard]] pmem::Result<std::size_t> write(
      const WriteRequest& request) override PMEM_EXCLUDES(mutex_);
  // To the end of what was written, or further inside the device.
  [[nodiscard]] pmem::Result<void> truncate(std::uint64_t length_bytes) override
      PMEM_EXCLUDES(mutex_);
  [[nodiscard]] pmem::Result<void> allocate(int mode,
                                            std::uint64_t offset_bytes,
                                            std::uint64_t length_bytes,
                                            const Caller& caller) override {
    return device_->allocate(mode, offset_bytes, length_bytes, caller);
  }
  [[nodiscard]] pmem::Result<std::uint64_t> seek(std::uint64_t offset_bytes,
                                                 int whence) const override {
    return device_->seek(offset_bytes, whence);
  }
  [[nodiscard]] pmem::Result<void> sync(bool data_only) override {
    return device_->sync(data_only);
  }
  [[nodiscard]] bool takes_parallel_writes() const override { return true; }

 private:
  pmem::Result<void> zero_up_to(std::uint64_t end) PMEM_REQUIRES(mutex_);

  const std::shared_ptr<DaxData> device_;
  pmem::Mutex mutex_;
  std::uint64_t written_end_ PMEM_GUARDED_BY(mutex_) = 0;
};

}  // namespace pmemfs
