// Times: that of modification is moved on by writes, though stores through a
// mapping do not move it, and kept where somebody has set it; the others are as
// beneath.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <thread>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

using std::chrono::milliseconds;

class Times : public OnEachBacking {
 protected:
  std::int64_t mtime_through_mount(const std::string& name) const {
    return to_ns(status_of(mounted(name)).st_mtim);
  }
  std::int64_t mtime_beneath(const std::string& name) const {
    return to_ns(status_of(source(name)).st_mtim);
  }
  static std::int64_t to_ns(const struct timespec& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  }
  // Longer than the kernel's clock for times takes to tick.
  static void let_time_pass() { std::this_thread::sleep_for(milliseconds(20)); }

  static void set_mtime(const std::string& path, time_t seconds) {
    const std::array times = {timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                              timespec{.tv_sec = seconds, .tv_nsec = 42}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times.data(), 0), 0);
  }
};
PMEMFS_ON_EACH_BACKING(Times);

TEST_P(Times, AWriteInsideTheFileMovesTheTimeOn) {
  write_file(mounted("f"), noise(8192));
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  std::int64_t last = mtime_through_mount("f");
  for (int round = 0; round < 5; ++round) {
    let_time_pass();
    ASSERT_EQ(::pwrite(fd.get(), "changed", 7, 100), 7);
    struct stat status = {};
    ASSERT_EQ(::fstat(fd.get(), &status), 0);
    EXPECT_GT(to_ns(status.st_mtim), last) << "round " << round;
    EXPECT_GE(to_ns(status.st_ctim), to_ns(status.st_mtim));
    last = to_ns(status.st_mtim);
    EXPECT_EQ(mtime_beneath("f"), last);
  }
}

TEST_P(Times, AnAppendMovesTheTimeOn) {
  write_file(mounted("f"), "x");
  const std::int64_t before = mtime_through_mount("f");
  const pmem::UniqueFd fd = open_file(mounted("f"), O_WRONLY | O_APPEND);
  let_time_pass();
  ASSERT_EQ(::write(fd.get(), "more", 4), 4);
  EXPECT_GT(mtime_through_mount("f"), before);
}

TEST_P(Times, AfterCloseTheTimeIsThatOfTheBackingFile) {
  write_file(mounted("f"), noise(8192));
  const std::int64_t before = mtime_beneath("f");
  let_time_pass();
  {
    const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
    ASSERT_EQ(::pwrite(fd.get(), "changed", 7, 100), 7);
  }
  // Nobody asked through the mount, and beneath it is right all the same.
  EXPECT_GT(mtime_beneath("f"), before);
  EXPECT_EQ(mtime_through_mount("f"), mtime_beneath("f"));
}

TEST_P(Times, ATimeThatIsSetAfterAWriteStays) {
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  ASSERT_EQ(::write(fd.get(), "content", 7), 7);
  ASSERT_EQ(::pwrite(fd.get(), "CON", 3, 0), 3);
  ASSERT_NO_FATAL_FAILURE(set_mtime(mounted("f"), 1000));
  EXPECT_EQ(status_of(mounted("f")).st_mtim.tv_sec, 1000);
  ASSERT_EQ(::fsync(fd.get()), 0);
  EXPECT_EQ(status_of(source("f")).st_mtim.tv_sec, 1000);
}

TEST_P(Times, ATimeThatIsSetThroughTheOpenFileSurvivesItsClose) {
  // What cp -p, tar and rsync do.
  for (const int rounds : {1, 20}) {
    for (int round = 0; round < rounds; ++round) {
      pmem::UniqueFd fd = open_file(mounted("f"), O_WRONLY | O_CREAT | O_TRUNC);
      ASSERT_EQ(::write(fd.get(), noise(20000).data(), 20000), 20000);
      const std::array times = {timespec{.tv_sec = 3000, .tv_nsec = 1},
                                timespec{.tv_sec = 2000, .tv_nsec = 2}};
      ASSERT_EQ(::futimens(fd.get(), times.data()), 0);
      fd = pmem::UniqueFd();
      EXPECT_EQ(status_of(source("f")).st_mtim.tv_sec, 2000);
      EXPECT_EQ(status_of(source("f")).st_mtim.tv_nsec, 2);
      EXPECT_EQ(status_of(mounted("f")).st_atim.tv_sec, 3000);
    }
  }
}

TEST_P(Times, AWriteAfterATimeThatWasSetMovesItOn) {
  const time_t begin = ::time(nullptr);
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  ASSERT_EQ(::write(fd.get(), noise(8192).data(), 8192), 8192);
  ASSERT_NO_FATAL_FAILURE(set_mtime(mounted("f"), 1000));
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 10), 1);
  EXPECT_GE(status_of(mounted("f")).st_mtim.tv_sec, begin);
  EXPECT_GE(status_of(source("f")).st_mtim.tv_sec, begin);
}

