// Calls that few programs make, most of which the kernel answers for FUSE.
#include <fcntl.h>
#include <grp.h>
#include <linux/io_uring.h>
#include <linux/magic.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "posix/interpreter.h"

namespace posix_tests {
namespace {

// Newer than the headers.
constexpr long kQuotactlFd = 443;

long call_epoll(State& state, const Words& words) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data = {}};
  const int answer =
      ::epoll_ctl(epoll, EPOLL_CTL_ADD, state.file(words.at(1)), &event);
  const int error = errno;
  ::close(epoll);
  errno = error;
  return answer;
}

long call_seals(State& state, const Words& words) {
  return ::fcntl(state.file(words.at(1)), F_GET_SEALS);
}

long call_readahead(State& state, const Words& words) {
  return ::readahead(state.file(words.at(1)), number(words.at(2)),
                     static_cast<std::size_t>(number(words.at(3))));
}

long call_willneed(State& state, const Words& words) {
  errno = ::posix_fadvise(state.file(words.at(1)), number(words.at(2)),
                          number(words.at(3)), POSIX_FADV_WILLNEED);
  return errno == 0 ? 0 : -1;
}

// With an argument of zeros.
long call_ioctl(State& state, const Words& words) {
  std::array<char, 4096> argument = {};
  return ::ioctl(state.file(words.at(1)),
                 static_cast<unsigned long>(number(words.at(2))),
                 argument.data());
}

long call_fstype(State& state, const Words& words) {
  struct statfs facts = {};
  const int answer = ::statfs(words.at(1).c_str(), &facts);
  if (answer == 0) {
    state.tell(facts.f_type == FUSE_SUPER_MAGIC ? "  FUSE" : "  another");
  }
  return answer;
}

// Of whom files are made in the file system of the path.
long call_fanotify(State& /*state*/, const Words& words) {
  const int group = ::fanotify_init(FAN_CLOEXEC | FAN_REPORT_FID, O_RDONLY);
  if (group < 0) {
    return -1;
  }
  const int answer = ::fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
                                     FAN_CREATE, AT_FDCWD, words.at(1).c_str());
  const int error = errno;
  ::close(group);
  errno = error;
  return answer;
}

// Which format the quotas of users have.
long call_quotactl(State& state, const Words& words) {
  std::uint32_t format = 0;
  return ::syscall(kQuotactlFd, state.file(words.at(1)),
                   QCMD(Q_GETFMT, USRQUOTA), 0, &format);
}

long call_acl(State& /*state*/, const Words& words) {
  constexpr std::uint16_t kAll = ACL_READ | ACL_WRITE | ACL_EXECUTE;
  constexpr auto kNobody = static_cast<std::uint32_t>(ACL_UNDEFINED_ID);
  std::vector<struct posix_acl_xattr_entry> entries = {
      {ACL_USER_OBJ, kAll, kNobody}};
  for (unsigned user = 1; user <= id(words.at(2)); ++user) {
    entries.push_back({ACL_USER, kAll, kStranger + user});
  }
  entries.push_back({ACL_GROUP_OBJ, kAll, kNobody});
  entries.push_back({ACL_MASK, kAll, kNobody});
  entries.push_back({ACL_OTHER, kAll, kNobody});
  const std::uint32_t version = POSIX_ACL_XATTR_VERSION;
  std::string value(reinterpret_cast<const char*>(&version), sizeof(version));
  value.append(reinterpret_cast<const char*>(entries.data()),
               entries.size() * sizeof(entries.front()));
  return ::lsetxattr(words.at(1).c_str(), "system.posix_acl_access",
                     value.data(), value.size(), 0);
}

// In the user namespace of the process 0 and those after it are `first` and
// those after that. By root outside of it; false where it is none.
bool map_ids(pid_t process, unsigned first) {
  for (const char* const name : {"/uid_map", "/gid_map"}) {
    std::ofstream map("/proc/" + std::to_string(process) + name);
    map << "0 " << first << " 65536" << std::flush;
    if (!map) {
      return false;
    }
  }
  return true;
}

// What one process waits for, and another one gives.
class Signal {
 public:
  Signal() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) {
      throw std::runtime_error("pipe");
    }
  }
  ~Signal() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void give() const {
    [[maybe_unused]] const ssize_t given = ::write(ends_[1], "", 1);
  }
  void wait() const {
    char byte = 0;
    [[maybe_unused]] const ssize_t taken = ::read(ends_[0], &byte, 1);
  }

 private:
  std::array<int, 2> ends_ = {};
};

// The process becomes root of a user namespace. Where there are none it is
// ENOSYS, as is the next.
long call_contained(State& /*state*/, const Words& words) {
  const Signal is_contained;
  const pid_t process = ::getpid();
  const pid_t helper = ::fork();
  if (helper == 0) {
    is_contained.wait();
    ::_exit(map_ids(process, id(words.at(1))) ? 0 : 1);
  }
  const bool done = ::unshare(CLONE_NEWUSER) == 0;
  is_contained.give();
  ::waitpid(helper, nullptr, 0);
  errno = ENOSYS;
  return done && ::setgroups(0, nullptr) == 0 && ::setresgid(0, 0, 0) == 0 &&
                 ::setresuid(0, 0, 0) == 0
             ? 0
             : -1;
}

