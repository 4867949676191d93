// A fixture: a mount that an ordinary user makes, in the background, with the
// help of fusermount3. Two directories of the user's on one file system,
// `native` to be used as it is and `source` through the mount. The tests run as
// root, and become the user in a child process.
#pragma once

#include <fcntl.h>
#include <pwd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mount/mount_test.h"
#include "support/child_process.h"

namespace mount_tests {

// fusermount3 wants one that has a name.
inline constexpr const char* kUserName = "nobody";

// For a child: a /dev/fuse that everybody may open, as distributions have it.
// What it is mounted from must outlive the child.
inline void open_fuse_to_everybody(const std::string& node) {
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

class UserMountTest : public ::testing::Test {
 protected:
  // Makes the directories. Skips where a user cannot mount; the caller returns
  // when IsSkipped().
  void prepare(BackingKind backing) {
    const std::string reason = cannot_mount_as_user();
    if (!reason.empty()) {
      GTEST_SKIP() << reason;
    }
    user_ = find_user();
    backing_ = support::make_directory_on(backing);
    std::filesystem::permissions(backing_->path(),
                                 std::filesystem::perms(0755));
    std::filesystem::permissions(work_.path(), std::filesystem::perms(0755));
    for (const std::string& path :
         {source(), native(), mountpoint(), log_directory()}) {
      ASSERT_EQ(::mkdir(path.c_str(), 0755), 0);
      ASSERT_EQ(::chown(path.c_str(), user_.uid, user_.gid), 0);
    }
  }

  // Paths of something in the source, beside it, and seen through the mount.
  [[nodiscard]] std::string source(const std::string& name = "") const {
    return *backing_ / ("source/" + name);
  }
  [[nodiscard]] std::string native(const std::string& name = "") const {
    return *backing_ / ("native/" + name);
  }
  [[nodiscard]] std::string mounted(const std::string& name = "") const {
    return mountpoint() + "/" + name;
  }
  [[nodiscard]] std::string mountpoint() const { return work_ / "mount"; }
  [[nodiscard]] std::string log_file() const {
    return log_directory() + "/log";
  }
  [[nodiscard]] const User& user() const { return user_; }

  // A program that is to start the daemon.
  void start_with(std::vector<std::string> wrapper) {
    wrapper_ = std::move(wrapper);
  }

  // Runs the code as the user, with a mount; `arguments` are those of `pmemfs
  // mount` before the source.
  template <typename Code>
  void as_user(const Code& code,
               const std::vector<std::string>& arguments = {}) {
    support::in_child([&] {
      open_fuse_to_everybody(work_ / "fuse");
      if (IsSkipped() || HasFatalFailure()) {
        return;
      }
      support::become_user(user_.uid, user_.gid);
      const std::string pid_file = log_directory() + "/pid";
      std::vector<std::string> command = wrapper_;
      command.insert(command.end(), {support::kPmemfs, "mount", "--pid-file",
                                     pid_file, "--log-file", log_file()});
      command.insert(command.end(), arguments.begin(), arguments.end());
      command.insert(command.end(), {*backing_ / "source", mountpoint()});
      const support::CommandResult started = support::run_command(command);
      ASSERT_EQ(started.exit_status, 0) << started.output;
      EXPECT_TRUE(support::is_fuse_mount(mountpoint()));
      const int daemon = std::atoi(content_of(pid_file).c_str());
      ASSERT_GT(daemon, 1);
      const support::Watched watched(daemon);

      code();

      const support::CommandResult ended =
          support::run_command({support::kPmemfs, "umount", mountpoint()});
      EXPECT_EQ(ended.exit_status, 0) << ended.output;
      EXPECT_FALSE(support::is_fuse_mount(mountpoint()));
      EXPECT_TRUE(watched.ends_within(std::chrono::seconds(20)))
          << "the daemon outlives its mount";
      EXPECT_FALSE(support::exists(pid_file));
    });
  }

 private:
  // Why not; "" when a user can.
  static std::string cannot_mount_as_user() {
    if (::geteuid() != 0) {
      return "only root can become another user; run as a user, all tests are "
             "about users' mounts";
    }
    struct stat fusermount = {};
    if (::stat("/usr/bin/fusermount3", &fusermount) != 0 ||
        fusermount.st_uid != 0 || (fusermount.st_mode & S_ISUID) == 0) {
      return "there is no set-user-id /usr/bin/fusermount3";
    }
    if (find_user().uid == 0) {
      return std::string("there is no user ") + kUserName;
    }
    return cannot_mount();
  }

  // The user; root when there is none of the name.
  static User find_user() {
    const struct passwd* found = ::getpwnam(kUserName);
    return found == nullptr ? User() : User{found->pw_uid, found->pw_gid};
  }

  [[nodiscard]] std::string log_directory() const { return work_ / "log"; }

  User user_;
  std::vector<std::string> wrapper_;
  std::unique_ptr<support::Backing> backing_;
  support::TempDir work_{"/var/tmp"};
};

}  // namespace mount_tests
