// Calls on inodes: attributes of all sorts.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>

#include "posix/interpreter.h"

namespace posix_tests {
namespace {

long call_stat(State& state, const Words& words) {
  struct stat status = {};
  const long answer = ::fstatat(AT_FDCWD, words.at(1).c_str(), &status,
                                words.size() > 2 ? AT_SYMLINK_NOFOLLOW : 0);
  if (answer == 0) {
    state.tell("  " + describe(status));
  }
  return answer;
}

long call_fstat(State& state, const Words& words) {
  struct stat status = {};
  const long answer = ::fstat(state.file(words.at(1)), &status);
  if (answer == 0) {
    state.tell("  " + describe(status));
  }
  return answer;
}

long call_times(State& state, const Words& words) {
  struct stat status = {};
  const long answer = ::lstat(words.at(1).c_str(), &status);
  if (answer == 0) {
    state.tell("  " + shown(status.st_atim) + " " + shown(status.st_mtim));
  }
  return answer;
}

long call_access(State& /*state*/, const Words& words) {
  return ::faccessat(AT_FDCWD, words.at(1).c_str(),
                     static_cast<int>(number(words.at(2))),
                     has(words, 3, "real") ? 0 : AT_EACCESS);
}

long call_chmod(State& /*state*/, const Words& words) {
  return ::chmod(words.at(1).c_str(), id(words.at(2)));
}

long call_fchmod(State& state, const Words& words) {
  return ::fchmod(state.file(words.at(1)), id(words.at(2)));
}

long call_chown(State& /*state*/, const Words& words) {
  return ::chown(words.at(1).c_str(), id(words.at(2)), id(words.at(3)));
}

long call_lchown(State& /*state*/, const Words& words) {
  return ::lchown(words.at(1).c_str(), id(words.at(2)), id(words.at(3)));
}

long call_fchown(State& state, const Words& words) {
  return ::fchown(state.file(words.at(1)), id(words.at(2)), id(words.at(3)));
}

long call_utimens(State& /*state*/, const Words& words) {
  const std::array times = {time_of(words.at(2)), time_of(words.at(3))};
  return ::utimensat(AT_FDCWD, words.at(1).c_str(), times.data(),
                     has(words, 4, "follow") ? 0 : AT_SYMLINK_NOFOLLOW);
}

long call_setxattr(State& /*state*/, const Words& words) {
  return ::lsetxattr(words.at(1).c_str(), words.at(2).c_str(),
                     words.at(3).data(), words.at(3).size(),
                     static_cast<int>(mode(words, 4, 0)));
}

long call_getxattr(State& state, const Words& words) {
  std::array<char, 65536> value;
  const ssize_t length =
      ::lgetxattr(words.at(1).c_str(), words.at(2).c_str(), value.data(),
                  mode(words, 3, value.size()));
  if (length >= 0) {
    state.tell("  " + std::to_string(length) + " bytes");
  }
  if (length >= 0 && words.size() == 3) {
    state.tell("  " + shown(value.data(), length));
  }
  return length;
}

long call_removexattr(State& /*state*/, const Words& words) {
  return ::lremovexattr(words.at(1).c_str(), words.at(2).c_str());
}

long call_watch(State& state, const Words& words) {
  state.watched.clear();
  for (auto path = words.begin() + 1; path != words.end(); ++path) {
    struct stat status = {};
    [[maybe_unused]] const int may_be_missing = ::lstat(path->c_str(), &status);
    state.watched[*path] = status;
  }
  return 0;
}

// What struct stat does not have, and the room that the file takes.
long call_statx(State& state, const Words& words) {
  struct statx facts = {};
  const int answer = ::statx(AT_FDCWD, words.at(1).c_str(), AT_SYMLINK_NOFOLLOW,
                             STATX_ALL, &facts);
  if (answer == 0) {
    const auto mask = facts.stx_mask & STATX_ALL;
    const timespec birth = {.tv_sec = facts.stx_btime.tv_sec,
                            .tv_nsec = facts.stx_btime.tv_nsec};
    state.tell("  mask " + std::to_string(mask) + " born " + shown(birth) +
               " size " + std::to_string(facts.stx_size) + " blocks " +
               std::to_string(facts.stx_blocks) + " of " +
               std::to_string(facts.stx_blksize));
  }
  return answer;
}

long call_statfs(State& state, const Words& words) {
  struct statvfs facts = {};
  const int answer = ::statvfs(words.at(1).c_str(), &facts);
  if (answer == 0) {
    state.tell("  " + std::to_string(facts.f_blocks) + " blocks of " +
               std::to_string(facts.f_bsize) + "/" +
               std::to_string(facts.f_frsize) + ", " +
               std::to_string(facts.f_files) + " files, names of " +
               std::to_string(facts.f_namemax));
  }
  return answer;
}

long call_fchownat(State& state, const Words& words) {
  return ::fchownat(state.file(words.at(1)), "", id(words.at(2)),
                    id(words.at(3)), AT_EMPTY_PATH);
}

long call_futimens(State& state, const Words& words) {
  const std::array times = {time_of(words.at(2)), time_of(words.at(3))};
  return ::futimens(state.file(words.at(1)), times.data());
}

// `use(descriptor)` of a file that need not be readable for its reader.
template <typename Use>
long with_opened(const std::string& path, const Use& use) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    return -1;
  }
  const long answer = use(fd);
  const int error = errno;
  ::close(fd);
  errno = error;
  return answer;
}