TEST_P(Times, ATimeInTheFutureStaysAsNativelyUntilTheNextWrite) {
  const time_t future = ::time(nullptr) + 100000;
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  ASSERT_EQ(::write(fd.get(), noise(8192).data(), 8192), 8192);
  ASSERT_NO_FATAL_FAILURE(set_mtime(mounted("f"), future));
  EXPECT_EQ(status_of(mounted("f")).st_mtim.tv_sec, future);
  // A write means now, even where now is earlier.
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 10), 1);
  EXPECT_LT(status_of(mounted("f")).st_mtim.tv_sec, future);
}

TEST_P(Times, ReadingDoesNotMoveTheTimeOfModification) {
  write_file(mounted("f"), noise(100000));
  const std::int64_t before = mtime_beneath("f");
  let_time_pass();
  EXPECT_EQ(content_of(mounted("f")).size(), 100000U);
  EXPECT_EQ(mtime_through_mount("f"), before);
  EXPECT_EQ(mtime_beneath("f"), before);
}

TEST_P(Times, TruncationAndAllocationMoveTheTimeAsNatively) {
  const auto moved = [&](const std::string& path, const auto& change) {
    const std::int64_t before = to_ns(status_of(path).st_mtim);
    let_time_pass();
    change();
    return to_ns(status_of(path).st_mtim) > before;
  };
  expect_same([&](Account& account) {
    const std::string path = account / "f";
    write_file(path, noise(20000));
    const pmem::UniqueFd fd = open_file(path, O_RDWR);
    account.value("shorter",
                  moved(path, [&] { ::ftruncate(fd.get(), 10000); }));
    account.value("longer", moved(path, [&] { ::ftruncate(fd.get(), 30000); }));
    account.value("same length",
                  moved(path, [&] { ::ftruncate(fd.get(), 30000); }));
    account.value("by name, same length",
                  moved(path, [&] { ::truncate(path.c_str(), 30000); }));
    account.value("punched", moved(path, [&] {
                    ::fallocate(fd.get(),
                                FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                                4096);
                  }));
    account.value("grown",
                  moved(path, [&] { ::fallocate(fd.get(), 0, 30000, 30000); }));
  });
}

TEST_P(Times, ADirectoryTellsWhenItsEntriesChanged) {
  ASSERT_EQ(::mkdir(mounted("d").c_str(), 0755), 0);
  std::int64_t last = mtime_through_mount("d");
  const auto expect_moved = [&](const char* what) {
    EXPECT_GT(mtime_through_mount("d"), last) << what;
    EXPECT_EQ(mtime_through_mount("d"), mtime_beneath("d")) << what;
    last = mtime_through_mount("d");
  };
  let_time_pass();
  write_file(mounted("d/f"), "x");
  expect_moved("create");
  let_time_pass();
  ASSERT_EQ(::rename(mounted("d/f").c_str(), mounted("d/g").c_str()), 0);
  expect_moved("rename");
  let_time_pass();
  ASSERT_EQ(::unlink(mounted("d/g").c_str()), 0);
  expect_moved("unlink");
}

// --- access, change, birth --------------------------------------------------

// Relative to the time of modification, as most file systems are mounted.
TEST_P(Times, AReadMovesTheTimeOfAccessOnWhereItDoesBeneath) {
  expect_same([](Account& account) {
    write_file(account / "f", noise(8192));
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR);
    const auto tell_whether_read_moves_it = [&](const char* when, off_t at) {
      const std::array times = {timespec{.tv_sec = 1000, .tv_nsec = 0},
                                timespec{.tv_sec = 2000, .tv_nsec = 0}};
      ASSERT_EQ(::futimens(fd.get(), times.data()), 0);
      ASSERT_EQ(::pwrite(fd.get(), "x", 1, 0), 1);
      ASSERT_EQ(::futimens(fd.get(), times.data()), 0);
      account.value("read", read_at(fd.get(), at, 100).size());
      account.value(when, status_of(account / "f").st_atim.tv_sec != 1000);
    };
    tell_whether_read_moves_it("the first read", 0);
    tell_whether_read_moves_it("a read after a write", 4000);
    tell_whether_read_moves_it("a read at the end", 8192);
  });
}

// Neither the mapping through which a file is written nor that which its
// attributes tell of is a read.
TEST_P(Times, MappingIsNoRead) {
  expect_same([](Account& account) {
    write_file(account / "f", noise(8192));
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR);
    const std::array times = {timespec{.tv_sec = 1000, .tv_nsec = 0},
                              timespec{.tv_sec = 2000, .tv_nsec = 0}};
    ASSERT_EQ(::futimens(fd.get(), times.data()), 0);
    ASSERT_EQ(::pwrite(fd.get(), "x", 1, 0), 1);
    account.value("after a write", status_of(account / "f").st_atim.tv_sec);
    std::array<char, 100> value = {};
    [[maybe_unused]] const ssize_t ignored =
        ::getxattr((account / "f").c_str(), "user.pmem.is_pmem", value.data(),
                   value.size());
    account.value("after looking at an attribute",
                  status_of(account / "f").st_atim.tv_sec);
  });
}

