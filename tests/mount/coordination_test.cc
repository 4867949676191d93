// How programs on one mount keep out of each other's way, as they do in the
// directory beneath: locks between processes, leases, notification. And what
// cannot work, which is refused.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <string>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

class Coordination : public OnEachBacking {};
PMEMFS_ON_EACH_BACKING(Coordination);

// Another process, which does one thing and then stays until it is let go.
class Neighbour {
 public:
  explicit Neighbour(const std::function<void()>& deed) {
    std::array<int, 2> ready = {};
    EXPECT_EQ(::pipe2(ready.data(), O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      deed();
      [[maybe_unused]] const ssize_t told = ::write(ready[1], "", 1);
      for (;;) {
        ::pause();
      }
    }
    const pmem::UniqueFd reader(ready[0]);
    const pmem::UniqueFd writer(ready[1]);
    char byte = 0;
    EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
  }
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;
  ~Neighbour() { end(); }

  void end() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      pid_ = 0;
    }
  }

 private:
  pid_t pid_ = 0;
};

struct flock range(short type, off_t from, off_t length) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = from;
  lock.l_len = length;
  return lock;
}

long set_lock(int fd, int command, short type, off_t from, off_t length) {
  struct flock lock = range(type, from, length);
  return ::fcntl(fd, command, &lock);
}

TEST_P(Coordination, AFlockOfAProcessKeepsOthersOutUntilItEnds) {
  expect_same([](Account& account) {
    const std::string path = account / "f";
    write_file(path, "content");
    const pmem::UniqueFd mine = open_file(path, O_RDWR);
    Neighbour neighbour(
        [&] { ::flock(open_file(path, O_RDWR).release(), LOCK_EX); });
    account.call("exclusive", ::flock(mine.get(), LOCK_EX | LOCK_NB));
    account.call("shared", ::flock(mine.get(), LOCK_SH | LOCK_NB));
    neighbour.end();
    account.call("exclusive then", ::flock(mine.get(), LOCK_EX | LOCK_NB));
  });
}

// F_SETLK with F_GETLK, and those that belong to the open file.
void tell_of_range_locks(Account& account, int set, int set_and_wait, int get) {
  const std::string path = account / "f";
  write_file(path, noise(100));
  const pmem::UniqueFd mine = open_file(path, O_RDWR);
  Neighbour neighbour([&] {
    const int fd = open_file(path, O_RDWR).release();
    set_lock(fd, set, F_WRLCK, 10, 10);
    set_lock(fd, set, F_RDLCK, 50, 10);
  });
  account.call("beside it", set_lock(mine.get(), set, F_WRLCK, 0, 10));
  account.call("over it", set_lock(mine.get(), set, F_WRLCK, 5, 10));
  account.call("to read it", set_lock(mine.get(), set, F_RDLCK, 15, 1));
  account.call("to read with it", set_lock(mine.get(), set, F_RDLCK, 50, 5));
  account.call("to the end", set_lock(mine.get(), set, F_WRLCK, 20, 0));
  struct flock who = range(F_WRLCK, 0, 0);
  account.call("who is it", ::fcntl(mine.get(), get, &who));
  account.value("type", who.l_type);
  account.value("start", who.l_start);
  account.value("length", who.l_len);
  account.value("has a process", who.l_pid > 1);
  neighbour.end();
  account.call("over it, waiting",
               set_lock(mine.get(), set_and_wait, F_WRLCK, 5, 50));
}

TEST_P(Coordination, RangesAreLockedBetweenProcesses) {
  expect_same([](Account& account) {
    tell_of_range_locks(account, F_SETLK, F_SETLKW, F_GETLK);
  });
}

TEST_P(Coordination, RangesAreLockedBetweenOpenFiles) {
  expect_same([](Account& account) {
    tell_of_range_locks(account, F_OFD_SETLK, F_OFD_SETLKW, F_OFD_GETLK);
  });
}

TEST_P(Coordination, AClosedDescriptorTakesTheLocksOfItsProcessWithIt) {
  expect_same([](Account& account) {
    const std::string path = account / "f";
    write_file(path, noise(100));
    const pmem::UniqueFd mine = open_file(path, O_RDWR);
    const Neighbour neighbour([&] {
      set_lock(open_file(path, O_RDWR).release(), F_SETLK, F_WRLCK, 0, 0);
      ::close(open_file(path, O_RDONLY).release());
    });
    account.call("lock", set_lock(mine.get(), F_SETLK, F_WRLCK, 0, 0));
  });
}

TEST_P(Coordination, AWaiterIsLetInWhenTheLockIsGivenUp) {
  const std::string path = mounted("f");
  write_file(path, noise(100));
  const pmem::UniqueFd mine = open_file(path, O_RDWR);
  ASSERT_EQ(set_lock(mine.get(), F_OFD_SETLK, F_WRLCK, 0, 0), 0);
  const pid_t waiter = ::fork();
  if (waiter == 0) {
    const pmem::UniqueFd fd = open_file(path, O_RDWR);
    ::_exit(set_lock(fd.get(), F_SETLKW, F_WRLCK, 0, 0) == 0 ? 0 : 1);
  }
  struct timespec while_it_waits = {.tv_sec = 0, .tv_nsec = 50'000'000};
  ::nanosleep(&while_it_waits, nullptr);
  EXPECT_EQ(::waitpid(waiter, nullptr, WNOHANG), 0);
  EXPECT_EQ(set_lock(mine.get(), F_OFD_SETLK, F_UNLCK, 0, 0), 0);
  int status = -1;
  EXPECT_EQ(::waitpid(waiter, &status, 0), waiter);
  EXPECT_EQ(status, 0);
}

