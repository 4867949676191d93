#include "fs/dax_mounts.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "support/fake_sysfs.h"
#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using support::FakeSysfs;

Mount mount_of(const std::string& options, const std::string& file_options) {
  Mount mount;
  mount.options = options;
  mount.file_options = file_options;
  return mount;
}

TEST(DaxOption, IsAWordOfEitherOptions) {
  for (const char* dax : {"dax", "dax=always", "dax=inode"}) {
    EXPECT_TRUE(is_mounted_with_dax(mount_of("rw", dax))) << dax;
    EXPECT_TRUE(is_mounted_with_dax(mount_of(dax, "rw"))) << dax;
    EXPECT_TRUE(is_mounted_with_dax(
        mount_of("rw", std::string("rw,") + dax + ",attr2")))
        << dax;
  }
  for (const char* other : {"", "rw", "dax=never", "nodax", "daxes", "x-dax",
                            "dax=always2", "subdir=dax"}) {
    EXPECT_FALSE(is_mounted_with_dax(mount_of("rw", other))) << other;
  }
}

class DaxMounts : public ::testing::Test {
 protected:
  void add_block(const std::string& number, const std::string& name) {
    sysfs_.link("dev/block/" + number, "devices/virtual/block/" + name);
  }

  // The file systems of a table with these lines.
  [[nodiscard]] std::vector<DaxFileSystem> found(
      const std::vector<std::string>& lines) const {
    std::string table;
    for (const std::string& line : lines) {
      table += line + "\n";
    }
    return dax_file_systems(parse_mountinfo(table), sysfs_.root());
  }

  [[nodiscard]] std::vector<std::string> names(
      const std::vector<std::string>& lines) const {
    std::vector<std::string> all;
    for (const DaxFileSystem& one : found(lines)) {
      all.push_back(one.name);
    }
    return all;
  }

  FakeSysfs sysfs_;
};

using Names = std::vector<std::string>;

TEST_F(DaxMounts, AreNamedAfterTheirBlockDevice) {
  add_block("259:0", "pmem0");
  add_block("259:1", "pmem0/pmem0p1");
  add_block("253:7", "dm-7");
  sysfs_.write("devices/virtual/block/dm-7/dm/name", "striped\n");
  EXPECT_EQ(names({"1 0 259:0 / /a rw - ext4 /dev/pmem0 rw,dax=always",
                   "2 0 259:1 / /b rw - xfs /dev/root rw,dax=inode",
                   "3 0 253:7 / /c rw - ext4 /dev/mapper/striped rw,dax",
                   "4 0 8:1 / /d rw - ext4 /dev/sda1 rw"}),
            (Names{"pmem0", "pmem0p1", "striped"}));
}

TEST_F(DaxMounts, WithoutABlockDeviceAreNamedAfterTheEndOfTheirSource) {
  EXPECT_EQ(names({"1 0 0:41 / /a rw - virtiofs shared rw,dax=always",
                   "2 0 0:42 / /b rw - virtiofs deep/tag rw,dax=always",
                   "3 0 0:43 / /c rw - virtiofs odd/ rw,dax=always",
                   "4 0 0:44 / /d rw - other .. rw,dax=always"}),
            (Names{"other", "shared", "tag", "virtiofs"}));
}

TEST_F(DaxMounts, OfOneNameGetASuffixThatStays) {
  add_block("259:0", "pmem0");
  const std::string block = "1 0 259:0 / /a rw - ext4 /dev/pmem0 rw,dax";
  const std::string tag = "2 0 0:41 / /b rw - virtiofs pmem0 rw,dax";
  const std::string same_tag = "3 0 0:42 / /c rw - virtiofs x/pmem0 rw,dax";
  const Names all = names({block, tag, same_tag});
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0], "pmem0");
  EXPECT_NE(all[1], all[2]);
  EXPECT_TRUE(all[1].starts_with("pmem0-")) << all[1];
  EXPECT_TRUE(all[2].starts_with("pmem0-")) << all[2];
  EXPECT_EQ(names({same_tag, tag, block}), all);
  // The number of such a file system is another one at each mount.
  EXPECT_EQ(
      names({block, "9 0 0:77 / /b rw - virtiofs pmem0 rw,dax", same_tag}),
      all);
}

