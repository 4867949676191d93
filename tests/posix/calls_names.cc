// Calls on names: links, folders, special files, sockets.
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "posix/interpreter.h"

namespace posix_tests {
namespace {

long call_link(State& /*state*/, const Words& words) {
  return ::link(words.at(1).c_str(), words.at(2).c_str());
}

long call_linkfd(State& state, const Words& words) {
  const int fd = state.file(words.at(1));
  if (has(words, 3, "empty")) {
    return ::linkat(fd, "", AT_FDCWD, words.at(2).c_str(), AT_EMPTY_PATH);
  }
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return ::linkat(AT_FDCWD, path.c_str(), AT_FDCWD, words.at(2).c_str(),
                  AT_SYMLINK_FOLLOW);
}

long call_symlink(State& /*state*/, const Words& words) {
  return ::symlink(words.at(1).c_str(), words.at(2).c_str());
}

long tell_target(State& state, int directory, const char* path) {
  std::array<char, 8192> target;
  const ssize_t length =
      ::readlinkat(directory, path, target.data(), target.size());
  if (length >= 0) {
    state.tell("  " + shown(target.data(), length));
  }
  return length;
}

long call_readlink(State& state, const Words& words) {
  return tell_target(state, AT_FDCWD, words.at(1).c_str());
}

long call_unlink(State& /*state*/, const Words& words) {
  return ::unlink(words.at(1).c_str());
}

long call_rmdir(State& /*state*/, const Words& words) {
  return ::rmdir(words.at(1).c_str());
}

long call_mkdir(State& /*state*/, const Words& words) {
  return ::mkdir(words.at(1).c_str(), mode(words, 2, 0777));
}

long call_mknod(State& /*state*/, const Words& words) {
  return ::mknod(words.at(1).c_str(),
                 type_of(words.at(2)) | mode(words, 3, 0644), ::makedev(1, 3));
}

long call_rename(State& /*state*/, const Words& words) {
  return ::renameat2(AT_FDCWD, words.at(1).c_str(), AT_FDCWD,
                     words.at(2).c_str(), mode(words, 3, 0));
}

// With types; whether the inode number is that of stat(2).
long call_list(State& state, const Words& words) {
  DIR* const stream = ::opendir(words.at(1).c_str());
  if (stream == nullptr) {
    return -1;
  }
  std::map<std::string, std::string> told;
  while (const struct dirent* entry = ::readdir(stream)) {
    const std::string name = entry->d_name;
    struct stat status = {};
    const bool agrees = ::fstatat(::dirfd(stream), entry->d_name, &status,
                                  AT_SYMLINK_NOFOLLOW) != 0 ||
                        (status.st_ino == entry->d_ino &&
                         IFTODT(status.st_mode) == entry->d_type);
    told[name] = std::to_string(entry->d_type) + (agrees ? "" : " (!)");
  }
  ::closedir(stream);
  for (const auto& [name, kind] : told) {
    state.tell("  " + shown(name) + " " + kind);
  }
  return 0;
}

long call_chdir(State& /*state*/, const Words& words) {
  return ::chdir(words.at(1).c_str());
}

long call_readlinkfd(State& state, const Words& words) {
  return tell_target(state, state.file(words.at(1)), "");
}

long call_fchdir(State& state, const Words& words) {
  return ::fchdir(state.file(words.at(1)));
}

long make_file(const std::string& path) {
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  const std::string content = "content of " + path;
  const bool done = fd >= 0 && ::write(fd, content.data(), content.size()) >= 0;
  return done ? ::close(fd) : -1;
}

long call_make(State& /*state*/, const Words& words) {
  const std::string& kind = words.at(1);
  const std::string& path = words.at(2);
  if (kind == "none") {
    return 0;
  }
  if (kind == "regular") {
    return make_file(path);
  }
  if (kind == "folder") {
    return ::mkdir(path.c_str(), 0755);
  }
  if (kind == "link") {
    return ::symlink("target", path.c_str());
  }
  return ::mknod(path.c_str(), type_of(kind) | 0644, ::makedev(1, 3));
}

// Where the path should be there is no memory.
long call_badpaths(State& state, const Words& /*words*/) {
  constexpr long kNowhere = 8;
  const std::map<std::string, long> calls = {
      {"open", SYS_open},         {"mkdir", SYS_mkdir},
      {"rmdir", SYS_rmdir},       {"unlink", SYS_unlink},
      {"chmod", SYS_chmod},       {"chown", SYS_chown},
      {"lchown", SYS_lchown},     {"mknod", SYS_mknod},
      {"truncate", SYS_truncate}, {"stat", SYS_stat},
      {"chdir", SYS_chdir},       {"link", SYS_link},
      {"rename", SYS_rename},     {"symlink", SYS_symlink}};
  for (const auto& [name, call] : calls) {
    errno = 0;
    const long answer = ::syscall(call, kNowhere, kNowhere, 0, 0);
    state.tell("  " + name + ": " +
               (answer < 0 ? ::strerrorname_np(errno) : "0"));
  }
  return 0;
}

struct sockaddr_un address_of(const std::string& path) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(std::data(address.sun_path), sizeof(address.sun_path) - 1);
  return address;
}

// `use(socket, address)` on a fresh socket, which goes into the slot if there
// is one.
template <typename Use>
long with_socket(State& state, const std::string& path, const std::string& slot,
                 const Use& use) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const struct sockaddr_un address = address_of(path);
  const long answer =
      use(socket, reinterpret_cast<const struct sockaddr*>(&address));
  const int error = errno;
  if (answer == 0 && !slot.empty()) {
    state.files[slot] = socket;
  } else {
    ::close(socket);
  }
  errno = error;
  return answer;
}

