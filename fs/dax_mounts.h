// The file systems that are mounted with DAX, picked from the mount table and
// named. Values; any thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "fs/mountinfo.h"
#include "pmem/result.h"
#include "pmem/unique_fd.h"

namespace pmemfs {

struct DaxFileSystem {
  // That of its block device ("pmem0", "pmem0p1", of device mapper the name
  // there), else the last part of its source. Of several that would have the
  // same, all but the first get a suffix made of their type and source: the
  // same file systems have the same names, however they were mounted.
  std::string name;
  dev_t device = 0;  // st_dev of its files
  std::string type;
  std::string source;
  bool is_by_file = false;    // dax=inode: each file has its own flag
  std::vector<Mount> mounts;  // never empty; what shows most of it comes first
};

// Whether the file system is mounted with dax, dax=always or dax=inode.
[[nodiscard]] bool is_mounted_with_dax(const Mount& mount);

// The mounts but for those at or below a mount of pmemfs: the way there leads
// through ourselves, or through a daemon that does not answer any more.
[[nodiscard]] std::vector<Mount> not_below_pmemfs(
    const std::vector<Mount>& mounts);

// Each file system once, in the order of the names, without what is mounted
// at or below a mount of pmemfs.
[[nodiscard]] std::vector<DaxFileSystem> dax_file_systems(
    const std::vector<Mount>& mounts, const std::string& sysfs_root);

// Of one block device: what the kernel or device mapper calls it; empty for
// numbers that no block device has.
[[nodiscard]] std::string block_device_name(dev_t device,
                                            const std::string& sysfs_root);

// What shows most of its file system comes first.
[[nodiscard]] std::vector<Mount> best_first(std::vector<Mount> mounts);

// A directory of the file system, opened for reading where one of its mounts
// can be reached. Errors: ESTALE (none can: it is unmounted, or others hide
// it), EACCES and the others of open(2).
struct OpenedMount {
  pmem::UniqueFd fd;
  std::string path;
};
[[nodiscard]] pmem::Result<OpenedMount> open_mount(
    const std::vector<Mount>& mounts);

// What stays the same of the file system whenever it is mounted: the number
// that it gives itself or, where it has none, its type and source.
[[nodiscard]] std::uint64_t identity_of(const DaxFileSystem& file_system,
                                        int fd);

}  // namespace pmemfs
