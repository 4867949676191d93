// All persistent memory of the machine as one directory: every Device DAX in
// dax/, and every file system that is mounted with DAX in fsdax/. Any thread.
#pragma once

#include <string>

#include "fs/dax_directory.h"
#include "fs/fsdax_directory.h"
#include "fs/mount_source.h"
#include "fs/node_table.h"

namespace pmemfs {

class DiscoverySource : public MountSource {
 public:
  DiscoverySource(DaxOptions dax, FsdaxOptions fsdax,
                  const SharedState& shared);

  [[nodiscard]] pmem::Result<Entry> root() override;
  [[nodiscard]] pmem::Result<struct statvfs> file_system_status()
      const override;
  [[nodiscard]] ino_t inode() const override;

 private:
  NodeTable& nodes_;
  DaxSource dax_;
  FsdaxSource fsdax_;
};

// What there is at the moment: "dax0.0, dax1.0 and the file system pmem2";
// empty when there is nothing.
[[nodiscard]] std::string discovered_in_words(
    const std::string& mountinfo_path = kMountinfoPath,
    const std::string& sysfs_root = pmem::kSysfsRoot);

}  // namespace pmemfs
