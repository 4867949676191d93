#include "random/tree_place.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <utility>
#include <vector>

#include "random/data_file.h"

namespace random_tests {
namespace {

// Users and groups that need not have names.
constexpr uid_t kUserId = 12345;
constexpr uid_t kStrangerId = 45678;

// --- answers in words -------------------------------------------------------

std::string answer(long answered) {
  return answered < 0 ? ::strerrorname_np(errno) : std::to_string(answered);
}

// Where the number itself means nothing.
std::string done_or_errno(long answered) {
  return answer(answered < 0 ? answered : 0);
}

std::string shown(const std::string& bytes) {
  constexpr std::size_t kFew = 20;
  const bool is_plain = std::all_of(bytes.begin(), bytes.end(),
                                    [](char c) { return c > ' ' && c <= '~'; });
  if (is_plain && bytes.size() <= kFew) {
    return "'" + bytes + "'";
  }
  return std::to_string(bytes.size()) + " bytes, hash " +
         std::to_string(std::hash<std::string>()(bytes));
}

// What somebody has set, or that it is of today.
std::string shown(const struct timespec& time) {
  constexpr time_t kLongAgo = 1'000'000'000;
  return time.tv_sec > kLongAgo
             ? "now"
             : std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
}

// A directory's size is a matter of its past.
std::string shown(const struct stat& status) {
  std::ostringstream text;
  text << std::oct << status.st_mode << std::dec << " links " << status.st_nlink
       << " owner " << status.st_uid << ':' << status.st_gid;
  if (!S_ISDIR(status.st_mode)) {
    text << " size " << status.st_size;
  }
  text << " modified " << shown(status.st_mtim);
  return text.str();
}

std::string stat_answer(int answered, const struct stat& status) {
  return answered == 0 ? shown(status) + " read " + shown(status.st_atim)
                       : answer(answered);
}

// --- arguments --------------------------------------------------------------

// chown(2) knows others, too.
uid_t id_of(std::uint64_t who) {
  return who == kSameOwner ? static_cast<uid_t>(who) : tree_user_id(who);
}

struct timespec time_of(std::uint64_t value) {
  if (value == kTimeNow || value == kTimeOmit) {
    return {.tv_sec = 0, .tv_nsec = value == kTimeNow ? UTIME_NOW : UTIME_OMIT};
  }
  return {.tv_sec = static_cast<time_t>(value), .tv_nsec = 7};
}

mode_t mode_of(const TreeOperation& operation) {
  return static_cast<mode_t>(operation.mode);
}

int flags_of(const TreeOperation& operation) {
  return static_cast<int>(operation.flags);
}

off_t offset_of(std::uint64_t value) { return static_cast<off_t>(value); }

// An ACL that names a user. Source: linux/posix_acl_xattr.h.
std::string acl_of(std::uint64_t value) {
  const auto permissions = [&](unsigned shift) {
    return static_cast<__le16>(value >> shift & 7U);
  };
  const auto none = static_cast<__le32>(ACL_UNDEFINED_ID);
  const std::array<struct posix_acl_xattr_entry, 5> entries = {
      {{ACL_USER_OBJ, 7, none},
       {ACL_USER, permissions(0), kUserId},
       {ACL_GROUP_OBJ, permissions(3), none},
       {ACL_MASK, permissions(6), none},
       {ACL_OTHER, permissions(1), none}}};
  const struct posix_acl_xattr_header header = {POSIX_ACL_XATTR_VERSION};
  std::string bytes(sizeof(header) + sizeof(entries), '\0');
  std::memcpy(bytes.data(), &header, sizeof(header));
  std::memcpy(bytes.data() + sizeof(header), entries.data(), sizeof(entries));
  return bytes;
}

std::string xattr_value(const TreeOperation& operation) {
  return operation.other.starts_with("system.")
             ? acl_of(operation.value)
             : std::string(bytes_named(operation.value, operation.value));
}

// --- what there is ----------------------------------------------------------

// The names in a directory that is open for reading, but for its own two; false
// with errno.
bool names_in(int directory, std::vector<std::string>& names) {
  if (::lseek(directory, 0, SEEK_SET) < 0) {
    return false;
  }
  alignas(struct dirent64) std::array<char, 16384> buffer;
  for (;;) {
    const long length =
        ::syscall(SYS_getdents64, directory, buffer.data(), buffer.size());
    if (length <= 0) {
      std::sort(names.begin(), names.end());
      return length == 0;
    }
    for (long at = 0; at < length;) {
      const auto* entry =
          reinterpret_cast<const struct dirent64*>(buffer.data() + at);
      const std::string name = entry->d_name;
      if (name != "." && name != "..") {
        names.push_back(name);
      }
      at += entry->d_reclen;
    }
  }
}

std::string list_answer(int directory) {
  std::vector<std::string> names;
  if (!names_in(directory, names)) {
    return answer(-1);
  }
  std::string text = "has";
  for (const std::string& name : names) {
    text += " " + name;
  }
  return text;
}

std::string content_answer(int fd) {
  std::string bytes(std::size_t{64} << 10, '\0');
  const ssize_t length = ::pread(fd, bytes.data(), bytes.size(), 0);
  if (length < 0) {
    return answer(length);
  }
  bytes.resize(static_cast<std::size_t>(length));
  return shown(bytes);
}

std::string value_answer(const std::string& path, const std::string& name) {
  std::array<char, 4096> value;
  const ssize_t length =
      ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  return length < 0 ? answer(length)
                    : shown(std::string(value.data(),
                                        static_cast<std::size_t>(length)));
}

// Without those of pmemfs.
std::string xattrs_answer(const std::string& path, bool with_values) {
  std::array<char, 4096> names;
  const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
  if (length < 0) {
    return answer(length);
  }
  std::vector<std::string> found;
  for (const char* name = names.data(); name < names.data() + length;
       name += std::strlen(name) + 1) {
    if (!std::string(name).starts_with("user.pmem.")) {
      found.emplace_back(name);
    }
  }
  std::sort(found.begin(), found.end());
  std::string text;
  for (const std::string& name : found) {
    text += " " + name +
            (with_values ? "=" + value_answer(path, name) : std::string());
  }
  return text;
}

std::string target_answer(const std::string& path) {
  std::array<char, 4096> target;
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  return length < 0
             ? answer(length)
             : std::string(target.data(), static_cast<std::size_t>(length));
}

pmem::UniqueFd open_quietly(const std::string& path, int flags) {
  return pmem::UniqueFd(
      ::open(path.c_str(), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

// Removes what can be removed, in the order of the names; how many were.
long remove_all(int directory, const std::string& name) {
  if (::unlinkat(directory, name.c_str(), 0) == 0) {
    return 1;
  }
  const pmem::UniqueFd fd(
      ::openat(directory, name.c_str(),
               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) {
    return -1;
  }
  long removed = 0;
  std::vector<std::string> names;
  if (names_in(fd.get(), names)) {
    for (const std::string& below : names) {
      removed += std::max(0L, remove_all(fd.get(), below));
    }
  }
  return removed +
         (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0 ? 1 : 0);
}

// Whether somebody may link to a file depends on its set-id bits
// (fs.protected_hardlinks). The kernel goes by those that it saw last, and a
// write may have taken them away since.
void refresh_mode(int fd, const char* path) {
  struct stat status = {};
  [[maybe_unused]] const int ignored =
      ::fstatat(fd, path, &status, AT_EMPTY_PATH);
}

// The name that a file with several names was first met by.
using FirstNames = std::map<ino_t, std::string>;

void tell_tree(const std::string& directory, const std::string& below,
               FirstNames& first_names, std::ostringstream& text) {
  const pmem::UniqueFd fd = open_quietly(directory, O_RDONLY | O_DIRECTORY);
  std::vector<std::string> names;
  if (!fd.valid() || !names_in(fd.get(), names)) {
    text << below << ": " << answer(-1) << '\n';
    return;
  }
  for (const std::string& name : names) {
    const std::string path = directory + "/" + name;
    const std::string shown_path = below + name;
    struct stat status = {};
    if (::lstat(path.c_str(), &status) != 0) {
      text << shown_path << ": " << answer(-1) << '\n';
      continue;
    }
    text << shown_path << ": " << shown(status);
    if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
      text << " is "
           << first_names.emplace(status.st_ino, shown_path).first->second;
    }
    if (S_ISLNK(status.st_mode)) {
      text << " -> " << target_answer(path);
    }
    if (S_ISREG(status.st_mode)) {
      const pmem::UniqueFd file = open_quietly(path, O_RDONLY);
      text << ' ' << (file.valid() ? content_answer(file.get()) : answer(-1));
    }
    text << xattrs_answer(path, true) << '\n';
    if (S_ISDIR(status.st_mode)) {
      tell_tree(path, shown_path + "/", first_names, text);
    }
  }
}

}  // namespace

uid_t tree_user_id(std::uint64_t who) {
  return who == kUser ? kUserId : who == kStranger ? kStrangerId : 0;
}

std::string tree_in(const std::string& directory) {
  std::ostringstream text;
  FirstNames first_names;
  tell_tree(directory, "", first_names, text);
  return text.str();
}

// --- the calls --------------------------------------------------------------

TreePlace::TreePlace(std::string directory)
    : directory_(std::move(directory)) {}

int TreePlace::slot(const TreeOperation& operation) const {
  return slots_.at(operation.slot).get();
}

std::string TreePlace::create(const TreeOperation& operation) {
  const pmem::UniqueFd fd(::open(path(operation.path).c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                                 mode_of(operation)));
  return fd.valid() ? "0" : answer(-1);
}

std::string TreePlace::mkdir(const TreeOperation& operation) {
  return answer(::mkdir(path(operation.path).c_str(), mode_of(operation)));
}

std::string TreePlace::mknod(const TreeOperation& operation) {
  return answer(::mknod(path(operation.path).c_str(), mode_of(operation), 0));
}

std::string TreePlace::symlink(const TreeOperation& operation) {
  return answer(
      ::symlink(operation.other.c_str(), path(operation.path).c_str()));
}

std::string TreePlace::link(const TreeOperation& operation) {
  refresh_mode(AT_FDCWD, path(operation.path).c_str());
  return answer(::linkat(AT_FDCWD, path(operation.path).c_str(), AT_FDCWD,
                         path(operation.other).c_str(), flags_of(operation)));
}

std::string TreePlace::rename(const TreeOperation& operation) {
  return answer(::renameat2(AT_FDCWD, path(operation.path).c_str(), AT_FDCWD,
                            path(operation.other).c_str(),
                            static_cast<unsigned>(operation.flags)));
}

std::string TreePlace::unlink(const TreeOperation& operation) {
  return answer(::unlink(path(operation.path).c_str()));
}

std::string TreePlace::rmdir(const TreeOperation& operation) {
  return answer(::rmdir(path(operation.path).c_str()));
}

std::string TreePlace::chmod(const TreeOperation& operation) {
  return answer(::chmod(path(operation.path).c_str(), mode_of(operation)));
}

std::string TreePlace::chown(const TreeOperation& operation) {
  return answer(::chown(path(operation.path).c_str(), id_of(operation.value),
                        id_of(operation.value2)));
}

std::string TreePlace::lchown(const TreeOperation& operation) {
  return answer(::lchown(path(operation.path).c_str(), id_of(operation.value),
                         id_of(operation.value2)));
}

std::string TreePlace::utimens(const TreeOperation& operation) {
  const std::array times = {time_of(operation.value),
                            time_of(operation.value2)};
  return answer(::utimensat(AT_FDCWD, path(operation.path).c_str(),
                            times.data(), AT_SYMLINK_NOFOLLOW));
}

std::string TreePlace::truncate(const TreeOperation& operation) {
  return answer(
      ::truncate(path(operation.path).c_str(), offset_of(operation.value)));
}

std::string TreePlace::setxattr(const TreeOperation& operation) {
  const std::string value = xattr_value(operation);
  return answer(::lsetxattr(path(operation.path).c_str(),
                            operation.other.c_str(), value.data(), value.size(),
                            flags_of(operation)));
}

std::string TreePlace::getxattr(const TreeOperation& operation) {
  return value_answer(path(operation.path), operation.other);
}

std::string TreePlace::listxattr(const TreeOperation& operation) {
  return xattrs_answer(path(operation.path), false);
}

std::string TreePlace::removexattr(const TreeOperation& operation) {
  return answer(
      ::lremovexattr(path(operation.path).c_str(), operation.other.c_str()));
}

std::string TreePlace::stat(const TreeOperation& operation) {
  struct stat status = {};
  return stat_answer(::stat(path(operation.path).c_str(), &status), status);
}

std::string TreePlace::lstat(const TreeOperation& operation) {
  struct stat status = {};
  return stat_answer(::lstat(path(operation.path).c_str(), &status), status);
}

std::string TreePlace::read(const TreeOperation& operation) {
  const pmem::UniqueFd fd = open_quietly(path(operation.path), O_RDONLY);
  return fd.valid() ? content_answer(fd.get()) : answer(-1);
}

std::string TreePlace::list(const TreeOperation& operation) {
  const pmem::UniqueFd fd =
      open_quietly(path(operation.path), O_RDONLY | O_DIRECTORY);
  return fd.valid() ? list_answer(fd.get()) : answer(-1);
}

std::string TreePlace::readlink(const TreeOperation& operation) {
  return target_answer(path(operation.path));
}

std::string TreePlace::access(const TreeOperation& operation) {
  return answer(::faccessat(AT_FDCWD, path(operation.path).c_str(),
                            static_cast<int>(operation.mode), AT_EACCESS));
}

std::string TreePlace::clear(const TreeOperation& operation) {
  return answer(remove_all(AT_FDCWD, path(operation.path)));
}

// Of the process: the same for both places.
std::string TreePlace::umask_to(const TreeOperation& operation) {
  ::umask(mode_of(operation));
  return "";
}

// --- with open files --------------------------------------------------------

std::string TreePlace::open(const TreeOperation& operation) {
  pmem::UniqueFd fd(
      ::open(path(operation.path).c_str(),
             flags_of(operation) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
             mode_of(operation)));
  if (!fd.valid()) {
    return answer(-1);
  }
  slots_.at(operation.slot) = std::move(fd);
  return "0";
}

std::string TreePlace::tmpfile(const TreeOperation& operation) {
  pmem::UniqueFd fd(::open(path(operation.path).c_str(),
                           flags_of(operation) | O_TMPFILE | O_CLOEXEC,
                           mode_of(operation)));
  if (!fd.valid()) {
    return answer(-1);
  }
  slots_.at(operation.slot) = std::move(fd);
  return "0";
}

std::string TreePlace::close(const TreeOperation& operation) {
  slots_.at(operation.slot) = pmem::UniqueFd();
  return "0";
}

std::string TreePlace::slot_read(const TreeOperation& operation) {
  return content_answer(slot(operation));
}

std::string TreePlace::slot_write(const TreeOperation& operation) {
  const std::string_view bytes = bytes_named(operation.value, operation.value2);
  return answer(::pwrite(slot(operation), bytes.data(), bytes.size(),
                         offset_of(operation.value)));
}

std::string TreePlace::slot_truncate(const TreeOperation& operation) {
  return answer(::ftruncate(slot(operation), offset_of(operation.value)));
}

std::string TreePlace::slot_allocate(const TreeOperation& operation) {
  return answer(::fallocate(slot(operation), flags_of(operation),
                            offset_of(operation.value),
                            offset_of(operation.value2)));
}

std::string TreePlace::slot_stat(const TreeOperation& operation) {
  struct stat status = {};
  return stat_answer(::fstat(slot(operation), &status), status);
}

std::string TreePlace::slot_list(const TreeOperation& operation) {
  return list_answer(slot(operation));
}

std::string TreePlace::slot_chmod(const TreeOperation& operation) {
  return answer(::fchmod(slot(operation), mode_of(operation)));
}

std::string TreePlace::slot_chown(const TreeOperation& operation) {
  return answer(::fchown(slot(operation), id_of(operation.value),
                         id_of(operation.value2)));
}

std::string TreePlace::slot_setxattr(const TreeOperation& operation) {
  const std::string value = xattr_value(operation);
  return answer(::fsetxattr(slot(operation), operation.other.c_str(),
                            value.data(), value.size(), flags_of(operation)));
}

std::string TreePlace::slot_link(const TreeOperation& operation) {
  refresh_mode(slot(operation), "");
  const std::string self = "/proc/self/fd/" + std::to_string(slot(operation));
  return answer(::linkat(AT_FDCWD, self.c_str(), AT_FDCWD,
                         path(operation.path).c_str(), AT_SYMLINK_FOLLOW));
}

std::string TreePlace::slot_mkdir(const TreeOperation& operation) {
  return answer(
      ::mkdirat(slot(operation), operation.path.c_str(), mode_of(operation)));
}

std::string TreePlace::slot_create(const TreeOperation& operation) {
  const pmem::UniqueFd fd(::openat(slot(operation), operation.path.c_str(),
                                   O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC,
                                   mode_of(operation)));
  return done_or_errno(fd.get());
}

std::string TreePlace::slot_unlink(const TreeOperation& operation) {
  return answer(
      ::unlinkat(slot(operation), operation.path.c_str(), flags_of(operation)));
}

const std::map<TreeKind, TreePlace::Method>& TreePlace::methods() {
  static const std::map<TreeKind, Method> kMethods = {
      {TreeKind::kCreate, &TreePlace::create},
      {TreeKind::kMkdir, &TreePlace::mkdir},
      {TreeKind::kMknod, &TreePlace::mknod},
      {TreeKind::kSymlink, &TreePlace::symlink},
      {TreeKind::kLink, &TreePlace::link},
      {TreeKind::kRename, &TreePlace::rename},
      {TreeKind::kUnlink, &TreePlace::unlink},
      {TreeKind::kRmdir, &TreePlace::rmdir},
      {TreeKind::kChmod, &TreePlace::chmod},
      {TreeKind::kChown, &TreePlace::chown},
      {TreeKind::kLchown, &TreePlace::lchown},
      {TreeKind::kUtimens, &TreePlace::utimens},
      {TreeKind::kTruncate, &TreePlace::truncate},
      {TreeKind::kSetxattr, &TreePlace::setxattr},
      {TreeKind::kGetxattr, &TreePlace::getxattr},
      {TreeKind::kListxattr, &TreePlace::listxattr},
      {TreeKind::kRemovexattr, &TreePlace::removexattr},
      {TreeKind::kStat, &TreePlace::stat},
      {TreeKind::kLstat, &TreePlace::lstat},
      {TreeKind::kRead, &TreePlace::read},
      {TreeKind::kList, &TreePlace::list},
      {TreeKind::kReadlink, &TreePlace::readlink},
      {TreeKind::kAccess, &TreePlace::access},
      {TreeKind::kUmask, &TreePlace::umask_to},
      {TreeKind::kClear, &TreePlace::clear},
      {TreeKind::kOpen, &TreePlace::open},
      {TreeKind::kTmpfile, &TreePlace::tmpfile},
      {TreeKind::kClose, &TreePlace::close},
      {TreeKind::kSlotRead, &TreePlace::slot_read},
      {TreeKind::kSlotWrite, &TreePlace::slot_write},
      {TreeKind::kSlotTruncate, &TreePlace::slot_truncate},
      {TreeKind::kSlotAllocate, &TreePlace::slot_allocate},
      {TreeKind::kSlotStat, &TreePlace::slot_stat},
      {TreeKind::kSlotList, &TreePlace::slot_list},
      {TreeKind::kSlotChmod, &TreePlace::slot_chmod},
      {TreeKind::kSlotChown, &TreePlace::slot_chown},
      {TreeKind::kSlotSetxattr, &TreePlace::slot_setxattr},
      {TreeKind::kSlotLink, &TreePlace::slot_link},
      {TreeKind::kSlotMkdir, &TreePlace::slot_mkdir},
      {TreeKind::kSlotCreate, &TreePlace::slot_create},
      {TreeKind::kSlotUnlink, &TreePlace::slot_unlink},
  };
  return kMethods;
}

std::string TreePlace::perform(const TreeOperation& operation) {
  return (this->*methods().at(operation.kind))(operation);
}

}  // namespace random_tests
