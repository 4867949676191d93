// One directory source, and its inodes as Nodes.
//
// Everything is reached from the source's root by single names, relative to a
// descriptor of the directory that holds them (openat2 with RESOLVE_BENEATH),
// so that nothing outside can be reached and no path strings are kept.
//
// A SourceTree is immutable after create(); any thread.
// Source: openat2(2), path_resolution(7).
#pragma once

#include <memory>
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

class SourceTree : public MountSource {
 public:
  // Errors: those of open(2) with O_DIRECTORY: ENOENT, EACCES, ENOTDIR.
  [[nodiscard]] static pmem::Result<std::unique_ptr<SourceTree>> create(
      const std::string& directory, std::uint16_t inode_tag,
      const SharedState& shared);

  // The source's own directory; counts one lookup.
  [[nodiscard]] pmem::Result<Entry> root() override;

  // The node of what the O_PATH descriptor refers to; counts one lookup.
  [[nodiscard]] pmem::Result<Entry> adopt(pmem::UniqueFd path_fd);

  // statvfs(3) of the source's file system.
  [[nodiscard]] pmem::Result<struct statvfs> file_system_status()
      const override;

  // fstat(2) with the inode number that the mount shows.
  [[nodiscard]] pmem::Result<struct stat> attributes(int fd) const;

  [[nodiscard]] const SharedState& shared() const { return shared_; }

 private:
  SourceTree(pmem::UniqueFd directory_fd, dev_t device, bool opens_by_handle,
             const SharedState& shared)
      : directory_fd_(std::move(directory_fd)),
        device_(device),
        opens_by_handle_(opens_by_handle),
        shared_(shared) {}

  pmem::UniqueFd directory_fd_;  // O_RDONLY, as handles want it
  dev_t device_;
  bool opens_by_handle_;
  SharedState shared_;
};

}  // namespace pmemfs
