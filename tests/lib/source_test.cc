// Sources: what can be mapped, from a path or a descriptor.
#include "pmem/source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <utility>

#include "support/fake_dax_node.h"
#include "support/row_name.h"
#include "support/temp_dir.h"

namespace pmem {
namespace {

using support::TempDir;

class SourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    file_ = directory_ / "file";
    std::ofstream(file_) << std::string(10000, 'x');
  }

  [[nodiscard]] struct stat status() const {
    struct stat found = {};
    EXPECT_EQ(::stat(file_.c_str(), &found), 0);
    return found;
  }

  TempDir directory_;
  std::string file_;
};

TEST_F(SourceTest, OpensARegularFile) {
  const Result<Source> source = Source::open(file_, Access::kReadWrite);
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_EQ(source->access(), Access::kReadWrite);
  EXPECT_EQ(source->size_bytes(), 10000U);
  EXPECT_EQ(source->align_bytes(), 4096U);
  EXPECT_FALSE(source->dax_device());
}

TEST_F(SourceTest, AsksForTheSizeEachTime) {
  const Result<Source> source = Source::open(file_, Access::kRead);
  ASSERT_TRUE(source) << source.error().message();
  ASSERT_EQ(::truncate(file_.c_str(), 77), 0);
  EXPECT_EQ(source->size_bytes(), 77U);
}

TEST_F(SourceTest, ClosesItsDescriptorOnExec) {
  const Result<Source> source = Source::open(file_, Access::kRead);
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_EQ(::fcntl(source->fd(), F_GETFD), FD_CLOEXEC);
}

TEST_F(SourceTest, OwnsAnAdoptedDescriptor) {
  UniqueFd fd(::open(file_.c_str(), O_RDWR | O_CLOEXEC));
  const int number = fd.get();
  {
    const Result<Source> source =
        Source::adopt(std::move(fd), Access::kReadWrite);
    ASSERT_TRUE(source) << source.error().message();
    EXPECT_EQ(source->fd(), number);
    EXPECT_EQ(source->size_bytes(), 10000U);
  }
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST_F(SourceTest, ClosesADescriptorThatItRefuses) {
  UniqueFd fd(::open(directory_.path().c_str(), O_RDONLY | O_CLOEXEC));
  const int number = fd.get();
  const Result<Source> source = Source::adopt(std::move(fd), Access::kRead);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, EISDIR);
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

TEST_F(SourceTest, RefusesADescriptorThatIsNotOpen) {
  const Result<Source> source = Source::adopt(UniqueFd(), Access::kRead);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, EBADF);
}

TEST_F(SourceTest, RefusesAPipe) {
  std::array<int, 2> ends = {};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const UniqueFd other_end(ends[1]);
  const Result<Source> source = Source::adopt(UniqueFd(ends[0]), Access::kRead);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, EINVAL);
}

TEST_F(SourceTest, RefusesAFifoWithoutWaitingForItsOtherEnd) {
  const std::string fifo = directory_ / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  for (const Access access : {Access::kRead, Access::kReadWrite}) {
    const Result<Source> source = Source::open(fifo, access);
    ASSERT_FALSE(source);
    EXPECT_EQ(source.error().code, EINVAL);
  }
}

TEST_F(SourceTest, RefusesACharacterDeviceThatIsNoDeviceDax) {
  const Result<Source> source = Source::open("/dev/null", Access::kReadWrite);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, EINVAL);
}

TEST_F(SourceTest, RefusesADirectory) {
  for (const Access access : {Access::kRead, Access::kReadWrite}) {
    const Result<Source> source = Source::open(directory_.path(), access);
    ASSERT_FALSE(source);
    EXPECT_EQ(source.error().code, EISDIR);
  }
}

TEST_F(SourceTest, NamesThePathInItsErrors) {
  const std::string missing = directory_ / "missing";
  const Result<Source> unopened = Source::open(missing, Access::kRead);
  ASSERT_FALSE(unopened);
  EXPECT_EQ(unopened.error().code, ENOENT);
  EXPECT_NE(unopened.error().message().find(missing), std::string::npos);

  const Result<Source> refused = Source::open("/dev/null", Access::kRead);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("/dev/null"), std::string::npos);
}

TEST_F(SourceTest, SetsTheLengthWithAHole) {
  const Result<Source> source = Source::open(file_, Access::kReadWrite);
  ASSERT_TRUE(source) << source.error().message();
  const blkcnt_t blocks_before = status().st_blocks;
  EXPECT_TRUE(source->set_length(10 << 20));
  EXPECT_EQ(status().st_size, 10 << 20);
  EXPECT_EQ(status().st_blocks, blocks_before);
  EXPECT_TRUE(source->set_length(5000));
  EXPECT_EQ(status().st_size, 5000);
}

TEST_F(SourceTest, RefusesALengthThatNoFileCanHave) {
  const Result<Source> source = Source::open(file_, Access::kReadWrite);
  ASSERT_TRUE(source) << source.error().message();
  const Result<void> set = source->set_length(std::uint64_t{1} << 63);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, EFBIG);
  EXPECT_EQ(status().st_size, 10000);
}

