// Mode, owner, times and size of files: set through the mount and beside it.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

class Attributes : public OnEachBacking {};
PMEMFS_ON_EACH_BACKING(Attributes);

std::string in_words(const struct timespec& time) {
  return std::to_string(time.tv_sec) + " s " + std::to_string(time.tv_nsec) +
         " ns";
}

void tell_mode_and_owner(Account& account, const std::string& name) {
  const struct stat status = status_of(account / name);
  account.value("  mode", status.st_mode);
  account.value("  owner", status.st_uid);
  account.value("  group", status.st_gid);
}

TEST_P(Attributes, ModeIsChanged) {
  expect_same([](Account& account) {
    write_file(account / "f", "x");
    ASSERT_EQ(::mkdir((account / "d").c_str(), 0755), 0);
    for (const mode_t mode : {0U, 0777U, 04755U, 02755U, 01600U, 0444U}) {
      for (const char* name : {"f", "d"}) {
        account.call("chmod", ::chmod((account / name).c_str(), mode));
        tell_mode_and_owner(account, name);
      }
    }
    const pmem::UniqueFd fd = open_file(account / "f", O_RDONLY);
    account.call("fchmod", ::fchmod(fd.get(), 0604));
    tell_mode_and_owner(account, "f");
    account.call("of a missing one", ::chmod((account / "n").c_str(), 0600));
  });
  EXPECT_EQ(status_of(source("f")).st_mode, S_IFREG | 0604U);
}

TEST_P(Attributes, OwnerIsChangedAndSetIdBitsGoWithIt) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root may give files away";
  }
  expect_same([](Account& account) {
    write_file(account / "f", "x");
    const std::string path = account / "f";
    account.call("chown", ::chown(path.c_str(), 1234, 2345));
    tell_mode_and_owner(account, "f");
    account.call("owner alone", ::chown(path.c_str(), 77, gid_t(-1)));
    tell_mode_and_owner(account, "f");
    account.call("group alone", ::chown(path.c_str(), uid_t(-1), 88));
    tell_mode_and_owner(account, "f");
    account.call("chmod", ::chmod(path.c_str(), 06755));
    account.call("chown", ::chown(path.c_str(), 1234, 2345));
    tell_mode_and_owner(account, "f");
    ASSERT_EQ(::symlink("f", (account / "s").c_str()), 0);
    account.call("lchown", ::lchown((account / "s").c_str(), 5, 6));
    tell_mode_and_owner(account, "s");
    tell_mode_and_owner(account, "f");
    ASSERT_EQ(::mkdir((account / "d").c_str(), 02755), 0);
    account.call("of a directory", ::chown((account / "d").c_str(), 5, 6));
    tell_mode_and_owner(account, "d");
  });
  EXPECT_EQ(status_of(source("f")).st_uid, 1234U);
}

TEST_P(Attributes, TimesAreSetToTheNanosecond) {
  expect_same([](Account& account) {
    write_file(account / "f", "x");
    ASSERT_EQ(::mkdir((account / "d").c_str(), 0755), 0);
    ASSERT_EQ(::symlink("f", (account / "s").c_str()), 0);
    const auto set = [&](const char* what, const char* name,
                         struct timespec atime, struct timespec mtime) {
      const std::array times = {atime, mtime};
      account.call(what, ::utimensat(AT_FDCWD, (account / name).c_str(),
                                     times.data(), AT_SYMLINK_NOFOLLOW));
      const struct stat status = status_of(account / name);
      account.value("  atime", in_words(status.st_atim));
      account.value("  mtime", in_words(status.st_mtim));
    };
    for (const char* name : {"f", "d", "s"}) {
      set("both", name, {1234567890, 123456789}, {987654321, 999999999});
      set("mtime alone", name, {0, UTIME_OMIT}, {1111111111, 1});
      set("atime alone", name, {1222222222, 2}, {0, UTIME_OMIT});
      set("neither", name, {0, UTIME_OMIT}, {0, UTIME_OMIT});
      set("before 1970", name, {-1, 5}, {-1000, 7});
      set("after 2038", name, {5000000000, 5}, {4999999999, 7});
      set("a bad one", name, {0, 1000000000}, {0, 0});
    }
  });
  EXPECT_EQ(status_of(source("f")).st_mtim.tv_sec, 4999999999);
  EXPECT_EQ(status_of(source("f")).st_mtim.tv_nsec, 7);
}

