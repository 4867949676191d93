#include "fs/region.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "fs/backing_io.h"
#include "support/child_process.h"
#include "support/temp_dir.h"
#include "support/two_file_systems.h"

namespace pmemfs {
namespace {

using pmem::Access;
using pmem::Result;
using pmem::UniqueFd;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

const Caller kRoot = {0, 0, ::getpid(), 022};

// On a disk file system and on tmpfs, which has neither FIEMAP nor holes that
// may be read through a mapping.
using Growth = Region::Growth;

class RegionTest
    : public ::testing::TestWithParam<std::tuple<const char*, Growth>> {
 protected:
  RegionTest() : dir_(std::get<0>(GetParam())), path_(dir_ / "file") {
    ::close(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
  }

  std::shared_ptr<Region> open(Access access = Access::kReadWrite) {
    const UniqueFd path_fd(::open(path_.c_str(), O_PATH));
    Result<std::shared_ptr<Region>> region =
        Region::open(path_fd.get(), access, std::get<1>(GetParam()));
    EXPECT_TRUE(region) << region.error().message();
    return region ? *region : nullptr;
  }

  static std::size_t write(Region& region, std::uint64_t offset,
                           std::string_view text) {
    const Result<std::size_t> written =
        region.write({offset, bytes_of(text), false});
    EXPECT_TRUE(written) << written.error().message();
    return written.value_or(0);
  }

  static std::size_t append(Region& region, std::string_view text) {
    return region.write({0, bytes_of(text), true}).value_or(0);
  }

  static std::string read(Region& region, std::uint64_t offset,
                          std::size_t length) {
    std::string text(length, '?');
    const Result<std::size_t> got = region.read(
        offset, std::as_writable_bytes(std::span(text.data(), length)));
    EXPECT_TRUE(got) << got.error().message();
    text.resize(got.value_or(0));
    return text;
  }

  struct stat status() const {
    struct stat status = {};
    EXPECT_EQ(::stat(path_.c_str(), &status), 0);
    return status;
  }

  std::string backing_text() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  support::TempDir dir_;
  const std::string path_;
};

INSTANTIATE_TEST_SUITE_P(
    On, RegionTest,
    ::testing::Combine(support::two_file_systems(),
                       ::testing::Values(Growth::kByGranularity,
                                         Growth::kThroughMapping)),
    [](const ::testing::TestParamInfo<RegionTest::ParamType>& row) {
      const bool is_tmpfs = std::string(std::get<0>(row.param)) == "/dev/shm";
      return std::string(is_tmpfs ? "Tmpfs" : "DiskFileSystem") +
             (std::get<1>(row.param) == Growth::kThroughMapping
                  ? "GrownByStores"
                  : "");
    });

TEST_P(RegionTest, ReadsWhatWasWritten) {
  const auto region = open();
  EXPECT_EQ(write(*region, 0, "persistent"), 10U);
  EXPECT_EQ(read(*region, 0, 10), "persistent");
  EXPECT_EQ(read(*region, 3, 4), "sist");
  EXPECT_EQ(backing_text(), "persistent");
}

TEST_P(RegionTest, AReadStopsAtTheEnd) {
  const auto region = open();
  write(*region, 0, "12345");
  EXPECT_EQ(read(*region, 3, 100), "45");
  EXPECT_EQ(read(*region, 5, 100), "");
  EXPECT_EQ(read(*region, 1 << 30, 100), "");
}

TEST_P(RegionTest, AnEmptyFileReadsAsNothing) {
  EXPECT_EQ(read(*open(), 0, 100), "");
}

TEST_P(RegionTest, AWriteBeyondTheEndLeavesAHole) {
  const auto region = open();
  write(*region, 1 << 20, "end");
  EXPECT_EQ(status().st_size, (1 << 20) + 3);
  EXPECT_LE(status().st_blocks * 512, 64 << 10);
  EXPECT_EQ(read(*region, (1 << 20) - 2, 5), std::string("\0\0end", 5));
}

TEST_P(RegionTest, ReadingAHoleAllocatesNothing) {
  const auto region = open();
  ASSERT_TRUE(region->truncate(1 << 20));
  EXPECT_EQ(read(*region, 0, 1 << 20), std::string(1 << 20, '\0'));
  EXPECT_EQ(status().st_blocks, 0);
}

TEST_P(RegionTest, HolesAndDataAreReadTogether) {
  const auto region = open();
  ASSERT_TRUE(region->truncate(65536));
  write(*region, 8192, "first");
  write(*region, 40960, "second");
  std::string expected(65536, '\0');
  expected.replace(8192, 5, "first");
  expected.replace(40960, 6, "second");
  EXPECT_EQ(read(*region, 0, 65536), expected);
  EXPECT_EQ(read(*region, 8190, 10), expected.substr(8190, 10));
}

TEST_P(RegionTest, AStoreIntoAHoleAllocatesItsPagesAlone) {
  const auto region = open();
  ASSERT_TRUE(region->truncate(1 << 20));
  write(*region, 300'000, "x");
  EXPECT_GT(status().st_blocks, 0);
  EXPECT_LE(status().st_blocks * 512, 64 << 10);
}

TEST_P(RegionTest, AnAppendGoesToTheEndWhereverThatIs) {
  const auto region = open();
  append(*region, "one ");
  std::ofstream(path_, std::ios::app) << "beneath ";
  append(*region, "two");
  EXPECT_EQ(backing_text(), "one beneath two");
}

TEST_P(RegionTest, AppendsOfSeveralThreadsLoseNothing) {
  const auto region = open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string record(16, static_cast<char>('a' + t));
      for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(append(*region, record), record.size());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const std::string text = backing_text();
  ASSERT_EQ(text.size(), std::size_t{4} * 200 * 16);
  for (std::size_t at = 0; at < text.size(); at += 16) {
    EXPECT_EQ(text.substr(at, 16), std::string(16, text[at]));
  }
  EXPECT_EQ(std::count(text.begin(), text.end(), 'a'), 200 * 16);
}

TEST_P(RegionTest, GrowingNeedsFewMappings) {
  const auto region = open();
  const std::string block(65536, 'x');
  for (std::size_t i = 0; i < 512; ++i) {  // 32 MiB
    ASSERT_EQ(append(*region, block), block.size());
    EXPECT_EQ(read(*region, i * block.size(), 10), "xxxxxxxxxx");
  }
  std::ifstream maps("/proc/self/maps");
  int mappings = 0;
  for (std::string line; std::getline(maps, line);) {
    mappings += line.find(path_) != std::string::npos ? 1 : 0;
  }
  EXPECT_GE(mappings, 1);
  EXPECT_LE(mappings, 6);
}

TEST_P(RegionTest, AReadOnlyRegionRefusesWrites) {
  const auto region = open(Access::kRead);
  const auto written = region->write({0, bytes_of("x"), false});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, EBADF);
  EXPECT_EQ(region->truncate(5).error().code, EBADF);
  EXPECT_EQ(region->allocate(0, 0, 5, kRoot).error().code, EBADF);
}

TEST_P(RegionTest, AReadersRegionCanLaterBeWritten) {
  std::ofstream(path_) << "before";
  const auto region = open(Access::kRead);
  EXPECT_EQ(read(*region, 0, 6), "before");
  const UniqueFd path_fd(::open(path_.c_str(), O_PATH));
  ASSERT_TRUE(region->allow(path_fd.get(), Access::kReadWrite));
  write(*region, 0, "after!");
  EXPECT_EQ(read(*region, 0, 6), "after!");
  EXPECT_EQ(backing_text(), "after!");
}

// Orders nothing between the threads, for the thread sanitizer.
TEST_P(RegionTest, AReaderReadsOnWhileTheRegionBecomesWritable) {
  std::ofstream(path_) << "before";
  const auto region = open(Access::kRead);
  const bool is_parallel = region->takes_parallel_writes();
  std::atomic<bool> has_read = false;
  std::atomic<bool> is_writable = false;
  std::thread reader([&] {
    do {
      EXPECT_EQ(read(*region, 0, 6), "before");
      EXPECT_EQ(region->takes_parallel_writes(), is_parallel);
      has_read.store(true, std::memory_order_relaxed);
    } while (!is_writable.load(std::memory_order_relaxed));
  });
  while (!has_read.load(std::memory_order_relaxed)) {
    std::this_thread::yield();
  }
  const UniqueFd path_fd(::open(path_.c_str(), O_PATH));
  EXPECT_TRUE(region->allow(path_fd.get(), Access::kReadWrite));
  is_writable.store(true, std::memory_order_relaxed);
  reader.join();
}

TEST_P(RegionTest, TruncatingCutsAndExtendsWithZeros) {
  const auto region = open();
  write(*region, 0, "abcdef");
  ASSERT_TRUE(region->truncate(3));
  EXPECT_EQ(read(*region, 0, 10), "abc");
  ASSERT_TRUE(region->truncate(6));
  EXPECT_EQ(read(*region, 0, 10), std::string("abc\0\0\0", 6));
}

TEST_P(RegionTest, AllocatingReachesTheEndWithBlocks) {
  const auto region = open();
  ASSERT_TRUE(region->allocate(0, 0, 1 << 20, kRoot));
  EXPECT_EQ(status().st_size, 1 << 20);
  EXPECT_GE(status().st_blocks * 512, 1 << 20);
}

TEST_P(RegionTest, APunchedRangeReadsAsZerosAndTakesStores) {
  const auto region = open();
  write(*region, 0, std::string(65536, 'x'));
  ASSERT_TRUE(region->allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192,
                               8192, kRoot));
  EXPECT_EQ(read(*region, 8192, 8192), std::string(8192, '\0'));
  write(*region, 10'000, "again");
  EXPECT_EQ(read(*region, 10'000, 5), "again");
  EXPECT_EQ(read(*region, 8191, 2), std::string("x\0", 2));
}

TEST_P(RegionTest, SeekFindsDataAndHoles) {
  const auto region = open();
  ASSERT_TRUE(region->truncate(1 << 20));
  write(*region, 65536, std::string(4096, 'x'));
  EXPECT_EQ(region->seek(0, SEEK_DATA), 65536U);
  EXPECT_EQ(region->seek(65536, SEEK_HOLE), 65536U + 4096);
  EXPECT_EQ(region->seek(1 << 21, SEEK_DATA).error().code, ENXIO);
}

TEST_P(RegionTest, AFileCutShortBeneathReadsShort) {
  const auto region = open();
  write(*region, 0, std::string(65536, 'x'));
  ASSERT_EQ(::truncate(path_.c_str(), 100), 0);
  EXPECT_EQ(read(*region, 0, 65536), std::string(100, 'x'));
  EXPECT_EQ(read(*region, 4096, 100), "");
}

TEST_P(RegionTest, AFileExtendedBeneathReadsToItsNewEnd) {
  const auto region = open();
  write(*region, 0, "abc");
  std::ofstream(path_, std::ios::app) << std::string(10 << 20, 'y');
  EXPECT_EQ(read(*region, 0, 5), "abcyy");
  EXPECT_EQ(read(*region, (10 << 20) + 1, 100), "yy");
}

TEST_P(RegionTest, ReadersAndWritersSurviveTruncationBeneath) {
  const auto region = open();
  constexpr std::size_t kLength = 1 << 20;
  write(*region, 0, std::string(kLength, 'x'));
  std::atomic<bool> is_over = false;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::byte> buffer(kLength);
      const std::string text(8192, 'x');
      for (std::uint64_t i = 0; !is_over; ++i) {
        const auto got = region->read(0, buffer);
        for (std::size_t at = 0; got && at < *got; ++at) {
          const char c = static_cast<char>(buffer[at]);
          ASSERT_TRUE(c == 'x' || c == '\0') << at;
        }
        const auto written = region->write(
            {(i * 4096 + t * 1000) % kLength, bytes_of(text), false});
        ASSERT_TRUE(written) << written.error().message();
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(::truncate(path_.c_str(), i % 2 == 0 ? 0 : kLength), 0);
  }
  is_over = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
}

// Each writer owns words of its own, which hold its number; a reader may see
// old and new, but never another's.
TEST_P(RegionTest, ReadersNeverSeeAWrongByteOfFourWriters) {
  const auto region = open();
  constexpr std::size_t kBlock = 1000;  // not aligned to anything
  constexpr std::size_t kBlocks = 64;
  const std::size_t length = 4 * kBlocks * kBlock;
  ASSERT_TRUE(region->truncate(length));
  std::atomic<bool> is_over = false;
  std::vector<std::thread> writers;
  for (std::size_t w = 0; w < 4; ++w) {
    writers.emplace_back([&, w] {
      const std::string block(kBlock, static_cast<char>('1' + w));
      for (std::size_t i = 0; i < 2000; ++i) {
        ASSERT_EQ(write(*region, (i % kBlocks * 4 + w) * kBlock, block),
                  kBlock);
      }
    });
  }
  std::vector<std::thread> readers;
  for (int r = 0; r < 4; ++r) {
    readers.emplace_back([&] {
      while (!is_over) {
        const std::string text = read(*region, 0, length);
        for (std::size_t at = 0; at < text.size(); ++at) {
          const char owner = static_cast<char>('1' + at / kBlock % 4);
          ASSERT_TRUE(text[at] == owner || text[at] == '\0') << at;
        }
      }
    });
  }
  for (std::thread& writer : writers) {
    writer.join();
  }
  is_over = true;
  for (std::thread& reader : readers) {
    reader.join();
  }
}

TEST_P(RegionTest, AReaderNeverSeesAnAppendBeforeItsBytes) {
  const auto region = open();
  std::atomic<bool> is_over = false;
  std::thread reader([&] {
    while (!is_over) {
      const std::string text = read(*region, 0, 4 << 20);
      ASSERT_EQ(text.find('\0'), std::string::npos);
    }
  });
  for (int i = 0; i < 300; ++i) {
    append(*region, std::string(5000, 'x'));
  }
  is_over = true;
  reader.join();
}

TEST_P(RegionTest, AWriteMovesTheTimeOfModification) {
  const auto region = open();
  write(*region, 0, "x");
  const struct timespec long_ago[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), long_ago, 0), 0);
  region->note_times_seen();
  // The page is dirty already: the store itself leaves no trace in the time.
  write(*region, 0, "y");
  EXPECT_GT(status().st_mtim.tv_sec, 1000);
}

TEST_P(RegionTest, AWriteEndsATimeInTheFuture) {
  const auto region = open();
  write(*region, 0, "x");
  constexpr time_t kFuture = 4'000'000'000;
  const struct timespec future[2] = {{kFuture, 0}, {kFuture, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), future, 0), 0);
  region->note_times_seen();
  write(*region, 0, "y");
  EXPECT_LT(status().st_mtim.tv_sec, kFuture);
}

TEST_P(RegionTest, ATimeThatWasSetStaysWithoutAWrite) {
  auto region = open();
  write(*region, 0, "x");
  const struct timespec long_ago[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), long_ago, 0), 0);
  region->note_times_seen();
  ASSERT_TRUE(region->sync(false));
  region.reset();
  EXPECT_EQ(status().st_mtim.tv_sec, 1000);
}

