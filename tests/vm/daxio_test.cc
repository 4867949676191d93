// What daxio(1) is used for, done with ordinary tools through the mount: each
// job is done twice on the same bytes, by daxio on the device and by dd, cp,
// fallocate or cat on the file, and has to leave the same bytes.
//
// They differ in what they say of the end: daxio cuts short what does not fit
// and calls that a success, and fails at the very end and behind it, where
// there is nothing to read; the tools say what their users know of a full disk
// ("No space left on device") and of the end of a file.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "support/command.h"
#include "support/files.h"
#include "support/row_name.h"
#include "support/temp_dir.h"
#include "vm/device_mount.h"
#include "vm/guest.h"

namespace vm {
namespace {

using support::CommandResult;
using support::content_of;
using support::noise;
using support::run_command;
using support::write_file;

// A place on a device: so far from its beginning, or from its end.
struct Place {
  std::int64_t offset = 0;
  bool is_from_end = false;

  [[nodiscard]] std::int64_t on(const GuestDevice& device) const {
    return offset + (is_from_end ? device.end() : 0);
  }
};

constexpr Place from_end(std::int64_t offset) { return {offset, true}; }

// What is changed by a job lies in two windows, one at either end.
constexpr std::size_t kWindow = 5 * kMiB;

class Windows {
 public:
  explicit Windows(const GuestDevice& device) : mapping_(device.map()) {}

  void fill() const {
    mapping_.fill('#', 0, kWindow);
    mapping_.fill('#', mapping_.size() - kWindow, kWindow);
  }
  void write(const std::string& bytes) const {
    mapping_.write(0, bytes.substr(0, kWindow));
    mapping_.write(mapping_.size() - kWindow, bytes.substr(kWindow));
  }
  [[nodiscard]] std::string bytes() const {
    return mapping_.read(0, kWindow) +
           mapping_.read(mapping_.size() - kWindow, kWindow);
  }

 private:
  NativeMapping mapping_;
};

class Daxio : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { shared_mount.emplace(); }
  static void TearDownTestSuite() { shared_mount.reset(); }

  [[nodiscard]] std::string scratch(const std::string& name) const {
    return scratch_ / name;
  }
  [[nodiscard]] static std::string file(const GuestDevice& device) {
    return shared_mount->file(device);
  }

  // daxio with -k, -s and -l, of which a negative length is none.
  [[nodiscard]] static CommandResult daxio(const std::string& from,
                                           const std::string& to,
                                           std::int64_t skip, std::int64_t seek,
                                           std::int64_t length) {
    std::vector<std::string> command = {"daxio", "-i", from, "-o", to};
    if (skip != 0) {
      command.insert(command.end(), {"-k", std::to_string(skip)});
    }
    if (seek != 0) {
      command.insert(command.end(), {"-s", std::to_string(seek)});
    }
    if (length >= 0) {
      command.insert(command.end(), {"-l", std::to_string(length)});
    }
    return run_command(command);
  }

  // The same with dd.
  [[nodiscard]] static CommandResult dd(const std::string& from,
                                        const std::string& to,
                                        std::int64_t skip, std::int64_t seek,
                                        std::int64_t length) {
    std::vector<std::string> command = {"dd",
                                        "if=" + from,
                                        "of=" + to,
                                        "bs=300001",
                                        "iflag=skip_bytes,count_bytes",
                                        "oflag=seek_bytes",
                                        "conv=notrunc",
                                        "skip=" + std::to_string(skip),
                                        "seek=" + std::to_string(seek)};
    if (length >= 0) {
      command.push_back("count=" + std::to_string(length));
    }
    return run_command(command);
  }

  const GuestDevice aligned_2m_{"DEVDAX"};
  const GuestDevice aligned_4k_{"DEVDAX4K"};
  const GuestDevice larger_{"HMEM"};

