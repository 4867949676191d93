// The memory of a Device DAX as the bytes of a file. The device is a fake one,
// whose memory is that of /dev/zero.
#include "fs/dax_data.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <vector>

#include "support/fake_bus.h"
#include "support/fake_dax_node.h"
#include "support/row_name.h"

namespace pmemfs {
namespace {

using pmem::Access;
using pmem::Result;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kSize = std::uint64_t{4} << 20;
constexpr std::uint64_t kAlign = std::uint64_t{2} << 20;
const Caller kRoot = {};

Bytes pattern(std::size_t length) {
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i) {
    bytes[i] = static_cast<std::byte>(i * 7 % 251 + 1);
  }
  return bytes;
}

template <typename Value>
int error_of(const Result<Value>& result) {
  return result ? 0 : result.error().code;
}

Result<std::size_t> write_to(FileData& data, std::uint64_t offset,
                             const Bytes& bytes, bool at_end) {
  WriteRequest request;
  request.offset_bytes = offset;
  request.bytes = bytes;
  request.at_end = at_end;
  return data.write(request);
}

class DaxDataTest : public support::FakeDaxNodeTest {
 protected:
  void SetUp() override {
    FakeDaxNodeTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    add_dax({.size = std::to_string(kSize)});
    data_ = open(Access::kReadWrite);
  }

  [[nodiscard]] std::shared_ptr<DaxData> open(Access access) const {
    Result<std::shared_ptr<DaxData>> opened =
        DaxData::open(node_, access, sysfs_.root());
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? *opened : nullptr;
  }

  Result<std::size_t> write(std::uint64_t offset, const Bytes& bytes,
                            bool at_end = false) {
    return write_to(*data_, offset, bytes, at_end);
  }

  [[nodiscard]] Bytes read(std::uint64_t offset, std::size_t length) const {
    Bytes bytes(length, std::byte{0xEE});
    const Result<std::size_t> got = data_->read(offset, bytes);
    EXPECT_TRUE(got);
    bytes.resize(got.value_or(0));
    return bytes;
  }

  std::shared_ptr<DaxData> data_;
};

TEST_F(DaxDataTest, ReadsZerosWhereNothingWasWritten) {
  EXPECT_EQ(read(0, 5000), Bytes(5000));
}

struct RangeRow {
  const char* name;
  std::uint64_t offset;
  std::size_t length;
};

class DaxDataRanges : public DaxDataTest,
                      public ::testing::WithParamInterface<RangeRow> {};

TEST_P(DaxDataRanges, AreReadAsTheyWereWritten) {
  const auto& [name, offset, length] = GetParam();
  const Bytes bytes = pattern(length);
  EXPECT_EQ(write(offset, bytes).value_or(0), length);
  EXPECT_EQ(read(offset, length), bytes);
  // Nothing beside it has changed.
  const std::uint64_t before = offset >= 100 ? offset - 100 : 0;
  EXPECT_EQ(read(before, offset - before), Bytes(offset - before));
  const std::size_t behind =
      std::min<std::uint64_t>(100, kSize - offset - length);
  EXPECT_EQ(read(offset + length, behind), Bytes(behind));
}

INSTANTIATE_TEST_SUITE_P(
    All, DaxDataRanges,
    ::testing::Values(RangeRow{"OneByte", 0, 1}, RangeRow{"Odd", 4097, 333},
                      RangeRow{"AcrossTheAlignment", kAlign - 1000, 5000},
                      RangeRow{"UpToTheEnd", kSize - 10, 10},
                      RangeRow{"LastByte", kSize - 1, 1},
                      RangeRow{"All", 0, kSize}),
    support::RowName());

TEST_F(DaxDataTest, ReadsNothingAtAndBeyondTheEnd) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(read(kSize, 10), Bytes());
  EXPECT_EQ(read(kMost, 10), Bytes());
  EXPECT_EQ(read(kSize - 4, 10).size(), 4U);
}

