#include "fs/inode_numbers.h"

#include <sys/vfs.h>

#include <bit>

namespace pmemfs {
namespace {

constexpr unsigned kTagShift = 48;

// Tags of inner mounts have the top bit, those of sources do not.
std::uint64_t inner_mount_mask(int fd) {
  struct statfs status = {};
  if (::fstatfs(fd, &status) != 0) {
    return std::uint64_t{0x8000} << kTagShift;
  }
  const std::uint64_t mixed =
      std::bit_cast<std::uint64_t>(status.f_fsid) * 0x9E3779B97F4A7C15U;
  return (mixed | std::uint64_t{1} << 63) >> kTagShift << kTagShift;
}

}  // namespace

void InodeNumbers::add_source(dev_t device, std::uint16_t tag) {
  const pmem::Lock lock(mutex_);
  masks_.emplace(device, std::uint64_t{tag} << kTagShift);
}

std::uint64_t InodeNumbers::unique(dev_t device, ino_t inode, int fd) {
  {
    const pmem::SharedLock lock(mutex_);
    const auto found = masks_.find(device);
    if (found != masks_.end()) {
      return inode ^ found->second;
    }
  }
  const std::uint64_t mask = inner_mount_mask(fd);
  const pmem::Lock lock(mutex_);
  return inode ^ masks_.emplace(device, mask).first->second;
}

}  // namespace pmemfs
