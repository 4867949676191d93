// A mount that an ordinary user makes, in the background, with the help of
// fusermount3.
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <string>

#include "mount/mount_test.h"
#include "support/child_process.h"

namespace mount_tests {
namespace {

using support::CommandResult;
using support::run_command;

// fusermount3 wants one that has a name.
constexpr const char* kUserName = "nobody";

// For a child: a /dev/fuse that everybody may open, as distributions have it.
// What it is mounted from must outlive the child.
void open_fuse_to_everybody(const std::string& node) {
  struct stat fuse = {};
  ASSERT_EQ(::stat("/dev/fuse", &fuse), 0);
  if ((fuse.st_mode & 0666) == 0666) {
    return;
  }
  support::enter_private_mounts();
  if (::testing::Test::IsSkipped()) {
    return;
  }
  ASSERT_EQ(::mknod(node.c_str(), S_IFCHR | 0666, fuse.st_rdev), 0)
      << std::strerror(errno);
  ASSERT_EQ(::chmod(node.c_str(), 0666), 0);
  ASSERT_EQ(::mount(node.c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr), 0)
      << std::strerror(errno);
}

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
};

// The user; root when there is none of the name.
User find_user() {
  const struct passwd* found = ::getpwnam(kUserName);
  return found == nullptr ? User() : User{found->pw_uid, found->pw_gid};
}

bool has_fusermount() {
  struct stat status = {};
  return ::stat("/usr/bin/fusermount3", &status) == 0 && status.st_uid == 0 &&
         (status.st_mode & S_ISUID) != 0;
}

class UserMount : public ::testing::TestWithParam<BackingKind> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "only root can become another user; run as a user, all "
                      "tests are about users' mounts";
    }
    const std::string reason = cannot_mount();
    if (!reason.empty()) {
      GTEST_SKIP() << reason;
    }
    if (!has_fusermount()) {
      GTEST_SKIP() << "there is no set-user-id /usr/bin/fusermount3";
    }
    user_ = find_user();
    if (user_.uid == 0) {
      GTEST_SKIP() << "there is no user " << kUserName;
    }
    backing_ = support::make_directory_on(GetParam());
    std::filesystem::permissions(backing_->path(),
                                 std::filesystem::perms(0755));
    std::filesystem::permissions(work_.path(), std::filesystem::perms(0755));
    for (const std::string& path : {source(), mountpoint(), log_directory()}) {
      ASSERT_EQ(::mkdir(path.c_str(), 0755), 0);
      ASSERT_EQ(::chown(path.c_str(), user_.uid, user_.gid), 0);
    }
  }

  User user_;

  [[nodiscard]] std::string source() const { return *backing_ / "source"; }
  [[nodiscard]] std::string mountpoint() const { return work_ / "mount"; }
  [[nodiscard]] std::string log_directory() const { return work_ / "log"; }
  [[nodiscard]] std::string log_file() const {
    return log_directory() + "/log";
  }

  // Runs the code as the user, with the mount.
  template <typename Code>
  void as_user(const Code& code) {
    support::in_child([&] {
      open_fuse_to_everybody(work_ / "fuse");
      if (IsSkipped() || HasFatalFailure()) {
        return;
      }
      ASSERT_EQ(::setgroups(0, nullptr), 0);
      ASSERT_EQ(::setresgid(user_.gid, user_.gid, user_.gid), 0);
      ASSERT_EQ(::setresuid(user_.uid, user_.uid, user_.uid), 0);
      const std::string pid_file = log_directory() + "/pid";
      const CommandResult started =
          run_command({support::kPmemfs, "mount", "--pid-file", pid_file,
                       "--log-file", log_file(), source(), mountpoint()});
      ASSERT_EQ(started.exit_status, 0) << started.output;
      EXPECT_TRUE(support::is_fuse_mount(mountpoint()));
      const int daemon = std::atoi(content_of(pid_file).c_str());
      EXPECT_GT(daemon, 1);

      code();

      const CommandResult ended =
          run_command({support::kPmemfs, "umount", mountpoint()});
      EXPECT_EQ(ended.exit_status, 0) << ended.output;
      EXPECT_FALSE(support::is_fuse_mount(mountpoint()));
      EXPECT_TRUE(support::becomes_true(
          [&] { return ::kill(daemon, 0) != 0 && errno == ESRCH; },
          std::chrono::seconds(20)))
          << "the daemon outlives its mount";
      EXPECT_FALSE(support::exists(pid_file));
    });
  }

 private:
  std::unique_ptr<support::Backing> backing_;
  support::TempDir work_{"/var/tmp"};
};

