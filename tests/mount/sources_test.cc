// Several sources in one mount, and named ones.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

using support::Backing;
using support::MountedPmemfs;

// Two directories on different file systems, and one beside the first.
class Sources : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string reason = cannot_mount();
    if (!reason.empty()) {
      GTEST_SKIP() << reason;
    }
    disk_ = support::make_directory_on(BackingKind::kDisk);
    tmpfs_ = support::make_directory_on(BackingKind::kTmpfs);
    for (const std::string& path :
         {*disk_ / "left", *disk_ / "right", *tmpfs_ / "volatile"}) {
      std::filesystem::create_directory(path);
    }
  }

  [[nodiscard]] std::string left(const std::string& name = "") const {
    return *disk_ / ("left/" + name);
  }
  [[nodiscard]] std::string right(const std::string& name = "") const {
    return *disk_ / ("right/" + name);
  }
  [[nodiscard]] std::string volatile_one(const std::string& name = "") const {
    return *tmpfs_ / ("volatile/" + name);
  }

  static std::multiset<std::string> entries_of(const std::string& path) {
    std::multiset<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }

 private:
  std::unique_ptr<Backing> disk_;
  std::unique_ptr<Backing> tmpfs_;
};

TEST_F(Sources, StandUnderTheirNames) {
  MountedPmemfs mounted({left(), "other=" + right(), volatile_one()});
  EXPECT_EQ(entries_of(mounted.path()),
            (std::multiset<std::string>{"left", "other", "volatile"}));
  write_file(mounted / "left/f", "L");
  write_file(mounted / "other/f", "O");
  write_file(mounted / "volatile/f", "V");
  EXPECT_EQ(content_of(left("f")), "L");
  EXPECT_EQ(content_of(right("f")), "O");
  EXPECT_EQ(content_of(volatile_one("f")), "V");
  for (const char* name : {"left", "other", "volatile"}) {
    EXPECT_TRUE(S_ISDIR(status_of(mounted / name).st_mode));
  }
}

TEST_F(Sources, ANamedOneStandsUnderItsNameEvenAlone) {
  MountedPmemfs mounted({"only=" + left()});
  EXPECT_EQ(entries_of(mounted.path()), std::multiset<std::string>{"only"});
  write_file(mounted / "only/f", "x");
  EXPECT_EQ(content_of(left("f")), "x");
}

TEST_F(Sources, TheRootAboveThemIsFixed) {
  MountedPmemfs mounted({left(), right()});
  const auto expect_refused = [](long answer, const char* what) {
    const int error = errno;
    EXPECT_EQ(answer, -1) << what;
    EXPECT_TRUE(error == EPERM || error == EROFS || error == EACCES)
        << what << ": " << std::strerror(error);
  };
  expect_refused(::mkdir((mounted / "new").c_str(), 0755), "mkdir");
  expect_refused(::open((mounted / "new").c_str(), O_RDWR | O_CREAT, 0644),
                 "create");
  expect_refused(::symlink("x", (mounted / "new").c_str()), "symlink");
  expect_refused(::rmdir((mounted / "left").c_str()), "rmdir");
  expect_refused(
      ::rename((mounted / "left").c_str(), (mounted / "new").c_str()),
      "rename");
  EXPECT_EQ(::access((mounted / "missing").c_str(), F_OK), -1);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(entries_of(mounted.path()),
            (std::multiset<std::string>{"left", "right"}));
}

TEST_F(Sources, FilesOfOneNameHaveInodeNumbersOfTheirOwn) {
  for (const std::string& path :
       {left("same"), right("same"), volatile_one("same")}) {
    write_file(path, path);
  }
  const std::vector<std::string> sources = {left(), right(), volatile_one()};
  std::vector<std::vector<ino_t>> numbers;
  for (int mount_number = 0; mount_number < 2; ++mount_number) {
    MountedPmemfs mounted(sources);
    numbers.emplace_back();
    for (const char* name : {"", "left", "right", "volatile", "left/same",
                             "right/same", "volatile/same"}) {
      numbers.back().push_back(status_of(mounted / name).st_ino);
    }
    EXPECT_EQ(content_of(mounted / "left/same"), left("same"));
    EXPECT_EQ(content_of(mounted / "volatile/same"), volatile_one("same"));
  }
  EXPECT_EQ(std::set<ino_t>(numbers[0].begin(), numbers[0].end()).size(),
            numbers[0].size());
  EXPECT_EQ(numbers[0], numbers[1]) << "they change between mounts";
}

