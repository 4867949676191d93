// What `pmemfs list` finds, on a fake sysfs and with a mount table of the
// test's own, in which folders of this machine stand for file systems.
#include "fs/inventory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/fake_block.h"
#include "support/fake_dax_node.h"
#include "support/files.h"

namespace pmemfs {
namespace {

using support::status_of;
using support::TempDir;
using support::write_file;

class Inventory : public support::FakeDaxNodeTest {
 protected:
  [[nodiscard]] std::vector<InventoryRow> take() const {
    return take_inventory({.sysfs_root = sysfs_.root(),
                           .dev_root = directory_.path(),
                           .mountinfo_path = directory_ / "mountinfo"});
  }

  [[nodiscard]] InventoryRow only_row() const {
    std::vector<InventoryRow> rows = take();
    EXPECT_EQ(rows.size(), 1U);
    return rows.empty() ? InventoryRow() : rows.front();
  }

  // The node of the device with the number of /dev/zero.
  void add_device(const support::FakeDax& dax = {}) {
    std::filesystem::rename(node_, directory_ / dax.name);
    add_dax(dax);
  }

  void make_mount_table(const std::string& table) {
    std::ofstream(directory_ / "mountinfo") << table;
  }

  static std::string number_of(const std::string& folder) {
    const dev_t device = status_of(folder).st_dev;
    return std::to_string(::major(device)) + ":" +
           std::to_string(::minor(device));
  }

  static std::string line(const std::string& folder,
                          const std::string& options = "rw,dax=always") {
    return "1 0 " + number_of(folder) + " / " + folder + " rw - virtiofs tag " +
           options + "\n";
  }

