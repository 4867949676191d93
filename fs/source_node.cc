#include "fs/source_node.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdio>

#include "fs/child.h"
#include "fs/file_xattrs.h"
#include "fs/inner_mountpoint.h"
#include "fs/inode_control.h"
#include "fs/proc_path.h"
#include "fs/source_directory.h"
#include "fs/xattr_table.h"

namespace pmemfs {
namespace {

using pmem::Access;
using pmem::fail;
using pmem::fail_errno;
using pmem::pass_on;
using pmem::Result;
using pmem::UniqueFd;

UniqueFd reopen(int path_fd, int flags) {
  return UniqueFd(::open(ProcPath(path_fd).c_str(), flags | O_CLOEXEC));
}

Result<void> check(int status, const char* doing) {
  if (status != 0) {
    return fail_errno(doing);
  }
  return {};
}

Result<void> change_mode(int path_fd, mode_t mode) {
  return check(::chmod(ProcPath(path_fd).c_str(), mode), "chmod");
}

Result<void> change_owner(int path_fd, const AttributeChange& change) {
  constexpr auto kSame = static_cast<uid_t>(-1);
  return check(::fchownat(path_fd, "", change.uid.value_or(kSame),
                          change.gid.value_or(kSame),
                          AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW),
               "chown");
}

bool is_empty(const AttributeChange& change) {
  return !change.mode && !change.uid && !change.gid && !change.size_bytes &&
         !change.atime && !change.mtime;
}

// What chown(2) to -1 and -1 does, of set-id bits, too: the kernel hands that
// on as a change of nothing. So it does when somebody who may write takes the
// bits away by writing; who does not own the file may do that, but not by
// chown. He gets no error, and the write itself takes them away.
void touch_owner(int path_fd) {
  constexpr auto kSame = static_cast<uid_t>(-1);
  [[maybe_unused]] const int ignored = ::fchownat(
      path_fd, "", kSame, kSame, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
}

// Of chattr(1): what an immutable or append-only file does not let even its
// owner do. A region that is open already would let him.
// Source: may_open() and inode_permission() of Linux.
Result<void> check_inode_flags(const Node& node, int open_flags) {
  const bool truncates = (open_flags & O_TRUNC) != 0;
  const bool writes = (open_flags & O_ACCMODE) != O_RDONLY;
  if (!truncates && !writes) {
    return {};
  }
  Result<PathFd> fd = node.path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  struct statx facts = {};
  if (::statx(fd->get(), "", AT_EMPTY_PATH, STATX_TYPE, &facts) != 0) {
    return fail_errno("statx");
  }
  const auto has = [&facts](std::uint64_t flag) {
    return (facts.stx_attributes & flag) != 0;
  };
  const bool appends = (open_flags & O_APPEND) != 0 && !truncates;
  if (has(STATX_ATTR_IMMUTABLE) || (has(STATX_ATTR_APPEND) && !appends)) {
    return fail(EPERM, "open");
  }
  return {};
}

Result<void> change_times(int path_fd, const AttributeChange& change) {
  constexpr struct timespec kSame = {.tv_sec = 0, .tv_nsec = UTIME_OMIT};
  const std::array times = {change.atime.value_or(kSame),
                            change.mtime.value_or(kSame)};
  return check(::utimensat(path_fd, "", times.data(), AT_EMPTY_PATH),
               "utimensat");
}

bool is_trusted(std::string_view name) { return name.starts_with("trusted."); }

// Among names of which each has its final NUL.
bool has_trusted_xattr(std::string_view names) {
  return is_trusted(names) || names.find(std::string_view("\0trusted.", 9)) !=
                                  std::string_view::npos;
}

}  // namespace

// --- attributes
// ---------------------------------------------------------------

Result<PathFd> SourceNode::path_fd() const {
  Result<PathFd> fd = anchor_.open();
  if (fd) {
    return fd;
  }
  const std::shared_ptr<Region> region = open_region();
  if (region == nullptr || region->backing_fd() < 0) {
    return fd;
  }
  return PathFd(region->backing_fd(), region);
}

Result<struct stat> SourceNode::attributes() {
  const std::shared_ptr<Region> region = open_region();
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  if (region == nullptr) {
    return tree_->attributes(fd->get());
  }
  region->note_times_seen();
  Result<struct stat> status = tree_->attributes(fd->get());
  if (status) {
    status->st_size = static_cast<off_t>(
        region->visible_size(static_cast<std::uint64_t>(status->st_size)));
  }
  return status;
}

void SourceNode::bring_up_to_date(struct stat& status) {
  const std::shared_ptr<Region> region =
      type_ == S_IFREG ? open_region() : nullptr;
  if (region == nullptr) {
    return;
  }
  region->note_times_seen();
  const ino_t shown_inode = status.st_ino;
  struct stat current = {};
  if (::fstat(region->backing_fd(), &current) == 0) {
    status = current;
    status.st_ino = shown_inode;
  }
  status.st_size = static_cast<off_t>(
      region->visible_size(static_cast<std::uint64_t>(status.st_size)));
}

bool SourceNode::may_change_unseen() {
  const std::shared_ptr<Region> region = open_region();
  return region != nullptr && region->may_be_written() &&
         region->backing_id().is_used();
}

Result<std::optional<struct timespec>> SourceNode::birth_time() {
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  struct statx facts = {};
  if (::statx(fd->get(), "", AT_EMPTY_PATH, STATX_BTIME, &facts) != 0) {
    return fail_errno("statx");
  }
  if ((facts.stx_mask & STATX_BTIME) == 0) {
    return std::nullopt;
  }
  return timespec{.tv_sec = facts.stx_btime.tv_sec,
                  .tv_nsec = facts.stx_btime.tv_nsec};
}

Result<std::string> SourceNode::control(unsigned command, std::string_view in,
                                        std::size_t out_bytes,
                                        const Caller& caller) {
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  Result<std::string> given =
      control_inode(fd->get(), command, in, out_bytes, caller);
  const std::shared_ptr<Region> region = given ? open_region() : nullptr;
  if (region != nullptr) {
    region->learn_durability();
  }
  return given;
}

Result<struct stat> SourceNode::change_attributes(const AttributeChange& change,
                                                  OpenFile* file,
                                                  const Caller& caller) {
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  // As the daemon: opening by handle is not for everybody. The kernel has seen
  // that the caller may write.
  Result<std::shared_ptr<Region>> to_cut;
  if (change.size_bytes && file == nullptr) {
    to_cut = region_for(Access::kReadWrite);
    if (!to_cut) {
      return pass_on(to_cut);
    }
  }
  Result<void> done;
  {
    const CallerScope as_caller(caller);
    if (change.mode) {
      done = change_mode(fd->get(), *change.mode);
    }
    if (done && (change.uid || change.gid)) {
      done = change_owner(fd->get(), change);
    }
    if (is_empty(change)) {
      touch_owner(fd->get());
    }
    if (done && change.size_bytes) {
      done = file != nullptr ? file->data->truncate(*change.size_bytes)
                             : (*to_cut)->truncate_by_name(*change.size_bytes);
    }
    if (done && (change.atime || change.mtime)) {
      done = change_times(fd->get(), change);
    }
  }
  if (!done) {
    return pass_on(done);
  }
  return attributes();
}

Result<struct statvfs> SourceNode::file_system_status() {
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  struct statvfs status = {};
  if (::fstatvfs(fd->get(), &status) != 0) {
    return fail_errno("fstatvfs");
  }
  return status;
}

// --- names
// --------------------------------------------------------------------

Result<Entry> SourceNode::lookup(const char* name) {
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  const bool enters_mounts = tree_->enters_mounts();
  UniqueFd child = open_child(fd->get(), name, enters_mounts);
  if (!child.valid()) {
    const int code = errno;
    if (!enters_mounts && is_mountpoint(fd->get(), name)) {
      return look_up_mountpoint(tree_, fd->get(), name);
    }
    return fail(code, "lookup");
  }
  return tree_->adopt(std::move(child), SeenAt{*this, name});
}

// Makes something of a type (S_IF...) in this directory, as the caller;
// `make(directory)` is the system call.
template <typename Make>
Result<Entry> SourceNode::make_entry(const char* name, mode_t type,
                                     const Caller& caller, const Make& make,
                                     const char* doing) {
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  {
    const CallerScope as_caller(caller);
    if (make(fd->get()) != 0) {
      return fail_errno(doing);
    }
  }
  Result<Entry> entry = lookup(name);
  // Somebody beneath has put another thing in its place already. ESTALE makes
  // the kernel try once more, and find that.
  if (entry && (entry->attributes.st_mode & S_IFMT) != (type & S_IFMT)) {
    tree_->shared().nodes.forget(*entry->node, 1);
    return fail(ESTALE, doing);
  }
  return entry;
}

Result<Entry> SourceNode::make_node(const char* name, mode_t mode, dev_t device,
                                    const Caller& caller) {
  const auto make = [&](int directory) {
    return ::mknodat(directory, name, mode, device);
  };
  const mode_t type = (mode & S_IFMT) != 0 ? mode : S_IFREG;
  return make_entry(name, type, caller, make, "mknod");
}

Result<Entry> SourceNode::make_directory(const char* name, mode_t mode,
                                         const Caller& caller) {
  const auto make = [&](int directory) {
    return ::mkdirat(directory, name, mode);
  };
  return make_entry(name, S_IFDIR, caller, make, "mkdir");
}

Result<Entry> SourceNode::make_symlink(const char* name, const char* target,
                                       const Caller& caller) {
  const auto make = [&](int directory) {
    return ::symlinkat(target, directory, name);
  };
  return make_entry(name, S_IFLNK, caller, make, "symlink");
}

Result<Entry> SourceNode::link(Node& node, const char* name,
                               const Caller& caller) {
  Result<PathFd> file = node.path_fd();
  if (!file) {
    return pass_on(file);
  }
  const auto make = [&](int directory) {
    return ::linkat(AT_FDCWD, ProcPath(file->get()).c_str(), directory, name,
                    AT_SYMLINK_FOLLOW);
  };
  struct stat status = {};
  if (::fstat(file->get(), &status) != 0) {
    return fail_errno("link");
  }
  return make_entry(name, status.st_mode, caller, make, "link");
}

Result<void> SourceNode::remove(const char* name, int flags,
                                const Caller& caller) {
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  UniqueFd victim = open_victim(fd->get(), name);
  const SeenAt lost_name = {*this, name};
  Result<void> done;
  {
    const CallerScope as_caller(caller);
    done = check(::unlinkat(fd->get(), name, flags), "unlink");
  }
  if (done) {
    hold_if_lost(std::move(victim), lost_name);
  }
  return done;
}

// What is about to lose a name, if it may be known by nothing but that.
UniqueFd SourceNode::open_victim(int directory, const char* name) const {
  return tree_->shared().anchors.has_others()
             ? open_child(directory, name, tree_->enters_mounts())
             : UniqueFd();
}

void SourceNode::hold_if_lost(UniqueFd fd, const SeenAt& lost_name) const {
  struct stat status = {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) {
    return;
  }
  const auto is_same = [&](const Node& node) {
    return static_cast<const SourceNode&>(node).is_same_inode(fd.get());
  };
  const std::shared_ptr<Node> node =
      tree_->shared().nodes.find({status.st_dev, status.st_ino}, is_same);
  if (node == nullptr) {
    return;
  }
  const Anchor& anchor = static_cast<const SourceNode&>(*node).anchor_;
  const bool has_other_names = status.st_nlink > 0 && !S_ISDIR(status.st_mode);
  if (!has_other_names || anchor.is_at(lost_name)) {
    anchor.hold(std::move(fd));
  }
}

Result<void> SourceNode::remove_file(const char* name, const Caller& caller) {
  return remove(name, 0, caller);
}

Result<void> SourceNode::remove_directory(const char* name,
                                          const Caller& caller) {
  return remove(name, AT_REMOVEDIR, caller);
}

Result<void> SourceNode::rename(const char* name, Node& to,
                                const char* new_name, unsigned flags,
                                const Caller& caller) {
  Result<PathFd> from_fd = path_fd();
  Result<PathFd> to_fd = to.path_fd();
  if (!from_fd || !to_fd) {
    return pass_on(!from_fd ? from_fd : to_fd);
  }
  UniqueFd victim = (flags & RENAME_EXCHANGE) == 0
                        ? open_victim(to_fd->get(), new_name)
                        : UniqueFd();
  {
    const CallerScope as_caller(caller);
    if (::renameat2(from_fd->get(), name, to_fd->get(), new_name, flags) != 0) {
      return fail_errno("rename");
    }
  }
  hold_if_lost(std::move(victim), {to, new_name});
  if (tree_->shared().anchors.has_places()) {
    // Who was remembered by the old name is by the new one, now.
    see_again(to, new_name);
    if ((flags & RENAME_EXCHANGE) != 0) {
      see_again(*this, name);
    }
  }
  return {};
}

void SourceNode::see_again(Node& directory, const char* name) {
  const Result<Entry> seen = directory.lookup(name);
  if (seen) {
    tree_->shared().nodes.forget(*seen->node, 1);
  }
}

Result<std::string> SourceNode::read_link() {
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  std::array<char, PATH_MAX> target;
  const ssize_t length =
      ::readlinkat(fd->get(), "", target.data(), target.size());
  if (length < 0) {
    return fail_errno("readlink");
  }
  return std::string(target.data(), static_cast<std::size_t>(length));
}

Result<std::unique_ptr<DirectoryStream>> SourceNode::open_directory() {
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  UniqueFd directory = reopen(fd->get(), O_RDONLY | O_DIRECTORY);
  struct stat status = {};
  if (!directory.valid() || ::fstat(directory.get(), &status) != 0) {
    return fail_errno("opendir");
  }
  return make_source_directory_stream(std::move(directory), status.st_dev,
                                      tree_);
}

// --- open files
// ---------------------------------------------------------------

std::shared_ptr<Region> SourceNode::open_region() const {
  const pmem::Lock lock(mutex_);
  return region_.lock();
}

void SourceNode::keep_region(const std::shared_ptr<Region>& region) {
  const pmem::Lock lock(mutex_);
  region_ = region;
}

Result<std::shared_ptr<Region>> SourceNode::region_for(Access access,
                                                       Writes writes) {
  if (type_ != S_IFREG) {
    return fail(type_ == S_IFDIR ? EISDIR : EINVAL, "open");
  }
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  const pmem::Lock lock(mutex_);
  if (std::shared_ptr<Region> region = region_.lock()) {
    Result<void> allowed = region->allow(fd->get(), access, writes);
    if (!allowed) {
      return pass_on(allowed);
    }
    return region;
  }
  Result<std::shared_ptr<Region>> region =
      Region::open(fd->get(), access, Region::Growth::kByGranularity, writes);
  if (region) {
    region_ = *region;
  }
  return region;
}

Result<std::unique_ptr<OpenFile>> SourceNode::open(int flags,
                                                   const Caller& caller) {
  Result<void> allowed = check_inode_flags(*this, flags);
  if (!allowed) {
    return pass_on(allowed);
  }
  Result<std::shared_ptr<Region>> region =
      region_for(access_of(flags), writes_of(flags));
  // A file that cannot be read was opened for writing alone.
  if (region && (flags & O_ACCMODE) == O_RDWR) {
    region = region_for(Access::kRead);
  }
  if (!region) {
    return pass_on(region);
  }
  if ((flags & O_TRUNC) != 0) {
    // Also of who then only reads: the kernel has seen that he may write.
    Result<std::shared_ptr<Region>> writable = region_for(Access::kReadWrite);
    if (!writable) {
      return pass_on(writable);
    }
    const CallerScope as_caller(caller);
    Result<void> cut = (*writable)->truncate(0);
    if (!cut) {
      return pass_on(cut);
    }
  }
  auto file = std::make_unique<OpenFile>();
  file->data = std::move(*region);
  return file;
}

Result<CreatedFile> SourceNode::create(const char* name, mode_t mode, int flags,
                                       const Caller& caller) {
  Result<PathFd> directory = path_fd();
  if (!directory) {
    return pass_on(directory);
  }
  // Readable and writable whatever the caller wants: the region serves others,
  // too, and at its creation a file's mode does not restrict its maker.
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd fd;
  {
    const CallerScope as_caller(caller);
    fd = UniqueFd(::openat(directory->get(), name, kFlags, mode));
  }
  if (fd.valid()) {
    return adopt_created(std::move(fd), SeenAt{*this, name});
  }
  if (errno == EEXIST && (flags & O_EXCL) == 0) {
    return open_existing(name, flags, caller);
  }
  return fail_errno("create");
}

Result<CreatedFile> SourceNode::create_nameless(mode_t mode, int flags,
                                                const Caller& caller) {
  Result<PathFd> directory = path_fd();
  if (!directory) {
    return pass_on(directory);
  }
  UniqueFd fd;
  {
    const CallerScope as_caller(caller);
    fd = UniqueFd(::openat(directory->get(), ".",
                           O_TMPFILE | O_RDWR | O_CLOEXEC | (flags & O_EXCL),
                           mode));
  }
  if (!fd.valid()) {
    return fail_errno("tmpfile");
  }
  return adopt_created(std::move(fd), std::nullopt);
}

Result<CreatedFile> SourceNode::adopt_created(
    UniqueFd fd, const std::optional<SeenAt>& seen_at) {
  UniqueFd path_fd = reopen(fd.get(), O_PATH);
  if (!path_fd.valid()) {
    return fail_errno("create");
  }
  Result<std::shared_ptr<Region>> region = Region::adopt(std::move(fd));
  if (!region) {
    return pass_on(region);
  }
  Result<Entry> entry = tree_->adopt(std::move(path_fd), seen_at);
  if (!entry) {
    return pass_on(entry);
  }
  auto* node = static_cast<SourceNode*>(entry->node);
  node->keep_region(*region);
  CreatedFile created;
  created.entry = *entry;
  created.file = std::make_unique<OpenFile>();
  created.file->data = std::move(*region);
  return created;
}

// Somebody was faster, or the kernel's knowledge was old.
Result<CreatedFile> SourceNode::open_existing(const char* name, int flags,
                                              const Caller& caller) {
  Result<Entry> entry = lookup(name);
  if (!entry) {
    return pass_on(entry);
  }
  Result<std::unique_ptr<OpenFile>> file = entry->node->open(flags, caller);
  if (!file) {
    tree_->shared().nodes.forget(*entry->node, 1);
    return pass_on(file);
  }
  CreatedFile created;
  created.entry = *entry;
  created.file = std::move(*file);
  return created;
}

// --- extended attributes ----------------------------------------------------

Result<std::string> SourceNode::get_xattr(const char* name) {
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  if (is_virtual_xattr(name)) {
    if (type_ != S_IFREG) {
      return fail(ENODATA, "getxattr");
    }
    Result<FileFacts> facts = FileFacts::create(fd->get());
    if (!facts) {
      return pass_on(facts);
    }
    return get_file_xattr(*facts, name);
  }
  std::array<char, XATTR_SIZE_MAX> value;
  const ssize_t length =
      ::getxattr(ProcPath(fd->get()).c_str(), name, value.data(), value.size());
  if (length < 0) {
    return fail_errno("getxattr");
  }
  return std::string(value.data(), static_cast<std::size_t>(length));
}

Result<std::string> SourceNode::list_xattrs(const Caller& caller) {
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  std::array<char, XATTR_LIST_MAX> names;
  const ssize_t length =
      ::listxattr(ProcPath(fd->get()).c_str(), names.data(), names.size());
  if (length < 0 && errno != EOPNOTSUPP) {
    return fail_errno("listxattr");
  }
  const std::string_view all(names.data(),
                             length < 0 ? 0 : static_cast<std::size_t>(length));
  const bool hides_trusted =
      has_trusted_xattr(all) && !is_administrator(caller);
  std::string listed;
  // A copy may carry stale attributes of our names: ours stand for them.
  for (const char* name = names.data(); name < names.data() + length;
       name += std::string_view(name).size() + 1) {
    if (!is_virtual_xattr(name) && !(hides_trusted && is_trusted(name))) {
      listed.append(name, std::string_view(name).size() + 1);
    }
  }
  if (type_ == S_IFREG && tree_->shared().list_virtual_xattrs) {
    Result<FileFacts> facts = FileFacts::create(fd->get());
    if (!facts) {
      return pass_on(facts);
    }
    listed += list_file_xattrs(*facts);
  }
  return listed;
}

Result<void> SourceNode::set_xattr(const char* name, std::string_view value,
                                   int flags, const Caller& caller) {
  if (is_virtual_xattr(name)) {
    return fail(EOPNOTSUPP, "setxattr");
  }
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  if (const std::shared_ptr<Region> region = open_region()) {
    region->expect_capabilities();
  }
  const CallerScope as_caller(caller);
  return check(::setxattr(ProcPath(fd->get()).c_str(), name, value.data(),
                          value.size(), flags),
               "setxattr");
}

Result<void> SourceNode::remove_xattr(const char* name, const Caller& caller) {
  if (is_virtual_xattr(name)) {
    return fail(EOPNOTSUPP, "removexattr");
  }
  Result<PathFd> fd = path_fd();
  if (!fd) {
    return pass_on(fd);
  }
  const CallerScope as_caller(caller);
  return check(::removexattr(ProcPath(fd->get()).c_str(), name), "removexattr");
}

}  // namespace pmemfs