// --- leases ---

TEST_P(Coordination, ALeaseIsGrantedAndBrokenByWhoeverOpensTheFile) {
  // In a process of its own, for the signal.
  const auto tell = [](Account& account) {
    ::signal(SIGIO, SIG_IGN);
    const std::string path = account / "f";
    write_file(path, "content");
    const pmem::UniqueFd reader = open_file(path, O_RDONLY);
    account.call("read lease", ::fcntl(reader.get(), F_SETLEASE, F_RDLCK));
    account.succeeds("a second reader", open_file(path, O_RDONLY).get());
    account.succeeds("a writer", open_file(path, O_WRONLY | O_NONBLOCK).get());
    account.call("it is to go", ::fcntl(reader.get(), F_GETLEASE));
    account.call("it goes", ::fcntl(reader.get(), F_SETLEASE, F_UNLCK));
    const pmem::UniqueFd writer = open_file(path, O_WRONLY);
    account.succeeds("the writer then", writer.get());
    account.call("read lease beside a writer",
                 ::fcntl(reader.get(), F_SETLEASE, F_RDLCK));
    account.call("write lease beside a reader",
                 ::fcntl(writer.get(), F_SETLEASE, F_WRLCK));
    ::signal(SIGIO, SIG_DFL);
  };
  expect_same(tell);
}

TEST_P(Coordination, AWriteLeaseIsForTheOnlyUser) {
  expect_same([](Account& account) {
    ::signal(SIGIO, SIG_IGN);
    const std::string path = account / "f";
    write_file(path, "content");
    const pmem::UniqueFd only = open_file(path, O_RDWR);
    account.call("write lease", ::fcntl(only.get(), F_SETLEASE, F_WRLCK));
    account.call("told", ::fcntl(only.get(), F_GETLEASE));
    account.succeeds("a reader", open_file(path, O_RDONLY | O_NONBLOCK).get());
    account.call("downgraded", ::fcntl(only.get(), F_SETLEASE, F_RDLCK));
    account.call("it goes", ::fcntl(only.get(), F_SETLEASE, F_UNLCK));
    ::signal(SIGIO, SIG_DFL);
  });
}

// --- notification ---

// The events that are there, by their masks and names.
void tell_events(Account& account, int watcher) {
  alignas(struct inotify_event) std::array<char, 4096> buffer;
  const ssize_t length = ::read(watcher, buffer.data(), buffer.size());
  for (ssize_t at = 0; at < length;) {
    const auto* event =
        reinterpret_cast<const struct inotify_event*>(buffer.data() + at);
    account.value(event->len > 0 ? event->name : "itself", event->mask);
    at += static_cast<ssize_t>(sizeof(*event) + event->len);
  }
}

TEST_P(Coordination, AWatcherHearsOfWhatIsDoneThroughTheMount) {
  expect_same([](Account& account) {
    const pmem::UniqueFd watcher(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    ASSERT_GE(::inotify_add_watch(watcher.get(), account.directory().c_str(),
                                  IN_ALL_EVENTS),
              0);
    write_file(account / "f", "content");
    ASSERT_EQ(content_of(account / "f"), "content");
    ASSERT_EQ(::chmod((account / "f").c_str(), 0600), 0);
    ASSERT_EQ(::rename((account / "f").c_str(), (account / "g").c_str()), 0);
    ASSERT_EQ(::truncate((account / "g").c_str(), 3), 0);
    ASSERT_EQ(::unlink((account / "g").c_str()), 0);
    tell_events(account, watcher.get());
  });
}

// --- what cannot work ---

// A handle would have to mean the same file after the kernel and the daemon
// have forgotten it.
TEST_P(Coordination, AHandleThatWouldNotLastIsRefused) {
  write_file(mounted("f"), "content");
  alignas(struct file_handle)
      std::array<char, sizeof(struct file_handle) + MAX_HANDLE_SZ>
          room = {};
  auto* handle = reinterpret_cast<struct file_handle*>(room.data());
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  const int status =
      ::name_to_handle_at(AT_FDCWD, mounted("f").c_str(), handle, &mount_id, 0);
  if (status == 0) {
    // A kernel that does not let it be refused (before 6.8): the handle is good
    // while the file is known, and never that of another file.
    const pmem::UniqueFd mount = open_file(mounted(), O_RDONLY);
    const pmem::UniqueFd opened(
        ::open_by_handle_at(mount.get(), handle, O_RDONLY));
    EXPECT_EQ(read_at(opened.get(), 0, 100), "content");
  } else {
    EXPECT_EQ(errno, EOPNOTSUPP);
  }
}

}  // namespace
}  // namespace mount_tests
