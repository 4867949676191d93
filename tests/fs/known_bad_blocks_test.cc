// Keeping away from bad blocks, on a made-up region and a made-up bus.
#include "fs/known_bad_blocks.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/fake_bus.h"
#include "support/fake_sysfs.h"
#include "support/files.h"

namespace pmemfs {
namespace {

const dev_t kNumber = ::makedev(252, 5);
constexpr std::uint64_t kSize = 4194304;
constexpr std::uint64_t kAddress = 0x100000000;

// A device that is its whole region, with one bad range: [8192, 12288).
class KnownBadBlocksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sysfs_.add_region("region0", std::nullopt);
    sysfs_.add_dax_of_region(kNumber, "region0", {.name = "dax0.0"});
    write_region("resource", std::to_string(kAddress));
    sysfs_.write("dev/char/252:5/resource", std::to_string(kAddress));
    list("16 8");
    support::FakeBus::allow_clearing(sysfs_);
    known_.emplace(*pmem::read_dax_device(kNumber, sysfs_.root()),
                   sysfs_.root(), bus_.dev_root());
  }

  void write_region(const std::string& attribute, const std::string& text) {
    sysfs_.write(
        support::FakeSysfs::region_directory("region0") + "/" + attribute,
        text);
  }
  void list(const std::string& blocks) { write_region("badblocks", blocks); }

  support::FakeSysfs sysfs_;
  support::FakeBus bus_;
  std::optional<KnownBadBlocks> known_;
};

TEST_F(KnownBadBlocksTest, ReadsEndBeforeThem) {
  EXPECT_EQ(known_->readable(0, kSize), 8192U);
  EXPECT_EQ(known_->readable(8191, 2), 1U);
  EXPECT_EQ(known_->readable(8192, 1), 0U);
  EXPECT_EQ(known_->readable(12287, 100), 0U);
}

TEST_F(KnownBadBlocksTest, ReadsBesideThemAreWhole) {
  EXPECT_EQ(known_->readable(0, 8192), 8192U);
  EXPECT_EQ(known_->readable(12288, kSize - 12288), kSize - 12288);
  EXPECT_EQ(known_->readable(8192, 0), 0U);
}

TEST_F(KnownBadBlocksTest, TheFirstOfSeveralCounts) {
  list("16 8\n32 1\n100 1");
  known_->look();
  EXPECT_EQ(known_->readable(12288, kSize - 12288), 4096U);
  EXPECT_EQ(known_->readable(16896, kSize - 16896), 51200U - 16896U);
  EXPECT_EQ(known_->readable(51712, kSize - 51712), kSize - 51712);
}

TEST_F(KnownBadBlocksTest, WritesOverThemClearThem) {
  bus_.on_cleared([&](pmem::BadRange) { list(""); });
  EXPECT_EQ(known_->writable(4096, 16384), 16384U);
  EXPECT_EQ(bus_.cleared(),
            (std::vector{pmem::BadRange{kAddress + 8192, 4096}}));
  EXPECT_EQ(known_->readable(0, kSize), kSize);
}

TEST_F(KnownBadBlocksTest, AWriteOverSomeBlocksClearsThose) {
  bus_.on_cleared([&](pmem::BadRange) { list("18 6"); });
  EXPECT_EQ(known_->writable(0, 9216), 9216U);
  EXPECT_EQ(bus_.cleared(),
            (std::vector{pmem::BadRange{kAddress + 8192, 1024}}));
  EXPECT_EQ(known_->readable(0, kSize), 9216U);
}

TEST_F(KnownBadBlocksTest, AWriteOverAPartOfABlockEndsBeforeIt) {
  EXPECT_EQ(known_->writable(8192, 511), 0U);
  EXPECT_EQ(known_->writable(8191, 2), 1U);
  EXPECT_EQ(known_->writable(8193, 8192), 0U);
  EXPECT_TRUE(bus_.cleared().empty());
}

TEST_F(KnownBadBlocksTest, AWriteThatEndsInABlockEndsBeforeIt) {
  bus_.on_cleared([&](pmem::BadRange) { list("17 7"); });
  EXPECT_EQ(known_->writable(4096, 4096 + 512 + 100), 4096U + 512U);
}

TEST_F(KnownBadBlocksTest, AWriteMeetsSeveral) {
  list("16 8\n32 1\n100 1");
  known_->look();
  bus_.on_cleared([&](pmem::BadRange range) {
    list(range.offset_bytes == kAddress + 8192 ? "32 1\n100 1" : "100 1");
  });
  EXPECT_EQ(known_->writable(0, 51200 + 100), 51200U);
  EXPECT_EQ(bus_.cleared().size(), 2U);
}

TEST_F(KnownBadBlocksTest, WritesEndBeforeThemWhereThePlatformCannotClear) {
  sysfs_.write("devices/platform/ndbus0/commands", "cmd_call \n");
  EXPECT_EQ(known_->writable(0, kSize), 8192U);
  EXPECT_EQ(known_->writable(8192, 4096), 0U);
}

TEST_F(KnownBadBlocksTest, WritesEndBeforeThemWhereClearingFails) {
  bus_.fail_with_errno(EIO);
  EXPECT_EQ(known_->writable(0, kSize), 8192U);
}

// Otherwise a write would be acknowledged that nobody can read.
TEST_F(KnownBadBlocksTest, WritesEndBeforeWhatTheKernelStillCallsBad) {
  EXPECT_EQ(known_->writable(0, kSize), 8192U);
  EXPECT_EQ(bus_.cleared().size(), 1U);
}

TEST_F(KnownBadBlocksTest, NewOnesAreKnownWithinASecond) {
  EXPECT_EQ(known_->readable(0, 4096), 4096U);
  list("4 1\n16 8");
  std::uint64_t readable = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    readable = known_->readable(0, 4096);
  } while (readable == 4096 && std::chrono::steady_clock::now() < end);
  EXPECT_EQ(readable, 2048U);
}

TEST_F(KnownBadBlocksTest, NewOnesAreKnownAtOnceAfterAFault) {
  list("4 1\n16 8");
  known_->look();
  EXPECT_EQ(known_->readable(0, 4096), 2048U);
}

TEST_F(KnownBadBlocksTest, AreNoneWhereNobodyTells) {
  sysfs_.add_dax(::makedev(252, 6), {.name = "dax1.0"});
  KnownBadBlocks none(*pmem::read_dax_device(::makedev(252, 6), sysfs_.root()),
                      sysfs_.root(), bus_.dev_root());
  EXPECT_EQ(none.readable(0, kSize), kSize);
  EXPECT_EQ(none.writable(0, kSize), kSize);
}

TEST_F(KnownBadBlocksTest, ReadersAndWhoLooksDoNotWaitForEachOther) {
  std::vector<std::jthread> readers;
  std::atomic<bool> is_over = false;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!is_over) {
        const std::uint64_t readable = known_->readable(0, kSize);
        wrong += readable != 8192 && readable != 2048 && readable != kSize;
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    list(i % 3 == 0 ? "4 1\n16 8" : i % 3 == 1 ? "" : "16 8");
    known_->look();
  }
  is_over = true;
  readers.clear();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace pmemfs
