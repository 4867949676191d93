// One inode of the mount, as the kernel sees it, whatever stands behind it.
//
// A Node is made by a lookup and lives until the kernel has forgotten all
// lookups of it, or longer where others are remembered by a name in it; the
// NodeTable owns it. Its members may be called from any
// thread, several at a time. What a kind of node cannot do answers with the
// errno that the base class gives.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "fs/anchor.h"
#include "fs/caller.h"
#include "fs/file_data.h"
#include "pmem/mutex.h"
#include "pmem/result.h"

namespace pmemfs {

class Node;

// What tells inodes apart.
struct InodeKey {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const InodeKey&) const = default;
};

// A node with what the kernel wants to know about it. Each Entry that reaches
// the kernel is one lookup, to be forgotten one day.
struct Entry {
  Node* node = nullptr;
  struct stat attributes = {};
  // What is behind the name may leave by itself, as a device: the kernel is to
  // ask again soon.
  bool may_vanish = false;
};

// One open(2) of a regular file.
struct OpenFile {
  std::shared_ptr<FileData> data;
  // Of what is not told with each request.
  Durability durability = Durability::kOfRegion;
  bool uses_backing_id = false;  // counted in the BackingId of its Region
};

struct CreatedFile {
  Entry entry;
  std::unique_ptr<OpenFile> file;
};

// What setattr(2)-like calls ask for; absent members stay as they are.
struct AttributeChange {
  std::optional<mode_t> mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<std::uint64_t> size_bytes;
  std::optional<struct timespec> atime;  // tv_nsec may be UTIME_NOW
  std::optional<struct timespec> mtime;
};

// One entry of a directory. `offset` is where reading goes on after it; `name`
// is valid until the stream is asked again.
struct DirectoryEntry {
  const char* name = "";
  std::uint64_t inode = 0;
  unsigned char type = 0;  // DT_*
  std::uint64_t offset = 0;
};

// One opendir(3). Whoever reads it holds mutex().
class DirectoryStream {
 public:
  DirectoryStream() = default;
  virtual ~DirectoryStream() = default;
  DirectoryStream(const DirectoryStream&) = delete;
  DirectoryStream& operator=(const DirectoryStream&) = delete;

  // The entry at an offset (0, or the `offset` of an entry seen before);
  // nothing at the end. Errors: those of getdents64(2).
  [[nodiscard]] virtual pmem::Result<std::optional<DirectoryEntry>> entry_at(
      std::uint64_t offset) PMEM_REQUIRES(mutex()) = 0;

  // fsync(2) of the directory.
  [[nodiscard]] virtual pmem::Result<void> sync(bool data_only) = 0;

  [[nodiscard]] pmem::Mutex& mutex() const
      PMEM_ANNOTATE(lock_returned(mutex_)) {
    return mutex_;
  }

 private:
  mutable pmem::Mutex mutex_;
};

class Node : public std::enable_shared_from_this<Node> {
 public:
  Node() = default;
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  [[nodiscard]] virtual pmem::Result<struct stat> attributes() = 0;
  // `file` is the open file through which the call came, or null.
  [[nodiscard]] virtual pmem::Result<struct stat> change_attributes(
      const AttributeChange& change, OpenFile* file, const Caller& caller);
  // Whether the attributes may change without a request that tells: somebody
  // can store into a mapping of the backing file.
  [[nodiscard]] virtual bool may_change_unseen() { return false; }
  [[nodiscard]] virtual pmem::Result<struct statvfs> file_system_status() = 0;

  // Directories. Unless they say otherwise: ENOTDIR for files, EPERM for
  // directories whose entries are fixed.
  [[nodiscard]] virtual pmem::Result<Entry> lookup(const char* name);
  [[nodiscard]] virtual pmem::Result<Entry> make_node(const char* name,
                                                      mode_t mode, dev_t device,
                                                      const Caller& caller);
  [[nodiscard]] virtual pmem::Result<Entry> make_directory(
      const char* name, mode_t mode, const Caller& caller);
  [[nodiscard]] virtual pmem::Result<Entry> make_symlink(const char* name,
                                                         const char* target,
                                                         const Caller& caller);
  // Gives `node` another name in this directory.
  [[nodiscard]] virtual pmem::Result<Entry> link(Node& node, const char* name,
                                                 const Caller& caller);
  [[nodiscard]] virtual pmem::Result<void> remove_file(const char* name,
                                                       const Caller& caller);
  [[nodiscard]] virtual pmem::Result<void> remove_directory(
      const char* name, const Caller& caller);
  // `flags` as in renameat2(2).
  [[nodiscard]] virtual pmem::Result<void> rename(const char* name, Node& to,
                                                  const char* new_name,
                                                  unsigned flags,
                                                  const Caller& caller);
  [[nodiscard]] virtual pmem::Result<CreatedFile> create(const char* name,
                                                         mode_t mode, int flags,
                                                         const Caller& caller);
  [[nodiscard]] virtual pmem::Result<CreatedFile> create_nameless(
      mode_t mode, int flags, const Caller& caller);
  [[nodiscard]] virtual pmem::Result<std::unique_ptr<DirectoryStream>>
  open_directory();

  // Files.
  [[nodiscard]] virtual pmem::Result<std::unique_ptr<OpenFile>> open(
      int flags, const Caller& caller);
  [[nodiscard]] virtual pmem::Result<std::string> read_link();

  // Extended attributes. The value, or the names each with its final NUL.
  [[nodiscard]] virtual pmem::Result<std::string> get_xattr(const char* name);
  [[nodiscard]] virtual pmem::Result<std::string> list_xattrs(
      const Caller& caller);
  [[nodiscard]] virtual pmem::Result<void> set_xattr(const char* name,
                                                     std::string_view value,
                                                     int flags,
                                                     const Caller& caller);
  [[nodiscard]] virtual pmem::Result<void> remove_xattr(const char* name,
                                                        const Caller& caller);

  // When it was made, where that is known.
  [[nodiscard]] virtual pmem::Result<std::optional<struct timespec>>
  birth_time();

  // ioctl(2) with a command about the inode; `in` are the bytes that it takes,
  // the result those that it gives. Errors: ENOTTY (none of those that are
  // passed on), and its own.
  [[nodiscard]] virtual pmem::Result<std::string> control(unsigned command,
                                                          std::string_view in,
                                                          std::size_t out_bytes,
                                                          const Caller& caller);

  // A descriptor that stands for this node in link() and rename() of another
  // node of the same kind; EXDEV for nodes that have none.
  [[nodiscard]] virtual pmem::Result<PathFd> path_fd() const;

  // Not that of any other node that has been at the same address.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  friend class NodeTable;

  InodeKey key_;
  std::uint64_t generation_ = 0;  // set by the table
  std::uint64_t lookups_ = 0;     // guarded by the table's mutex
};

}  // namespace pmemfs