TEST_P(RegionTest, AWriteIsToldByItsOwnTimesAlsoLater) {
  const auto region = open();
  write(*region, 0, "x");
  const struct stat first = status();
  struct timespec ticks = {.tv_sec = 0, .tv_nsec = 30'000'000};
  ::nanosleep(&ticks, nullptr);
  write(*region, 0, "y");
  const struct stat second = status();
  ::nanosleep(&ticks, nullptr);
  ASSERT_TRUE(region->sync(false));
  EXPECT_LT(in_ns(first.st_mtim), in_ns(second.st_mtim));
  EXPECT_LT(in_ns(first.st_ctim), in_ns(second.st_ctim));
  EXPECT_EQ(in_ns(status().st_ctim), in_ns(second.st_ctim));
}

TEST_P(RegionTest, AnUnprivilegedWriteDropsSetIdBits) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root acts as another user";
  }
  const auto region = open();
  Caller stranger = {12345, 12345, ::getpid(), 022};
  stranger.loses_set_id = true;
  const auto write_as_stranger = [&](const std::string& text, bool at_end) {
    WriteRequest request;
    request.bytes = bytes_of(text);
    request.at_end = at_end;
    request.writer = &stranger;
    return region->write(request).has_value();
  };
  // In a thread, whose identity and umask go with it.
  std::thread([&] {
    ASSERT_EQ(::chmod(path_.c_str(), 06755), 0);
    ASSERT_TRUE(write_as_stranger("one", false));
    EXPECT_EQ(status().st_mode & 07777U, 0755U);
    ASSERT_EQ(::chmod(path_.c_str(), 06777), 0);
    ASSERT_TRUE(write_as_stranger("two", true));
    EXPECT_EQ(status().st_mode & 07777U, 0777U);
    ASSERT_EQ(::chmod(path_.c_str(), 06777), 0);
    ASSERT_TRUE(region->allocate(0, 0, 100, stranger));
    EXPECT_EQ(status().st_mode & 07777U, 0777U);
  }).join();
  EXPECT_EQ(read(*region, 0, 6), "onetwo");
}