long call_bind(State& state, const Words& words) {
  return with_socket(
      state, words.at(1), "", [](int socket, const struct sockaddr* address) {
        return ::bind(socket, address, sizeof(struct sockaddr_un));
      });
}

long call_listen(State& state, const Words& words) {
  return with_socket(state, words.at(2), words.at(1),
                     [](int socket, const struct sockaddr* address) {
                       const int bound =
                           ::bind(socket, address, sizeof(struct sockaddr_un));
                       return bound == 0 ? ::listen(socket, 16) : bound;
                     });
}

long call_connect(State& state, const Words& words) {
  return with_socket(
      state, words.at(1), "", [](int socket, const struct sockaddr* address) {
        return ::connect(socket, address, sizeof(struct sockaddr_un));
      });
}

// From each place that telldir(3) gave, reading goes on with the same name.
long call_positions(State& state, const Words& words) {
  DIR* const stream = ::opendir(words.at(1).c_str());
  if (stream == nullptr) {
    return -1;
  }
  std::vector<std::pair<long, std::string>> places;
  for (;;) {
    const long place = ::telldir(stream);
    const struct dirent* const entry = ::readdir(stream);
    places.emplace_back(place, entry == nullptr ? "" : entry->d_name);
    if (entry == nullptr) {
      break;
    }
  }
  long wrong = 0;
  for (auto at = places.rbegin(); at != places.rend(); ++at) {
    ::seekdir(stream, at->first);
    const struct dirent* const entry = ::readdir(stream);
    wrong += at->second != (entry == nullptr ? "" : entry->d_name) ? 1 : 0;
  }
  ::rewinddir(stream);
  std::size_t again = 0;
  while (::readdir(stream) != nullptr) {
    ++again;
  }
  ::closedir(stream);
  state.tell("  " + std::to_string(places.size()) + " places, " +
             std::to_string(again) + " names when rewound");
  return wrong;
}

}  // namespace

const Commands& name_commands() {
  static const Commands kCommands = {
      {"link", call_link},           {"linkfd", call_linkfd},
      {"symlink", call_symlink},     {"readlink", call_readlink},
      {"unlink", call_unlink},       {"rmdir", call_rmdir},
      {"mkdir", call_mkdir},         {"mknod", call_mknod},
      {"rename", call_rename},       {"list", call_list},
      {"chdir", call_chdir},         {"readlinkfd", call_readlinkfd},
      {"fchdir", call_fchdir},       {"make", call_make},
      {"badpaths", call_badpaths},   {"bind", call_bind},
      {"listen", call_listen},       {"connect", call_connect},
      {"positions", call_positions},
  };
  return kCommands;
}

}  // namespace posix_tests
