// A process beside the test that repeats something until the object goes.
//
// A process and no thread: the test may fork others beside it. What a sanitizer
// keeps of the heap may be locked by a thread at that moment, and stays so in
// the child for ever.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <new>

namespace support {

class Disturber {
 public:
  // Calls disturb(round) with 0, 1, 2 ... in the other process.
  // REQUIRES: this process has no other thread.
  template <typename Disturb>
  explicit Disturber(const Disturb& disturb)
      : rounds_(new (shared_memory()) std::atomic<unsigned>(0)),
        pid_(::fork()) {
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (unsigned round = 0; ::getppid() != 1; ++round) {
        disturb(round);
        rounds_->store(round + 1);
      }
      ::_exit(0);
    }
    EXPECT_GT(pid_, 0) << std::strerror(errno);
  }
  Disturber(const Disturber&) = delete;
  Disturber& operator=(const Disturber&) = delete;
  ~Disturber() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::munmap(rounds_, sizeof(*rounds_));
  }

  // How often it has been done.
  [[nodiscard]] unsigned rounds() const { return rounds_->load(); }

 private:
  static void* shared_memory() {
    void* memory =
        ::mmap(nullptr, sizeof(std::atomic<unsigned>), PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      throw std::bad_alloc();
    }
    return memory;
  }

  std::atomic<unsigned>* const rounds_;
  const pid_t pid_;
};

}  // namespace support
