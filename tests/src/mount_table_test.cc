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

TEST(OctalEscapes, StandForTheirCharacters) {
  EXPECT_EQ(decode_octal_escapes("plain"), "plain");
  EXPECT_EQ(decode_octal_escapes("a\\040b"), "a b");
  EXPECT_EQ(decode_octal_escapes("\\011\\012\\134"), "\t\n\\");
  EXPECT_EQ(decode_octal_escapes("\\134040"), "\\040");
  EXPECT_EQ(decode_octal_escapes("\\303\\244"), "\xc3\xa4");
}

TEST(OctalEscapes, OtherBackslashesStay) {
  EXPECT_EQ(decode_octal_escapes("\\"), "\\");
  EXPECT_EQ(decode_octal_escapes("\\04"), "\\04");
  EXPECT_EQ(decode_octal_escapes("\\089"), "\\089");
  EXPECT_EQ(decode_octal_escapes("\\n"), "\\n");
}

TEST(Mountinfo, IsReadFieldByField) {
  const std::vector<Mount> mounts = parse_mountinfo(
      "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
      "42 27 0:39 / /mnt/a\\040b rw,nosuid shared:1 master:2 - fuse.pmemfs "
      "logs=/srv/x:y rw,user_id=0\n");
  ASSERT_EQ(mounts.size(), 2U);
  EXPECT_EQ(mounts[0].id, 27);
  EXPECT_EQ(mounts[0].parent_id, 1);
  EXPECT_EQ(mounts[0].mount_point, "/");
  EXPECT_EQ(mounts[0].type, "ext4");
  EXPECT_EQ(mounts[0].source, "/dev/vda");
  EXPECT_EQ(mounts[1].id, 42);
  EXPECT_EQ(mounts[1].parent_id, 27);
  EXPECT_EQ(mounts[1].mount_point, "/mnt/a b");
  EXPECT_EQ(mounts[1].type, "fuse.pmemfs");
  EXPECT_EQ(mounts[1].source, "logs=/srv/x:y");
}

TEST(Mountinfo, ADashAmongTheFirstFieldsSeparatesNothing) {
  const std::vector<Mount> mounts =
      parse_mountinfo("5 1 0:9 - - rw - tmpfs - rw\n");
  ASSERT_EQ(mounts.size(), 1U);
  EXPECT_EQ(mounts[0].mount_point, "-");
  EXPECT_EQ(mounts[0].type, "tmpfs");
  EXPECT_EQ(mounts[0].source, "-");
}

TEST(Mountinfo, BrokenLinesAreLeftOut) {
  EXPECT_TRUE(parse_mountinfo("").empty());
  EXPECT_TRUE(parse_mountinfo("\n\n").empty());
  EXPECT_TRUE(parse_mountinfo("1 2 0:1 / /a rw").empty());
  EXPECT_TRUE(parse_mountinfo("1 2 0:1 / /a rw - tmpfs").empty());
  EXPECT_TRUE(parse_mountinfo("x 2 0:1 / /a rw - tmpfs t rw").empty());
  EXPECT_TRUE(parse_mountinfo("1 x 0:1 / /a rw - tmpfs t rw").empty());
  EXPECT_EQ(parse_mountinfo("x\n1 2 0:1 / /a rw - tmpfs t rw").size(), 1U);
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
