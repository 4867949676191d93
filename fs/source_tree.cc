#include "fs/source_tree.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "fs/source_node.h"

namespace pmemfs {

using pmem::fail_errno;
using pmem::Result;
using pmem::UniqueFd;

Result<std::shared_ptr<SourceTree>> SourceTree::create(
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
  return std::shared_ptr<SourceTree>(new SourceTree(
      std::move(fd), nullptr, status.st_dev, opens_by_handle, shared));
}

Result<std::shared_ptr<SourceTree>> SourceTree::create_visited(
    UniqueFd root, OpenRoot open_root, std::uint64_t identity,
    const SharedState& shared) {
  struct stat status = {};
  if (::fstat(root.get(), &status) != 0) {
    return fail_errno("fstat");
  }
  const bool opens_by_handle = can_open_by_handle(root.get());
  if (opens_by_handle) {
    root = UniqueFd();
  }
  shared.inode_numbers.add_file_system(status.st_dev, identity);
  return std::shared_ptr<SourceTree>(
      new SourceTree(std::move(root), std::move(open_root), status.st_dev,
                     opens_by_handle, shared));
}

SourceTree::~SourceTree() {
  if (open_root_ != nullptr) {
    shared_.inode_numbers.remove_file_system(device_);
  }
}

Result<PathFd> SourceTree::mount_fd() const {
  if (directory_fd_.valid()) {
    return PathFd(directory_fd_.get());
  }
  Result<UniqueFd> fd = open_root_();
  if (!fd) {
    return pmem::pass_on(fd);
  }
  return PathFd(std::move(*fd));
}

Result<Entry> SourceTree::root() {
  Result<PathFd> mount = mount_fd();
  if (!mount) {
    return pmem::pass_on(mount);
  }
  UniqueFd fd(::openat(mount->get(), ".", O_PATH | O_CLOEXEC));
  if (!fd.valid()) {
    return fail_errno("open");
  }
  return adopt(std::move(fd));
}

Result<Entry> SourceTree::adopt(UniqueFd path_fd,
                                const std::optional<SeenAt>& seen_at) {
  struct stat status = {};
  if (::fstat(path_fd.get(), &status) != 0) {
    return fail_errno("fstat");
  }
  const int fd = path_fd.get();
  // Handles lead nowhere on what is mounted inside the source.
  const HandleMount* mount =
      opens_by_handle_ && status.st_dev == device_ ? this : nullptr;
  const std::uint64_t shown_inode =
      shared_.inode_numbers.unique(status.st_dev, status.st_ino, fd);
  const auto is_same = [fd](const Node& node) {
    // Nodes with a device of their own are all of this kind.
    return static_cast<const SourceNode&>(node).is_same_inode(fd);
  };
  const auto make = [&] {
    return std::make_unique<SourceNode>(shared_from_this(), std::move(path_fd),
                                        mount, status.st_mode, seen_at);
  };
  Entry entry;
  entry.node =
      shared_.nodes.look_up({status.st_dev, status.st_ino}, is_same, make);
  if (seen_at) {
    static_cast<SourceNode*>(entry.node)->move_to(*seen_at);
  }
  entry.attributes = status;
  entry.attributes.st_ino = shown_inode;
  static_cast<SourceNode*>(entry.node)->bring_up_to_date(entry.attributes);
  return entry;
}

Result<struct statvfs> SourceTree::file_system_status() const {
  Result<PathFd> mount = mount_fd();
  if (!mount) {
    return pmem::pass_on(mount);
  }
  struct statvfs status = {};
  if (::fstatvfs(mount->get(), &status) != 0) {
    return fail_errno("fstatvfs");
  }
  return status;
}

bool SourceTree::is_stacked() const {
  // What is visited has DAX, and is none of these but virtiofs, which counts as
  // lying on nothing.
  struct statfs status = {};
  if (!directory_fd_.valid() || ::fstatfs(directory_fd_.get(), &status) != 0) {
    return false;
  }
  // FUSE tells nobody whether it passes through.
  return status.f_type == OVERLAYFS_SUPER_MAGIC ||
         status.f_type == ECRYPTFS_SUPER_MAGIC ||
         status.f_type == FUSE_SUPER_MAGIC;
}

ino_t SourceTree::inode() const {
  Result<PathFd> mount = mount_fd();
  Result<struct stat> status =
      mount ? attributes(mount->get()) : pmem::pass_on(mount);
  return status ? status->st_ino : 0;
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