TEST_P(Times, AReadAfterATimeOfAccessWasSetMovesItOn) {
  expect_same([](Account& account) {
    write_file(account / "f", noise(8192));
    const pmem::UniqueFd fd = open_file(account / "f", O_RDONLY);
    for (int round = 0; round < 3; ++round) {
      const std::array times = {timespec{.tv_sec = 1000, .tv_nsec = 0},
                                timespec{.tv_sec = 2000, .tv_nsec = 0}};
      ASSERT_EQ(::futimens(fd.get(), times.data()), 0);
      account.value("read", read_at(fd.get(), 0, 100).size());
      account.value("the time stays",
                    status_of(account / "f").st_atim.tv_sec == 1000);
    }
  });
}

// The kernel learns the times of files from a listing, too.
TEST_P(Times, AListingTellsTheTimeOfTheLastWrite) {
  expect_same([](Account& account) {
    ASSERT_EQ(::mkdir((account / "d").c_str(), 0755), 0);
    write_file(account / "d/f", noise(8192));
    const pmem::UniqueFd fd = open_file(account / "d/f", O_RDWR);
    ASSERT_EQ(::pwrite(fd.get(), "x", 1, 100), 1);
    set_mtime(account / "d/f", 1000);
    ASSERT_EQ(::pwrite(fd.get(), "x", 1, 100), 1);
    for (const auto& entry :
         std::filesystem::directory_iterator(account / "d")) {
      account.value("the time stays",
                    status_of(entry.path()).st_mtim.tv_sec == 1000);
    }
  });
}

TEST_P(Times, AChangeOfNothingIsAChange) {
  expect_same([](Account& account) {
    write_file(account / "f", "content");
    const std::int64_t before = to_ns(status_of(account / "f").st_ctim);
    let_time_pass();
    constexpr auto kSame = static_cast<uid_t>(-1);
    account.call("chown", ::chown((account / "f").c_str(), kSame, kSame));
    account.value("ctime has moved",
                  to_ns(status_of(account / "f").st_ctim) > before);
  });
}

TEST_P(Times, TheTimeOfBirthIsThatOfTheBackingFile) {
  write_file(mounted("f"), "content");
  struct statx beneath = {};
  ASSERT_EQ(::statx(AT_FDCWD, source("f").c_str(), 0, STATX_BTIME, &beneath),
            0);
  struct statx shown = {};
  ASSERT_EQ(::statx(AT_FDCWD, mounted("f").c_str(), 0,
                    STATX_BTIME | STATX_BASIC_STATS, &shown),
            0);
  if ((shown.stx_mask & STATX_BTIME) == 0) {
    GTEST_SKIP() << "this kernel does not ask FUSE for it (before Linux 6.6)";
  }
  EXPECT_EQ(shown.stx_btime.tv_sec, beneath.stx_btime.tv_sec);
  EXPECT_EQ(shown.stx_btime.tv_nsec, beneath.stx_btime.tv_nsec);
  EXPECT_EQ(shown.stx_size, 7U);
  EXPECT_EQ(shown.stx_ino, beneath.stx_ino);
}

// Within one tick of the clock, too, as far as the kernel can tell times apart.
TEST_P(Times, EachWriteThatIsLookedAtHasATimeOfItsOwn) {
  const auto times_of_writes = [](const std::string& path) {
    write_file(path, noise(8192));
    const pmem::UniqueFd fd = open_file(path, O_RDWR);
    std::set<std::int64_t> seen;
    for (int round = 0; round < 200; ++round) {
      struct stat status = {};
      EXPECT_EQ(::pwrite(fd.get(), "changed", 7, 100), 7);
      EXPECT_EQ(::fstat(fd.get(), &status), 0);
      EXPECT_EQ(to_ns(status.st_mtim), to_ns(status.st_ctim));
      seen.insert(to_ns(status.st_mtim));
    }
    return seen.size();
  };
  if (times_of_writes(native("f")) == 200) {
    EXPECT_EQ(times_of_writes(mounted("f")), 200U);
  } else {
    // A kernel with times of ticks: one for each of ours or more.
    EXPECT_GT(times_of_writes(mounted("f")), 1U);
  }
}

TEST_P(Times, AWriteMovesThemWhenItIsMadeAndNotWhenTheFileIsClosed) {
  expect_same([](Account& account) {
    write_file(account / "f", noise(8192));
    pmem::UniqueFd fd = open_file(account / "f", O_RDWR);
    EXPECT_EQ(::pwrite(fd.get(), "changed", 7, 100), 7);
    let_time_pass();
    EXPECT_EQ(::pwrite(fd.get(), "changed", 7, 100), 7);
    struct timespec before_the_close = {};
    let_time_pass();
    ::clock_gettime(CLOCK_REALTIME_COARSE, &before_the_close);
    fd = pmem::UniqueFd();
    const struct stat status = status_of(account / "f");
    account.value("changed by then",
                  to_ns(status.st_ctim) < to_ns(before_the_close));
    account.value("the same", to_ns(status.st_ctim) == to_ns(status.st_mtim));
  });
}

}  // namespace
}  // namespace mount_tests
