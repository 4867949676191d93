#include "src/mount_table.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using support::TempDir;

// Makes a directory in a folder; returns its path.
std::string make_directory(const TempDir& folder, const std::string& name) {
  std::filesystem::create_directories(folder / name);
  return folder / name;
}

TEST(MountAt, FindsTheMountWhoseRootIsThere) {
  const pmem::Result<std::optional<Mount>> mount = mount_at("/proc");
  ASSERT_TRUE(mount) << mount.error().message();
  ASSERT_TRUE(*mount);
  EXPECT_EQ((*mount)->mount_point, "/proc");
  EXPECT_EQ((*mount)->type, "proc");
}

TEST(MountAt, FindsNothingBelowTheRootOfAMount) {
  const pmem::Result<std::optional<Mount>> mount = mount_at("/proc/self");
  ASSERT_TRUE(mount) << mount.error().message();
  EXPECT_FALSE(*mount);
}

TEST(MountAt, RefusesWhatIsNotThere) {
  const TempDir directory;
  const pmem::Result<std::optional<Mount>> mount = mount_at(directory / "none");
  ASSERT_FALSE(mount);
  EXPECT_EQ(mount.error().code, ENOENT);
}

TEST(ResolveMountpoint, FollowsLinksAndTrailingSlashes) {
  const TempDir directory;
  const std::string real = make_directory(directory, "real");
  std::filesystem::create_symlink("real", directory / "link");
  EXPECT_EQ(*resolve_mountpoint(directory / "link//"), real);
  EXPECT_EQ(*resolve_mountpoint(directory / "real/../link/."), real);
  EXPECT_EQ(*resolve_mountpoint("/"), "/");
}

TEST(ResolveMountpoint, RefusesWhatIsNotThere) {
  const TempDir directory;
  EXPECT_EQ(resolve_mountpoint(directory / "none").error().code, ENOENT);
  EXPECT_EQ(resolve_mountpoint("").error().code, ENOENT);
}

}  // namespace
}  // namespace pmemfs
