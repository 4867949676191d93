// One source of a mount, whatever kind it is: what stands under its name, or is
// the root of the mount. Any thread.
#pragma once

#include <dirent.h>
#include <sys/statvfs.h>

#include "fs/node.h"
#include "pmem/result.h"

namespace pmemfs {

class MountSource {
 public:
  MountSource() = default;
  virtual ~MountSource() = default;
  MountSource(const MountSource&) = delete;
  MountSource& operator=(const MountSource&) = delete;

  // The source's own node; counts one lookup. Errors: ENOENT (a device that is
  // gone), those of open(2).
  [[nodiscard]] virtual pmem::Result<Entry> root() = 0;

  // Whether a listing has it: a device may be gone.
  [[nodiscard]] virtual bool is_there() const { return true; }

  // statvfs(3) of what it shows.
  [[nodiscard]] virtual pmem::Result<struct statvfs> file_system_status()
      const = 0;

  // Whether it lies on a file system that is, or may be, stacked on another.
  [[nodiscard]] virtual bool is_stacked() const { return false; }

  // What a listing tells of the source's own node: its inode number, as far as
  // that is known, and DT_*.
  [[nodiscard]] virtual ino_t inode() const = 0;
  [[nodiscard]] virtual unsigned char type() const { return DT_DIR; }
};

}  // namespace pmemfs