TEST_F(DaxDataTest, WritesNothingAtAndBeyondTheEnd) {
  EXPECT_EQ(error_of(write(kSize, pattern(1))), ENOSPC);
  EXPECT_EQ(error_of(write(kSize + 5, pattern(1))), ENOSPC);
  EXPECT_EQ(error_of(write(0, pattern(1), true)), ENOSPC);  // O_APPEND
  EXPECT_EQ(write(kSize, {}).value_or(9), 0U);
}

TEST_F(DaxDataTest, WritesWhatFitsBeforeTheEnd) {
  const Bytes bytes = pattern(10);
  EXPECT_EQ(write(kSize - 4, bytes).value_or(0), 4U);
  EXPECT_EQ(read(kSize - 4, 4), Bytes(bytes.begin(), bytes.begin() + 4));
}

TEST_F(DaxDataTest, KeepsItsSize) {
  EXPECT_TRUE(data_->truncate(kSize));
  EXPECT_EQ(error_of(data_->truncate(0)), EINVAL);
  EXPECT_EQ(error_of(data_->truncate(kSize - 1)), EINVAL);
  EXPECT_EQ(error_of(data_->truncate(kSize + 1)), EINVAL);
}

TEST_F(DaxDataTest, IsAllData) {
  EXPECT_EQ(data_->seek(5, SEEK_DATA).value_or(0), 5U);
  EXPECT_EQ(data_->seek(5, SEEK_HOLE).value_or(0), kSize);
  EXPECT_EQ(error_of(data_->seek(kSize, SEEK_DATA)), ENXIO);
  EXPECT_EQ(error_of(data_->seek(kSize, SEEK_HOLE)), ENXIO);
  EXPECT_EQ(error_of(data_->seek(0, SEEK_SET)), EINVAL);
}

struct AllocateRow {
  const char* name;
  int mode;
  std::uint64_t offset;
  std::uint64_t length;
  int error;
  bool zeroes;
};

class DaxDataAllocate : public DaxDataTest,
                        public ::testing::WithParamInterface<AllocateRow> {};

TEST_P(DaxDataAllocate, DoesAsABlockDevice) {
  const AllocateRow& row = GetParam();
  const Bytes ones(kSize, std::byte{1});
  ASSERT_EQ(write(0, ones).value_or(0), kSize);
  EXPECT_EQ(error_of(data_->allocate(row.mode, row.offset, row.length, kRoot)),
            row.error);
  Bytes expected = ones;
  if (row.zeroes) {
    std::memset(expected.data() + row.offset, 0, row.length);
  }
  EXPECT_TRUE(read(0, kSize) == expected);
}

constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

INSTANTIATE_TEST_SUITE_P(
    All, DaxDataAllocate,
    ::testing::Values(
        AllocateRow{"Within", 0, 0, kSize, 0, false},
        AllocateRow{"WithinKeepingTheSize", FALLOC_FL_KEEP_SIZE, 5, 10, 0,
                    false},
        AllocateRow{"Beyond", 0, 1, kSize, ENOSPC, false},
        AllocateRow{"BeyondKeepingTheSize", FALLOC_FL_KEEP_SIZE, kSize, 1,
                    ENOSPC, false},
        AllocateRow{"FarBeyond", 0, std::uint64_t{1} << 62,
                    std::uint64_t{1} << 62, ENOSPC, false},
        AllocateRow{"Zero", FALLOC_FL_ZERO_RANGE, 4095, kAlign, 0, true},
        AllocateRow{"ZeroAll", FALLOC_FL_ZERO_RANGE, 0, kSize, 0, true},
        AllocateRow{"ZeroBeyond", FALLOC_FL_ZERO_RANGE, 1, kSize, ENOSPC,
                    false},
        AllocateRow{"Punch", kPunch, 3, 1, 0, true},
        AllocateRow{"PunchBeyond", kPunch, kSize - 1, 2, ENOSPC, false},
        AllocateRow{"Collapse", FALLOC_FL_COLLAPSE_RANGE, 0, 4096, EOPNOTSUPP,
                    false},
        AllocateRow{"Insert", FALLOC_FL_INSERT_RANGE, 0, 4096, EOPNOTSUPP,
                    false}),
    support::RowName());

