// A mount that an ordinary user makes: it is the user's alone.
#include "mount/user_mount.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
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

}  // namespace
}  // namespace mount_tests
