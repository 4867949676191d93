// Facts about Device DAX, from fake trees.
#include "pmem/dax_device.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>

#include "support/fake_sysfs.h"
#include "support/row_name.h"

namespace pmem {
namespace {

using support::FakeSysfs;

const dev_t kNumber = ::makedev(252, 7);

TEST(DaxDevice, IsKnownByItsSubsystem) {
  FakeSysfs sysfs;
  sysfs.add_dax(kNumber, {});
  sysfs.add_dax_of_class(::makedev(252, 8), {.name = "dax1.0"});
  sysfs.add_char_device(::makedev(1, 3), "null", "mem");
  sysfs.add_char_device(::makedev(10, 1), "dax9.9", "misc");
  EXPECT_TRUE(is_dax_device(kNumber, sysfs.root()));
  EXPECT_TRUE(is_dax_device(::makedev(252, 8), sysfs.root()));
  EXPECT_FALSE(is_dax_device(::makedev(1, 3), sysfs.root()));
  EXPECT_FALSE(is_dax_device(::makedev(10, 1), sysfs.root()));
}

TEST(DaxDevice, IsNotOneThatSysfsDoesNotKnow) {
  const FakeSysfs sysfs;
  EXPECT_FALSE(is_dax_device(kNumber, sysfs.root()));
  const Result<DaxDevice> device = read_dax_device(kNumber, sysfs.root());
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code, ENODEV);
}

TEST(DaxDevice, IsNotOneOfAnotherSubsystem) {
  FakeSysfs sysfs;
  sysfs.add_char_device(kNumber, "null", "mem");
  const Result<DaxDevice> device = read_dax_device(kNumber, sysfs.root());
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code, ENODEV);
}

TEST(DaxDevice, HasTheFactsOfSysfs) {
  FakeSysfs sysfs;
  sysfs.add_dax(kNumber, {.name = "dax3.2",
                          .size = "137438953472",
                          .align = "1073741824",
                          .numa_node = "1",
                          .target_node = "4"});
  const Result<DaxDevice> device = read_dax_device(kNumber, sysfs.root());
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ(device->name, "dax3.2");
  EXPECT_EQ(device->driver, "device_dax");
  EXPECT_EQ(device->size_bytes, 137438953472U);
  EXPECT_EQ(device->align_bytes, 1073741824U);
  EXPECT_EQ(device->numa_node, 1);
  EXPECT_EQ(device->target_node, 4);
}

TEST(DaxDevice, OmitsNodesThatTheKernelDoesNotTell) {
  FakeSysfs sysfs;
  sysfs.add_dax(kNumber, {});
  const Result<DaxDevice> device = read_dax_device(kNumber, sysfs.root());
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ(device->numa_node, std::nullopt);
  EXPECT_EQ(device->target_node, std::nullopt);
}

TEST(DaxDevice, KeepsTheKernelsWordForNoNode) {
  FakeSysfs sysfs;
  sysfs.add_dax(kNumber, {.numa_node = "-1"});
  const Result<DaxDevice> device = read_dax_device(kNumber, sysfs.root());
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ(device->numa_node, -1);
}

TEST(DaxDevice, HasTheAlignmentOfItsRegionOnOldKernels) {
  FakeSysfs sysfs;
  sysfs.add_dax_of_class(kNumber, {.size = "8388608", .align = "4096"});
  const Result<DaxDevice> device = read_dax_device(kNumber, sysfs.root());
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ(device->size_bytes, 8388608U);
  EXPECT_EQ(device->align_bytes, 4096U);
  // It has no driver there, and is in use for all that.
  EXPECT_TRUE(device->is_mappable());
  EXPECT_EQ(device->mode(), "devdax");
}

struct DriverRow {
  const char* name;
  std::optional<std::string> driver;
  const char* mode;
};

class DaxDriver : public ::testing::TestWithParam<DriverRow> {};

TEST_P(DaxDriver, TellsTheMode) {
  FakeSysfs sysfs;
  sysfs.add_dax(kNumber, {.driver = GetParam().driver});
  const Result<DaxDevice> device = read_dax_device(kNumber, sysfs.root());
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ(device->driver, GetParam().driver.value_or(""));
  EXPECT_EQ(device->mode(), GetParam().mode);
  EXPECT_EQ(device->is_mappable(), device->mode() == "devdax");
}

INSTANTIATE_TEST_SUITE_P(
    DaxDevice, DaxDriver,
    ::testing::Values(DriverRow{"DeviceDax", "device_dax", "devdax"},
                      DriverRow{"Kmem", "kmem", "system-ram"},
                      DriverRow{"FsdevDax", "fsdev_dax", "famfs"},
                      DriverRow{"None", std::nullopt, "unbound"},
                      DriverRow{"Unknown", "vfio-dax", "vfio-dax"}),
    support::RowName());

TEST(DaxBinding, IsAnotherWithEachBinding) {
  FakeSysfs sysfs;
  sysfs.add_dax(kNumber, {});
  const std::uint64_t first = binding_of(kNumber, sysfs.root());
  EXPECT_NE(first, 0U);
  EXPECT_EQ(binding_of(kNumber, sysfs.root()), first);
  const Result<DaxDevice> device = read_dax_device(kNumber, sysfs.root());
  ASSERT_TRUE(device);
  EXPECT_EQ(device->binding, first);
  sysfs.unbind_dax("dax0.0");
  EXPECT_EQ(binding_of(kNumber, sysfs.root()), 0U);
  sysfs.bind_dax("dax0.0");
  EXPECT_NE(binding_of(kNumber, sysfs.root()), 0U);
  EXPECT_NE(binding_of(kNumber, sysfs.root()), first);
}

TEST(DaxBinding, IsTheDeviceItselfWhereThereAreNoDrivers) {
  FakeSysfs sysfs;
  EXPECT_EQ(binding_of(kNumber, sysfs.root()), 0U);
  sysfs.add_dax_of_class(kNumber, {});
  EXPECT_NE(binding_of(kNumber, sysfs.root()), 0U);
}

struct BrokenRow {
  const char* name;
  std::optional<std::string> size;
  std::optional<std::string> align;
};

class BrokenDax : public ::testing::TestWithParam<BrokenRow> {};

TEST_P(BrokenDax, IsEio) {
  FakeSysfs sysfs;
  sysfs.add_dax(kNumber, {.size = GetParam().size, .align = GetParam().align});
  const Result<DaxDevice> device = read_dax_device(kNumber, sysfs.root());
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code, EIO);
  EXPECT_NE(device.error().doing.find("dax0.0"), std::string::npos)
      << device.error().doing;
}

INSTANTIATE_TEST_SUITE_P(
    DaxDevice, BrokenDax,
    ::testing::Values(BrokenRow{"NoSize", std::nullopt, "4096"},
                      BrokenRow{"EmptySize", "", "4096"},
                      BrokenRow{"SizeThatIsNoNumber", "4M", "4096"},
                      BrokenRow{"NegativeSize", "-4096", "4096"},
                      BrokenRow{"NoAlign", "8192", std::nullopt},
                      BrokenRow{"AlignZero", "8192", "0"},
                      BrokenRow{"AlignThatIsNoNumber", "8192", "huge"}),
    support::RowName());

}  // namespace
}  // namespace pmem