TEST_F(DaxDataTest, RefusesWritersOfAReader) {
  data_ = open(Access::kRead);
  EXPECT_FALSE(data_->is_writable());
  EXPECT_EQ(error_of(write(0, pattern(1))), EBADF);
  EXPECT_EQ(error_of(data_->allocate(0, 0, 1, kRoot)), EBADF);
  EXPECT_EQ(read(0, 1).size(), 1U);
}

TEST_F(DaxDataTest, SyncsWithNothingToDo) {
  EXPECT_TRUE(data_->sync(false));
  EXPECT_TRUE(data_->sync(true));
  EXPECT_TRUE(data_->sync_as(Durability::kDataAndStatus));
  EXPECT_TRUE(data_->takes_parallel_writes());
  EXPECT_EQ(data_->as_region(), nullptr);
}

TEST_F(DaxDataTest, RefusesWhatIsNoDeviceDax) {
  const std::string file = directory_ / "file";
  ASSERT_GE(::close(::open(file.c_str(), O_CREAT | O_WRONLY, 0600)), 0);
  EXPECT_EQ(error_of(DaxData::open(file, Access::kRead, sysfs_.root())),
            EINVAL);
  EXPECT_EQ(
      error_of(DaxData::open(directory_ / "no", Access::kRead, sysfs_.root())),
      ENOENT);
}

// --- a device that is unbound ------------------------------------------------

TEST_F(DaxDataTest, IsLostWithItsBinding) {
  EXPECT_TRUE(data_->check_binding());
  EXPECT_TRUE(data_->sync(false));
  sysfs_.unbind_dax("dax0.0");
  EXPECT_EQ(error_of(data_->sync(false)), EIO);
  sysfs_.bind_dax("dax0.0");
  EXPECT_EQ(error_of(data_->check_binding()), EIO);
  Bytes bytes(10);
  EXPECT_EQ(error_of(data_->read(0, bytes)), EIO);
  EXPECT_EQ(error_of(write_to(*data_, 5, bytes, false)), EIO);
  EXPECT_EQ(error_of(data_->allocate(0, 0, 5, kRoot)), EIO);
  EXPECT_EQ(error_of(data_->allocate(FALLOC_FL_ZERO_RANGE, 0, 5, kRoot)), EIO);
  EXPECT_EQ(error_of(data_->truncate(kSize)), EIO);
  EXPECT_TRUE(open(Access::kReadWrite)->sync(false));
}

TEST_F(DaxDataTest, IsOpenedOnlyWithTheBindingThatIsMeant) {
  const std::uint64_t binding =
      pmem::binding_of(data_->number(), sysfs_.root());
  EXPECT_TRUE(DaxData::open(node_, Access::kRead, sysfs_.root(), pmem::kDevRoot,
                            binding));
  sysfs_.unbind_dax("dax0.0");
  EXPECT_EQ(error_of(DaxData::open(node_, Access::kRead, sysfs_.root())),
            ENXIO);
  sysfs_.bind_dax("dax0.0");
  EXPECT_EQ(error_of(DaxData::open(node_, Access::kRead, sysfs_.root(),
                                   pmem::kDevRoot, binding)),
            ENXIO);
  EXPECT_TRUE(DaxData::open(node_, Access::kRead, sysfs_.root()));
}

// --- after O_TRUNC ----------------------------------------------------------

class TruncatedDaxDataTest : public DaxDataTest {
 protected:
  void SetUp() override {
    DaxDataTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    ASSERT_EQ(write(0, Bytes(kSize, std::byte{1})).value_or(0), kSize);
    file_ = std::make_shared<TruncatedDaxData>(data_);
  }

