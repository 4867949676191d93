// The calls, one a line, words between blanks. Paths are relative to the
// directory of the scenario. A word may have X{N} in it for N times X, and %HH
// for a byte. Flags are the names of <fcntl.h> and others without their prefix,
// with | between them; numbers are as in C. SLOT is a name for an open file.
//
//   as root|user|stranger            umask MODE            chdir DIR
//   open SLOT PATH FLAGS [MODE]      close SLOT            flags SLOT
//   read SLOT LENGTH                 pread SLOT LENGTH OFFSET
//   write SLOT TEXT                  pwrite SLOT TEXT OFFSET
//   lseek SLOT OFFSET WHENCE         fsync SLOT [data]
//   truncate PATH LENGTH             ftruncate SLOT LENGTH
//   fallocate SLOT MODE OFFSET LENGTH
//   copy FROM OFFSET TO OFFSET LENGTH             (copy_file_range)
//   map SLOT OFFSET LENGTH [TEXT]    reads, or writes the text, by a mapping
//   stat PATH [nofollow]             fstat SLOT            times PATH
//   access PATH MODE                 list DIR
//   chmod PATH MODE                  fchmod SLOT MODE
//   chown|lchown PATH UID GID        fchown SLOT UID GID    (-1: as it is)
//   utimens PATH ATIME MTIME         seconds, now or omit; of the link itself
//   link OLD NEW                     linkfd SLOT NEW
//   symlink TARGET PATH              readlink PATH
//   unlink PATH  rmdir PATH          mkdir PATH [MODE]
//   mknod PATH fifo|sock|chr|blk|reg [MODE]
//   rename OLD NEW [FLAGS]
//   setxattr PATH NAME VALUE [FLAGS] getxattr PATH NAME    removexattr PATH
//   NAME flock SLOT OP                    lock SLOT r|w|u OFFSET LENGTH   (OFD
//   locks)
#include "posix/interpreter.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <stdexcept>

