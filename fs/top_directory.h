// The root of a mount with several or named sources: a read-only directory with
// one entry per source. Immutable; any thread.
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

  explicit TopDirectory(std::vector<Member> members);

  pmem::Result<struct stat> attributes() override;
  // The sum over the sources' file systems, each counted once.
  pmem::Result<struct statvfs> file_system_status() override;
  pmem::Result<Entry> lookup(const char* name) override;
  pmem::Result<std::unique_ptr<DirectoryStream>> open_directory() override;

 private:
  std::vector<Member> members_;
  struct timespec made_;
};

}  // namespace pmemfs
