#include "fs/inner_mountpoint.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include "fs/listed_directory.h"
#include "fs/source_directory.h"

namespace pmemfs {

using pmem::fail;
using pmem::Result;

Result<struct stat> InnerMountpoint::attributes() {
  struct stat status = {};
  status.st_ino = inode_;
  status.st_mode = S_IFDIR | 0555;
  status.st_nlink = 2;
  status.st_uid = ::geteuid();
  status.st_gid = ::getegid();
  status.st_blksize = 4096;
  return status;
}

Result<struct statvfs> InnerMountpoint::file_system_status() {
  return tree_->file_system_status();
}

Result<Entry> InnerMountpoint::lookup(const char* /*name*/) {
  return fail(ENOENT, "lookup");
}

Result<std::unique_ptr<DirectoryStream>> InnerMountpoint::open_directory() {
  return std::make_unique<ListedDirectory>(std::vector<ListedDirectory::Item>{
      {".", inode_, DT_DIR}, {"..", inode_, DT_DIR}});
}

bool is_mountpoint(int directory_fd, const char* name) {
  struct statx status = {};
  constexpr int kFlags =
      AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  return ::statx(directory_fd, name, kFlags, 0, &status) == 0 &&
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

// What is covered can only be seen in the listing of its directory.
Result<Entry> look_up_mountpoint(const std::shared_ptr<SourceTree>& tree,
                                 int directory_fd, const char* name) {
  struct stat directory = {};
  pmem::UniqueFd fd(::openat(directory_fd, ".", O_RDONLY | O_CLOEXEC));
  if (!fd.valid() || ::fstat(fd.get(), &directory) != 0) {
    return pmem::fail_errno("lookup of a mountpoint");
  }
  const std::unique_ptr<DirectoryStream> stream =
      make_source_directory_stream(std::move(fd), directory.st_dev, tree);
  const pmem::Lock lock(stream->mutex());
  std::uint64_t offset = 0;
  for (;;) {
    const Result<std::optional<DirectoryEntry>> found =
        stream->entry_at(offset);
    if (!found || !*found) {
      return fail(ENOENT, "lookup of a mountpoint");
    }
    const DirectoryEntry& listed = **found;
    offset = listed.offset;
    if (std::string_view(listed.name) != name) {
      continue;
    }
    if (listed.type != DT_DIR) {
      return fail(EXDEV, "lookup of a mountpoint");
    }
    const ino_t inode = listed.inode;
    // Nodes without a device of their own are all of this file.
    const auto is_same = [](const Node&) { return true; };
    const auto make = [&] {
      return std::make_unique<InnerMountpoint>(tree, inode);
    };
    Entry entry;
    entry.node = tree->shared().nodes.look_up({0, inode}, is_same, make);
    entry.may_vanish = true;
    const Result<struct stat> status =
        InnerMountpoint(tree, inode).attributes();
    entry.attributes = *status;
    return entry;
  }
}

}  // namespace pmemfs