  Result<std::size_t> write_to_file(std::uint64_t offset, const Bytes& bytes,
                                    bool at_end = false) {
    return write_to(*file_, offset, bytes, at_end);
  }

  std::shared_ptr<TruncatedDaxData> file_;
};

TEST_F(TruncatedDaxDataTest, KeepsWhatIsNeitherWrittenNorSkipped) {
  EXPECT_EQ(write_to_file(0, pattern(10)).value_or(0), 10U);
  EXPECT_EQ(read(0, 10), pattern(10));
  EXPECT_EQ(read(10, kSize - 10), Bytes(kSize - 10, std::byte{1}));
}

TEST_F(TruncatedDaxDataTest, ZeroesWhatAWriteSkips) {
  EXPECT_EQ(write_to_file(100, pattern(10)).value_or(0), 10U);
  EXPECT_EQ(read(0, 100), Bytes(100));
  EXPECT_EQ(write_to_file(5000, pattern(10)).value_or(0), 10U);
  EXPECT_EQ(read(100, 10), pattern(10));
  EXPECT_EQ(read(110, 4890), Bytes(4890));
  // A write before the end skips nothing.
  EXPECT_EQ(write_to_file(3000, pattern(5)).value_or(0), 5U);
  EXPECT_EQ(read(5000, 10), pattern(10));
  EXPECT_EQ(read(5010, 10), Bytes(10, std::byte{1}));
}

TEST_F(TruncatedDaxDataTest, ZeroesUpToWhereItIsMadeToEnd) {
  EXPECT_EQ(write_to_file(0, pattern(10)).value_or(0), 10U);
  EXPECT_TRUE(file_->truncate(1000));
  EXPECT_EQ(read(10, 990), Bytes(990));
  EXPECT_EQ(read(1000, 10), Bytes(10, std::byte{1}));
  EXPECT_EQ(error_of(file_->truncate(999)), EINVAL);
  EXPECT_EQ(error_of(file_->truncate(kSize + 1)), EINVAL);
  EXPECT_TRUE(file_->truncate(kSize));
  EXPECT_EQ(read(1000, kSize - 1000), Bytes(kSize - 1000));
}

TEST_F(TruncatedDaxDataTest, AppendsBehindWhatWasWritten) {
  EXPECT_EQ(write_to_file(0, pattern(3), true).value_or(0), 3U);
  EXPECT_EQ(write_to_file(0, pattern(4), true).value_or(0), 4U);
  EXPECT_EQ(read(0, 3), pattern(3));
  EXPECT_EQ(read(3, 4), pattern(4));
}

TEST_F(TruncatedDaxDataTest, HasTheDevicesEnd) {
  EXPECT_EQ(write_to_file(kSize - 4, pattern(10)).value_or(0), 4U);
  EXPECT_EQ(read(0, kSize - 4), Bytes(kSize - 4));
  EXPECT_EQ(error_of(write_to_file(kSize, pattern(1))), ENOSPC);
  EXPECT_EQ(error_of(write_to_file(0, pattern(1), true)), ENOSPC);
}

TEST_F(TruncatedDaxDataTest, DoesTheRestAsTheDevice) {
  Bytes bytes(10);
  EXPECT_EQ(file_->read(kSize - 4, bytes).value_or(0), 4U);
  EXPECT_EQ(file_->seek(5, SEEK_HOLE).value_or(0), kSize);
  EXPECT_EQ(error_of(file_->allocate(0, 0, kSize + 1, kRoot)), ENOSPC);
  EXPECT_TRUE(file_->sync(false));
  EXPECT_TRUE(file_->takes_parallel_writes());
  EXPECT_EQ(file_->as_region(), nullptr);
}

// --- bad blocks -------------------------------------------------------------

