// The bad blocks of an open Device DAX, for reads and writes to keep away from:
// a load from one is a machine check, which costs the kernel the page at best.
//
// The list is the kernel's, in sysfs. It is looked at when the device is
// opened, after a fault, and once per second while the device is in use.
//
// Any thread. Readers take no lock; whose turn it is to look takes one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs/now_and_then.h"
#include "pmem/bad_blocks.h"
#include "pmem/mutex.h"

namespace pmemfs {

class KnownBadBlocks {
 public:
  KnownBadBlocks(pmem::DaxDevice device, std::string sysfs_root,
                 std::string dev_root);

  // How many bytes from the offset on can be read: all, or those before the
  // first bad block.
  [[nodiscard]] std::uint64_t readable(std::uint64_t offset_bytes,
                                       std::uint64_t length_bytes);

  // The same for who is about to overwrite all of them. Bad blocks that lie in
  // the range as a whole are cleared first, where the platform can.
  [[nodiscard]] std::uint64_t writable(std::uint64_t offset_bytes,
                                       std::uint64_t length_bytes);

  // Reads the list now: there has been a fault.
  void look() PMEM_EXCLUDES(mutex_);

 private:
  void look_when_due();
  [[nodiscard]] std::optional<pmem::BadRange> first_in(
      std::uint64_t offset_bytes, std::uint64_t length_bytes) const;

  const pmem::DaxDevice device_;
  const std::string sysfs_root_;
  const std::string dev_root_;

  NowAndThen looks_{std::chrono::seconds(1)};
  // Null as long as there are none. Readers may be in an older list, so all
  // stay; they differ, and there are few.
  std::atomic<const pmem::BadBlocks*> blocks_ = nullptr;
  pmem::Mutex mutex_;
  std::vector<std::unique_ptr<const pmem::BadBlocks>> lists_
      PMEM_GUARDED_BY(mutex_);
};

}  // namespace pmemfs
