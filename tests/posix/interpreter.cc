// The calls, one a line, words between blanks. Paths are relative to the
// directory of the scenario. A word may have X{N} in it for N times X, and %HH
// for a byte. Flags are the names of the headers without their prefix, with |
// between them; numbers are as in C. SLOT is a name for an open file.
//
//   as root|user|stranger|UID:GID[,GID...]   umask MODE     chdir DIR
//   raise CAPABILITY...   of who has become another user
//   watch [PATH...]       from now on, what of these moves with each call
//   make KIND PATH        regular folder fifo sock chr blk link none
//   open SLOT PATH FLAGS [MODE]      openat SLOT SLOT PATH FLAGS [MODE]
//   close SLOT            flags SLOT            fchdir SLOT
//   read SLOT LENGTH                 pread SLOT LENGTH OFFSET [FLAGS]
//   write SLOT TEXT                  pwrite SLOT TEXT OFFSET [FLAGS]
//   badread SLOT          badwrite SLOT         badpaths
//   lseek SLOT OFFSET WHENCE         fsync SLOT [data]      syncfs SLOT
//   truncate PATH LENGTH             ftruncate SLOT LENGTH
//   fallocate SLOT MODE OFFSET LENGTH           posix_fallocate SLOT O L
//   copy FROM OFFSET TO OFFSET LENGTH           (copy_file_range)
//   sendfile FROM TO LENGTH          splice FROM TO LENGTH  (by a pipe)
//   clone FROM TO                    (FICLONE)              extents SLOT
//   map SLOT OFFSET LENGTH [TEXT]    reads, or writes the text, by a mapping
//   mapped NAME SLOT LENGTH [private|sync]      store NAME OFFSET TEXT
//   load NAME OFFSET LENGTH          msync NAME FLAGS       unmap NAME
//   readinto SLOT NAME LENGTH        writefrom SLOT NAME LENGTH
//   stat PATH [nofollow]             fstat SLOT             times PATH
//   statx PATH            statfs PATH           access PATH MODE [real]
//   chmod PATH MODE                  fchmod SLOT MODE
//   chown|lchown PATH UID GID        fchown SLOT UID GID    (-1: as it is)
//   fchownat SLOT UID GID            of what O_PATH has opened
//   utimens PATH ATIME MTIME [follow]           futimens SLOT ATIME MTIME
//   chattr PATH FLAGS                (FS_IOC_SETFLAGS)      lsattr PATH
//   statxflags PATH
//   link OLD NEW                     linkfd SLOT NEW [empty]
//   symlink TARGET PATH              readlink PATH          readlinkfd SLOT
//   unlink PATH  rmdir PATH          mkdir PATH [MODE]
//   mknod PATH fifo|sock|chr|blk|reg [MODE]
//   bind PATH             listen SLOT PATH      connect PATH
//   rename OLD NEW [FLAGS]           list DIR               positions DIR
//   setxattr PATH NAME VALUE [FLAGS] getxattr PATH NAME [SIZE]
//   listxattr PATH SIZE              removexattr PATH NAME
//   flock SLOT OP                    lock SLOT r|w|u OFFSET LENGTH (OFD)
//   testlock SLOT r|w OFFSET LENGTH  plock SLOT r|w|u OFFSET LENGTH (POSIX)
//   limit BYTES           (RLIMIT_FSIZE)
//   program PATH          writes a program  run PATH        start SLOT PATH
//   end SLOT
//   epoll SLOT            seals SLOT            quotactl SLOT
//   readahead SLOT OFFSET LENGTH     willneed SLOT OFFSET LENGTH
//   ioctl SLOT REQUEST    fstype PATH           fanotify PATH
//   ringread SLOT LENGTH OFFSET [FLAGS]         (io_uring; -1: the position)
//   ringwrite SLOT TEXT OFFSET [FLAGS]
//   acl PATH NUMBER       of so many users      pause MILLISECONDS
//   contained USER        as root of a user namespace, whose 0 is the user
//   idmap DIR             (mount_setattr)
#include "posix/interpreter.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <utility>

namespace posix_tests {
namespace {

std::string attributes_of(const std::string& path) {
  std::array<char, 65536> names;
  const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
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
    std::array<char, 65536> value;
    const ssize_t size =
        ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    text += " " + name + "=";
    text += size < 0 ? ::strerrorname_np(errno) : shown(value.data(), size);
  }
  return text;
}

std::string content_of(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    return ::strerrorname_np(errno);
  }
  // Enough of the huge ones.
  std::string bytes(1 << 20, '\0');
  const ssize_t length = ::read(fd, bytes.data(), bytes.size());
  const int error = errno;
  ::close(fd);
  if (length < 0) {
    return ::strerrorname_np(error);
  }
  bytes.resize(static_cast<std::size_t>(length));
  return shown(bytes);
}

// Numbers with commas between.
std::vector<gid_t> ids_of(const std::string& text) {
  std::vector<gid_t> ids;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    ids.push_back(id(part));
  }
  return ids;
}

