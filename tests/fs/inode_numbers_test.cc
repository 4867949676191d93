#include "fs/inode_numbers.h"

#include <fcntl.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace pmemfs
