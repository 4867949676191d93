// The file system as one object: its sources, its nodes and its options. All
// state hangs from here; fuse_ops reaches it through fuse_req_userdata.
//
// create() opens the sources and makes no thread; after that every member may
// be called from any thread.
#pragma once

#include <memory>
#include <vector>

#include "fs/anchor.h"
#include "fs/handle_table.h"
#include "fs/inode_numbers.h"
#include "fs/mount_source.h"
#include "fs/node.h"
#include "fs/node_table.h"
#include "fs/options.h"
#include "pmem/result.h"

namespace pmemfs {

class FileSystem {
 public:
  // Errors: those of opening a source directory (ENOENT, EACCES, ENOTDIR), and
  // EINVAL for no source, or for several of which one has no name.
  [[nodiscard]] static pmem::Result<std::unique_ptr<FileSystem>> create(
      FileSystemOptions options);

  // The node of the mount's root; it is never forgotten.
  [[nodiscard]] Node& root() { return *root_; }
  [[nodiscard]] NodeTable& nodes() { return nodes_; }
  [[nodiscard]] HandleTable<OpenFile>& open_files() { return open_files_; }
  [[nodiscard]] HandleTable<DirectoryStream>& open_directories() {
    return open_directories_;
  }
  [[nodiscard]] const FileSystemOptions& options() const { return options_; }

  // Whether a source lies on a file system that may be stacked on another, as
  // overlayfs. (What is mounted inside of a source does not count.)
  [[nodiscard]] bool has_stacked_source() const;

  // Whether reading a directory may look its entries up in advance: each costs
  // a descriptor.
  [[nodiscard]] bool may_look_ahead() const { return !anchors_.is_full(); }

  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  ~FileSystem() = default;

 private:
  explicit FileSystem(FileSystemOptions options);

  pmem::Result<std::shared_ptr<MountSource>> make_source(const SourceSpec& spec,
                                                         std::uint16_t tag);

  FileSystemOptions options_;
  AnchorPool anchors_;
  InodeNumbers inode_numbers_;
  std::vector<std::shared_ptr<MountSource>> sources_;
  NodeTable nodes_;  // after what its nodes refer to
  HandleTable<OpenFile> open_files_;
  HandleTable<DirectoryStream> open_directories_;
  std::unique_ptr<Node> top_;  // where the root is no source's own directory
  Node* root_ = nullptr;
};

}  // namespace pmemfs
