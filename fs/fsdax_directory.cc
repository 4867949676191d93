#include "fs/fsdax_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "fs/listed_directory.h"
#include "fs/own_inodes.h"

namespace pmemfs {
namespace {

using pmem::fail;
using pmem::fail_errno;
using pmem::pass_on;
using pmem::Result;
using pmem::UniqueFd;

// Opens the root of a file system again and again: where it was found the last
// time or, when it is not there any more, where the mount table says.
class RootFinder {
 public:
  RootFinder(dev_t device, FsdaxOptions options, std::string path)
      : device_(device), options_(std::move(options)), path_(std::move(path)) {}

  Result<UniqueFd> open() PMEM_EXCLUDES(mutex_) {
    Result<OpenedMount> opened = open_mount({last_place()});
    if (!opened) {
      for (const DaxFileSystem& one : dax_file_systems(
               read_mountinfo(options_.mountinfo_path), options_.sysfs_root)) {
        if (one.device == device_) {
          opened = open_mount(one.mounts);
        }
      }
    }
    if (!opened) {
      return pass_on(opened);
    }
    const pmem::Lock lock(mutex_);
    path_ = opened->path;
    return std::move(opened->fd);
  }

 private:
  Mount last_place() PMEM_EXCLUDES(mutex_) {
    const pmem::Lock lock(mutex_);
    Mount place;
    place.device = device_;
    place.mount_point = path_;
    return place;
  }

  const dev_t device_;
  const FsdaxOptions options_;

  pmem::Mutex mutex_;
  std::string path_ PMEM_GUARDED_BY(mutex_);
};

constexpr unsigned long kBlockBytes = 4096;

void add(struct statvfs& sum, const struct statvfs& one) {
  const auto in_our_blocks = [&](fsblkcnt_t blocks) {
    return blocks * one.f_frsize / sum.f_frsize;
  };
  sum.f_blocks += in_our_blocks(one.f_blocks);
  sum.f_bfree += in_our_blocks(one.f_bfree);
  sum.f_bavail += in_our_blocks(one.f_bavail);
  sum.f_files += one.f_files;
  sum.f_ffree += one.f_ffree;
  sum.f_favail += one.f_favail;
}

}  // namespace

// --- the source -------------------------------------------------------------

std::vector<DaxFileSystem> FsdaxSource::file_systems() const {
  return dax_file_systems(read_mountinfo(options_.mountinfo_path),
                          options_.sysfs_root);
}

Result<Entry> FsdaxSource::root() {
  // Nodes without a device of their own are all of this file.
  const auto is_same = [](const Node&) { return true; };
  const auto make = [&] { return std::make_unique<FsdaxDirectory>(*this); };
  Entry entry;
  entry.node = shared_.nodes.look_up({0, kFsdaxInode}, is_same, make);
  Result<struct stat> status = entry.node->attributes();
  if (!status) {
    return pass_on(status);
  }
  entry.attributes = *status;
  return entry;
}

Result<struct statvfs> FsdaxSource::file_system_status() const {
  struct statvfs sum = {};
  sum.f_bsize = sum.f_frsize = kBlockBytes;
  sum.f_namemax = 255;
  sum.f_fsid = kFsdaxInode;  // not that of the devices, which have none
  for (const DaxFileSystem& one : file_systems()) {
    struct statvfs status = {};
    const Result<OpenedMount> opened = open_mount(one.mounts);
    if (opened && ::fstatvfs(opened->fd.get(), &status) == 0) {
      add(sum, status);
    }
  }
  return sum;
}

ino_t FsdaxSource::inode() const { return kFsdaxInode; }

Result<Entry> FsdaxSource::look_up(const std::string& name) {
  const std::vector<DaxFileSystem> found = file_systems();
  const auto named =
      std::find_if(found.begin(), found.end(),
                   [&](const DaxFileSystem& one) { return one.name == name; });
  if (named == found.end()) {
    return fail(ENOENT, "lookup of a file system");
  }
  Result<OpenedMount> opened = open_mount(named->mounts);
  if (!opened) {
    // The kernel would take ESTALE for a sign to ask once more.
    const int code = opened.error().code;
    return fail(code == ESTALE ? ENOENT : code, opened.error().doing);
  }
  UniqueFd path_fd(::openat(opened->fd.get(), ".", O_PATH | O_CLOEXEC));
  if (!path_fd.valid()) {
    return fail_errno("open");
  }
  Result<std::shared_ptr<SourceTree>> tree =
      tree_of(*named, std::move(opened->fd), opened->path);
  if (!tree) {
    return pass_on(tree);
  }
  Result<Entry> entry = (*tree)->adopt(std::move(path_fd));
  if (entry) {
    entry->may_vanish = true;
  }
  return entry;
}

Result<std::shared_ptr<SourceTree>> FsdaxSource::tree_of(
    const DaxFileSystem& file_system, UniqueFd root, const std::string& path) {
  const std::uint64_t identity = identity_of(file_system, root.get());
  const pmem::Lock lock(mutex_);
  std::erase_if(known_,
                [](const auto& known) { return known.second.tree.expired(); });
  Known& known = known_[file_system.device];
  std::shared_ptr<SourceTree> tree = known.tree.lock();
  if (tree != nullptr && known.identity == identity) {
    return tree;
  }
  const auto finder =
      std::make_shared<RootFinder>(file_system.device, options_, path);
  Result<std::shared_ptr<SourceTree>> made = SourceTree::create_visited(
      std::move(root), [finder] { return finder->open(); }, identity, shared_);
  if (made) {
    known = {*made, identity};
  }
  return made;
}

// --- the directory ----------------------------------------------------------

FsdaxDirectory::FsdaxDirectory(FsdaxSource& source) : source_(source) {
  ::clock_gettime(CLOCK_REALTIME, &made_);
}

Result<struct stat> FsdaxDirectory::attributes() {
  struct stat status = {};
  status.st_ino = kFsdaxInode;
  status.st_mode = S_IFDIR | 0555;
  status.st_nlink = 2 + source_.file_systems().size();
  status.st_uid = ::geteuid();
  status.st_gid = ::getegid();
  status.st_blksize = kBlockBytes;
  status.st_atim = status.st_mtim = status.st_ctim = made_;
  return status;
}

Result<struct statvfs> FsdaxDirectory::file_system_status() {
  return source_.file_system_status();
}

Result<Entry> FsdaxDirectory::lookup(const char* name) {
  return source_.look_up(name);
}

Result<std::unique_ptr<DirectoryStream>> FsdaxDirectory::open_directory() {
  std::vector<ListedDirectory::Item> items = {{".", kFsdaxInode, DT_DIR},
                                              {"..", kFsdaxInode, DT_DIR}};
  for (const DaxFileSystem& one : source_.file_systems()) {
    const Result<OpenedMount> opened = open_mount(one.mounts);
    if (!opened && opened.error().code == ESTALE) {
      continue;  // others are mounted over it
    }
    struct stat status = {};
    std::uint64_t inode = kFsdaxInode;
    if (opened && ::fstat(opened->fd.get(), &status) == 0) {
      inode = source_.shared().inode_numbers.expected(
          one.device, status.st_ino, identity_of(one, opened->fd.get()));
    }
    items.push_back({one.name, inode, DT_DIR});
  }
  return std::make_unique<ListedDirectory>(std::move(items));
}

}  // namespace pmemfs