// Those that a user may set, as they are to be afterwards.
constexpr int kSettable =
    FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL;

long call_chattr(State& /*state*/, const Words& words) {
  return with_opened(words.at(1), [&](int fd) {
    int flags = 0;
    const int known = ::ioctl(fd, FS_IOC_GETFLAGS, &flags);
    flags = (flags & ~kSettable) | static_cast<int>(number(words.at(2)));
    return known < 0 ? known : ::ioctl(fd, FS_IOC_SETFLAGS, &flags);
  });
}

long call_lsattr(State& state, const Words& words) {
  return with_opened(words.at(1), [&](int fd) {
    int flags = 0;
    const int answer = ::ioctl(fd, FS_IOC_GETFLAGS, &flags);
    state.tell("  " + std::to_string(flags & kSettable));
    return answer;
  });
}

// The same as statx(2) tells them.
long call_statxflags(State& state, const Words& words) {
  constexpr std::uint64_t kTold =
      STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP;
  struct statx facts = {};
  const int answer = ::statx(AT_FDCWD, words.at(1).c_str(), AT_SYMLINK_NOFOLLOW,
                             STATX_TYPE, &facts);
  state.tell("  " + std::to_string(facts.stx_attributes & kTold));
  return answer;
}

long call_listxattr(State& /*state*/, const Words& words) {
  std::array<char, 65536> names;
  return ::llistxattr(words.at(1).c_str(), names.data(),
                      static_cast<std::size_t>(number(words.at(2))));
}

}  // namespace

const Commands& inode_commands() {
  static const Commands kCommands = {
      {"stat", call_stat},
      {"fstat", call_fstat},
      {"times", call_times},
      {"access", call_access},
      {"chmod", call_chmod},
      {"fchmod", call_fchmod},
      {"chown", call_chown},
      {"lchown", call_lchown},
      {"fchown", call_fchown},
      {"utimens", call_utimens},
      {"setxattr", call_setxattr},
      {"getxattr", call_getxattr},
      {"removexattr", call_removexattr},
      {"watch", call_watch},
      {"statx", call_statx},
      {"statfs", call_statfs},
      {"fchownat", call_fchownat},
      {"futimens", call_futimens},
      {"chattr", call_chattr},
      {"lsattr", call_lsattr},
      {"statxflags", call_statxflags},
      {"listxattr", call_listxattr},
  };
  return kCommands;
}

}  // namespace posix_tests