TEST_P(RegionTest, AFileTooLargeToMapIsStillServed) {
  if (std::string(std::get<0>(GetParam())) != "/dev/shm") {
    // ext4 ends at 16 TiB, which can be mapped.
    return;
  }
  const auto region = open();
  const std::uint64_t far = std::uint64_t{1} << 62;
  EXPECT_EQ(write(*region, far, "far"), 3U);
  EXPECT_EQ(read(*region, far, 10), "far");
  EXPECT_EQ(write(*region, 0, "near"), 4U);
  EXPECT_EQ(read(*region, 0, 4), "near");
}

TEST_P(RegionTest, AFullFileSystemTakesWhatFitsAndSaysSo) {
  support::in_child([&] {
    support::enter_private_mounts();
    if (::testing::Test::IsSkipped() || ::testing::Test::HasFailure()) {
      return;
    }
    support::mount_fresh("tmpfs", dir_.path(), "size=64k");
    ::close(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
    const auto region = open();
    std::size_t total = 0;
    int error = 0;
    const std::string block(5000, 'x');
    while (error == 0 && total < (1 << 20)) {
      const auto written = region->write({total, bytes_of(block), false});
      error = written ? 0 : written.error().code;
      total += written.value_or(0);
    }
    EXPECT_EQ(error, ENOSPC);
    EXPECT_EQ(total, 65536U);
    EXPECT_EQ(status().st_size, 65536);
    EXPECT_EQ(backing_text(), std::string(65536, 'x'));
    // A store into a hole finds no block, and says the same.
    ASSERT_TRUE(region->truncate(1 << 20));
    const auto into_hole = region->write({500'000, bytes_of("x"), false});
    ASSERT_FALSE(into_hole);
    EXPECT_EQ(into_hole.error().code, ENOSPC);
    // Space comes back, and with it writing.
    ASSERT_TRUE(region->truncate(0));
    EXPECT_EQ(write(*region, 0, "room"), 4U);
  });
}

}  // namespace
}  // namespace pmemfs