TEST_F(DaxMounts, OfOneSourceDifferByTheirNumber) {
  const Names all = names({"2 0 0:41 / /b rw - virtiofs tag rw,dax",
                           "3 0 0:42 / /c rw - virtiofs tag rw,dax",
                           "4 0 0:43 / /d rw - virtiofs tag rw,dax"});
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0], "tag");
  EXPECT_TRUE(all[2].ends_with("-0:43")) << all[2];
}

TEST_F(DaxMounts, AreShownOnceAndWholeWherePossible) {
  const std::vector<DaxFileSystem> all =
      found({"1 0 259:0 /deep/down /a rw - ext4 /dev/pmem0 rw,dax=inode",
             "2 0 259:0 /deep /b rw - ext4 /dev/pmem0 rw,dax=inode",
             "3 0 259:0 / /c rw - ext4 /dev/pmem0 rw,dax=inode",
             "4 0 259:0 / /d rw - ext4 /dev/pmem0 rw,dax=inode"});
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].device, ::makedev(259, 0));
  EXPECT_TRUE(all[0].is_by_file);
  std::vector<std::string> places;
  for (const Mount& mount : all[0].mounts) {
    places.push_back(mount.mount_point);
  }
  EXPECT_EQ(places, (Names{"/c", "/d", "/b", "/a"}));
}

TEST_F(DaxMounts, OfPmemfsAndBelowItAreLeftOut) {
  EXPECT_EQ(names({"1 0 0:50 / /p rw - fuse.pmemfs all rw",
                   "2 1 259:0 / /p rw - ext4 /dev/pmem0 rw,dax",
                   "3 1 259:1 / /p/x rw - ext4 /dev/pmem1 rw,dax",
                   "4 0 259:2 / /px rw - ext4 /dev/pmem2 rw,dax"}),
            Names{"pmem2"});
}

class OpenMount : public DaxMounts {
 protected:
  [[nodiscard]] static Mount place(const std::string& path, dev_t device) {
    Mount mount;
    mount.mount_point = path;
    mount.device = device;
    return mount;
  }
  [[nodiscard]] dev_t device() const {
    struct stat status = {};
    EXPECT_EQ(::stat(directory_.path().c_str(), &status), 0);
    return status.st_dev;
  }

  support::TempDir directory_;
};

TEST_F(OpenMount, TakesTheFirstThatCanBeReached) {
  const pmem::Result<OpenedMount> opened =
      open_mount({place(directory_ / "none", device()),
                  place("/proc", device()),  // something else is there
                  place(directory_.path(), device())});
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(opened->path, directory_.path());
  struct stat status = {};
  ASSERT_EQ(::fstat(opened->fd.get(), &status), 0);
  EXPECT_EQ(status.st_ino, [&] {
    struct stat other = {};
    EXPECT_EQ(::stat(directory_.path().c_str(), &other), 0);
    return other.st_ino;
  }());
}

TEST_F(OpenMount, OfNowhereIsStale) {
  EXPECT_EQ(open_mount({}).error().code, ESTALE);
  EXPECT_EQ(open_mount({place("/proc", device())}).error().code, ESTALE);
  EXPECT_EQ(open_mount({place(directory_ / "none", device())}).error().code,
            ESTALE);
}

TEST_F(OpenMount, IdentitiesAreThoseOfTheFileSystemElseOfTheSource) {
  DaxFileSystem one;
  one.type = "virtiofs";
  one.source = "tag";
  DaxFileSystem other = one;
  other.source = "another";
  EXPECT_NE(identity_of(one, -1), identity_of(other, -1));
  EXPECT_EQ(identity_of(one, -1), identity_of(one, -1));
  const pmem::UniqueFd shm(::open("/dev/shm", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(identity_of(one, shm.get()), identity_of(other, shm.get()));
  EXPECT_NE(identity_of(one, shm.get()), identity_of(one, -1));
}

}  // namespace
}  // namespace pmemfs