long in_ns(const timespec& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// Times of files have the steps of this clock, at least: what is stamped after
// this is later than every stamp of these.
void wait_for_later_stamps(const std::map<std::string, struct stat>& watched) {
  const auto clock_ns = [](clockid_t clock) {
    timespec time = {};
    ::clock_gettime(clock, &time);
    return in_ns(time);
  };
  long latest = 0;
  for (const auto& [path, status] : watched) {
    for (const timespec& time :
         {status.st_atim, status.st_mtim, status.st_ctim}) {
      // What is in the future somebody has set.
      if (in_ns(time) <= clock_ns(CLOCK_REALTIME)) {
        latest = std::max(latest, in_ns(time));
      }
    }
  }
  while (clock_ns(CLOCK_REALTIME_COARSE) <= latest) {
    constexpr timespec kPause = {.tv_sec = 0, .tv_nsec = 500'000};
    ::nanosleep(&kPause, nullptr);
  }
}

std::string what_differs(const struct stat& before, const struct stat& after) {
  const auto differ = [](const timespec& one, const timespec& other) {
    return in_ns(one) != in_ns(other);
  };
  std::string text;
  text += differ(before.st_atim, after.st_atim) ? " atime" : "";
  text += differ(before.st_mtim, after.st_mtim) ? " mtime" : "";
  text += differ(before.st_ctim, after.st_ctim) ? " ctime" : "";
  if (describe(before) != describe(after)) {
    text += " now " + describe(after);
  }
  return text;
}

Command command_named(const std::string& name) {
  for (const Commands* commands :
       {&data_commands(), &name_commands(), &inode_commands(),
        &process_commands(), &rare_commands()}) {
    const auto found = commands->find(name);
    if (found != commands->end()) {
      return found->second;
    }
  }
  throw std::runtime_error("no call: " + name);
}

}  // namespace

int State::file(const std::string& slot) const {
  const auto found = files.find(slot);
  return found == files.end() ? -1 : found->second;
}

void become(const std::string& who) {
  // In a process that is not root's everybody is its user.
  if (::getuid() != 0) {
    return;
  }
  uid_t user = 0;
  std::vector<gid_t> groups;
  if (const std::size_t colon = who.find(':'); colon != std::string::npos) {
    user = id(who.substr(0, colon));
    groups = ids_of(who.substr(colon + 1));
  } else if (who == "user") {
    user = kUser;
    groups = {kUser, kSharedGroup};
  } else if (who == "stranger") {
    user = kStranger;
  } else if (who != "root") {
    throw std::runtime_error("nobody is called " + who);
  }
  const gid_t group = groups.empty() ? user : groups.front();
  const bool done = ::seteuid(0) == 0 &&
                    ::setgroups(groups.size(), groups.data()) == 0 &&
                    ::setegid(group) == 0 && ::seteuid(user) == 0;
  if (!done) {
    throw std::runtime_error("becoming " + who);
  }
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  DIR* const stream = ::opendir(directory.c_str());
  if (stream == nullptr) {
    return names;
  }
  while (const struct dirent* entry = ::readdir(stream)) {
    names.emplace_back(entry->d_name);
  }
  ::closedir(stream);
  std::erase_if(names, [](const std::string& name) {
    return name == "." || name == "..";
  });
  std::sort(names.begin(), names.end());
  return names;
}

Interpreter::Interpreter(const std::string& directory, bool as_user) {
  if (::chdir(directory.c_str()) != 0) {
    throw std::runtime_error("chdir " + directory);
  }
  ::umask(022);
  std::signal(SIGXFSZ, SIG_IGN);
  become(as_user ? "user" : "root");
}

void Interpreter::make(const std::string& call) {
  Words words = split(call);
  for (std::string& word : words) {
    word = decoded(word);
  }
  const Command command = command_named(words.at(0));
  wait_for_later_stamps(state_.watched);
  errno = 0;
  const long answer = command(state_, words);
  const int error = errno;
  state_.tell(call + ": " +
              (answer < 0 ? ::strerrorname_np(error) : std::to_string(answer)));
  tell_what_moved();
}

std::string Interpreter::account() {
  become("root");
  state_.tell("then:");
  tell_tree(".");
  return state_.account.str();
}

// An inode is compared with itself, under whatever name it was seen.
void Interpreter::tell_what_moved() {
  const std::map<std::string, struct stat> before = state_.watched;
  const auto earlier = [&](const struct stat& now) -> const struct stat* {
    for (const auto& [path, status] : before) {
      if (status.st_nlink > 0 && status.st_ino == now.st_ino) {
        return &status;
      }
    }
    return nullptr;
  };
  for (auto& [path, status] : state_.watched) {
    const struct stat old = std::exchange(status, {});
    const bool is_there = ::lstat(path.c_str(), &status) == 0;
    if (!is_there) {
      if (old.st_nlink > 0) {
        state_.tell("  " + shown(path) + " is away");
      }
      continue;
    }
    const struct stat* const same = earlier(status);
    const std::string moved = same == nullptr ? " is new, " + describe(status)
                                              : what_differs(*same, status);
    const bool is_another = same != nullptr && old.st_ino != status.st_ino;
    if (is_another || !moved.empty()) {
      state_.tell("  " + shown(path) + (is_another ? " is another" : "") +
                  moved);
    }
  }
}

void Interpreter::tell_tree(const std::string& directory) {
  for (const std::string& name : names_in(directory)) {
    const std::string path = directory + "/" + name;
    struct stat status = {};
    if (::lstat(path.c_str(), &status) != 0) {
      state_.tell(path + ": " + ::strerrorname_np(errno));
      continue;
    }
    std::string line = shown(path) + " " + describe(status);
    if (S_ISLNK(status.st_mode)) {
      std::array<char, 4096> target;
      const ssize_t length =
          ::readlink(path.c_str(), target.data(), target.size());
      line += " -> " +
              std::string(target.data(),
                          length < 0 ? 0 : static_cast<std::size_t>(length));
    }
    if (S_ISREG(status.st_mode)) {
      line += " " + content_of(path);
    }
    state_.tell(line + attributes_of(path));
    if (S_ISDIR(status.st_mode)) {
      tell_tree(path);
    }
  }
}

}  // namespace posix_tests
