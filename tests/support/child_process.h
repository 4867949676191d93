// Code in a child process, for what would outlast a test: identity, limits, the
// umask, mounts in a namespace of its own.
#pragma once

#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <system_error>
#include <vector>

namespace support {

namespace internal {

inline constexpr int kSkippedStatus = 77;

template <typename Code>
[[noreturn]] void run_and_exit(const Code& code) {
  try {
    code();
  } catch (const std::exception& thrown) {
    ADD_FAILURE() << "thrown: " << thrown.what();
  }
  std::fflush(nullptr);
  const bool has_failed = ::testing::Test::HasFailure();
  ::_exit(has_failed ? 1 : ::testing::Test::IsSkipped() ? kSkippedStatus : 0);
}

}  // namespace internal

// Runs the code in a fork of this process. Its failed EXPECTs and its
// GTEST_SKIP print there and count here. What it leaves behind on the heap goes
// with it; files do not.
template <typename Code>
void in_child(const Code& code) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0) << std::strerror(errno);
  if (child == 0) {
    internal::run_and_exit(code);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child) << std::strerror(errno);
  ASSERT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == internal::kSkippedStatus) {
    GTEST_SKIP() << "the child skipped, for the reason above";
  }
  EXPECT_EQ(WEXITSTATUS(status), 0) << "the child failed, as shown above";
}

// For a child: becomes an ordinary user for good. Throws std::system_error,
// which ends the child as a failed one: nothing is to be done as root then.
inline void become_user(uid_t user, gid_t group,
                        const std::vector<gid_t>& other_groups = {}) {
  if (::setgroups(other_groups.size(), other_groups.data()) != 0 ||
      ::setresgid(group, group, group) != 0 ||
      ::setresuid(user, user, user) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "becoming user " + std::to_string(user));
  }
}

// For a child: mounts from here on are seen by it alone and end with it. Skips
// the test where that is not permitted; the caller returns when IsSkipped().
inline void enter_private_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) {
    GTEST_SKIP() << "no mount namespace of our own: " << std::strerror(errno);
  }
  ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0)
      << std::strerror(errno);
}

// For a child after enter_private_mounts(). `type` is a file system without a
// device, such as "tmpfs"; options as in mount(8).
inline void mount_fresh(const std::string& type, const std::string& target,
                        const std::string& options = "") {
  ASSERT_EQ(::mount("none", target.c_str(), type.c_str(), 0, options.c_str()),
            0)
      << "mounting " << type << ": " << std::strerror(errno);
}

}  // namespace support
