// Bad blocks as a made-up sysfs lists them, and having a made-up platform clear
// them: this program answers the ioctl of the NVDIMM bus itself.
#include "pmem/bad_blocks.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "support/child_process.h"
#include "support/fake_bus.h"
#include "support/fake_sysfs.h"

namespace pmem {
namespace {

const dev_t kNumber = ::makedev(252, 5);
const dev_t kDisk = ::makedev(259, 0);
const dev_t kPartition = ::makedev(259, 1);

template <typename Value>
int error_of(const Result<Value>& result) {
  return result ? 0 : result.error().code;
}

// A device 2 MiB behind the beginning of its region.
class BadBlocksOfDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    sysfs_.add_region("region0", std::nullopt);
    sysfs_.add_dax_of_region(kNumber, "region0", {.name = "dax0.0"});
    write_region("resource", "0x100000000");
    sysfs_.write("dev/char/252:5/resource", "0x100200000\n");
  }

  void write_region(const std::string& attribute, const std::string& text) {
    sysfs_.write(
        support::FakeSysfs::region_directory("region0") + "/" + attribute,
        text + "\n");
  }

  [[nodiscard]] Result<BadBlocks> found() const {
    return bad_blocks_of(*read_dax_device(kNumber, sysfs_.root()),
                         sysfs_.root());
  }

  support::FakeSysfs sysfs_;
};

TEST_F(BadBlocksOfDevice, AreNoneWhereTheListIsEmpty) {
  sysfs_.write(support::FakeSysfs::region_directory("region0") + "/badblocks",
               "");
  const Result<BadBlocks> blocks = found();
  ASSERT_TRUE(blocks) << blocks.error().message();
  EXPECT_EQ(in_words(*blocks), "none");
}

TEST_F(BadBlocksOfDevice, AreCountedFromItsOwnBeginning) {
  write_region("badblocks", "4224 8\n5000 1");
  ASSERT_TRUE(found());
  EXPECT_EQ(in_words(*found()), "65536+4096 462848+512");
}

TEST_F(BadBlocksOfDevice, AreThoseInsideItAlone) {
  // Before it, across its beginning, across its end, behind it.
  write_region("badblocks", "0 8\n4090 8\n12280 16\n20000 8");
  ASSERT_TRUE(found());
  EXPECT_EQ(in_words(*found()), "0+1024 4190208+4096");
}

TEST_F(BadBlocksOfDevice, AreOrderedAndJoined) {
  write_region("badblocks", "4300 2\n4096 8\n4104 8");
  ASSERT_TRUE(found());
  EXPECT_EQ(in_words(*found()), "0+8192 104448+1024");
}

TEST_F(BadBlocksOfDevice, AreNotSupportedWithoutARegion) {
  sysfs_.add_dax(::makedev(252, 6), {.name = "dax1.0"});
  const Result<DaxDevice> device =
      read_dax_device(::makedev(252, 6), sysfs_.root());
  EXPECT_EQ(error_of(bad_blocks_of(*device, sysfs_.root())), EOPNOTSUPP);
}

TEST_F(BadBlocksOfDevice, AreAFailureWhereTheListIsNoList) {
  write_region("badblocks", "4224 eight");
  EXPECT_EQ(error_of(found()), EIO);
  EXPECT_NE(found().error().message().find("region0/badblocks"),
            std::string::npos);
}

TEST_F(BadBlocksOfDevice, AreAFailureWhereTheDeviceHasNoPlace) {
  write_region("badblocks", "4224 8");
  sysfs_.write("dev/char/252:5/resource", "");
  EXPECT_EQ(error_of(found()), EIO);
}

TEST_F(BadBlocksOfDevice, AreAFailureForWhomTheAddressIsHidden) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root can become another user";
  }
  write_region("badblocks", "4224 8");
  const std::string root = sysfs_.root();
  ASSERT_EQ(::chmod(root.c_str(), 0755), 0);
  ASSERT_EQ(::chmod((root + "/dev/char/252:5/resource").c_str(), 0400), 0);
  const DaxDevice device = *read_dax_device(kNumber, root);
  support::in_child([&] {
    ASSERT_EQ(::seteuid(65534), 0);
    EXPECT_EQ(error_of(bad_blocks_of(device, root)), EACCES);
  });
}

// --- block devices ----------------------------------------------------------

class BadBlocksOfBlockDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string disk = "devices/nd/block/pmem0";
    sysfs_.link("dev/block/259:0", disk);
    sysfs_.write(disk + "/size", "8192\n");
    sysfs_.write(disk + "/badblocks", "100 2\n3000 8\n");
    sysfs_.link("dev/block/259:1", disk + "/pmem0p1");
    sysfs_.write(disk + "/pmem0p1/partition", "1\n");
    sysfs_.write(disk + "/pmem0p1/start", "2048\n");
    sysfs_.write(disk + "/pmem0p1/size", "4096\n");
  }

  support::FakeSysfs sysfs_;
};

TEST_F(BadBlocksOfBlockDevice, AreThoseThatTheKernelLists) {
  const Result<BadBlocks> blocks =
      bad_blocks_of_block_device(kDisk, sysfs_.root());
  ASSERT_TRUE(blocks) << blocks.error().message();
  EXPECT_EQ(in_words(*blocks), "51200+1024 1536000+4096");
}

TEST_F(BadBlocksOfBlockDevice, AreForAPartitionThoseInIt) {
  const Result<BadBlocks> blocks =
      bad_blocks_of_block_device(kPartition, sysfs_.root());
  ASSERT_TRUE(blocks) << blocks.error().message();
  EXPECT_EQ(in_words(*blocks), "487424+4096");
}

TEST_F(BadBlocksOfBlockDevice, AreNotSupportedWithoutAList) {
  sysfs_.link("dev/block/8:0", "devices/sda");
  EXPECT_EQ(
      error_of(bad_blocks_of_block_device(::makedev(8, 0), sysfs_.root())),
      EOPNOTSUPP);
  EXPECT_EQ(
      error_of(bad_blocks_of_block_device(::makedev(0, 30), sysfs_.root())),
      EOPNOTSUPP);
}

// --- clearing ---------------------------------------------------------------

class ClearingBadBlocks : public BadBlocksOfDevice {
 protected:
  void SetUp() override {
    BadBlocksOfDevice::SetUp();
    bus_.allow_clearing(sysfs_);
  }

  [[nodiscard]] Result<void> clear(BadRange range, BadRange allowed) const {
    return clear_bad_blocks(*read_dax_device(kNumber, sysfs_.root()), range,
                            allowed, sysfs_.root(), bus_.dev_root());
  }

  support::FakeBus bus_;
};

TEST_F(ClearingBadBlocks, IsAskedOfTheBusByAddress) {
  const Result<void> cleared = clear({65536, 512}, {65536, 512});
  ASSERT_TRUE(cleared) << cleared.error().message();
  ASSERT_EQ(bus_.cleared().size(), 1U);
  EXPECT_EQ(bus_.cleared()[0], (BadRange{0x100200000 + 65536, 512}));
}

TEST_F(ClearingBadBlocks, IsWidenedToThePlatformsUnit) {
  bus_.set_unit(4096);
  ASSERT_TRUE(clear({65536 + 512, 512}, {65536, 4096}));
  EXPECT_EQ(bus_.cleared().at(0), (BadRange{0x100200000 + 65536, 4096}));
}

TEST_F(ClearingBadBlocks, DoesNotTouchWhatIsNotToBeWritten) {
  bus_.set_unit(4096);
  EXPECT_EQ(error_of(clear({65536 + 512, 512}, {65536 + 512, 3584})), EINVAL);
  EXPECT_EQ(error_of(clear({65536 + 512, 512}, {65536, 4095})), EINVAL);
  EXPECT_TRUE(bus_.cleared().empty());
}

TEST_F(ClearingBadBlocks, IsNotSupportedWhereTheBusHasNoSuchCommand) {
  sysfs_.write("devices/platform/ndbus0/commands", "ars_cap cmd_call \n");
  EXPECT_EQ(error_of(clear({0, 512}, {0, 512})), EOPNOTSUPP);
  EXPECT_TRUE(bus_.cleared().empty());
}

TEST_F(ClearingBadBlocks, FailsWhereThePlatformSaysSo) {
  bus_.fail_with_status(2);
  EXPECT_EQ(error_of(clear({0, 512}, {0, 512})), EIO);
}

TEST_F(ClearingBadBlocks, FailsWhereLessWasCleared) {
  bus_.clear_at_most(256);
  EXPECT_EQ(error_of(clear({0, 512}, {0, 512})), EIO);
}

TEST_F(ClearingBadBlocks, FailsAsTheKernelSays) {
  bus_.fail_with_errno(EBUSY);
  EXPECT_EQ(error_of(clear({0, 512}, {0, 512})), EBUSY);
}

TEST_F(ClearingBadBlocks, FailsWithoutANodeOfTheBus) {
  bus_.remove_node();
  EXPECT_EQ(error_of(clear({0, 512}, {0, 512})), ENOENT);
}

}  // namespace
}  // namespace pmem