TEST_F(Sources, ListedInodeNumbersAreThoseOfStat) {
  write_file(left("f"), "x");
  write_file(volatile_one("f"), "x");
  MountedPmemfs mounted({left(), volatile_one()});
  for (const char* name : {"left", "volatile"}) {
    DIR* directory = ::opendir((mounted / name).c_str());
    ASSERT_NE(directory, nullptr);
    while (const struct dirent* entry = ::readdir(directory)) {
      if (std::string(static_cast<const char*>(entry->d_name)) == "f") {
        EXPECT_EQ(entry->d_ino,
                  status_of(mounted / (std::string(name) + "/f")).st_ino);
      }
    }
    ::closedir(directory);
  }
}

TEST_F(Sources, OnTwoFileSystemsNothingMovesAcross) {
  MountedPmemfs mounted({left(), volatile_one()});
  write_file(mounted / "left/f", "x");
  EXPECT_EQ(
      ::rename((mounted / "left/f").c_str(), (mounted / "volatile/f").c_str()),
      -1);
  EXPECT_EQ(errno, EXDEV);
  EXPECT_EQ(
      ::link((mounted / "left/f").c_str(), (mounted / "volatile/f").c_str()),
      -1);
  EXPECT_EQ(errno, EXDEV);
  EXPECT_EQ(content_of(left("f")), "x");
  // mv falls back to a copy.
  const support::CommandResult moved =
      support::run_command({"mv", mounted / "left/f", mounted / "volatile/f"});
  EXPECT_EQ(moved.exit_status, 0) << moved.output;
  EXPECT_EQ(content_of(volatile_one("f")), "x");
  EXPECT_FALSE(support::exists(left("f")));
}

TEST_F(Sources, OnOneFileSystemARenameAcrossDoesWhatItDoesNatively) {
  write_file(left("f"), "x");
  MountedPmemfs mounted({left(), right()});
  ASSERT_EQ(
      ::rename((mounted / "left/f").c_str(), (mounted / "right/g").c_str()), 0)
      << std::strerror(errno);
  EXPECT_EQ(content_of(mounted / "right/g"), "x");
  EXPECT_EQ(content_of(right("g")), "x");
  EXPECT_FALSE(support::exists(mounted / "left/f"));
}

TEST_F(Sources, ADirectoryWithinAnotherIsReachedBothWays) {
  ASSERT_EQ(::mkdir(left("inner").c_str(), 0755), 0);
  MountedPmemfs mounted({left(), left("inner")});
  write_file(mounted / "left/inner/f", "one");
  EXPECT_EQ(content_of(mounted / "inner/f"), "one");
  write_file(mounted / "inner/f", "two");
  EXPECT_EQ(content_of(mounted / "left/inner/f"), "two");
}

// Two file systems that number their files alike.
class TwinSources : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kSize = 1 << 20;

  void SetUp() override {
    const std::string reason = cannot_mount().empty()
                                   ? support::cannot_make_file_systems()
                                   : cannot_mount();
    if (!reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }

  // Makes files in both and returns how many different numbers they have, as
  // stat tells them through the mount and as a listing does.
  static std::size_t different_numbers(const std::string& first,
                                       const std::string& second) {
    std::set<ino_t> numbers;
    for (int number = 0; number < 20; ++number) {
      const std::string name = "/file-" + std::to_string(number);
      write_file(first + name, "x");
      write_file(second + name, "x");
      numbers.insert(status_of(first + name).st_ino);
      numbers.insert(status_of(second + name).st_ino);
    }
    for (const std::string& directory : {first, second}) {
      DIR* stream = ::opendir(directory.c_str());
      EXPECT_NE(stream, nullptr);
      while (const struct dirent* entry = ::readdir(stream)) {
        const std::string name = static_cast<const char*>(entry->d_name);
        if (name.starts_with("file-")) {
          numbers.insert(entry->d_ino);
        }
      }
      ::closedir(stream);
    }
    return numbers.size();
  }
};