  TempDir memory_{"/dev/shm"};
};

TEST_F(Inventory, IsEmptyWithoutPersistentMemory) {
  EXPECT_TRUE(take().empty());
  make_mount_table("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
  EXPECT_TRUE(take().empty());
}

TEST_F(Inventory, TellsOfADevice) {
  add_device({.name = "dax0.0", .numa_node = "1"});
  const InventoryRow row = only_row();
  EXPECT_EQ(row.name, "dax0.0");
  EXPECT_EQ(row.kind, "devdax");
  EXPECT_EQ(row.size_bytes, 4194304U);
  EXPECT_EQ(row.mode, "devdax");
  EXPECT_EQ(row.align_bytes, 2097152U);
  EXPECT_EQ(row.numa_node, 1);
  EXPECT_EQ(row.is_pmem, true);
  EXPECT_FALSE(row.reason.empty());
  ASSERT_TRUE(row.bad_blocks);
  EXPECT_FALSE(*row.bad_blocks);  // no region, no list
  EXPECT_TRUE(row.mounted_on.empty());
}

TEST_F(Inventory, ADeviceOfANodeThatIsNoneHasNone) {
  add_device({.name = "dax0.0", .numa_node = "-1"});
  ASSERT_TRUE(only_row().numa_node);
  EXPECT_FALSE(*only_row().numa_node);
}

TEST_F(Inventory, ADeviceInAnotherModeIsNoPmemForAReason) {
  for (const char* driver : {"kmem", "fsdev_dax"}) {
    sysfs_.remove_dax("dax0.0");
    sysfs_.add_dax(::makedev(252, driver[0] == 'k' ? 1 : 2),
                   {.name = driver, .driver = driver});
  }
  for (const InventoryRow& row : take()) {
    EXPECT_EQ(row.is_pmem, false) << row.name;
    ASSERT_TRUE(row.mode && *row.mode);
    EXPECT_NE(row.reason.find("in the mode " + **row.mode), std::string::npos)
        << row.reason;
  }
  EXPECT_EQ(take().size(), 2U);
}

TEST_F(Inventory, WhatCannotBeFoundOutIsAFailure) {
  sysfs_.add_dax(::makedev(252, 7), {.name = "dax1.0"});  // without a node
  const InventoryRow row = only_row();
  ASSERT_FALSE(row.is_pmem);
  EXPECT_EQ(row.is_pmem.error().code, ENOENT);
  EXPECT_NE(row.reason.find("No such file"), std::string::npos) << row.reason;
  EXPECT_EQ(row.mode, "devdax");
}

TEST_F(Inventory, ADeviceThatTellsNoSizeIsListed) {
  sysfs_.add_dax(::makedev(252, 7), {.name = "dax1.0", .size = std::nullopt});
  const InventoryRow row = only_row();
  EXPECT_EQ(row.name, "dax1.0");
  ASSERT_FALSE(row.size_bytes);
  EXPECT_EQ(row.size_bytes.error().code, EIO);
  EXPECT_FALSE(row.is_pmem);
  EXPECT_FALSE(row.reason.empty());
}

TEST_F(Inventory, TellsBadBlocksAndFailuresToReadThem) {
  sysfs_.add_region("region0", std::nullopt);
  sysfs_.add_dax_of_region(::makedev(252, 7), "region0", {.name = "dax0.0"});
  const std::string region = support::FakeSysfs::region_directory("region0");
  sysfs_.write(region + "/resource", "0x1000000\n");
  sysfs_.write(region + "/dax0.0-namespace/dax0.0/resource", "0x1000000\n");
  sysfs_.write(region + "/badblocks", "8 1\n16 2\n");
  InventoryRow row = only_row();
  ASSERT_TRUE(row.bad_blocks && *row.bad_blocks);
  EXPECT_EQ(**row.bad_blocks, (pmem::BadBlocks{{4096, 512}, {8192, 1024}}));
  sysfs_.write(region + "/badblocks", "nonsense\n");
  row = only_row();
  ASSERT_FALSE(row.bad_blocks);
  EXPECT_EQ(row.bad_blocks.error().code, EIO);
}

TEST_F(Inventory, TellsWhereMountsOfPmemfsShowADevice) {
  struct Row {
    const char* source;
    std::vector<std::string> places;
  };
  add_device({.name = "dax0.0"});
  const std::vector<Row> rows = {
      {"all", {"/m/dax/dax0.0"}},
      {"dax", {"/m/dax0.0"}},
      {"x=all", {"/m/x/dax/dax0.0"}},
      {"x=dax", {"/m/x/dax0.0"}},
      {"/dev/dax0.0", {"/m/dax0.0"}},
      {"x=/dev/dax0.0", {"/m/x"}},
      {"/srv/a:dax", {"/m/dax/dax0.0"}},
      {"/srv/a:all:y=/dev/dax0.0", {"/m/all/dax/dax0.0", "/m/y"}},
      {"/dev/dax0.0:/dev/dax1.0", {"/m/dax0.0"}},
      {"/srv/dax", {}},
      {"/dev/dax0.01", {}},
      {"", {}},
  };
  for (const Row& row : rows) {
    make_mount_table(std::string("1 0 0:50 / /m rw - fuse.pmemfs ") +
                     row.source + " rw\n2 0 0:51 / /n rw - tmpfs dax rw\n");
    EXPECT_EQ(only_row().mounted_on, row.places) << row.source;
  }
}

TEST_F(Inventory, TellsOfABlockDeviceThatIsNotMounted) {
  add_fsdax_block(sysfs_, {.number = "259:3", .name = "pmem3"});
  const InventoryRow row = only_row();
  EXPECT_EQ(row.name, "pmem3");
  EXPECT_EQ(row.kind, "block");
  EXPECT_EQ(row.mode, "fsdax");
  EXPECT_EQ(row.size_bytes, 67108864U);
  EXPECT_EQ(row.numa_node, 1);
  ASSERT_TRUE(row.is_pmem);
  EXPECT_FALSE(*row.is_pmem);
  EXPECT_NE(row.reason.find("mounted"), std::string::npos);
  ASSERT_TRUE(row.bad_blocks);
  EXPECT_FALSE(*row.bad_blocks);
}

TEST_F(Inventory, ABlockDeviceWithAFileSystemWithDaxIsOneRow) {
  add_fsdax_block(sysfs_,
                  {.number = number_of(memory_.path()), .name = "pmem0"});
  write_file(memory_ / "file", "bytes");
  make_mount_table(line(memory_.path()) + line("/dev/shm"));
  InventoryRow row = only_row();
  EXPECT_EQ(row.name, "pmem0");
  EXPECT_EQ(row.kind, "fsdax");
  EXPECT_EQ(row.is_pmem, false);  // what tmpfs is, whatever the table says
  EXPECT_NE(row.reason.find("page cache"), std::string::npos) << row.reason;
  EXPECT_EQ(row.mounted_on,
            (std::vector<std::string>{memory_.path(), "/dev/shm"}));
  make_mount_table(line(memory_.path(), "rw"));
  row = only_row();
  EXPECT_EQ(row.kind, "block");
  EXPECT_EQ(row.is_pmem, false);
  EXPECT_EQ(row.mounted_on, (std::vector<std::string>{memory_.path()}));
}

TEST_F(Inventory, TellsOfAFileSystemOnNoBlockDevice) {
  make_mount_table(line(memory_.path()));
  const InventoryRow row = only_row();
  EXPECT_EQ(row.name, "tag");
  EXPECT_EQ(row.kind, "fsdax");
  ASSERT_TRUE(row.size_bytes && *row.size_bytes);
  EXPECT_GT(**row.size_bytes, 0U);
  ASSERT_TRUE(row.mode);
  EXPECT_FALSE(*row.mode);
  EXPECT_EQ(row.is_pmem, false);
}

TEST_F(Inventory, WhereEachFileHasItsOwnFlagNothingIsToldOfAll) {
  make_mount_table(line(memory_.path(), "rw,dax=inode"));
  const InventoryRow row = only_row();
  ASSERT_TRUE(row.is_pmem);
  EXPECT_FALSE(*row.is_pmem);
  EXPECT_NE(row.reason.find("dax=inode"), std::string::npos) << row.reason;
}

TEST_F(Inventory, AFileSystemThatCannotBeReachedIsListed) {
  make_mount_table("1 0 " + number_of(memory_.path()) +
                   " / /proc rw - virtiofs tag rw,dax\n");
  const InventoryRow row = only_row();
  EXPECT_EQ(row.name, "tag");
  ASSERT_FALSE(row.is_pmem);
  EXPECT_EQ(row.is_pmem.error().code, ESTALE);
  EXPECT_EQ(row.mounted_on, (std::vector<std::string>{"/proc"}));
}

TEST_F(Inventory, DevicesComeFirst) {
  add_fsdax_block(sysfs_, {.number = "259:3", .name = "a0"});
  add_device({.name = "dax1.0"});
  sysfs_.add_dax(::makedev(252, 8), {.name = "dax0.0"});
  make_mount_table(line(memory_.path()));
  std::vector<std::string> names;
  for (const InventoryRow& row : take()) {
    names.push_back(row.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"dax0.0", "dax1.0", "a0", "tag"}));
}

TEST(ProbeFileSystem, ChangesNoTimesAndLeavesNothing) {
  const TempDir folder("/var/tmp");
  write_file(folder / "file", "bytes");
  const struct timespec old = {.tv_sec = 1000, .tv_nsec = 0};
  const std::vector<struct timespec> times = {old, old};
  for (const std::string& path : {folder / "file", folder.path()}) {
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times.data(), 0), 0);
  }
  const pmem::UniqueFd fd(
      ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(probe_file_system(fd.get(), "/sys").is_pmem, false);
  for (const std::string& path : {folder / "file", folder.path()}) {
    EXPECT_EQ(status_of(path).st_atim.tv_sec, 1000) << path;
    EXPECT_EQ(status_of(path).st_mtim.tv_sec, 1000) << path;
  }
}

TEST(ProbeFileSystem, AsksAFileWithoutANameWhereThereIsNone) {
  const TempDir folder("/var/tmp");
  std::filesystem::create_directory(folder / "folder");
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  const pmem::UniqueFd fd(
      ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const PmemAnswer answer = probe_file_system(fd.get(), "/sys");
  EXPECT_EQ(answer.is_pmem, false);
  EXPECT_NE(answer.reason.find("page cache"), std::string::npos)
      << answer.reason;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"fifo", "folder"}));
}

TEST(ProbeFileSystem, SaysThatNoFileMayBeAsked) {
  const pmem::UniqueFd proc(
      ::open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const PmemAnswer answer = probe_file_system(proc.get(), "/sys");
  ASSERT_TRUE(answer.is_pmem);
  EXPECT_FALSE(*answer.is_pmem);
  EXPECT_NE(answer.reason.find("no file of it may be asked"), std::string::npos)
      << answer.reason;
}

}  // namespace
}  // namespace pmemfs
