// One directory source, and its inodes as Nodes.
//
// Everything is reached from the source's root by single names, relative to a
// descriptor of the directory that holds them (openat2 with RESOLVE_BENEATH),
// so that nothing outside can be reached and no path strings are kept.
//
// A source that was named at the start is held: its root stays open. A file
// system that was discovered is visited: its root is opened for each use, and
// its inodes are remembered by their handles, so that it can be unmounted as
// long as nobody has a file of it open. (Where there are no handles, its
// inodes hold it after all, until the kernel forgets them.) Nothing that is
// mounted inside of it is entered.
//
// Its nodes share a tree; it goes with the last of them and whoever else has
// it. A SourceTree is immutable after its creation; any thread.
// Source: openat2(2), path_resolution(7), open_by_handle_at(2).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "fs/anchor.h"
#include "fs/inode_numbers.h"
#include "fs/mount_source.h"
#include "fs/node.h"
#include "fs/node_table.h"
#include "pmem/result.h"
#include "pmem/unique_fd.h"

namespace pmemfs {

// What all nodes of a mount share; outlives them.
struct SharedState {
  bool list_virtual_xattrs = true;
  AnchorPool& anchors;
  InodeNumbers& inode_numbers;
  NodeTable& nodes;
};

class SourceTree : public MountSource,
                   public HandleMount,
                   public std::enable_shared_from_this<SourceTree> {
 public:
  // Opens the root of a file system for reading, where it is mounted now.
  // Errors: ESTALE (nowhere), and those of open(2).
  using OpenRoot = std::function<pmem::Result<pmem::UniqueFd>()>;

  // A source that is held. Errors: those of open(2) with O_DIRECTORY: ENOENT,
  // EACCES, ENOTDIR.
  [[nodiscard]] static pmem::Result<std::shared_ptr<SourceTree>> create(
      const std::string& directory, std::uint16_t inode_tag,
      const SharedState& shared);

  // One that is visited. `root` is what open_root() gave; `identity` as in
  // InodeNumbers. Errors: those of fstat(2).
  [[nodiscard]] static pmem::Result<std::shared_ptr<SourceTree>> create_visited(
      pmem::UniqueFd root, OpenRoot open_root, std::uint64_t identity,
      const SharedState& shared);

  ~SourceTree() override;

  // The source's own directory; counts one lookup.
  [[nodiscard]] pmem::Result<Entry> root() override;

  // The node of what the O_PATH descriptor refers to, and the name that it has
  // just been seen by, if any; counts one lookup.
  [[nodiscard]] pmem::Result<Entry> adopt(
      pmem::UniqueFd path_fd,
      const std::optional<SeenAt>& seen_at = std::nullopt);

  // statvfs(3) of the source's file system.
  [[nodiscard]] pmem::Result<struct statvfs> file_system_status()
      const override;
  [[nodiscard]] bool is_stacked() const override;
  [[nodiscard]] ino_t inode() const override;

  // fstat(2) with the inode number that the mount shows.
  [[nodiscard]] pmem::Result<struct stat> attributes(int fd) const;

  [[nodiscard]] pmem::Result<PathFd> mount_fd() const override;
  [[nodiscard]] bool must_not_be_held() const override {
    return open_root_ != nullptr;
  }

  // Whether what is mounted inside belongs to it.
  [[nodiscard]] bool enters_mounts() const { return open_root_ == nullptr; }

  [[nodiscard]] const SharedState& shared() const { return shared_; }

 private:
  SourceTree(pmem::UniqueFd directory_fd, OpenRoot open_root, dev_t device,
             bool opens_by_handle, const SharedState& shared)
      : directory_fd_(std::move(directory_fd)),
        open_root_(std::move(open_root)),
        device_(device),
        opens_by_handle_(opens_by_handle),
        shared_(shared) {}

  // O_RDONLY, as handles want it; none where the root is opened for each use.
  const pmem::UniqueFd directory_fd_;
  const OpenRoot open_root_;  // of what is visited
  const dev_t device_;
  const bool opens_by_handle_;
  const SharedState shared_;
};

}  // namespace pmemfs