TEST_F(TwinSources, HaveInodeNumbersOfTheirOwn) {
  const std::unique_ptr<Backing> first = support::make_tmpfs(kSize);
  const std::unique_ptr<Backing> second = support::make_tmpfs(kSize);
  write_file(*first / "same", "first");
  write_file(*second / "same", "second");
  ASSERT_EQ(status_of(*first / "same").st_ino,
            status_of(*second / "same").st_ino);
  MountedPmemfs mounted({"a=" + first->path(), "b=" + second->path()});
  EXPECT_NE(status_of(mounted / "a/same").st_ino,
            status_of(mounted / "b/same").st_ino);
  EXPECT_EQ(content_of(mounted / "a/same"), "first");
  EXPECT_EQ(content_of(mounted / "b/same"), "second");
  EXPECT_EQ(different_numbers(mounted / "a", mounted / "b"), 40U);
}

TEST_F(TwinSources, OneMountedInsideTheOtherIsShownWithNumbersOfItsOwn) {
  const std::unique_ptr<Backing> outer = support::make_tmpfs(kSize);
  const std::string inner = *outer / "inner";
  ASSERT_EQ(::mkdir(inner.c_str(), 0755), 0);
  ASSERT_EQ(::mount("none", inner.c_str(), "tmpfs", 0, "size=1m"), 0)
      << std::strerror(errno);
  {
    MountedPmemfs mounted({outer->path()});
    write_file(mounted / "inner/f", "inside");
    EXPECT_EQ(content_of(inner + "/f"), "inside");
    EXPECT_EQ(different_numbers(mounted.path(), mounted / "inner"), 40U);
    EXPECT_EQ(::rename((mounted / "file-0").c_str(),
                       (mounted / "inner/other").c_str()),
              -1);
    EXPECT_EQ(errno, EXDEV);
    EXPECT_EQ(::rmdir((mounted / "inner").c_str()), -1);
    EXPECT_EQ(errno, EBUSY);
  }
  EXPECT_EQ(::umount(inner.c_str()), 0) << std::strerror(errno);
}

TEST_F(Sources, TheirSpaceIsAddedUp) {
  MountedPmemfs mounted({left(), right(), volatile_one()});
  const auto size_of = [](const std::string& path) {
    struct statvfs status = {};
    EXPECT_EQ(::statvfs(path.c_str(), &status), 0);
    return status.f_blocks * status.f_frsize;
  };
  EXPECT_EQ(size_of(mounted.path()), size_of(left()) + size_of(volatile_one()));
  EXPECT_EQ(size_of(mounted / "volatile"), size_of(volatile_one()));
}

TEST_F(Sources, ALinkLeadsWhereTheKernelOfTheCallerTakesIt) {
  // Not where the daemon would: from the mount's own root.
  ASSERT_EQ(::symlink("../right/f", left("relative").c_str()), 0);
  write_file(right("f"), "right");
  MountedPmemfs mounted({"a=" + left(), "right=" + right()});
  EXPECT_EQ(content_of(mounted / "a/relative"), "right");
  MountedPmemfs alone({left()});
  EXPECT_FALSE(open_file(alone / "relative", O_RDONLY).valid());
}

TEST_F(Sources, ANameMayHoldEqualsSignsInItsDirectory) {
  ASSERT_EQ(::mkdir(left("x=y").c_str(), 0755), 0);
  MountedPmemfs mounted({"name=" + left("x=y")});
  write_file(mounted / "name/f", "x");
  EXPECT_EQ(content_of(left("x=y/f")), "x");
}

}  // namespace
}  // namespace mount_tests
