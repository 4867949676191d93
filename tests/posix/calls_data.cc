// Calls on open files: data, mappings, locks.
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "posix/interpreter.h"

namespace posix_tests {
namespace {

// An address that is not mapped.
constexpr long kNowhere = 8;

// The new descriptor goes into the slot.
long keep(State& state, const std::string& slot, int fd) {
  if (fd < 0) {
    return -1;
  }
  state.files[slot] = fd;
  return 0;
}

// SLOT r|w|u OFFSET LENGTH
struct flock range_of(const Words& words) {
  struct flock range = {};
  range.l_type = static_cast<short>(words.at(2) == "r"   ? F_RDLCK
                                    : words.at(2) == "w" ? F_WRLCK
                                                         : F_UNLCK);
  range.l_whence = SEEK_SET;
  range.l_start = number(words.at(3));
  range.l_len = number(words.at(4));
  return range;
}

long call_open(State& state, const Words& words) {
  return keep(state, words.at(1),
              ::open(words.at(2).c_str(),
                     static_cast<int>(number(words.at(3))) | O_CLOEXEC,
                     mode(words, 4, 0644)));
}

long call_close(State& state, const Words& words) {
  const int fd = state.file(words.at(1));
  state.files.erase(words.at(1));
  return ::close(fd);
}

long call_read(State& state, const Words& words) {
  std::string bytes(static_cast<std::size_t>(number(words.at(2))), '\0');
  const ssize_t length =
      ::read(state.file(words.at(1)), bytes.data(), bytes.size());
  if (length > 0) {
    const int error = errno;
    state.tell("  " + shown(bytes.substr(0, static_cast<std::size_t>(length))));
    errno = error;
  }
  return length;
}

long call_write(State& state, const Words& words) {
  return ::write(state.file(words.at(1)), words.at(2).data(),
                 words.at(2).size());
}

long call_pread(State& state, const Words& words) {
  std::string bytes(static_cast<std::size_t>(number(words.at(2))), '\0');
  const struct iovec part = {bytes.data(), bytes.size()};
  const ssize_t length =
      ::preadv2(state.file(words.at(1)), &part, 1, number(words.at(3)),
                static_cast<int>(mode(words, 4, 0)));
  if (length > 0) {
    state.tell("  " + shown(bytes.data(), length));
  }
  return length;
}

long call_pwrite(State& state, const Words& words) {
  std::string bytes = words.at(2);
  const struct iovec part = {bytes.data(), bytes.size()};
  return ::pwritev2(state.file(words.at(1)), &part, 1, number(words.at(3)),
                    static_cast<int>(mode(words, 4, 0)));
}

long call_lseek(State& state, const Words& words) {
  return ::lseek(state.file(words.at(1)), number(words.at(2)),
                 static_cast<int>(number(words.at(3))));
}

long call_truncate(State& /*state*/, const Words& words) {
  return ::truncate(words.at(1).c_str(), number(words.at(2)));
}

long call_ftruncate(State& state, const Words& words) {
  return ::ftruncate(state.file(words.at(1)), number(words.at(2)));
}

long call_fallocate(State& state, const Words& words) {
  return ::fallocate(state.file(words.at(1)),
                     static_cast<int>(number(words.at(2))), number(words.at(3)),
                     number(words.at(4)));
}

long call_fsync(State& state, const Words& words) {
  return words.size() > 2 ? ::fdatasync(state.file(words.at(1)))
                          : ::fsync(state.file(words.at(1)));
}

long call_copy(State& state, const Words& words) {
  loff_t from = number(words.at(2));
  loff_t to = number(words.at(4));
  return ::copy_file_range(state.file(words.at(1)), &from,
                           state.file(words.at(3)), &to,
                           static_cast<std::size_t>(number(words.at(5))), 0);
}

long call_map(State& state, const Words& words) {
  const auto length = static_cast<std::size_t>(number(words.at(3)));
  const bool writes = words.size() > 4;
  const int protection = writes ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const address = ::mmap(nullptr, length, protection, MAP_SHARED,
                               state.file(words.at(1)), number(words.at(2)));
  if (address == MAP_FAILED) {
    return -1;
  }
  auto* const bytes = static_cast<char*>(address);
  if (writes) {
    words.at(4).copy(bytes, length);
    ::msync(address, length, MS_SYNC);
  } else {
    state.tell("  " + shown({bytes, length}));
  }
  return ::munmap(address, length);
}

long call_flags(State& state, const Words& words) {
  const int flags = ::fcntl(state.file(words.at(1)), F_GETFL);
  constexpr int kLargeFile = 0100000;  // O_LARGEFILE, which libc calls 0
  return flags < 0 ? flags : flags & ~kLargeFile;
}

long call_flock(State& state, const Words& words) {
  return ::flock(state.file(words.at(1)),
                 static_cast<int>(number(words.at(2))));
}

long call_lock(State& state, const Words& words) {
  struct flock wanted = range_of(words);
  return ::fcntl(state.file(words.at(1)), F_OFD_SETLK, &wanted);
}

long call_openat(State& state, const Words& words) {
  return keep(state, words.at(1),
              ::openat(state.file(words.at(2)), words.at(3).c_str(),
                       static_cast<int>(number(words.at(4))) | O_CLOEXEC,
                       mode(words, 5, 0644)));
}

// Where the kernel is to put the bytes there is no memory.
long call_badread(State& state, const Words& words) {
  return ::syscall(SYS_read, state.file(words.at(1)), kNowhere, 100);
}

long call_badwrite(State& state, const Words& words) {
  return ::syscall(SYS_write, state.file(words.at(1)), kNowhere, 100);
}

long call_syncfs(State& state, const Words& words) {
  return ::syncfs(state.file(words.at(1)));
}

long call_posix_fallocate(State& state, const Words& words) {
  errno = ::posix_fallocate(state.file(words.at(1)), number(words.at(2)),
                            number(words.at(3)));
  return errno == 0 ? 0 : -1;
}

long call_sendfile(State& state, const Words& words) {
  return ::sendfile(state.file(words.at(2)), state.file(words.at(1)), nullptr,
                    static_cast<std::size_t>(number(words.at(3))));
}

long call_splice(State& state, const Words& words) {
  std::array<int, 2> ends = {};
  if (::pipe(ends.data()) != 0) {
    return -1;
  }
  const auto length = static_cast<std::size_t>(number(words.at(3)));
  ssize_t moved =
      ::splice(state.file(words.at(1)), nullptr, ends[1], nullptr, length, 0);
  if (moved >= 0) {
    state.tell("  " + std::to_string(moved) + " into the pipe");
    ::close(std::exchange(ends[1], -1));
    moved =
        ::splice(ends[0], nullptr, state.file(words.at(2)), nullptr, length, 0);
  }
  const int error = errno;
  ::close(ends[0]);
  ::close(ends[1]);
  errno = error;
  return moved;
}

long call_clone(State& state, const Words& words) {
  return ::ioctl(state.file(words.at(2)), FICLONE, state.file(words.at(1)));
}

// How many extents the file has (FIEMAP).
long call_extents(State& state, const Words& words) {
  struct fiemap question;  // clang initializes none with an array of no size
  std::memset(&question, 0, sizeof(question));
  question.fm_length = FIEMAP_MAX_OFFSET;
  question.fm_flags = FIEMAP_FLAG_SYNC;
  if (::ioctl(state.file(words.at(1)), FS_IOC_FIEMAP, &question) != 0) {
    return -1;
  }
  return question.fm_mapped_extents;
}

long call_mapped(State& state, const Words& words) {
  const auto length = static_cast<std::size_t>(number(words.at(3)));
  const bool is_private = has(words, 4, "private");
  const int shared =
      has(words, 4, "sync") ? MAP_SHARED_VALIDATE | MAP_SYNC : MAP_SHARED;
  const int fd = state.file(words.at(2));
  const bool may_write = (::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
  void* const address = ::mmap(
      nullptr, length, PROT_READ | (may_write || is_private ? PROT_WRITE : 0),
      is_private ? MAP_PRIVATE : shared, fd, 0);
  if (address == MAP_FAILED) {
    return -1;
  }
  state.mappings[words.at(1)] = {static_cast<char*>(address), length};
  return 0;
}

long call_store(State& state, const Words& words) {
  const std::string& text = words.at(3);
  text.copy(state.mappings.at(words.at(1)).first + number(words.at(2)),
            text.size());
  return 0;
}

long call_load(State& state, const Words& words) {
  const char* const from =
      state.mappings.at(words.at(1)).first + number(words.at(2));
  state.tell("  " + shown(from, number(words.at(3))));
  return 0;
}

long call_msync(State& state, const Words& words) {
  const auto& [address, length] = state.mappings.at(words.at(1));
  return ::msync(address, length, static_cast<int>(number(words.at(2))));
}

long call_unmap(State& state, const Words& words) {
  const auto mapping = state.mappings.extract(words.at(1));
  return ::munmap(mapping.mapped().first, mapping.mapped().second);
}

long call_readinto(State& state, const Words& words) {
  return ::pread(state.file(words.at(1)), state.mappings.at(words.at(2)).first,
                 static_cast<std::size_t>(number(words.at(3))), 0);
}

long call_writefrom(State& state, const Words& words) {
  return ::pwrite(state.file(words.at(1)), state.mappings.at(words.at(2)).first,
                  static_cast<std::size_t>(number(words.at(3))), 0);
}

long call_testlock(State& state, const Words& words) {
  struct flock wanted = range_of(words);
  const int answer = ::fcntl(state.file(words.at(1)), F_OFD_GETLK, &wanted);
  if (answer == 0) {
    state.tell("  " + std::to_string(wanted.l_type) + " " +
               std::to_string(wanted.l_start) + " " +
               std::to_string(wanted.l_len));
  }
  return answer;
}

long call_plock(State& state, const Words& words) {
  struct flock wanted = range_of(words);
  return ::fcntl(state.file(words.at(1)), F_SETLK, &wanted);
}

long call_limit(State& /*state*/, const Words& words) {
  const struct rlimit limit = {
      .rlim_cur = static_cast<rlim_t>(number(words.at(1))),
      .rlim_max = RLIM_INFINITY};
  return ::setrlimit(RLIMIT_FSIZE, &limit);
}

}  // namespace

const Commands& data_commands() {
  static const Commands kCommands = {
      {"open", call_open},
      {"close", call_close},
      {"read", call_read},
      {"write", call_write},
      {"pread", call_pread},
      {"pwrite", call_pwrite},
      {"lseek", call_lseek},
      {"truncate", call_truncate},
      {"ftruncate", call_ftruncate},
      {"fallocate", call_fallocate},
      {"fsync", call_fsync},
      {"copy", call_copy},
      {"map", call_map},
      {"flags", call_flags},
      {"flock", call_flock},
      {"lock", call_lock},
      {"openat", call_openat},
      {"badread", call_badread},
      {"badwrite", call_badwrite},
      {"syncfs", call_syncfs},
      {"posix_fallocate", call_posix_fallocate},
      {"sendfile", call_sendfile},
      {"splice", call_splice},
      {"clone", call_clone},
      {"extents", call_extents},
      {"mapped", call_mapped},
      {"store", call_store},
      {"load", call_load},
      {"msync", call_msync},
      {"unmap", call_unmap},
      {"readinto", call_readinto},
      {"writefrom", call_writefrom},
      {"testlock", call_testlock},
      {"plock", call_plock},
      {"limit", call_limit},
  };
  return kCommands;
}

}  // namespace posix_tests
