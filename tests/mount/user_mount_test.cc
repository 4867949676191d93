// A mount that an ordinary user makes: it is the user's alone.
#include "mount/user_mount.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>

namespace mount_tests {
namespace {

class UserMount : public UserMountTest,
                  public ::testing::WithParamInterface<BackingKind> {
 protected:
  void SetUp() override { prepare(GetParam()); }
};
PMEMFS_ON_EACH_BACKING(UserMount);

TEST_P(UserMount, FilesAreMadeWrittenAndRead) {
  as_user([&] {
    const std::string file = mounted("f");
    write_file(file, noise(300000));
    EXPECT_TRUE(content_of(file) == noise(300000));
    EXPECT_TRUE(content_of(source("f")) == noise(300000));
    EXPECT_EQ(status_of(file).st_uid, user().uid);
    EXPECT_EQ(status_of(source("f")).st_uid, user().uid);
    const pmem::UniqueFd fd = open_file(file, O_RDWR | O_APPEND);
    ASSERT_EQ(::write(fd.get(), "end", 3), 3);
    ASSERT_EQ(::fsync(fd.get()), 0);
    EXPECT_EQ(status_of(source("f")).st_size, 300003);
    ASSERT_EQ(::mkdir(mounted("d").c_str(), 0700), 0);
    ASSERT_EQ(::rename(file.c_str(), mounted("d/g").c_str()), 0);
    EXPECT_EQ(status_of(source("d/g")).st_size, 300003);
  });
}

TEST_P(UserMount, TheUmaskCounts) {
  as_user([&] {
    ::umask(0027);
    write_file(mounted("f"), "x");
    ASSERT_EQ(::mkdir(mounted("d").c_str(), 0777), 0);
    EXPECT_EQ(status_of(source("f")).st_mode & 0777, 0640U);
    EXPECT_EQ(status_of(source("d")).st_mode & 0777, 0750U);
  });
}

TEST_P(UserMount, AttributesTellOfTheFile) {
  as_user([&] {
    write_file(mounted("f"), noise(5000));
    std::array<char, 100> value = {};
    EXPECT_EQ(::getxattr(mounted("f").c_str(), "user.pmem.mapped_length",
                         value.data(), value.size()),
              4);
    EXPECT_STREQ(value.data(), "5000");
  });
}

TEST_P(UserMount, WhatIsNotTheUsersStaysClosed) {
  write_file(source("of-root"), "secret");
  ASSERT_EQ(::chmod(source("of-root").c_str(), 0600), 0);
  as_user([&] {
    EXPECT_FALSE(open_file(mounted("of-root"), O_RDONLY).valid());
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(::chmod(mounted("of-root").c_str(), 0666), -1);
    EXPECT_EQ(errno, EPERM);
  });
  EXPECT_EQ(content_of(source("of-root")), "secret");
}

TEST_P(UserMount, TheLogSaysWhatWasAgreed) {
  as_user([&] {
    const std::string log = content_of(log_file());
    EXPECT_NE(log.find("source at " + mountpoint()), std::string::npos) << log;
    EXPECT_NE(log.find("CAP_SYS_ADMIN"), std::string::npos)
        << "why there is no passthrough: " << log;
  });
}

// Who may not open by handle keeps inodes in mind by their names.
class UserMountWithFewDescriptors : public UserMount {
 protected:
  void SetUp() override {
    UserMount::SetUp();
    start_with({"prlimit", "--nofile=80:80"});
  }
};
PMEMFS_ON_EACH_BACKING(UserMountWithFewDescriptors);

TEST_P(UserMountWithFewDescriptors, ManyFilesAreKnown) {
  as_user([&] {
    constexpr int kFiles = 2000;
    for (int number = 0; number < kFiles; ++number) {
      const std::string name = std::to_string(number);
      write_file((number % 2 == 0 ? mounted(name) : source(name)), name);
    }
    for (int round = 0; round < 2; ++round) {
      for (int number = 0; number < kFiles; ++number) {
        const std::string name = std::to_string(number);
        ASSERT_EQ(status_of(mounted(name)).st_ino,
                  status_of(source(name)).st_ino);
        ASSERT_EQ(content_of(mounted(name)), name);
      }
    }
    for (int number = 0; number < kFiles; ++number) {
      ASSERT_EQ(::unlink(mounted(std::to_string(number)).c_str()), 0);
    }
    EXPECT_TRUE(std::filesystem::is_empty(source()));
  });
}

TEST_P(UserMountWithFewDescriptors, AreFollowedWhereTheyAreRenamed) {
  as_user([&] {
    // Each level is reached through the one above it.
    std::string deep;
    for (int level = 0; level < 100; ++level) {
      deep += "level" + std::to_string(level) + "/";
      ASSERT_EQ(::mkdir(mounted(deep).c_str(), 0755), 0) << deep;
    }
    write_file(mounted(deep + "file"), "content");
    ASSERT_EQ(::chdir(mounted(deep).c_str()), 0);
    ASSERT_EQ(
        ::rename(mounted("level0/level1").c_str(), mounted("moved").c_str()),
        0);
    EXPECT_EQ(content_of("file"), "content");
    ASSERT_EQ(::rename("file", "renamed"), 0);
    EXPECT_EQ(content_of("renamed"), "content");
    ASSERT_EQ(::rename(mounted("moved").c_str(), mounted("again").c_str()), 0);
    EXPECT_EQ(content_of("../level99/renamed"), "content");
    write_file("other", "else");
    ASSERT_EQ(
        ::renameat2(AT_FDCWD, "other", AT_FDCWD, "renamed", RENAME_EXCHANGE),
        0);
    EXPECT_EQ(content_of("renamed"), "else");
    EXPECT_EQ(content_of("other"), "content");
    ASSERT_EQ(::chdir("/"), 0);
  });
}

TEST_P(UserMountWithFewDescriptors, AnUnlinkedFileIsThereWhileItIsOpen) {
  as_user([&] {
    for (int number = 0; number < 200; ++number) {
      write_file(mounted("other" + std::to_string(number)), "");
    }
    write_file(mounted("file"), "content");
    const pmem::UniqueFd fd = open_file(mounted("file"), O_RDWR);
    ASSERT_EQ(::unlink(mounted("file").c_str()), 0);
    struct stat status = {};
    ASSERT_EQ(::fstat(fd.get(), &status), 0) << std::strerror(errno);
    EXPECT_EQ(status.st_nlink, 0U);
    EXPECT_EQ(::fchmod(fd.get(), 0600), 0) << std::strerror(errno);
    EXPECT_EQ(::fsetxattr(fd.get(), "user.x", "y", 1, 0), 0)
        << std::strerror(errno);
    EXPECT_EQ(::ftruncate(fd.get(), 3), 0) << std::strerror(errno);
    EXPECT_EQ(read_at(fd.get(), 0, 10), "con");
  });
}

TEST_P(UserMountWithFewDescriptors, WhatIsReplacedBeneathIsSeen) {
  as_user([&] {
    for (int number = 0; number < 200; ++number) {
      write_file(source("f" + std::to_string(number)), "old");
      ASSERT_EQ(content_of(mounted("f" + std::to_string(number))), "old");
    }
    write_file(source("new"), "new");
    ASSERT_EQ(::rename(source("new").c_str(), source("f199").c_str()), 0);
    ASSERT_EQ(::rename(source("f198").c_str(), source("f197").c_str()), 0);
    EXPECT_EQ(content_of(mounted("f199")), "new");
    EXPECT_EQ(content_of(mounted("f197")), "old");
    EXPECT_TRUE(
        support::becomes_true([&] { return !support::exists(mounted("f198")); },
                              std::chrono::seconds(5)));
  });
}

}  // namespace
}  // namespace mount_tests
