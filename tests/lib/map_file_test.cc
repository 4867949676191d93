// map_file on Device DAX. Files are in c_api_map_file_test.cc, where the
// complete table of errors is tested through the C interface.
#include "pmem/map_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <string>

#include "libpmem.h"
#include "support/fake_dax_node.h"
#include "support/row_name.h"

namespace pmem {
namespace {

constexpr std::size_t kSize = 4194304;

// Whatever is refused or accepted, the node stays what it was.
class MapFileOfDeviceDax : public support::FakeDaxNodeTest {
 protected:
  void TearDown() override {
    struct stat status = {};
    if (!IsSkipped()) {
      ASSERT_EQ(::stat(node_.c_str(), &status), 0);
      EXPECT_TRUE(S_ISCHR(status.st_mode));
      EXPECT_EQ(status.st_rdev, kZero);
    }
  }

  [[nodiscard]] Result<Mapping> map(std::size_t length, int flags) const {
    return map_file(node_.c_str(), length, flags, 0600, sysfs_.root());
  }
};

struct Row {
  const char* name;
  std::size_t length;
  int flags;
  int code;  // 0: it is mapped, whole
};

class MapFileOfDeviceDaxTable : public MapFileOfDeviceDax,
                                public ::testing::WithParamInterface<Row> {};

TEST_P(MapFileOfDeviceDaxTable, GivesMappingOrErrno) {
  add_dax({.size = std::to_string(kSize)});
  const Row& row = GetParam();
  const Result<Mapping> mapping = map(row.length, row.flags);
  EXPECT_EQ(mapping ? 0 : mapping.error().code, row.code);
  if (row.code != 0) {
    EXPECT_NE(mapping.error().message().find(node_), std::string::npos)
        << mapping.error().message();
    return;
  }
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->length_bytes(), kSize);
  EXPECT_TRUE(mapping->is_device_dax());
  EXPECT_TRUE(mapping->writable());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(mapping->address()) % 2097152, 0U);
}

constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max();

INSTANTIATE_TEST_SUITE_P(
    All, MapFileOfDeviceDaxTable,
    ::testing::Values(
        Row{"LengthZero", 0, 0, 0}, Row{"ExactLength", kSize, 0, 0},
        Row{"CreateWithLengthZero", 0, PMEM_FILE_CREATE, 0},
        Row{"CreateWithExactLength", kSize, PMEM_FILE_CREATE, 0},
        Row{"SparseWithLengthZero", 0, PMEM_FILE_SPARSE, 0},
        Row{"CreateAndSparse", kSize, PMEM_FILE_CREATE | PMEM_FILE_SPARSE, 0},
        Row{"OneByteLess", kSize - 1, 0, EINVAL},
        Row{"OneByteMore", kSize + 1, 0, EINVAL},
        Row{"CreateWithHalfTheLength", kSize / 2, PMEM_FILE_CREATE, EINVAL},
        Row{"CreateWithTwiceTheLength", 2 * kSize, PMEM_FILE_CREATE, EINVAL},
        Row{"LengthMinusOne", kMax, 0, EINVAL},
        Row{"CreateWithLengthMinusOne", kMax, PMEM_FILE_CREATE, EINVAL},
        Row{"Excl", 0, PMEM_FILE_EXCL, EINVAL},
        Row{"CreateAndExcl", kSize, PMEM_FILE_CREATE | PMEM_FILE_EXCL, EINVAL},
        Row{"Tmpfile", 0, PMEM_FILE_TMPFILE, EINVAL},
        Row{"CreateAndTmpfile", kSize, PMEM_FILE_CREATE | PMEM_FILE_TMPFILE,
            EINVAL},
        Row{"UnknownFlag", 0, 0x10, EINVAL}),
    support::RowName());

TEST_F(MapFileOfDeviceDax, FollowsALinkToTheNode) {
  add_dax();
  const std::string link = directory_ / "link";
  ASSERT_EQ(::symlink(node_.c_str(), link.c_str()), 0);
  const Result<Mapping> mapping =
      map_file(link.c_str(), 0, 0, 0, sysfs_.root());
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_TRUE(mapping->is_device_dax());
}

TEST_F(MapFileOfDeviceDax, WorksWithTheClassOfOldKernels) {
  sysfs_.add_dax_of_class(kZero, {.size = "2097152", .align = "4096"});
  const Result<Mapping> mapping = map(2097152, 0);
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_EQ(mapping->length_bytes(), 2097152U);
}

TEST_F(MapFileOfDeviceDax, NeedsNoNamespaceOfThePmemBus) {
  add_dax();  // of the platform bus, as CXL and special-purpose memory are
  const Result<Mapping> mapping = map(0, 0);
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_EQ(mapping->granularity(), Granularity::kCacheLine);
}

TEST_F(MapFileOfDeviceDax, TakesGranularityFromTheSameTree) {
  add_dax();
  sysfs_.add_region("region0", "cpu_cache");
  const Result<Mapping> mapping = map(0, 0);
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_EQ(mapping->granularity(), Granularity::kByte);
}

TEST_F(MapFileOfDeviceDax, IsEioWithoutASize) {
  add_dax({.size = std::nullopt});
  const Result<Mapping> mapping = map(0, 0);
  ASSERT_FALSE(mapping);
  EXPECT_EQ(mapping.error().code, EIO);
}

TEST_F(MapFileOfDeviceDax, IsEioWithoutAnAlignment) {
  add_dax({.align = std::nullopt});
  const Result<Mapping> mapping = map(0, 0);
  ASSERT_FALSE(mapping);
  EXPECT_EQ(mapping.error().code, EIO);
}

TEST_F(MapFileOfDeviceDax, RefusesACharacterDeviceOfAnotherKind) {
  sysfs_.add_char_device(kZero, "dax0.0", "mem");
  for (const int flags : {0, PMEM_FILE_CREATE}) {
    const Result<Mapping> mapping = map(flags == 0 ? 0 : kSize, flags);
    ASSERT_FALSE(mapping);
    EXPECT_EQ(mapping.error().code, EINVAL);
  }
}

TEST_F(MapFileOfDeviceDax, RefusesACharacterDeviceThatSysfsDoesNotKnow) {
  const Result<Mapping> mapping = map(0, 0);
  ASSERT_FALSE(mapping);
  EXPECT_EQ(mapping.error().code, EINVAL);
}

TEST_F(MapFileOfDeviceDax, LeavesRegularFilesAlone) {
  add_dax();
  const std::string file = directory_ / "dax0.0";
  const Result<Mapping> mapping =
      map_file(file.c_str(), 5000, PMEM_FILE_CREATE, 0600, sysfs_.root());
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_FALSE(mapping->is_device_dax());
  EXPECT_EQ(mapping->length_bytes(), 5000U);
}

}  // namespace
}  // namespace pmem
