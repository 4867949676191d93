// Inode numbers that are unique in the mount and the same at each mount.
//
// The number of the backing file is kept, and its upper 16 bits are mixed with
// a tag of its device: nothing for a mount's only source, 1, 2, ... for several
// in the order of the command line, and a hash of the file system's own
// identifier for what is mounted somewhere inside a source, or comes and goes
// by itself. Of two with the same hash the second one met gets the next tag.
//
// add_source() comes before the threads; the others may be called from any of
// them.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>

#include "pmem/mutex.h"

namespace pmemfs {

class InodeNumbers {
 public:
  // `tag`: 0 for an only source, else its position from 1 on. A device that is
  // known already keeps its tag.
  void add_source(dev_t device, std::uint16_t tag);

  // A file system that comes and goes: until it is removed as often as it was
  // added, `identity`, which is the same whenever it is mounted, gives its tag.
  void add_file_system(dev_t device, std::uint64_t identity)
      PMEM_EXCLUDES(mutex_);
  void remove_file_system(dev_t device) PMEM_EXCLUDES(mutex_);

  // What unique() would tell of a file in such a file system.
  [[nodiscard]] std::uint64_t expected(dev_t device, ino_t inode,
                                       std::uint64_t identity)
      PMEM_EXCLUDES(mutex_);

  // `fd` refers to a file of the device; it is asked when the device is new.
  [[nodiscard]] std::uint64_t unique(dev_t device, ino_t inode, int fd)
      PMEM_EXCLUDES(mutex_);

 private:
  struct Known {
    std::uint64_t mask = 0;
    std::uint64_t identity = 0;
    bool stays = false;     // a source, or what was found inside of one
    std::size_t users = 0;  // otherwise: how often it was added
  };

  // The mask of this identity, or the next one that no other device has.
  [[nodiscard]] std::uint64_t free_mask(std::uint64_t identity) const
      PMEM_REQUIRES_SHARED(mutex_);

  pmem::SharedMutex mutex_;
  std::map<dev_t, Known> known_ PMEM_GUARDED_BY(mutex_);
};

}  // namespace pmemfs
