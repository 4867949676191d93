#include "fs/extents.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "pmem/unique_fd.h"
#include "support/temp_dir.h"
#include "support/two_file_systems.h"

namespace pmemfs {
namespace {

using pmem::UniqueFd;

// The folders that stand for a file system with FIEMAP and one without.
class Extents : public ::testing::TestWithParam<const char*> {
 protected:
  Extents() : dir_(GetParam()) {}

  UniqueFd make_file(off_t length) {
    const std::string path = dir_ / "file";
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600));
    EXPECT_EQ(::ftruncate(fd.get(), length), 0);
    return fd;
  }

  static bool holes_in(const UniqueFd& fd) {
    struct stat status = {};
    EXPECT_EQ(::fstat(fd.get(), &status), 0);
    return has_holes(fd.get(), status);
  }

  static void write_bytes(const UniqueFd& fd, std::size_t count) {
    const std::vector<char> bytes(count, 'x');
    EXPECT_EQ(::pwrite(fd.get(), bytes.data(), count, 0),
              static_cast<ssize_t>(count));
  }

  support::TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(On, Extents, support::two_file_systems(),
                         support::file_system_of);

TEST_P(Extents, AnEmptyFileHasNoHoles) { EXPECT_FALSE(holes_in(make_file(0))); }

TEST_P(Extents, ATruncatedFileIsAHole) {
  EXPECT_TRUE(holes_in(make_file(1 << 20)));
  EXPECT_TRUE(holes_in(make_file(5000)));
}

TEST_P(Extents, AnAllocatedButUnwrittenFileHasNoHoles) {
  const UniqueFd fd = make_file(0);
  ASSERT_EQ(::posix_fallocate(fd.get(), 0, 1 << 20), 0);
  EXPECT_FALSE(holes_in(fd));
}

TEST_P(Extents, AWrittenFileHasNoHolesBeforeAndAfterItIsOnDisk) {
  const UniqueFd fd = make_file(0);
  write_bytes(fd, 100'001);
  EXPECT_FALSE(holes_in(fd));
  ASSERT_EQ(::fsync(fd.get()), 0);
  EXPECT_FALSE(holes_in(fd));
}

TEST_P(Extents, APunchedFileHasAHole) {
  const UniqueFd fd = make_file(0);
  write_bytes(fd, 1 << 20);
  ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        65536, 4096),
            0);
  EXPECT_TRUE(holes_in(fd));
}

TEST_P(Extents, AHoleAtTheEndIsFound) {
  const UniqueFd fd = make_file(0);
  write_bytes(fd, 65536);
  ASSERT_EQ(::ftruncate(fd.get(), 131072), 0);
  EXPECT_TRUE(holes_in(fd));
}

TEST_P(Extents, AllocatedRangesAsksTheFileSystemOnce) {
  const UniqueFd fd = make_file(0);
  write_bytes(fd, 65536);
  AllocatedRanges ranges;
  EXPECT_TRUE(ranges.covers(fd.get(), {0, 65536}));
  // What it has learnt it does not ask again: the hole goes unnoticed.
  ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                        65536),
            0);
  EXPECT_TRUE(ranges.covers(fd.get(), {0, 4096}));
  ranges.clear();
  EXPECT_FALSE(ranges.covers(fd.get(), {0, 4096}));
}

TEST_P(Extents, AllocatedRangesDoesNotCoverAHole) {
  const UniqueFd fd = make_file(1 << 20);
  write_bytes(fd, 4096);
  AllocatedRanges ranges;
  EXPECT_TRUE(ranges.covers(fd.get(), {0, 4096}));
  EXPECT_FALSE(ranges.covers(fd.get(), {0, 8192}));
  EXPECT_FALSE(ranges.covers(fd.get(), {8192, 12288}));
}

TEST_P(Extents, AllocatedRangesJoinsWhatTouches) {
  const UniqueFd hole = make_file(1 << 20);
  AllocatedRanges ranges;
  ranges.add({0, 4096});
  ranges.add({8192, 12288});
  EXPECT_FALSE(ranges.covers(hole.get(), {0, 12288}));
  ranges.add({4096, 8192});
  EXPECT_TRUE(ranges.covers(hole.get(), {0, 12288}));
  EXPECT_TRUE(ranges.covers(hole.get(), {4096, 12288}));
  EXPECT_FALSE(ranges.covers(hole.get(), {4096, 12289}));
}

TEST(ReadFaults, AllocateOnTmpfsAlone) {
  const UniqueFd shm(::open("/dev/shm", O_RDONLY | O_DIRECTORY));
  const UniqueFd proc(::open("/proc", O_RDONLY | O_DIRECTORY));
  EXPECT_TRUE(read_faults_allocate(shm.get()));
  EXPECT_FALSE(read_faults_allocate(proc.get()));
}

}  // namespace
}  // namespace pmemfs