INSTANTIATE_TEST_SUITE_P(Mounted, UserMount,
                         ::testing::Values(BackingKind::kTmpfs,
                                           BackingKind::kDisk),
                         [](const auto& parameter) {
                           return support::name_of(parameter.param);
                         });

TEST_P(UserMount, FilesAreMadeWrittenAndRead) {
  as_user([&] {
    const std::string file = mountpoint() + "/f";
    write_file(file, noise(300000));
    EXPECT_TRUE(content_of(file) == noise(300000));
    EXPECT_TRUE(content_of(source() + "/f") == noise(300000));
    EXPECT_EQ(status_of(file).st_uid, user_.uid);
    EXPECT_EQ(status_of(source() + "/f").st_uid, user_.uid);
    const pmem::UniqueFd fd = open_file(file, O_RDWR | O_APPEND);
    ASSERT_EQ(::write(fd.get(), "end", 3), 3);
    ASSERT_EQ(::fsync(fd.get()), 0);
    EXPECT_EQ(status_of(source() + "/f").st_size, 300003);
    ASSERT_EQ(::mkdir((mountpoint() + "/d").c_str(), 0700), 0);
    ASSERT_EQ(::rename(file.c_str(), (mountpoint() + "/d/g").c_str()), 0);
    EXPECT_EQ(status_of(source() + "/d/g").st_size, 300003);
  });
}

TEST_P(UserMount, TheUmaskCounts) {
  as_user([&] {
    ::umask(0027);
    write_file(mountpoint() + "/f", "x");
    ASSERT_EQ(::mkdir((mountpoint() + "/d").c_str(), 0777), 0);
    EXPECT_EQ(status_of(source() + "/f").st_mode & 0777, 0640U);
    EXPECT_EQ(status_of(source() + "/d").st_mode & 0777, 0750U);
  });
}

TEST_P(UserMount, AttributesTellOfTheFile) {
  as_user([&] {
    write_file(mountpoint() + "/f", noise(5000));
    std::array<char, 100> value = {};
    EXPECT_EQ(::getxattr((mountpoint() + "/f").c_str(),
                         "user.pmem.mapped_length", value.data(), value.size()),
              4);
    EXPECT_STREQ(value.data(), "5000");
  });
}

TEST_P(UserMount, WhatIsNotTheUsersStaysClosed) {
  write_file(source() + "/of-root", "secret");
  ASSERT_EQ(::chmod((source() + "/of-root").c_str(), 0600), 0);
  as_user([&] {
    EXPECT_FALSE(open_file(mountpoint() + "/of-root", O_RDONLY).valid());
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(::chmod((mountpoint() + "/of-root").c_str(), 0666), -1);
    EXPECT_EQ(errno, EPERM);
  });
  EXPECT_EQ(content_of(source() + "/of-root"), "secret");
}

TEST_P(UserMount, TheLogSaysWhatWasAgreed) {
  as_user([&] {
    const std::string log = content_of(log_file());
    EXPECT_NE(log.find("mounted " + source() + " at " + mountpoint()),
              std::string::npos)
        << log;
    EXPECT_NE(log.find("CAP_SYS_ADMIN"), std::string::npos)
        << "why there is no passthrough: " << log;
  });
}

}  // namespace
}  // namespace mount_tests
