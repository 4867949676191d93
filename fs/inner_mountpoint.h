// A directory of a visited file system on which something else is mounted. It
// shows neither that nor what it covers: it is there, and empty. So a tree
// never leads out of its file system, nor back into our own mount.
//
// Immutable; any thread.
#pragma once

#include <memory>

#include "fs/node.h"
#include "fs/source_tree.h"

namespace pmemfs {

class InnerMountpoint : public Node {
 public:
  // `inode` is the number of the covered directory as the mount shows it.
  InnerMountpoint(std::shared_ptr<SourceTree> tree, ino_t inode)
      : tree_(std::move(tree)), inode_(inode) {}

  [[nodiscard]] pmem::Result<struct stat> attributes() override;
  [[nodiscard]] pmem::Result<struct statvfs> file_system_status() override;
  // ENOENT.
  [[nodiscard]] pmem::Result<Entry> lookup(const char* name) override;
  [[nodiscard]] pmem::Result<std::unique_ptr<DirectoryStream>> open_directory()
      override;

 private:
  const std::shared_ptr<SourceTree> tree_;
  const ino_t inode_;
};

// Whether something is mounted on the entry of a directory. Asks no file
// system, not even one that does not answer any more.
[[nodiscard]] bool is_mountpoint(int directory_fd, const char* name);

// The node of such an entry; counts one lookup. `directory_fd` is O_RDONLY.
// Errors: ENOENT (there is no such entry any more), EXDEV (it is no directory).
[[nodiscard]] pmem::Result<Entry> look_up_mountpoint(
    const std::shared_ptr<SourceTree>& tree, int directory_fd,
    const char* name);

}  // namespace pmemfs
