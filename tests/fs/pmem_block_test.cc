#include "fs/pmem_block.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <string>
#include <vector>

#include "support/fake_block.h"

namespace pmemfs {
namespace {

using support::FakeSysfs;

class PmemBlockDevices : public ::testing::Test {
 protected:
  [[nodiscard]] std::vector<PmemBlockDevice> found() const {
    return pmem_block_devices(sysfs_.root());
  }

  FakeSysfs sysfs_;
};

TEST_F(PmemBlockDevices, AreNoneWithoutSysfs) {
  EXPECT_TRUE(found().empty());
  EXPECT_TRUE(pmem_block_devices("/nonsense").empty());
}

TEST_F(PmemBlockDevices, TellOfTheirNamespace) {
  add_fsdax_block(sysfs_, {.number = "259:0", .name = "pmem0"});
  const std::vector<PmemBlockDevice> devices = found();
  ASSERT_EQ(devices.size(), 1U);
  EXPECT_EQ(devices[0].name, "pmem0");
  EXPECT_EQ(devices[0].number, ::makedev(259, 0));
  EXPECT_EQ(devices[0].size_bytes, 131072U * 512);
  EXPECT_EQ(devices[0].mode, "fsdax");
  EXPECT_EQ(devices[0].align_bytes, 2097152U);
  EXPECT_EQ(devices[0].numa_node, 1);
}

TEST_F(PmemBlockDevices, HaveTheModesOfTheKernel) {
  struct Row {
    const char* kernel;
    const char* mode;
  };
  int minor = 0;
  for (const Row& row :
       {Row{"memory", "fsdax"}, Row{"raw", "raw"}, Row{"safe", "sector"},
        Row{"dax", "devdax"}, Row{"new", "new"}}) {
    const std::string number = std::to_string(minor);
    add_fsdax_block(sysfs_, {.number = "259:" + number,
                             .name = "pmem" + number,
                             .region = "region" + number,
                             .mode = row.kernel});
    EXPECT_EQ(found().at(static_cast<std::size_t>(minor)).mode, row.mode);
    ++minor;
  }
}

TEST_F(PmemBlockDevices, OfARawNamespaceHaveNoAlignment) {
  const std::string at = FakeSysfs::region_directory("region0");
  sysfs_.add_region("region0", std::nullopt);
  sysfs_.write(at + "/numa_node", "-1\n");
  sysfs_.write(at + "/namespace0.0/mode", "raw\n");
  support::add_block(sysfs_, "259:0", at + "/namespace0.0/block/pmem0", "64");
  const std::vector<PmemBlockDevice> devices = found();
  ASSERT_EQ(devices.size(), 1U);
  EXPECT_EQ(devices[0].mode, "raw");
  EXPECT_EQ(devices[0].align_bytes, std::nullopt);
  EXPECT_EQ(devices[0].numa_node, std::nullopt);
}

TEST_F(PmemBlockDevices, ArePartitionsToo) {
  add_fsdax_block(sysfs_, {.number = "259:0", .name = "pmem0"});
  const std::string disk = support::fsdax_block_directory("region0", "pmem0");
  support::add_block(sysfs_, "259:1", disk + "/pmem0p1", "2048");
  sysfs_.write(disk + "/pmem0p1/partition", "1\n");
  const std::vector<PmemBlockDevice> devices = found();
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[1].name, "pmem0p1");
  EXPECT_EQ(devices[1].size_bytes, 1048576U);
  EXPECT_EQ(devices[1].mode, "fsdax");
}

TEST_F(PmemBlockDevices, AreOthersWhoseQueueKnowsDax) {
  const std::string mapped = "devices/virtual/block/dm-3";
  support::add_block(sysfs_, "253:3", mapped, "64");
  sysfs_.write(mapped + "/queue/dax", "1\n");
  sysfs_.write(mapped + "/dm/name", "striped\n");
  const std::string disk = "devices/virtual/block/sda";
  support::add_block(sysfs_, "8:0", disk, "64");
  sysfs_.write(disk + "/queue/dax", "0\n");
  support::add_block(sysfs_, "8:1", disk + "/sda1", "32");
  sysfs_.write(disk + "/sda1/partition", "1\n");
  support::add_block(sysfs_, "7:0", "devices/virtual/block/loop0", "8");
  const std::vector<PmemBlockDevice> devices = found();
  ASSERT_EQ(devices.size(), 1U);
  EXPECT_EQ(devices[0].name, "striped");
  EXPECT_EQ(devices[0].mode, std::nullopt);
  EXPECT_EQ(devices[0].numa_node, std::nullopt);
}

}  // namespace
}  // namespace pmemfs