// Of the folder, with the ids of another user namespace.
long call_idmap(State& /*state*/, const Words& words) {
  const Signal is_contained;
  const Signal is_done;
  const pid_t owner = ::fork();
  if (owner == 0) {
    ::unshare(CLONE_NEWUSER);
    is_contained.give();
    is_done.wait();
    ::_exit(0);
  }
  is_contained.wait();
  const bool has_ids = map_ids(owner, kUser);
  const std::string path = "/proc/" + std::to_string(owner) + "/ns/user";
  const int space = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const int tree = ::open_tree(AT_FDCWD, words.at(1).c_str(),
                               OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  struct mount_attr wanted = {};
  wanted.attr_set = MOUNT_ATTR_IDMAP;
  wanted.userns_fd = static_cast<decltype(wanted.userns_fd)>(space);
  const int answer =
      ::mount_setattr(tree, "", AT_EMPTY_PATH, &wanted, sizeof(wanted));
  const int error = has_ids ? errno : ENOSYS;
  ::close(tree);
  ::close(space);
  is_done.give();
  ::waitpid(owner, nullptr, 0);
  errno = error;
  return answer;
}

long call_pause(State& /*state*/, const Words& words) {
  const timespec time = {.tv_sec = 0,
                         .tv_nsec = number(words.at(1)) * 1'000'000};
  return ::nanosleep(&time, nullptr);
}

// An io_uring of one request.
class Ring {
 public:
  Ring() {
    fd_ = static_cast<int>(::syscall(SYS_io_uring_setup, 1, &parameters_));
    submissions_ = map(IORING_OFF_SQ_RING,
                       parameters_.sq_off.array + sizeof(std::uint32_t));
    completions_ = map(IORING_OFF_CQ_RING,
                       parameters_.cq_off.cqes + (parameters_.cq_entries *
                                                  sizeof(struct io_uring_cqe)));
    requests_ = map(IORING_OFF_SQES, sizeof(struct io_uring_sqe));
  }
  ~Ring() { ::close(fd_); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // As the call that is asked for. Without io_uring it is ENOSYS.
  long make(const struct io_uring_sqe& request) {
    if (requests_ == nullptr) {
      errno = ENOSYS;
      return -1;
    }
    std::memcpy(requests_, &request, sizeof(request));
    *reinterpret_cast<std::uint32_t*>(submissions_ + parameters_.sq_off.tail) +=
        1;
    if (::syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS,
                  nullptr, 0) != 1) {
      return -1;
    }
    const long answer = reinterpret_cast<const struct io_uring_cqe*>(
                            completions_ + parameters_.cq_off.cqes)
                            ->res;
    errno = answer < 0 ? static_cast<int>(-answer) : 0;
    return answer;
  }

 private:
  // Until the process ends.
  [[nodiscard]] char* map(std::int64_t what, std::size_t length) const {
    void* const address =
        ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, what);
    return address == MAP_FAILED ? nullptr : static_cast<char*>(address);
  }

  struct io_uring_params parameters_ = {};
  int fd_ = -1;
  char* submissions_ = nullptr;
  char* completions_ = nullptr;
  char* requests_ = nullptr;
};

// At the offset; -1 is the current one.
long by_ring(State& state, const Words& words, std::uint8_t operation,
             std::string& bytes) {
  struct io_uring_sqe request;
  std::memset(&request, 0, sizeof(request));
  request.opcode = operation;
  request.fd = state.file(words.at(1));
  request.addr = reinterpret_cast<std::uintptr_t>(bytes.data());
  request.len = static_cast<std::uint32_t>(bytes.size());
  request.off = static_cast<std::uint64_t>(number(words.at(3)));
  request.rw_flags = mode(words, 4, 0);
  return Ring().make(request);
}

long call_ringread(State& state, const Words& words) {
  std::string bytes(static_cast<std::size_t>(number(words.at(2))), '\0');
  const long length = by_ring(state, words, IORING_OP_READ, bytes);
  if (length > 0) {
    state.tell("  " + shown(bytes.data(), length));
  }
  return length;
}

long call_ringwrite(State& state, const Words& words) {
  std::string bytes = words.at(2);
  return by_ring(state, words, IORING_OP_WRITE, bytes);
}

}  // namespace

const Commands& rare_commands() {
  static const Commands kCommands = {
      {"epoll", call_epoll},
      {"seals", call_seals},
      {"readahead", call_readahead},
      {"willneed", call_willneed},
      {"ioctl", call_ioctl},
      {"fstype", call_fstype},
      {"fanotify", call_fanotify},
      {"quotactl", call_quotactl},
      {"acl", call_acl},
      {"pause", call_pause},
      {"contained", call_contained},
      {"idmap", call_idmap},
      {"ringread", call_ringread},
      {"ringwrite", call_ringwrite},
  };
  return kCommands;
}

}  // namespace posix_tests
