// The directory of all Device DAX on this machine, which need not have any.
// (The files in it are tested on real devices, in a guest.)
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <string>

#include "support/mount_fixture.h"

namespace {

using Names = std::set<std::string>;

Names names_in(const std::string& directory) {
  Names names;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory, ignored)) {
    names.insert(entry.path().filename());
  }
  return names;
}

TEST(Devices, AreThoseOfTheMachine) {
  const support::MountedPmemfs mounted({"dax"});
  EXPECT_EQ(names_in(mounted.path()), names_in("/sys/bus/dax/devices"));
  struct stat status = {};
  ASSERT_EQ(::stat(mounted.path().c_str(), &status), 0);
  EXPECT_TRUE(S_ISDIR(status.st_mode));
  struct statvfs sizes = {};
  ASSERT_EQ(::statvfs(mounted.path().c_str(), &sizes), 0);
  EXPECT_EQ(sizes.f_bavail, 0U);
}

TEST(Devices, CannotBeMade) {
  const support::MountedPmemfs mounted({"dax"});
  const std::string name = mounted / "new";
  EXPECT_EQ(::mkdir(name.c_str(), 0700), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::mknod(name.c_str(), S_IFREG | 0600, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_FALSE(std::filesystem::exists(name));
}

TEST(Devices, StandBesideDirectories) {
  const support::TempDir directory;
  const support::MountedPmemfs mounted({"dax", "files=" + directory.path()});
  EXPECT_EQ(names_in(mounted.path()), (Names{"dax", "files"}));
  EXPECT_EQ(names_in(mounted / "dax"), names_in("/sys/bus/dax/devices"));
}

}  // namespace