TEST_F(SourceTest, RefusesToChangeAFileOpenedForReading) {
  const Result<Source> source = Source::open(file_, Access::kRead);
  ASSERT_TRUE(source) << source.error().message();
  const Result<void> set = source->set_length(5000);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, EINVAL);
  const Result<void> allocated = source->allocate(0, 20000);
  ASSERT_FALSE(allocated);
  EXPECT_EQ(allocated.error().code, EBADF);
  EXPECT_EQ(status().st_size, 10000);
}

TEST_F(SourceTest, AllocatesBlocksAndReachesTheirEnd) {
  const Result<Source> source = Source::open(file_, Access::kReadWrite);
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_TRUE(source->allocate(1 << 20, 1 << 20));
  EXPECT_EQ(status().st_size, 2 << 20);
  EXPECT_GE(status().st_blocks * 512, 1 << 20);
  EXPECT_LT(status().st_blocks * 512, 2 << 20);
}

TEST_F(SourceTest, AllocatesWithoutShrinkingTheFile) {
  const Result<Source> source = Source::open(file_, Access::kReadWrite);
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_TRUE(source->allocate(0, 1));
  EXPECT_EQ(status().st_size, 10000);
}

struct Beyond {
  const char* name;
  std::uint64_t offset;
  std::uint64_t length;
};

class AllocationBeyondTheLargestFile
    : public SourceTest,
      public ::testing::WithParamInterface<Beyond> {};

TEST_P(AllocationBeyondTheLargestFile, IsEfbig) {
  const Result<Source> source = Source::open(file_, Access::kReadWrite);
  ASSERT_TRUE(source) << source.error().message();
  const Result<void> allocated =
      source->allocate(GetParam().offset, GetParam().length);
  ASSERT_FALSE(allocated);
  EXPECT_EQ(allocated.error().code, EFBIG);
  EXPECT_EQ(status().st_size, 10000);
}

constexpr std::uint64_t kOffMax = (std::uint64_t{1} << 63) - 1;

INSTANTIATE_TEST_SUITE_P(Source, AllocationBeyondTheLargestFile,
                         ::testing::Values(Beyond{"Offset", kOffMax + 1, 1},
                                           Beyond{"Length", 0, kOffMax + 1},
                                           Beyond{"Sum", kOffMax - 4096, 8192},
                                           Beyond{"SumThatWraps", kOffMax,
                                                  ~std::uint64_t{0}}),
                         support::RowName());

using SourceOfDeviceDax = support::FakeDaxNodeTest;

TEST_F(SourceOfDeviceDax, HasTheFactsOfTheDevice) {
  add_dax({.name = "dax1.3", .size = "8388608", .align = "4194304"});
  const Result<Source> source =
      Source::open(node_, Access::kReadWrite, sysfs_.root());
  ASSERT_TRUE(source) << source.error().message();
  ASSERT_TRUE(source->dax_device());
  EXPECT_EQ(source->dax_device()->name, "dax1.3");
  EXPECT_EQ(source->size_bytes(), 8388608U);
  EXPECT_EQ(source->align_bytes(), 4194304U);
}

TEST_F(SourceOfDeviceDax, CanBeAdopted) {
  add_dax();
  const Result<Source> source =
      Source::adopt(UniqueFd(::open(node_.c_str(), O_RDONLY | O_CLOEXEC)),
                    Access::kRead, sysfs_.root());
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_TRUE(source->dax_device());
}

TEST_F(SourceOfDeviceDax, KeepsItsLength) {
  add_dax({.size = "8388608"});
  const Result<Source> source =
      Source::open(node_, Access::kReadWrite, sysfs_.root());
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_TRUE(source->set_length(8388608));
  const Result<void> set = source->set_length(4194304);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, EINVAL);
}

TEST_F(SourceOfDeviceDax, IsEioWithoutASize) {
  add_dax({.size = std::nullopt});
  const Result<Source> source =
      Source::open(node_, Access::kReadWrite, sysfs_.root());
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, EIO);
}

// Its node may open, but mmap(2) would crash the kernel.
TEST_F(SourceOfDeviceDax, IsEnxioWithoutItsDriver) {
  add_dax({.driver = std::nullopt});
  const Result<Source> source =
      Source::open(node_, Access::kReadWrite, sysfs_.root());
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, ENXIO);
  EXPECT_NE(source.error().doing.find("unbound"), std::string::npos);
}

TEST_F(SourceOfDeviceDax, IsEnxioAsMemoryOfTheSystem) {
  add_dax({.driver = "kmem"});
  const Result<Source> source =
      Source::open(node_, Access::kRead, sysfs_.root());
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, ENXIO);
  EXPECT_NE(source.error().doing.find("system-ram"), std::string::npos);
}

TEST_F(SourceOfDeviceDax, IsRefusedWhereSysfsDoesNotKnowIt) {
  const Result<Source> source =
      Source::open(node_, Access::kReadWrite, sysfs_.root());
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, EINVAL);
}

}  // namespace
}  // namespace pmem
