#include "fs/source_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "fs/source_node.h"

namespace pmemfs {

using pmem::fail_errno;
using pmem::Result;
using pmem::UniqueFd;

Result<std::unique_ptr<SourceTree>> SourceTree::create(
    const std::string& directory, std::uint16_t inode_tag,
    const SharedState& shared) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status = {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) {
    const int code = errno;
    return pmem::fail(code, "opening the source \"" + directory + "\"");
  }
  shared.inode_numbers.add_source(status.st_dev, inode_tag);
  const bool opens_by_handle = can_open_by_handle(fd.get());
  return std::unique_ptr<SourceTree>(
      new SourceTree(std::move(fd), status.st_dev, opens_by_handle, shared));
}

Result<Entry> SourceTree::root() {
  UniqueFd fd(::openat(directory_fd_.get(), ".", O_PATH | O_CLOEXEC));
  if (!fd.valid()) {
    return fail_errno("open");
  }
  return adopt(std::move(fd));
}

Result<Entry> SourceTree::adopt(UniqueFd path_fd) {
  struct stat status = {};
  if (::fstat(path_fd.get(), &status) != 0) {
    return fail_errno("fstat");
  }
  const int fd = path_fd.get();
  // Handles lead nowhere on what is mounted inside the source.
  const int mount_fd =
      opens_by_handle_ && status.st_dev == device_ ? directory_fd_.get() : -1;
  const std::uint64_t shown_inode =
      shared_.inode_numbers.unique(status.st_dev, status.st_ino, fd);
  const auto is_same = [fd](const Node& node) {
    // Nodes with a device of their own are all of this kind.
    return static_cast<const SourceNode&>(node).is_same_inode(fd);
  };
  const auto make = [&] {
    return std::make_unique<SourceNode>(*this, std::move(path_fd), mount_fd,
                                        status.st_mode);
  };
  Entry entry;
  entry.node =
      shared_.nodes.look_up({status.st_dev, status.st_ino}, is_same, make);
  entry.attributes = status;
  entry.attributes.st_ino = shown_inode;
  return entry;
}

Result<struct statvfs> SourceTree::file_system_status() const {
  struct statvfs status = {};
  if (::fstatvfs(directory_fd_.get(), &status) != 0) {
    return fail_errno("fstatvfs");
  }
  return status;
}

Result<struct stat> SourceTree::attributes(int fd) const {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) {
    return fail_errno("fstat");
  }
  status.st_ino =
      shared_.inode_numbers.unique(status.st_dev, status.st_ino, fd);
  return status;
}

}  // namespace pmemfs