namespace posix_tests {
namespace {

const std::map<std::string, long>& flag_names() {
  static const std::map<std::string, long> kNames = {
      {"RDONLY", O_RDONLY},
      {"WRONLY", O_WRONLY},
      {"RDWR", O_RDWR},
      {"CREAT", O_CREAT},
      {"EXCL", O_EXCL},
      {"TRUNC", O_TRUNC},
      {"APPEND", O_APPEND},
      {"NONBLOCK", O_NONBLOCK},
      {"DIRECTORY", O_DIRECTORY},
      {"NOFOLLOW", O_NOFOLLOW},
      {"PATH", O_PATH},
      {"TMPFILE", O_TMPFILE},
      {"SYNC", O_SYNC},
      {"DSYNC", O_DSYNC},
      {"DIRECT", O_DIRECT},
      {"NOATIME", O_NOATIME},
      {"SET", SEEK_SET},
      {"CUR", SEEK_CUR},
      {"END", SEEK_END},
      {"DATA", SEEK_DATA},
      {"HOLE", SEEK_HOLE},
      {"KEEP_SIZE", FALLOC_FL_KEEP_SIZE},
      {"PUNCH_HOLE", FALLOC_FL_PUNCH_HOLE},
      {"ZERO_RANGE", FALLOC_FL_ZERO_RANGE},
      {"COLLAPSE_RANGE", FALLOC_FL_COLLAPSE_RANGE},
      {"INSERT_RANGE", FALLOC_FL_INSERT_RANGE},
      {"UNSHARE_RANGE", FALLOC_FL_UNSHARE_RANGE},
      {"NOREPLACE", RENAME_NOREPLACE},
      {"EXCHANGE", RENAME_EXCHANGE},
      {"CREATE", XATTR_CREATE},
      {"REPLACE", XATTR_REPLACE},
      {"SH", LOCK_SH},
      {"EX", LOCK_EX},
      {"UN", LOCK_UN},
      {"NB", LOCK_NB},
      {"R_OK", R_OK},
      {"W_OK", W_OK},
      {"X_OK", X_OK},
      {"F_OK", F_OK},
  };
  return kNames;
}

long number(const std::string& word) {
  long value = 0;
  std::istringstream parts(word);
  for (std::string part; std::getline(parts, part, '|');) {
    const auto named = flag_names().find(part);
    std::size_t used = 0;
    value |=
        named != flag_names().end() ? named->second : std::stol(part, &used, 0);
    if (named == flag_names().end() && used != part.size()) {
      throw std::runtime_error("no number: " + word);
    }
  }
  return value;
}

unsigned id(const std::string& word) {
  return static_cast<unsigned>(number(word));
}

mode_t mode(const std::vector<std::string>& words, std::size_t at,
            mode_t otherwise) {
  return at < words.size() ? id(words[at]) : otherwise;
}

// With X{N} and %HH turned into what they stand for.
std::string decoded(const std::string& word) {
  std::string text;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '%' && i + 2 < word.size()) {
      text += static_cast<char>(std::stoi(word.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else if (word[i] == '{' && !text.empty()) {
      const std::size_t end = word.find('}', i);
      const std::size_t count = std::stoul(word.substr(i + 1, end - i - 1));
      text.append(count - 1, text.back());
      i = end;
    } else {
      text += word[i];
    }
  }
  return text;
}

std::vector<std::string> split(const std::string& call) {
  std::istringstream words(call);
  std::vector<std::string> found;
  for (std::string word; words >> word;) {
    found.push_back(word);
  }
  return found;
}

std::string shown(const std::string& bytes) {
  constexpr std::size_t kFew = 40;
  const bool is_plain = std::all_of(
      bytes.begin(), bytes.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (is_plain && bytes.size() <= kFew) {
    return "\"" + bytes + "\"";
  }
  return std::to_string(bytes.size()) + " bytes, hash " +
         std::to_string(std::hash<std::string>()(bytes));
}

// What somebody has set, or that it is of today.
std::string shown(const timespec& time) {
  constexpr time_t kLongAgo = 1'000'000'000;
  return time.tv_sec > kLongAgo
             ? "now"
             : std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
}

timespec time_of(const std::string& word) {
  if (word == "now" || word == "omit") {
    return {.tv_sec = 0, .tv_nsec = word == "now" ? UTIME_NOW : UTIME_OMIT};
  }
  return {.tv_sec = number(word), .tv_nsec = 7};
}

mode_t type_of(const std::string& word) {
  static const std::map<std::string, mode_t> kTypes = {{"fifo", S_IFIFO},
                                                       {"sock", S_IFSOCK},
                                                       {"chr", S_IFCHR},
                                                       {"blk", S_IFBLK},
                                                       {"reg", S_IFREG}};
  return kTypes.at(word);
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

std::string describe(const struct stat& status) {
  std::ostringstream text;
  text << std::oct << status.st_mode << std::dec << " links " << status.st_nlink
       << " owner " << status.st_uid << ":" << status.st_gid;
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
    text << " device " << ::major(status.st_rdev) << ":"
         << ::minor(status.st_rdev);
  } else if (!S_ISDIR(status.st_mode)) {
    text << " size " << status.st_size;
  }
  return text.str();
}

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
    text += size < 0 ? ::strerrorname_np(errno)
                     : shown({value.data(), static_cast<std::size_t>(size)});
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

}  // namespace

Interpreter::Interpreter(const std::string& directory, bool as_user) {
  if (::chdir(directory.c_str()) != 0) {
    throw std::runtime_error("chdir " + directory);
  }
  ::umask(022);
  become(as_user ? "user" : "root");
}

void Interpreter::become(const std::string& who) {
  const std::array<gid_t, 2> groups = {kUser, kSharedGroup};
  const uid_t user = who == "root" ? 0 : who == "user" ? kUser : kStranger;
  const bool done =
      ::seteuid(0) == 0 &&
      ::setgroups(who == "user" ? groups.size() : 0, groups.data()) == 0 &&
      ::setegid(user) == 0 && ::seteuid(user) == 0;
  if (!done) {
    throw std::runtime_error("becoming " + who);
  }
}

void Interpreter::make(const std::string& call) {
  Words words = split(call);
  for (std::string& word : words) {
    word = decoded(word);
  }
  const auto command = commands().find(words.at(0));
  if (command == commands().end()) {
    throw std::runtime_error("no call: " + call);
  }
  errno = 0;
  const long answer = (this->*command->second)(words);
  const int error = errno;
  tell(call + ": " +
       (answer < 0 ? ::strerrorname_np(error) : std::to_string(answer)));
}

std::string Interpreter::account() {
  become("root");
  tell("then:");
  tell_tree(".");
  return account_.str();
}

void Interpreter::tell(const std::string& text) { account_ << text << '\n'; }

void Interpreter::tell_tree(const std::string& directory) {
  for (const std::string& name : names_in(directory)) {
    const std::string path = directory + "/" + name;
    struct stat status = {};
    if (::lstat(path.c_str(), &status) != 0) {
      tell(path + ": " + ::strerrorname_np(errno));
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
    tell(line + attributes_of(path));
    if (S_ISDIR(status.st_mode)) {
      tell_tree(path);
    }
  }
}

int Interpreter::file(const std::string& slot) const {
  const auto found = files_.find(slot);
  return found == files_.end() ? -1 : found->second;
}

// --- the calls --------------------------------------------------------------

const std::map<std::string, Interpreter::Command>& Interpreter::commands() {
  static const std::map<std::string, Command> kCommands = {
      {"as", &Interpreter::as},
      {"umask", &Interpreter::umask_to},
      {"open", &Interpreter::open},
      {"close", &Interpreter::close},
      {"read", &Interpreter::read},
      {"write", &Interpreter::write},
      {"pread", &Interpreter::pread},
      {"pwrite", &Interpreter::pwrite},
      {"lseek", &Interpreter::lseek},
      {"truncate", &Interpreter::truncate},
      {"ftruncate", &Interpreter::ftruncate},
      {"fallocate", &Interpreter::fallocate},
      {"fsync", &Interpreter::fsync},
      {"copy", &Interpreter::copy},
      {"map", &Interpreter::map},
      {"stat", &Interpreter::stat},
      {"fstat", &Interpreter::fstat},
      {"times", &Interpreter::times},
      {"access", &Interpreter::access},
      {"chmod", &Interpreter::chmod},
      {"fchmod", &Interpreter::fchmod},
      {"chown", &Interpreter::chown},
      {"lchown", &Interpreter::lchown},
      {"fchown", &Interpreter::fchown},
      {"utimens", &Interpreter::utimens},
      {"link", &Interpreter::link},
      {"linkfd", &Interpreter::linkfd},
      {"symlink", &Interpreter::symlink},
      {"readlink", &Interpreter::readlink},
      {"unlink", &Interpreter::unlink},
      {"rmdir", &Interpreter::rmdir},
      {"mkdir", &Interpreter::mkdir},
      {"mknod", &Interpreter::mknod},
      {"rename", &Interpreter::rename},
      {"list", &Interpreter::list},
      {"chdir", &Interpreter::chdir},
      {"setxattr", &Interpreter::setxattr},
      {"getxattr", &Interpreter::getxattr},
      {"removexattr", &Interpreter::removexattr},
      {"flock", &Interpreter::flock},
      {"lock", &Interpreter::lock},
      {"flags", &Interpreter::flags},
  };
  return kCommands;
}

long Interpreter::as(const Words& words) {
  become(words.at(1));
  return 0;
}

long Interpreter::umask_to(const Words& words) {
  ::umask(id(words.at(1)));
  return 0;
}

long Interpreter::open(const Words& words) {
  const int fd = ::open(words.at(2).c_str(),
                        static_cast<int>(number(words.at(3))) | O_CLOEXEC,
                        mode(words, 4, 0644));
  if (fd < 0) {
    return -1;
  }
  files_[words.at(1)] = fd;
  return 0;
}

long Interpreter::close(const Words& words) {
  const int fd = file(words.at(1));
  files_.erase(words.at(1));
  return ::close(fd);
}

long Interpreter::read(const Words& words) {
  std::string bytes(static_cast<std::size_t>(number(words.at(2))), '\0');
  const ssize_t length = ::read(file(words.at(1)), bytes.data(), bytes.size());
  if (length > 0) {
    const int error = errno;
    tell("  " + shown(bytes.substr(0, static_cast<std::size_t>(length))));
    errno = error;
  }
  return length;
}

long Interpreter::write(const Words& words) {
  return ::write(file(words.at(1)), words.at(2).data(), words.at(2).size());
}

long Interpreter::pread(const Words& words) {
  std::string bytes(static_cast<std::size_t>(number(words.at(2))), '\0');
  const ssize_t length = ::pread(file(words.at(1)), bytes.data(), bytes.size(),
                                 number(words.at(3)));
  if (length > 0) {
    tell("  " + shown(bytes.substr(0, static_cast<std::size_t>(length))));
  }
  return length;
}

long Interpreter::pwrite(const Words& words) {
  return ::pwrite(file(words.at(1)), words.at(2).data(), words.at(2).size(),
                  number(words.at(3)));
}

long Interpreter::lseek(const Words& words) {
  return ::lseek(file(words.at(1)), number(words.at(2)),
                 static_cast<int>(number(words.at(3))));
}

long Interpreter::truncate(const Words& words) {
  return ::truncate(words.at(1).c_str(), number(words.at(2)));
}

long Interpreter::ftruncate(const Words& words) {
  return ::ftruncate(file(words.at(1)), number(words.at(2)));
}

long Interpreter::fallocate(const Words& words) {
  return ::fallocate(file(words.at(1)), static_cast<int>(number(words.at(2))),
                     number(words.at(3)), number(words.at(4)));
}

long Interpreter::fsync(const Words& words) {
  return words.size() > 2 ? ::fdatasync(file(words.at(1)))
                          : ::fsync(file(words.at(1)));
}

long Interpreter::copy(const Words& words) {
  loff_t from = number(words.at(2));
  loff_t to = number(words.at(4));
  return ::copy_file_range(file(words.at(1)), &from, file(words.at(3)), &to,
                           static_cast<std::size_t>(number(words.at(5))), 0);
}

long Interpreter::map(const Words& words) {
  const auto length = static_cast<std::size_t>(number(words.at(3)));
  const bool writes = words.size() > 4;
  const int protection = writes ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const address = ::mmap(nullptr, length, protection, MAP_SHARED,
                               file(words.at(1)), number(words.at(2)));
  if (address == MAP_FAILED) {
    return -1;
  }
  auto* const bytes = static_cast<char*>(address);
  if (writes) {
    words.at(4).copy(bytes, length);
    ::msync(address, length, MS_SYNC);
  } else {
    tell("  " + shown({bytes, length}));
  }
  return ::munmap(address, length);
}

long Interpreter::stat(const Words& words) {
  struct stat status = {};
  const long answer = ::fstatat(AT_FDCWD, words.at(1).c_str(), &status,
                                words.size() > 2 ? AT_SYMLINK_NOFOLLOW : 0);
  if (answer == 0) {
    tell("  " + describe(status));
  }
  return answer;
}

long Interpreter::fstat(const Words& words) {
  struct stat status = {};
  const long answer = ::fstat(file(words.at(1)), &status);
  if (answer == 0) {
    tell("  " + describe(status));
  }
  return answer;
}

long Interpreter::times(const Words& words) {
  struct stat status = {};
  const long answer = ::lstat(words.at(1).c_str(), &status);
  if (answer == 0) {
    tell("  " + shown(status.st_atim) + " " + shown(status.st_mtim));
  }
  return answer;
}

long Interpreter::access(const Words& words) {
  return ::faccessat(AT_FDCWD, words.at(1).c_str(),
                     static_cast<int>(number(words.at(2))), AT_EACCESS);
}

long Interpreter::chmod(const Words& words) {
  return ::chmod(words.at(1).c_str(), id(words.at(2)));
}

long Interpreter::fchmod(const Words& words) {
  return ::fchmod(file(words.at(1)), id(words.at(2)));
}

long Interpreter::chown(const Words& words) {
  return ::chown(words.at(1).c_str(), id(words.at(2)), id(words.at(3)));
}

long Interpreter::lchown(const Words& words) {
  return ::lchown(words.at(1).c_str(), id(words.at(2)), id(words.at(3)));
}

long Interpreter::fchown(const Words& words) {
  return ::fchown(file(words.at(1)), id(words.at(2)), id(words.at(3)));
}

long Interpreter::utimens(const Words& words) {
  const std::array times = {time_of(words.at(2)), time_of(words.at(3))};
  return ::utimensat(AT_FDCWD, words.at(1).c_str(), times.data(),
                     AT_SYMLINK_NOFOLLOW);
}

long Interpreter::link(const Words& words) {
  return ::link(words.at(1).c_str(), words.at(2).c_str());
}

long Interpreter::linkfd(const Words& words) {
  const std::string path = "/proc/self/fd/" + std::to_string(file(words.at(1)));
  return ::linkat(AT_FDCWD, path.c_str(), AT_FDCWD, words.at(2).c_str(),
                  AT_SYMLINK_FOLLOW);
}

long Interpreter::symlink(const Words& words) {
  return ::symlink(words.at(1).c_str(), words.at(2).c_str());
}

long Interpreter::readlink(const Words& words) {
  std::array<char, 4096> target;
  const ssize_t length =
      ::readlink(words.at(1).c_str(), target.data(), target.size());
  if (length >= 0) {
    tell("  " + shown({target.data(), static_cast<std::size_t>(length)}));
  }
  return length;
}

long Interpreter::unlink(const Words& words) {
  return ::unlink(words.at(1).c_str());
}

long Interpreter::rmdir(const Words& words) {
  return ::rmdir(words.at(1).c_str());
}

long Interpreter::mkdir(const Words& words) {
  return ::mkdir(words.at(1).c_str(), mode(words, 2, 0777));
}

long Interpreter::mknod(const Words& words) {
  return ::mknod(words.at(1).c_str(),
                 type_of(words.at(2)) | mode(words, 3, 0644), ::makedev(1, 3));
}

long Interpreter::rename(const Words& words) {
  return ::renameat2(AT_FDCWD, words.at(1).c_str(), AT_FDCWD,
                     words.at(2).c_str(), mode(words, 3, 0));
}

long Interpreter::list(const Words& words) {
  std::string text = " ";
  for (const std::string& name : names_in(words.at(1))) {
    text += " " + shown(name);
  }
  tell(text);
  return 0;
}

long Interpreter::chdir(const Words& words) {
  return ::chdir(words.at(1).c_str());
}

long Interpreter::setxattr(const Words& words) {
  return ::lsetxattr(words.at(1).c_str(), words.at(2).c_str(),
                     words.at(3).data(), words.at(3).size(),
                     static_cast<int>(mode(words, 4, 0)));
}

long Interpreter::getxattr(const Words& words) {
  std::array<char, 65536> value;
  const ssize_t length = ::lgetxattr(words.at(1).c_str(), words.at(2).c_str(),
                                     value.data(), value.size());
  if (length >= 0) {
    tell("  " + shown({value.data(), static_cast<std::size_t>(length)}));
  }
  return length;
}

long Interpreter::removexattr(const Words& words) {
  return ::lremovexattr(words.at(1).c_str(), words.at(2).c_str());
}

long Interpreter::flock(const Words& words) {
  return ::flock(file(words.at(1)), static_cast<int>(number(words.at(2))));
}

long Interpreter::lock(const Words& words) {
  struct flock wanted = {};
  wanted.l_type = static_cast<short>(words.at(2) == "r"   ? F_RDLCK
                                     : words.at(2) == "w" ? F_WRLCK
                                                          : F_UNLCK);
  wanted.l_whence = SEEK_SET;
  wanted.l_start = number(words.at(3));
  wanted.l_len = number(words.at(4));
  return ::fcntl(file(words.at(1)), F_OFD_SETLK, &wanted);
}

long Interpreter::flags(const Words& words) {
  const int flags = ::fcntl(file(words.at(1)), F_GETFL);
  constexpr int kLargeFile = 0100000;  // O_LARGEFILE, which libc calls 0
  return flags < 0 ? flags : flags & ~kLargeFile;
}

}  // namespace posix_tests
