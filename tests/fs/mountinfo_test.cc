#include "fs/mountinfo.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <algorithm>

namespace pmemfs {
namespace {

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
  EXPECT_EQ(mounts[0].device, ::makedev(254, 0));
  EXPECT_EQ(mounts[0].root, "/");
  EXPECT_EQ(mounts[0].options, "rw,relatime");
  EXPECT_EQ(mounts[0].file_options, "rw,discard");
  EXPECT_EQ(mounts[1].device, ::makedev(0, 39));
  EXPECT_EQ(mounts[1].options, "rw,nosuid");
  EXPECT_EQ(mounts[1].file_options, "rw,user_id=0");
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
  EXPECT_TRUE(parse_mountinfo("1 2 0 / /a rw - tmpfs t rw").empty());
  EXPECT_TRUE(parse_mountinfo("1 2 :1 / /a rw - tmpfs t rw").empty());
  EXPECT_EQ(parse_mountinfo("x\n1 2 0:1 / /a rw - tmpfs t rw").size(), 1U);
}

TEST(Mountinfo, OfThisProcessHasProc) {
  const std::vector<Mount> mounts = read_mountinfo(kMountinfoPath);
  const auto is_proc = [](const Mount& mount) {
    return mount.mount_point == "/proc" && mount.type == "proc";
  };
  EXPECT_TRUE(std::ranges::any_of(mounts, is_proc));
  EXPECT_TRUE(read_mountinfo("/nonsense").empty());
}

TEST(HasOption, ComparesWholeWords) {
  EXPECT_TRUE(has_option("ro", "ro"));
  EXPECT_TRUE(has_option("relatime,ro", "ro"));
  EXPECT_TRUE(has_option("noexec,dax=always,x", "dax=always"));
  EXPECT_FALSE(has_option("rw,errors=remount-ro,rot", "ro"));
  EXPECT_FALSE(has_option("dax=always", "dax"));
  EXPECT_FALSE(has_option("", "ro"));
}

TEST(IsWithin, ComparesWholeComponents) {
  EXPECT_TRUE(is_within("/srv/a", "/srv/a"));
  EXPECT_TRUE(is_within("/srv/a/b/c", "/srv/a"));
  EXPECT_TRUE(is_within("/srv", "/"));
  EXPECT_TRUE(is_within("/", "/"));
  EXPECT_FALSE(is_within("/srv/ab", "/srv/a"));
  EXPECT_FALSE(is_within("/srv", "/srv/a"));
  EXPECT_FALSE(is_within("/", "/srv"));
}

}  // namespace
}  // namespace pmemfs