TEST_P(Attributes, NowIsNow) {
  write_file(mounted("f"), "x");
  const std::array past = {timespec{.tv_sec = 1000, .tv_nsec = 0},
                           timespec{.tv_sec = 1000, .tv_nsec = 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, mounted("f").c_str(), past.data(), 0), 0);
  ASSERT_EQ(status_of(source("f")).st_mtim.tv_sec, 1000);
  const time_t before = ::time(nullptr);
  ASSERT_EQ(::utimensat(AT_FDCWD, mounted("f").c_str(), nullptr, 0), 0);
  EXPECT_GE(status_of(source("f")).st_mtim.tv_sec, before);
  EXPECT_GE(status_of(mounted("f")).st_atim.tv_sec, before);
  const std::array atime_only = {timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                                 timespec{.tv_sec = 2000, .tv_nsec = 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, mounted("f").c_str(), atime_only.data(), 0),
            0);
  const std::array now = {timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                          timespec{.tv_sec = 0, .tv_nsec = UTIME_NOW}};
  ASSERT_EQ(::utimensat(AT_FDCWD, mounted("f").c_str(), now.data(), 0), 0);
  EXPECT_GE(status_of(source("f")).st_mtim.tv_sec, before);
}

TEST_P(Attributes, SizeIsChangedByNameAndByDescriptor) {
  const std::string told = expect_same([](Account& account) {
    write_file(account / "f", noise(10000));
    const auto tell = [&] {
      const struct stat status = status_of(account / "f");
      account.value("  size", status.st_size);
      account.value("  blocks", status.st_blocks);
      account.content("  content", content_of(account / "f"));
    };
    const std::string path = account / "f";
    account.call("shorter", ::truncate(path.c_str(), 5000));
    tell();
    account.call("longer", ::truncate(path.c_str(), 9000));
    tell();
    const pmem::UniqueFd fd = open_file(path, O_RDWR);
    account.call("shorter", ::ftruncate(fd.get(), 4097));
    tell();
    account.call("to nothing", ::ftruncate(fd.get(), 0));
    tell();
    account.call("longer", ::ftruncate(fd.get(), 8193));
    tell();
    account.call("negative", ::ftruncate(fd.get(), -1));
    account.call("huge", ::truncate(path.c_str(), std::int64_t{1} << 62));
    account.call("small again", ::truncate(path.c_str(), 8193));
    const pmem::UniqueFd reader = open_file(path, O_RDONLY);
    account.call("of a reader", ::ftruncate(reader.get(), 1));
    account.call("of a directory", ::truncate(account.directory().c_str(), 1));
    account.call("of a missing one", ::truncate((account / "n").c_str(), 1));
    tell();
  });
  EXPECT_NE(told.find("of a directory: EISDIR"), std::string::npos);
}

TEST_P(Attributes, AnEmptyFileOfAGivenSizeIsSparse) {
  expect_same([](Account& account) {
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR | O_CREAT);
    account.call("truncate", ::ftruncate(fd.get(), std::int64_t{3} << 30));
    const struct stat status = status_of(account / "f");
    account.value("size", status.st_size);
    account.value("blocks", status.st_blocks);
  });
  EXPECT_EQ(status_of(source("f")).st_blocks, 0);
}

TEST_P(Attributes, AccessTellsWhatOpenDoes) {
  expect_same([](Account& account) {
    write_file(account / "f", "x");
    for (const mode_t mode : {0U, 0400U, 0200U, 0100U, 0755U}) {
      ASSERT_EQ(::chmod((account / "f").c_str(), mode), 0);
      for (const int wanted : {F_OK, R_OK, W_OK, X_OK}) {
        account.call("access", ::access((account / "f").c_str(), wanted));
      }
    }
  });
}

TEST_P(Attributes, ChangesBeneathAreSeen) {
  write_file(mounted("f"), "x");
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDONLY);
  ASSERT_EQ(::chmod(source("f").c_str(), 0751), 0);
  ASSERT_EQ(::truncate(source("f").c_str(), 12345), 0);
  EXPECT_TRUE(support::becomes_true(
      [&] {
        const struct stat status = status_of(mounted("f"));
        return (status.st_mode & 07777) == 0751 && status.st_size == 12345;
      },
      std::chrono::seconds(3)));
}

}  // namespace
}  // namespace mount_tests
