#include "fs/inode_numbers.h"

#include <sys/vfs.h>

#include <bit>
#include <set>

namespace pmemfs {
namespace {

constexpr unsigned kTagShift = 48;
constexpr std::uint64_t kTopBit = std::uint64_t{1} << 63;

// Tags of file systems have the top bit, those of sources do not.
std::uint64_t mask_of(std::uint64_t identity) {
  const std::uint64_t mixed = identity * 0x9E3779B97F4A7C15U;
  return (mixed | kTopBit) >> kTagShift << kTagShift;
}

std::uint64_t identifier_of(int fd) {
  struct statfs status = {};
  if (::fstatfs(fd, &status) != 0) {
    return 0;
  }
  return std::bit_cast<std::uint64_t>(status.f_fsid);
}

}  // namespace

void InodeNumbers::add_source(dev_t device, std::uint16_t tag) {
  const pmem::Lock lock(mutex_);
  known_.emplace(device,
                 Known{.mask = std::uint64_t{tag} << kTagShift, .stays = true});
}

std::uint64_t InodeNumbers::free_mask(std::uint64_t identity) const {
  std::set<std::uint64_t> taken;
  for (const auto& [device, known] : known_) {
    taken.insert(known.mask);
  }
  std::uint64_t mask = mask_of(identity);
  for (std::size_t i = 0; i < taken.size() && taken.contains(mask); ++i) {
    mask = (mask + (std::uint64_t{1} << kTagShift)) | kTopBit;
  }
  return mask;
}

void InodeNumbers::add_file_system(dev_t device, std::uint64_t identity) {
  const pmem::Lock lock(mutex_);
  const auto known = known_.find(device);
  if (known == known_.end()) {
    known_.emplace(
        device,
        Known{.mask = free_mask(identity), .identity = identity, .users = 1});
    return;
  }
  ++known->second.users;
  if (!known->second.stays && known->second.identity != identity) {
    known->second.mask = free_mask(identity);  // another one on this device
    known->second.identity = identity;
  }
}

void InodeNumbers::remove_file_system(dev_t device) {
  const pmem::Lock lock(mutex_);
  const auto known = known_.find(device);
  if (known != known_.end() && --known->second.users == 0 &&
      !known->second.stays) {
    known_.erase(known);
  }
}

std::uint64_t InodeNumbers::expected(dev_t device, ino_t inode,
                                     std::uint64_t identity) {
  const pmem::SharedLock lock(mutex_);
  const auto known = known_.find(device);
  const bool is_known =
      known != known_.end() &&
      (known->second.stays || known->second.identity == identity);
  return inode ^ (is_known ? known->second.mask : free_mask(identity));
}

std::uint64_t InodeNumbers::unique(dev_t device, ino_t inode, int fd) {
  {
    const pmem::SharedLock lock(mutex_);
    const auto known = known_.find(device);
    if (known != known_.end()) {
      return inode ^ known->second.mask;
    }
  }
  const std::uint64_t identity = identifier_of(fd);
  const pmem::Lock lock(mutex_);
  const Known found = {
      .mask = free_mask(identity), .identity = identity, .stays = true};
  return inode ^ known_.emplace(device, found).first->second.mask;
}

}  // namespace pmemfs
