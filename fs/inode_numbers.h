// Inode numbers that are unique in the mount and the same at each mount.
//
// The number of the backing file is kept, and its upper 16 bits are mixed with
// a tag of its device: nothing for a mount's only source, 1, 2, ... for several
// in the order of the command line, and a hash of the file system's own
// identifier for what is mounted somewhere inside a source.
//
// add_source() comes before the threads; unique() may be called from any of
// them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>

#include "pmem/mutex.h"

namespace pmemfs {

class InodeNumbers {
 public:
  // `tag`: 0 for an only source, else its position from 1 on. A device that is
  // known already keeps its tag.
  void add_source(dev_t device, std::uint16_t tag);

  // `fd` refers to a file of the device; it is asked when the device is new.
  [[nodiscard]] std::uint64_t unique(dev_t device, ino_t inode, int fd)
      PMEM_EXCLUDES(mutex_);

 private:
  pmem::SharedMutex mutex_;
  std::map<dev_t, std::uint64_t> masks_ PMEM_GUARDED_BY(mutex_);
};

}  // namespace pmemfs
