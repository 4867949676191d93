// The daemon is killed: what was acknowledged is in the backing files, and the
// next mount takes the place of the dead one.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

class Crash : public OnEachBacking {};
PMEMFS_ON_EACH_BACKING(Crash);

TEST_P(Crash, WhatWasSyncedIsInTheBackingFiles) {
  const std::string text = noise(3 << 20);
  const pmem::UniqueFd fd = open_file(mounted("synced"), O_RDWR | O_CREAT);
  ASSERT_EQ(::write(fd.get(), text.data(), text.size()),
            static_cast<ssize_t>(text.size()));
  ASSERT_EQ(::pwrite(fd.get(), "into the middle", 15, 1000000), 15);
  ASSERT_EQ(::fsync(fd.get()), 0);
  const pmem::UniqueFd sparse = open_file(mounted("sparse"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(sparse.get(), 100 << 20), 0);
  ASSERT_EQ(::pwrite(sparse.get(), "far", 3, 90 << 20), 3);
  ASSERT_EQ(::fdatasync(sparse.get()), 0);

  daemon().kill_daemon();

  std::string expected = text;
  expected.replace(1000000, 15, "into the middle");
  EXPECT_TRUE(content_of(source("synced")) == expected);
  const pmem::UniqueFd beneath = open_file(source("sparse"), O_RDONLY);
  EXPECT_EQ(read_at(beneath.get(), 90 << 20, 3), "far");
  EXPECT_EQ(status_of(source("sparse")).st_size, 100 << 20);
}

TEST_P(Crash, ADeadMountAnswersThatNobodyIsThere) {
  write_file(mounted("f"), "x");
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  daemon().kill_daemon();
  struct stat status = {};
  EXPECT_EQ(::stat(mounted("f").c_str(), &status), -1);
  EXPECT_EQ(errno, ENOTCONN);
  char byte = 0;
  EXPECT_EQ(::pread(fd.get(), &byte, 1, 0), -1);
  EXPECT_TRUE(errno == ENOTCONN || errno == ECONNABORTED || errno == EIO)
      << std::strerror(errno);
}

TEST_P(Crash, AcknowledgedAppendsAreThereWheneverItComes) {
  std::atomic<int> acknowledged = 0;
  std::thread writer([&] {
    const pmem::UniqueFd fd =
        open_file(mounted("f"), O_WRONLY | O_CREAT | O_APPEND);
    for (int number = 0;; ++number) {
      const std::string line = "line " + std::to_string(number) + "\n";
      if (::write(fd.get(), line.data(), line.size()) !=
          static_cast<ssize_t>(line.size())) {
        return;
      }
      acknowledged = number + 1;
    }
  });
  ASSERT_TRUE(support::becomes_true([&] { return acknowledged > 500; },
                                    std::chrono::seconds(20)));
  daemon().kill_daemon();
  writer.join();
  std::string expected;
  for (int number = 0; number < acknowledged; ++number) {
    expected += "line " + std::to_string(number) + "\n";
  }
  EXPECT_EQ(content_of(source("f")).substr(0, expected.size()), expected);
}

TEST_P(Crash, ANewMountTakesThePlaceOfTheDeadOne) {
  write_file(mounted("f"), "survives");
  daemon().kill_daemon();
  const std::string mountpoint = daemon().path();
  const support::CommandResult again =
      support::run_command({support::kPmemfs, "mount", source(), mountpoint});
  ASSERT_EQ(again.exit_status, 0) << again.output;
  EXPECT_EQ(content_of(mounted("f")), "survives");
  write_file(mounted("g"), "works");
  EXPECT_EQ(content_of(source("g")), "works");
  const support::CommandResult ended =
      support::run_command({support::kPmemfs, "umount", mountpoint});
  EXPECT_EQ(ended.exit_status, 0) << ended.output;
  EXPECT_FALSE(support::is_fuse_mount(mountpoint));
}

}  // namespace
}  // namespace mount_tests