// A device that is its whole region, with one bad range: [8192, 12288).
class BadDaxDataTest : public support::FakeDaxNodeTest {
 protected:
  void SetUp() override {
    FakeDaxNodeTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    sysfs_.add_region("region0", std::nullopt);
    sysfs_.add_dax_of_region(kZero, "region0", {.size = std::to_string(kSize)});
    sysfs_.write("dev/char/1:5/resource", "0x100000000");
    sysfs_.write(support::FakeSysfs::region_directory("region0") + "/resource",
                 "0x100000000");
    list("16 8");
    support::FakeBus::allow_clearing(sysfs_);
    Result<std::shared_ptr<DaxData>> opened = DaxData::open(
        node_, Access::kReadWrite, sysfs_.root(), bus_.dev_root());
    ASSERT_TRUE(opened) << opened.error().message();
    data_ = *opened;
  }

  void list(const std::string& blocks) {
    sysfs_.write(support::FakeSysfs::region_directory("region0") + "/badblocks",
                 blocks);
  }

  [[nodiscard]] Result<std::size_t> read(std::uint64_t offset,
                                         std::size_t length) const {
    Bytes bytes(length);
    return data_->read(offset, bytes);
  }

  support::FakeBus bus_;
  std::shared_ptr<DaxData> data_;
};

TEST_F(BadDaxDataTest, ReadsEndBeforeBadBlocks) {
  EXPECT_EQ(read(0, 1U << 20).value_or(0), 8192U);
  EXPECT_EQ(error_of(read(8192, 1)), EIO);
  EXPECT_EQ(error_of(read(12287, 4096)), EIO);
  EXPECT_EQ(read(12288, 4096).value_or(0), 4096U);
  EXPECT_EQ(read(8192, 0).value_or(1), 0U);
}

TEST_F(BadDaxDataTest, WritesOverBadBlocksClearThem) {
  bus_.on_cleared([&](pmem::BadRange) { list(""); });
  EXPECT_EQ(write_to(*data_, 4096, pattern(16384), false).value_or(0), 16384U);
  Bytes bytes(16384);
  EXPECT_EQ(data_->read(4096, bytes).value_or(0), 16384U);
  EXPECT_EQ(bytes, pattern(16384));
}

TEST_F(BadDaxDataTest, WritesEndBeforeBadBlocksThatCannotBeCleared) {
  bus_.fail_with_errno(ENOTTY);
  EXPECT_EQ(write_to(*data_, 4096, pattern(16384), false).value_or(0), 4096U);
  EXPECT_EQ(error_of(write_to(*data_, 8192, pattern(4096), false)), EIO);
  EXPECT_EQ(error_of(write_to(*data_, 9000, pattern(10), false)), EIO);
  EXPECT_EQ(write_to(*data_, 12288, pattern(10), false).value_or(0), 10U);
}

TEST_F(BadDaxDataTest, ZeroingClearsBadBlocksOrFails) {
  EXPECT_EQ(
      error_of(data_->allocate(FALLOC_FL_ZERO_RANGE, 9000, 100000, kRoot)),
      EIO);
  bus_.on_cleared([&](pmem::BadRange) { list(""); });
  EXPECT_TRUE(data_->allocate(FALLOC_FL_ZERO_RANGE, 0, kSize, kRoot));
  EXPECT_EQ(read(0, kSize).value_or(0), kSize);
}

TEST_F(BadDaxDataTest, GapsBehindOTruncAreZeroedSoToo) {
  TruncatedDaxData file(data_);
  EXPECT_EQ(error_of(write_to(file, 10000, pattern(10), false)), EIO);
  bus_.on_cleared([&](pmem::BadRange) { list(""); });
  EXPECT_EQ(write_to(file, 20000, pattern(10), false).value_or(0), 10U);
  EXPECT_EQ(read(0, 20010).value_or(0), 20010U);
}

}  // namespace
}  // namespace pmemfs