 private:
  const support::TempDir scratch_ = support::TempDir("/dev/shm");
  static inline std::optional<DeviceMount> shared_mount;
};

// --- copying in -------------------------------------------------------------

constexpr std::size_t kInputBytes = 2 * kMiB + 12345;

struct InRow {
  std::string name;
  std::string device;
  std::int64_t skip;
  Place seek;
  std::int64_t length;  // -1: all
  int daxio_status = 0;
  int dd_status = 0;
  std::string dd_says;
};

void PrintTo(const InRow& row, std::ostream* out) { *out << row.name; }

class DaxioIn : public Daxio, public ::testing::WithParamInterface<InRow> {};

TEST_P(DaxioIn, AndDdLeaveTheSameBytes) {
  const InRow& row = GetParam();
  write_file(scratch("in"), noise(kInputBytes, 7));
  const GuestDevice device(row.device);
  const std::int64_t seek = row.seek.on(device);
  const Windows windows(device);
  windows.fill();
  expect_status(row.daxio_status,
                daxio(scratch("in"), device.node, row.skip, seek, row.length));
  const std::string by_daxio = windows.bytes();
  windows.fill();
  const CommandResult ran =
      dd(scratch("in"), file(device), row.skip, seek, row.length);
  expect_status(row.dd_status, ran);
  EXPECT_NE(ran.output.find(row.dd_says), std::string::npos) << ran.output;
  EXPECT_TRUE(windows.bytes() == by_daxio) << device.name();
}

constexpr const char* kNoSpace = "No space left on device";

INSTANTIATE_TEST_SUITE_P(
    Of, DaxioIn,
    ::testing::Values(
        InRow{"AWholeFile", "DEVDAX", 0, {0}, -1},
        InRow{"NoBytes", "DEVDAX4K", 0, {5}, 0},
        InRow{"OneByte", "HMEM", 1, {4095}, 1},
        InRow{"LessThanALine", "DEVDAX", 3, {61}, 17},
        InRow{"APartToAnOddPlace", "DEVDAX4K", 777, {1001}, 555555},
        InRow{"APartAcrossThePage", "HMEM", 1, {4095}, 4099},
        InRow{"APartAcrossTheAlignment",
              "DEVDAX",
              4097,
              {2 * kMiB - 3},
              kMiB + 7},
        InRow{"MoreThanTheFileHas", "DEVDAX4K", kInputBytes - 5000, {3}, 9000},
        // dd says so, too, but does not call it an error.
        InRow{"BehindTheFile",
              "HMEM",
              kInputBytes + 1,
              {3},
              -1,
              0,
              0,
              "cannot skip"},
        InRow{"ThatEndsWithTheDevice", "DEVDAX", 0, from_end(-4099), 4099},
        InRow{"AcrossTheEnd", "DEVDAX4K", 0, from_end(-100), 5000, 0, 1,
              kNoSpace},
        InRow{"AtTheEnd", "HMEM", 0, from_end(0), -1, 1, 1, kNoSpace},
        InRow{"BehindTheEnd", "DEVDAX", 0, from_end(1), -1, 1, 1, kNoSpace}),
    support::RowName());

TEST_F(Daxio, AndDdTakeTheSameFromAPipe) {
  const std::string bytes = noise(100001, 8);
  write_file(scratch("in"), bytes);
  const Windows windows(aligned_4k_);
  windows.fill();
  expect_success(run_command(
      {"sh", "-c",
       "cat " + scratch("in") + " | daxio -s 77 -o " + aligned_4k_.node}));
  const std::string by_daxio = windows.bytes();
  windows.fill();
  expect_success(
      run_command({"sh", "-c",
                   "cat " + scratch("in") +
                       " | dd bs=64K oflag=seek_bytes seek=77 conv=notrunc"
                       " status=none of=" +
                       file(aligned_4k_)}));
  EXPECT_TRUE(windows.bytes() == by_daxio);
  EXPECT_EQ(windows.bytes().substr(77, bytes.size()), bytes);
}

// --- copying out ------------------------------------------------------------

struct OutRow {
  std::string name;
  std::string device;
  Place skip;
  std::int64_t seek;
  std::int64_t length;
  int daxio_status = 0;
  std::string dd_says;
};

void PrintTo(const OutRow& row, std::ostream* out) { *out << row.name; }

class DaxioOut : public Daxio, public ::testing::WithParamInterface<OutRow> {};

TEST_P(DaxioOut, AndDdMakeTheSameFile) {
  const OutRow& row = GetParam();
  const GuestDevice device(row.device);
  Windows(device).write(noise(2 * kWindow, 9));
  const std::int64_t skip = row.skip.on(device);
  // Over what is there already, which neither cuts.
  write_file(scratch("by daxio"), std::string(1000, '#'));
  write_file(scratch("by dd"), std::string(1000, '#'));
  expect_status(row.daxio_status, daxio(device.node, scratch("by daxio"), skip,
                                        row.seek, row.length));
  const CommandResult ran =
      dd(file(device), scratch("by dd"), skip, row.seek, row.length);
  expect_success(ran);
  EXPECT_NE(ran.output.find(row.dd_says), std::string::npos) << ran.output;
  EXPECT_TRUE(content_of(scratch("by dd")) == content_of(scratch("by daxio")))
      << device.name();
}

INSTANTIATE_TEST_SUITE_P(
    Of, DaxioOut,
    ::testing::Values(
        OutRow{"OneByte", "DEVDAX4K", {4096}, 0, 1},
        OutRow{"ALine", "HMEM", {1}, 3, 63},
        OutRow{"APartFromAnOddPlace", "DEVDAX", {12345}, 1, 654321},
        OutRow{"APartAcrossTheAlignment",
               "DEVDAX4K",
               {2 * kMiB - 5},
               999,
               2 * kMiB + 11},
        OutRow{"APartToBehindTheFile", "HMEM", {100}, 5000, 100},
        OutRow{"ThatEndsWithTheDevice", "DEVDAX", from_end(-777), 0, 777},
        OutRow{"AcrossTheEnd", "DEVDAX4K", from_end(-777), 0, 5000},
        // daxio finds nothing to map there; for dd it is the end of a file.
        OutRow{"AtTheEnd", "HMEM", from_end(0), 0, 100, 1},
        OutRow{"BehindTheEnd", "DEVDAX", from_end(1), 0, 100, 1,
               "cannot skip"}),
    support::RowName());

// --- from device to device --------------------------------------------------

TEST_F(Daxio, AndCpCopyTheSameFromDeviceToDevice) {
  const NativeMapping from = aligned_2m_.map();
  const NativeMapping to = aligned_4k_.map();
  from.fill_with_noise(0, from.size(), 10);
  to.fill('#', 0, to.size());
  expect_success(daxio(aligned_2m_.node, aligned_4k_.node, 0, 0, -1));
  EXPECT_EQ(std::memcmp(from.bytes(), to.bytes(), to.size()), 0);
  to.fill('#', 0, to.size());
  expect_success(run_command({"cp", file(aligned_2m_), file(aligned_4k_)}));
  EXPECT_EQ(std::memcmp(from.bytes(), to.bytes(), to.size()), 0);
}

// daxio copies what fits and is content; cp copies as much and says the rest.
TEST_F(Daxio, AndCpCopyAsMuchOfALargerDevice) {
  const NativeMapping from = larger_.map();
  const NativeMapping to = aligned_4k_.map();
  from.fill_with_noise(0, to.size(), 11);
  to.fill('#', 0, to.size());
  expect_success(daxio(larger_.node, aligned_4k_.node, 0, 0, -1));
  EXPECT_EQ(std::memcmp(from.bytes(), to.bytes(), to.size()), 0);
  to.fill('#', 0, to.size());
  const CommandResult ran =
      run_command({"cp", file(larger_), file(aligned_4k_)});
  expect_status(1, ran);
  EXPECT_NE(ran.output.find(kNoSpace), std::string::npos) << ran.output;
  EXPECT_EQ(std::memcmp(from.bytes(), to.bytes(), to.size()), 0);
}

TEST_F(Daxio, AndDdLeaveTheRestOfALargerDevice) {
  const NativeMapping from = aligned_4k_.map();
  const NativeMapping to = larger_.map();
  const std::size_t length = from.size();
  from.fill_with_noise(0, length, 12);
  to.fill('#', 0, length + 2 * kMiB);
  expect_success(daxio(aligned_4k_.node, larger_.node, 0, 4097, -1));
  EXPECT_TRUE(to.holds('#', 0, 4097));
  EXPECT_EQ(std::memcmp(from.bytes(), to.bytes() + 4097, length), 0);
  EXPECT_TRUE(to.holds('#', 4097 + length, kMiB));
  to.fill('#', 0, length + 2 * kMiB);
  expect_success(dd(file(aligned_4k_), file(larger_), 0, 4097, -1));
  EXPECT_TRUE(to.holds('#', 0, 4097));
  EXPECT_EQ(std::memcmp(from.bytes(), to.bytes() + 4097, length), 0);
  EXPECT_TRUE(to.holds('#', 4097 + length, kMiB));
}

TEST_F(Daxio, AndDdCopyTheSamePartFromDeviceToDevice) {
  Windows(larger_).write(noise(2 * kWindow, 13));
  const std::int64_t skip = 2 * kMiB - 333;
  const std::int64_t seek =
      aligned_4k_.end() - 3 * static_cast<std::int64_t>(kMiB) - 4095;
  const Windows windows(aligned_4k_);
  windows.fill();
  expect_success(daxio(larger_.node, aligned_4k_.node, skip, seek, 777777));
  const std::string by_daxio = windows.bytes();
  windows.fill();
  expect_success(dd(file(larger_), file(aligned_4k_), skip, seek, 777777));
  EXPECT_TRUE(windows.bytes() == by_daxio);
}

// --- zeroing ----------------------------------------------------------------

struct ZeroRow {
  std::string name;
  std::string device;
  Place seek;
  std::int64_t length;
};

void PrintTo(const ZeroRow& row, std::ostream* out) { *out << row.name; }

class DaxioZero : public Daxio, public ::testing::WithParamInterface<ZeroRow> {
 protected:
  [[nodiscard]] static CommandResult zero(const GuestDevice& device,
                                          std::int64_t seek,
                                          std::int64_t length) {
    return run_command({"daxio", "-z", "-o", device.node, "-s",
                        std::to_string(seek), "-l", std::to_string(length)});
  }
  [[nodiscard]] static CommandResult fallocate(const std::string& option,
                                               const GuestDevice& device,
                                               std::int64_t seek,
                                               std::int64_t length) {
    return run_command({"fallocate", option, "-o", std::to_string(seek), "-l",
                        std::to_string(length), file(device)});
  }
};

TEST_P(DaxioZero, AndFallocateLeaveTheSameBytes) {
  const ZeroRow& row = GetParam();
  const GuestDevice device(row.device);
  const std::int64_t seek = row.seek.on(device);
  const Windows windows(device);
  windows.fill();
  expect_success(zero(device, seek, row.length));
  const std::string by_daxio = windows.bytes();
  for (const char* option : {"-z", "-p"}) {
    windows.fill();
    expect_success(fallocate(option, device, seek, row.length));
    EXPECT_TRUE(windows.bytes() == by_daxio) << device.name() << ' ' << option;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Of, DaxioZero,
    ::testing::Values(
        ZeroRow{"OneByte", "DEVDAX4K", {77}, 1},
        ZeroRow{"LessThanALine", "HMEM", {3}, 60},
        ZeroRow{"APage", "DEVDAX", {4096}, 4096},
        ZeroRow{"AnOddPart", "DEVDAX4K", {12345}, 54321},
        ZeroRow{"AcrossTheAlignment", "HMEM", {2 * kMiB - 7}, kMiB + 9},
        ZeroRow{"WhatTheAlignmentHas", "DEVDAX", {2 * kMiB}, 2 * kMiB},
        ZeroRow{"TheEnd", "DEVDAX4K", from_end(-4097), 4097}),
    support::RowName());

// daxio zeroes what there is; fallocate says that there is no space, and
// changes nothing.
TEST_F(DaxioZero, CutsShortWhatFallocateRefuses) {
  const Windows windows(aligned_2m_);
  windows.fill();
  const std::string before = windows.bytes();
  for (const char* option : {"-z", "-p"}) {
    for (const std::int64_t beyond : {-50, 0, 1}) {
      const CommandResult ran =
          fallocate(option, aligned_2m_, aligned_2m_.end() + beyond, 100);
      expect_status(1, ran);
      EXPECT_NE(ran.output.find(kNoSpace), std::string::npos) << ran.output;
    }
  }
  EXPECT_TRUE(windows.bytes() == before);
  expect_success(zero(aligned_2m_, aligned_2m_.end() - 50, 100));
  EXPECT_TRUE(windows.bytes() ==
              before.substr(0, before.size() - 50) + std::string(50, '\0'));
  expect_status(1, zero(aligned_2m_, aligned_2m_.end(), 100));
}

TEST_F(DaxioZero, AndFallocateZeroTheWholeDevice) {
  const NativeMapping device = aligned_4k_.map();
  device.fill('#', 0, device.size());
  expect_success(run_command({"daxio", "-z", "-o", aligned_4k_.node}));
  EXPECT_TRUE(device.holds('\0', 0, device.size()));
  for (const char* option : {"-z", "-p"}) {
    device.fill('#', 0, device.size());
    expect_success(fallocate(option, aligned_4k_, 0, aligned_4k_.end()));
    EXPECT_TRUE(device.holds('\0', 0, device.size())) << option;
  }
  device.fill('#', 0, device.size());
  const CommandResult ran =
      run_command({"dd", "if=/dev/zero", "of=" + file(aligned_4k_), "bs=1M"});
  expect_status(1, ran);
  EXPECT_NE(ran.output.find(kNoSpace), std::string::npos) << ran.output;
  EXPECT_TRUE(device.holds('\0', 0, device.size()));
}

// blkdiscard(8) is for block devices, and says so. What it does of them, a
// range that reads as zeros, is what a hole is.
TEST_F(DaxioZero, IsNotForBlkdiscard) {
  const CommandResult ran = run_command({"blkdiscard", file(aligned_2m_)});
  expect_status(1, ran);
  EXPECT_NE(ran.output.find("not a block device"), std::string::npos)
      << ran.output;
}

}  // namespace
}  // namespace vm
