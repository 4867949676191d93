// A read-only directory with one entry per source: the root of a mount with
// several or named sources, and what discovery shows. Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fs/mount_source.h"
#include "fs/node.h"

namespace pmemfs {

class TopDirectory : public Node {
 public:
  struct Member {
    std::string name;
    MountSource* source = nullptr;
  };

  TopDirectory(ino_t inode, std::vector<Member> members);

  pmem::Result<struct stat> attributes() override;
  // The sum over the sources' file systems, each counted once.
  pmem::Result<struct statvfs> file_system_status() override;
  pmem::Result<Entry> lookup(const char* name) override;
  pmem::Result<std::unique_ptr<DirectoryStream>> open_directory() override;

 private:
  const ino_t inode_;  // of own_inodes.h
  const std::vector<Member> members_;
  struct timespec made_;
};

}  // namespace pmemfs
