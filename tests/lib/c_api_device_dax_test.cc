// The C interface on Device DAX that this machine need not have: in a child
// process a fake tree is mounted over /sys, and a node with the number of
// /dev/zero is one of its devices. Persistent memory is then what
// pmem_map_file itself finds, and the rules of the registry can be seen.
//
// The original asks libndctl about the device, which crashes it where the
// device has no namespace on the pmem bus, as on the fake tree. That is its
// first defect: every test that maps the device shows it. (What the original
// does with a device that it can map: c_api_defects_test.cc.)
#include <gtest/gtest.h>
#include <libpmem.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/fake_dax_node.h"
#include "support/fake_sysfs.h"
#include "support/mount_over_sys.h"
#include "support/row_name.h"

namespace {

constexpr std::size_t kPage = 4096;

class OnDeviceDax : public support::FakeDaxNodeTest {
 protected:
  // Runs the code where the node is a Device DAX for the C interface.
  template <typename Code>
  void with_device(const support::FakeDax& dax, const Code& code) {
    ::unsetenv("PMEM_IS_PMEM_FORCE");
    add_dax(dax);
    support::in_child([&] {
      if (support::mount_over_sys(sysfs_)) {
        code();
      }
    });
  }

  // Maps the node whole.
  [[nodiscard]] std::byte* map(std::size_t expected_length) const {
    std::size_t length = 0;
    int is_pmem = -1;
    void* address = ::pmem_map_file(node_.c_str(), 0, 0, 0, &length, &is_pmem);
    EXPECT_NE(address, nullptr) << ::pmem_errormsg();
    EXPECT_EQ(length, expected_length);
    EXPECT_EQ(is_pmem, 1);
    return static_cast<std::byte*>(address);
  }
};

using Defect1BeatsTheOriginal = OnDeviceDax;

TEST_F(Defect1BeatsTheOriginal, MapsItWithoutANamespace) {
  with_device({.size = "4194304"}, [&] {
    std::byte* address = map(4194304);
    std::memset(address, 1, 4194304);
    ::pmem_persist(address, 4194304);
    EXPECT_EQ(::pmem_is_pmem(address, 4194304), 1);
    EXPECT_EQ(::pmem_unmap(address, 4194304), 0);
    EXPECT_EQ(::pmem_is_pmem(address, 1), 0);
  });
}

TEST_F(Defect1BeatsTheOriginal, IsPmemToTheByte) {
  with_device({.size = "5000", .align = "4096"}, [&] {
    const std::byte* address = map(5000);
    EXPECT_EQ(::pmem_is_pmem(address, 5000), 1);
    EXPECT_EQ(::pmem_is_pmem(address + 4999, 1), 1);
    EXPECT_EQ(::pmem_is_pmem(address, 5001), 0);
    EXPECT_EQ(::pmem_is_pmem(address, 8192), 0);
    EXPECT_EQ(::pmem_is_pmem(address + 5000, 1), 0);
    EXPECT_EQ(::pmem_is_pmem(address, 0), 0);
    EXPECT_EQ(::pmem_is_pmem(address, SIZE_MAX), 0);
  });
}

TEST_F(Defect1BeatsTheOriginal, KeepsTheRestAfterAPartWasUnmapped) {
  with_device({.size = "16384", .align = "4096"}, [&] {
    std::byte* address = map(16384);
    EXPECT_EQ(::pmem_unmap(address + kPage, kPage), 0);
    EXPECT_EQ(::pmem_is_pmem(address, kPage), 1);
    EXPECT_EQ(::pmem_is_pmem(address, kPage + 1), 0);
    EXPECT_EQ(::pmem_is_pmem(address + kPage, 1), 0);
    EXPECT_EQ(::pmem_is_pmem(address + 2 * kPage, 2 * kPage), 1);
  });
}

TEST_F(Defect1BeatsTheOriginal, KeepsTheRangeWhenUnmappingFails) {
  with_device({}, [&] {
    std::byte* address = map(4194304);
    EXPECT_EQ(::pmem_unmap(address + 8, 4096), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(::pmem_unmap(address, 0), -1);
    EXPECT_EQ(::pmem_is_pmem(address, 4194304), 1);
  });
}

TEST_F(Defect1BeatsTheOriginal, ForgetsADeadRangeWhenItsAddressesAreReused) {
  with_device({.size = "8192", .align = "4096"}, [&] {
    std::byte* dead = map(8192);
    ASSERT_EQ(::munmap(dead, 8192), 0);
    // The same search for room ends at the same place.
    std::size_t length = 0;
    void* address = ::pmem_map_file((directory_ / "file").c_str(), 5000,
                                    PMEM_FILE_CREATE, 0600, &length, nullptr);
    ASSERT_NE(address, nullptr) << ::pmem_errormsg();
    ASSERT_EQ(address, dead) << "the kernel chose another address";
    EXPECT_EQ(::pmem_is_pmem(dead, 1), 0);
    EXPECT_EQ(::pmem_is_pmem(dead + 5000, 1), 0);
    EXPECT_EQ(::pmem_is_pmem(dead + kPage, kPage), 0);
  });
}

TEST_F(Defect1BeatsTheOriginal, IsNotChangedByMsync) {
  with_device({}, [&] {
    const std::byte* address = map(4194304);
    EXPECT_EQ(::pmem_msync(address + 5, 100), 0);
  });
}

// A direct mapping of the device is none of the library's, nor the original's.
TEST_F(OnDeviceDax, DoesNotKnowMappingsOfOthers) {
  with_device({}, [&] {
    const int fd = ::open(node_.c_str(), O_RDWR | O_CLOEXEC);
    void* address = ::mmap(nullptr, 4194304, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(address, MAP_FAILED);
    EXPECT_EQ(::pmem_is_pmem(address, 1), 0);
  });
}

TEST_F(Defect1BeatsTheOriginal, RefusesOtherLengthsAndFlags) {
  with_device({.size = "4194304"}, [&] {
    std::size_t length = 7;
    int is_pmem = 7;
    for (const auto& [wanted, flags] :
         {std::pair<std::size_t, int>{4096, 0},
          {SIZE_MAX, PMEM_FILE_CREATE},
          {0, PMEM_FILE_EXCL},
          {4194304, PMEM_FILE_CREATE | PMEM_FILE_TMPFILE}}) {
      errno = 0;
      EXPECT_EQ(::pmem_map_file(node_.c_str(), wanted, flags, 0600, &length,
                                &is_pmem),
                nullptr);
      EXPECT_EQ(errno, EINVAL);
      EXPECT_NE(std::strstr(::pmem_errormsg(), node_.c_str()), nullptr);
    }
    EXPECT_EQ(length, 7U);
    EXPECT_EQ(is_pmem, 7);
  });
}

// What the platform says about its caches needs no device: this runs against
// the original as well.

struct PlatformRow {
  const char* name;
  std::vector<std::optional<std::string>> regions;
  int expected;
};

class HasAutoFlush : public ::testing::TestWithParam<PlatformRow> {};

TEST_P(HasAutoFlush, AsksEveryRegion) {
  support::FakeSysfs sysfs;
  sysfs.make_directory("bus/nd/devices");
  int number = 0;
  for (const auto& domain : GetParam().regions) {
    sysfs.add_region("region" + std::to_string(number++), domain);
  }
  support::in_child([&] {
    if (support::mount_over_sys(sysfs)) {
      EXPECT_EQ(::pmem_has_auto_flush(), GetParam().expected);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(
    All, HasAutoFlush,
    ::testing::Values(
        PlatformRow{"NoRegion", {}, 0},
        PlatformRow{"CpuCache", {"cpu_cache"}, 1},
        PlatformRow{"CpuCacheTwice", {"cpu_cache", "cpu_cache"}, 1},
        PlatformRow{"MemoryController", {"memory_controller"}, 0},
        PlatformRow{"Mixed", {"cpu_cache", "memory_controller"}, 0},
        PlatformRow{"Missing", {std::nullopt}, 0},
        PlatformRow{"Empty", {""}, -1}),
    support::RowName());

}  // namespace
