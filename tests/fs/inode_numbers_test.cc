#include "fs/inode_numbers.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>

#include "pmem/unique_fd.h"

namespace pmemfs {
namespace {

TEST(InodeNumbers, AreTheBackingOnesForAnOnlySource) {
  InodeNumbers numbers;
  numbers.add_source(5, 0);
  EXPECT_EQ(numbers.unique(5, 1234, -1), 1234U);
}

TEST(InodeNumbers, DifferBetweenSourcesOnDifferentDevices) {
  InodeNumbers numbers;
  numbers.add_source(5, 1);
  numbers.add_source(6, 2);
  EXPECT_NE(numbers.unique(5, 1234, -1), numbers.unique(6, 1234, -1));
}

TEST(InodeNumbers, AreTheSameForSourcesOnOneDevice) {
  InodeNumbers numbers;
  numbers.add_source(5, 1);
  numbers.add_source(5, 2);
  EXPECT_EQ(numbers.unique(5, 1234, -1) >> 48, 1U);
}

TEST(InodeNumbers, OfAnInnerMountComeFromTheFileSystemAndStay) {
  const pmem::UniqueFd shm(::open("/dev/shm", O_RDONLY | O_DIRECTORY));
  InodeNumbers one;
  InodeNumbers other;
  one.add_source(5, 0);
  const std::uint64_t shown = one.unique(77, 1234, shm.get());
  EXPECT_NE(shown, 1234U);
  EXPECT_EQ(shown & 0xFFFFFFFFFFFFU, 1234U);
  EXPECT_EQ(shown, other.unique(78, 1234, shm.get()));
}

TEST(InodeNumbers, OfAFileSystemThatComesAndGoesFollowItsIdentity) {
  InodeNumbers numbers;
  const std::uint64_t expected = numbers.expected(5, 1234, 99);
  numbers.add_file_system(5, 99);
  const std::uint64_t shown = numbers.unique(5, 1234, -1);
  EXPECT_EQ(shown, expected);
  EXPECT_EQ(shown & 0xFFFFFFFFFFFFU, 1234U);
  numbers.remove_file_system(5);
  numbers.add_file_system(6, 99);
  EXPECT_EQ(numbers.unique(6, 1234, -1), shown);
  numbers.add_file_system(6, 100);  // another one on the same device
  EXPECT_NE(numbers.unique(6, 1234, -1), shown);
}

TEST(InodeNumbers, OfFileSystemsWithOneIdentityDiffer) {
  InodeNumbers numbers;
  std::set<std::uint64_t> shown;
  for (dev_t device = 1; device <= 100; ++device) {
    numbers.add_file_system(device, 99);
    shown.insert(numbers.unique(device, 1234, -1));
  }
  EXPECT_EQ(shown.size(), 100U);
  EXPECT_TRUE(std::all_of(shown.begin(), shown.end(), [](std::uint64_t number) {
    return (number >> 63) == 1;
  }));
}

TEST(InodeNumbers, StayAsLongAsSomebodyUsesTheFileSystem) {
  InodeNumbers numbers;
  numbers.add_file_system(5, 99);
  numbers.add_file_system(5, 99);
  numbers.add_file_system(6, 99);  // has to give way
  const std::uint64_t second = numbers.unique(6, 1, -1);
  numbers.remove_file_system(5);
  EXPECT_EQ(numbers.expected(6, 1, 99), second);
  numbers.remove_file_system(5);
  numbers.remove_file_system(6);
  numbers.add_file_system(6, 99);
  EXPECT_NE(numbers.unique(6, 1, -1), second);
}

TEST(InodeNumbers, OfASourceKeepItsTag) {
  InodeNumbers numbers;
  numbers.add_source(5, 3);
  numbers.add_file_system(5, 99);
  numbers.remove_file_system(5);
  EXPECT_EQ(numbers.unique(5, 1234, -1) >> 48, 3U);
  EXPECT_EQ(numbers.expected(5, 1234, 99) >> 48, 3U);
}

}  // namespace
}  // namespace pmemfs
