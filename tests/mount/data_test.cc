// What is in files: reads, writes, holes and copies.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

class Data : public OnEachBacking {};
PMEMFS_ON_EACH_BACKING(Data);

// Where data and holes begin, as far as the end of the file.
void tell_map(Account& account, int fd) {
  off_t at = 0;
  for (int step = 0; step < 20; ++step) {
    const int whence = step % 2 == 0 ? SEEK_DATA : SEEK_HOLE;
    const long found = account.call(step % 2 == 0 ? "  data at" : "  hole at",
                                    ::lseek(fd, at, whence));
    if (found < 0) {
      return;
    }
    at = found;
  }
}

// Space in units of 64 KiB: a disk file system may count a block of its own
// bookkeeping, more or fewer as its free space happens to lie.
void tell_space(Account& account, int fd) {
  constexpr blkcnt_t kStatBlocksPerUnit = 128;
  struct stat status = {};
  account.call("  fstat", ::fstat(fd, &status));
  account.value("  size", status.st_size);
  account.value("  64 KiB blocks", status.st_blocks / kStatBlocksPerUnit);
}

TEST_P(Data, WhatIsWrittenIsReadAtEveryBoundary) {
  const std::string bytes = noise(70013);
  expect_same([&](Account& account) {
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR | O_CREAT);
    for (const off_t offset : {0, 1, 4095, 4096, 4097, 65536, 100001}) {
      for (const std::size_t size : {1U, 7U, 4095U, 4096U, 4097U, 70000U}) {
        account.call("write", ::pwrite(fd.get(), bytes.data() + offset % 13,
                                       size, offset));
      }
    }
    for (const off_t offset : {0, 3, 4095, 4096, 99999, 170000, 200000}) {
      for (const std::size_t size : {0U, 1U, 4096U, 70001U, 300000U}) {
        account.content("read", read_at(fd.get(), offset, size));
      }
    }
  });
}

TEST_P(Data, RandomReadsAndWritesAgreeWithTheBackingFile) {
  const pmem::UniqueFd beneath = open_file(source("f"), O_RDWR | O_CREAT);
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  ASSERT_TRUE(fd.valid());
  std::mt19937 generator(7);
  const auto random = [&](long below) {
    return std::uniform_int_distribution<long>(0, below - 1)(generator);
  };
  const std::string bytes = noise(100000);
  for (int step = 0; step < 600; ++step) {
    const off_t offset = random(500000);
    const std::size_t size = std::size_t(random(50000)) + 1;
    const int writer = random(2) == 0 ? fd.get() : beneath.get();
    const int reader = random(2) == 0 ? fd.get() : beneath.get();
    const std::string piece = bytes.substr(std::size_t(random(50000)), size);
    ASSERT_EQ(::pwrite(writer, piece.data(), size, offset),
              static_cast<ssize_t>(size));
    ASSERT_EQ(read_at(reader, offset, size), piece) << "step " << step;
  }
  EXPECT_EQ(content_of(mounted("f")), content_of(source("f")));
}

TEST_P(Data, VectoredReadsAndWritesMoveTheSameBytes) {
  expect_same([](Account& account) {
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR | O_CREAT);
    std::string first(5000, 'a');
    std::string second(1, 'b');
    std::string third(9000, 'c');
    std::array<struct iovec, 3> parts = {{{first.data(), first.size()},
                                          {second.data(), second.size()},
                                          {third.data(), third.size()}}};
    account.call("writev", ::writev(fd.get(), parts.data(), 3));
    account.call("pwritev", ::pwritev(fd.get(), parts.data(), 3, 7777));
    account.call("preadv", ::preadv(fd.get(), parts.data(), 3, 7000));
    account.content("first", first);
    account.content("second", second);
    account.content("third", third);
  });
}

TEST_P(Data, LargeTransfersArriveWhole) {
  const std::string bytes = noise(20U << 20);
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  ASSERT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), 12345),
            static_cast<ssize_t>(bytes.size()));
  EXPECT_TRUE(read_at(fd.get(), 12345, bytes.size()) == bytes);
  const std::string beneath = content_of(source("f"));
  EXPECT_EQ(beneath.size(), bytes.size() + 12345);
  EXPECT_TRUE(beneath.compare(12345, bytes.size(), bytes) == 0);
}

TEST_P(Data, AWriteFarBeyondTheEndLeavesAHole) {
  expect_same([](Account& account) {
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR | O_CREAT);
    account.call("write", ::pwrite(fd.get(), "begin", 5, 0));
    account.call("write", ::pwrite(fd.get(), "end", 3, 1 << 20));
    tell_space(account, fd.get());
    tell_map(account, fd.get());
    account.content("in the hole", read_at(fd.get(), 5000, 20));
    account.content("around the edge", read_at(fd.get(), (1 << 20) - 5, 100));
    account.call("write into the hole", ::pwrite(fd.get(), "mid", 3, 500000));
    tell_space(account, fd.get());
    tell_map(account, fd.get());
  });
}

TEST_P(Data, AFileGrownBySmallAppendsTakesNoMoreSpaceThanItNeeds) {
  const pmem::UniqueFd fd =
      open_file(mounted("f"), O_WRONLY | O_CREAT | O_APPEND);
  std::string content;
  for (int step = 0; step < 3000; ++step) {
    const std::string line = noise(100, static_cast<unsigned>(step));
    ASSERT_EQ(::write(fd.get(), line.data(), line.size()), 100);
    content += line;
  }
  ASSERT_EQ(::fsync(fd.get()), 0);
  EXPECT_TRUE(content_of(source("f")) == content);
  const struct stat status = status_of(source("f"));
  EXPECT_EQ(status.st_size, 300000);
  EXPECT_GE(status.st_blocks * 512, 300000);
  // The last block, and one or two that tell where the others are.
  EXPECT_LE(status.st_blocks * 512, 300000 + 3 * 4096);
}

// --- appending ---

TEST_P(Data, AppendsGoToTheEndWhereverItIs) {
  expect_same([](Account& account) {
    write_file(account / "f", "12345");
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR | O_APPEND);
    account.call("write", ::write(fd.get(), "6", 1));
    const pmem::UniqueFd other = open_file(account / "f", O_WRONLY);
    account.call("write beyond", ::pwrite(other.get(), "far", 3, 20));
    account.call("seek", ::lseek(fd.get(), 0, SEEK_SET));
    account.call("write", ::write(fd.get(), "7", 1));
    account.call("position", ::lseek(fd.get(), 0, SEEK_CUR));
    account.content("content", content_of(account / "f"));
    account.call("cut", ::truncate((account / "f").c_str(), 2));
    account.call("write", ::write(fd.get(), "8", 1));
    account.content("content", content_of(account / "f"));
    account.call("fcntl", ::fcntl(fd.get(), F_SETFL, 0));
    account.call("write without append", ::pwrite(fd.get(), "9", 1, 0));
    account.content("content", content_of(account / "f"));
    account.call("fcntl", ::fcntl(other.get(), F_SETFL, O_APPEND));
    account.call("write with append", ::write(other.get(), "0", 1));
    account.content("content", content_of(account / "f"));
  });
}

TEST_P(Data, AppendsGoToTheEndThatSomebodyBeneathHasMoved) {
  write_file(mounted("f"), "one");
  const pmem::UniqueFd fd = open_file(mounted("f"), O_WRONLY | O_APPEND);
  {
    const pmem::UniqueFd beneath = open_file(source("f"), O_WRONLY | O_APPEND);
    ASSERT_EQ(::write(beneath.get(), "two", 3), 3);
  }
  ASSERT_EQ(::write(fd.get(), "three", 5), 5);
  EXPECT_EQ(content_of(source("f")), "onetwothree");
  EXPECT_EQ(content_of(mounted("f")), "onetwothree");
}

class Appenders : public OnEachBacking {
 protected:
  // Two threads append lines of their own, each by its way to one file, the
  // second for as long as the first does; and every line is there, whole.
  void append_by(const std::string& first_path,
                 const std::string& second_path) {
    constexpr int kLines = 1500;
    const std::string first_line = std::string(37, 'a') + "\n";
    const std::string second_line = std::string(211, 'b') + "\n";
    std::atomic<bool> first_has_ended = false;
    int second_lines = 0;
    std::thread first([&] {
      for (int count = 0; count < kLines; ++count) {
        append(first_path, first_line);
      }
      first_has_ended = true;
    });
    std::thread second([&] {
      for (; !first_has_ended; ++second_lines) {
        append(second_path, second_line);
      }
    });
    first.join();
    second.join();
    const std::string content = content_of(source("f"));
    int whole_first = 0;
    int whole_second = 0;
    std::istringstream lines(content);
    for (std::string line; std::getline(lines, line);) {
      line += '\n';
      whole_first += line == first_line ? 1 : 0;
      whole_second += line == second_line ? 1 : 0;
    }
    EXPECT_EQ(whole_first, kLines);
    EXPECT_EQ(whole_second, second_lines);
    EXPECT_EQ(content.size(),
              kLines * first_line.size() +
                  static_cast<std::size_t>(second_lines) * second_line.size());
    EXPECT_TRUE(content_of(mounted("f")) == content);
  }

 private:
  // With a descriptor of its own, so that there are many.
  static void append(const std::string& path, const std::string& line) {
    const pmem::UniqueFd fd = open_file(path, O_WRONLY | O_CREAT | O_APPEND);
    ASSERT_EQ(::write(fd.get(), line.data(), line.size()),
              static_cast<ssize_t>(line.size()));
  }
};
PMEMFS_ON_EACH_BACKING(Appenders);

TEST_P(Appenders, LoseNoByte) { append_by(mounted("f"), mounted("f")); }

TEST_P(Appenders, LoseNoByteToOneBeneath) {
  append_by(mounted("f"), source("f"));
}

// --- space ---

TEST_P(Data, AllocationMakesRoomAndSize) {
  expect_same([](Account& account) {
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR | O_CREAT);
    account.call("fallocate", ::fallocate(fd.get(), 0, 0, 1 << 20));
    tell_space(account, fd.get());
    account.content("content", read_at(fd.get(), 1 << 19, 10));
    account.call("write", ::pwrite(fd.get(), "stored", 6, 1 << 19));
    tell_space(account, fd.get());
    account.content("content", read_at(fd.get(), (1 << 19) - 3, 12));
    account.call("in the middle", ::fallocate(fd.get(), 0, 4096, 4096));
    tell_space(account, fd.get());
    account.call("keep size",
                 ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 1 << 20, 1 << 20));
    tell_space(account, fd.get());
    account.call("beyond the end", ::fallocate(fd.get(), 0, 5 << 20, 5000));
    tell_space(account, fd.get());
    account.call("of nothing", ::fallocate(fd.get(), 0, 0, 0));
    account.call("negative", ::fallocate(fd.get(), 0, -1, 10));
    account.call("posix_fallocate", ::posix_fallocate(fd.get(), 0, 6 << 20));
    tell_space(account, fd.get());
    const pmem::UniqueFd reader = open_file(account / "f", O_RDONLY);
    account.call("of a reader", ::fallocate(reader.get(), 0, 0, 10));
  });
}

TEST_P(Data, PunchedHolesReadAsZerosAndGiveTheirSpaceBack) {
  const std::string told = expect_same([](Account& account) {
    write_file(account / "f", noise(1 << 20));
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR);
    account.call("fsync", ::fsync(fd.get()));
    constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    account.call("punch", ::fallocate(fd.get(), kPunch, 65536, 131072));
    tell_space(account, fd.get());
    tell_map(account, fd.get());
    account.content("content", content_of(account / "f"));
    account.call("of parts of blocks",
                 ::fallocate(fd.get(), kPunch, 300001, 10000));
    tell_map(account, fd.get());
    account.content("content", content_of(account / "f"));
    account.call("over the end",
                 ::fallocate(fd.get(), kPunch, 1000000, 1000000));
    tell_space(account, fd.get());
    account.call("write into it", ::pwrite(fd.get(), "back", 4, 70000));
    tell_space(account, fd.get());
    account.content("content", content_of(account / "f"));
    account.call("without keep size",
                 ::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE, 0, 4096));
  });
  EXPECT_NE(told.find("hole at: 65536"), std::string::npos);
}

TEST_P(Data, AZeroedRangeReadsAsZeros) {
  expect_same([](Account& account) {
    write_file(account / "f", noise(100000));
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR);
    account.call("zero",
                 ::fallocate(fd.get(), FALLOC_FL_ZERO_RANGE, 5000, 20000));
    account.content("content", content_of(account / "f"));
    account.call("over the end",
                 ::fallocate(fd.get(), FALLOC_FL_ZERO_RANGE, 90000, 20000));
    account.value("size", status_of(account / "f").st_size);
    account.content("content", content_of(account / "f"));
    account.call(
        "over the end, keeping the size",
        ::fallocate(fd.get(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                    100000, 50000));
    account.value("size", status_of(account / "f").st_size);
  });
}

TEST_P(Data, HolesAndDataAreFoundBySeeking) {
  expect_same([](Account& account) {
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR | O_CREAT);
    tell_map(account, fd.get());
    account.call("truncate", ::ftruncate(fd.get(), 1 << 20));
    tell_map(account, fd.get());
    account.call("write", ::pwrite(fd.get(), "data", 4, 100000));
    account.call("write", ::pwrite(fd.get(), "data", 4, 300000));
    account.call("fsync", ::fsync(fd.get()));
    tell_map(account, fd.get());
    account.call("data after the last", ::lseek(fd.get(), 400000, SEEK_DATA));
    account.call("hole within data", ::lseek(fd.get(), 300001, SEEK_HOLE));
    account.call("data beyond the end", ::lseek(fd.get(), 1 << 20, SEEK_DATA));
    account.call("hole beyond the end", ::lseek(fd.get(), 1 << 20, SEEK_HOLE));
    account.call("negative", ::lseek(fd.get(), -1, SEEK_DATA));
    account.call("end", ::lseek(fd.get(), 0, SEEK_END));
    account.call("before the begin", ::lseek(fd.get(), -1, SEEK_SET));
  });
}

// --- copies ---

TEST_P(Data, CopyFileRangeCopies) {
  expect_same([](Account& account) {
    write_file(account / "from", noise(300000));
    const pmem::UniqueFd from = open_file(account / "from", O_RDONLY);
    const pmem::UniqueFd to = open_file(account / "to", O_RDWR | O_CREAT);
    off_t read_from = 1001;
    off_t write_to = 33;
    std::size_t left = 250000;
    while (left > 0) {
      const ssize_t copied = ::copy_file_range(from.get(), &read_from, to.get(),
                                               &write_to, left, 0);
      ASSERT_GT(copied, 0) << std::strerror(errno);
      left -= static_cast<std::size_t>(copied);
    }
    account.value("read position", read_from);
    account.value("write position", write_to);
    account.content("content", content_of(account / "to"));
    read_from = 300000;
    account.call("at the end", ::copy_file_range(from.get(), &read_from,
                                                 to.get(), &write_to, 10, 0));
    read_from = 0;
    account.call("to a reader", ::copy_file_range(to.get(), &read_from,
                                                  from.get(), nullptr, 10, 0));
  });
}

TEST_P(Data, CopyFileRangeToAndFromTheMount) {
  write_file(mounted("from"), noise(100000));
  const std::array<std::pair<std::string, std::string>, 2> ways = {
      {{mounted("from"), native("to")}, {native("to"), mounted("back")}}};
  for (const auto& [from_path, to_path] : ways) {
    const pmem::UniqueFd from = open_file(from_path, O_RDONLY);
    const pmem::UniqueFd to = open_file(to_path, O_RDWR | O_CREAT);
    const ssize_t copied =
        ::copy_file_range(from.get(), nullptr, to.get(), nullptr, 100000, 0);
    // The kernel may leave this to read and write.
    if (copied < 0) {
      ASSERT_EQ(errno, EXDEV);
      write_file(to_path, content_of(from_path));
    }
    EXPECT_TRUE(content_of(to_path) == noise(100000));
  }
}

// --- durability and sharing ---

TEST_P(Data, SyncingSucceeds) {
  expect_same([](Account& account) {
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR | O_CREAT);
    account.call("write", ::write(fd.get(), "x", 1));
    account.call("fsync", ::fsync(fd.get()));
    account.call("fdatasync", ::fdatasync(fd.get()));
    const pmem::UniqueFd reader = open_file(account / "f", O_RDONLY);
    account.call("fsync by a reader", ::fsync(reader.get()));
    const pmem::UniqueFd synced =
        open_file(account / "f", O_RDWR | O_SYNC | O_APPEND);
    account.call("write with O_SYNC", ::write(synced.get(), "y", 1));
    account.content("content", content_of(account / "f"));
  });
}

TEST_P(Data, DirectTransfersWorkWhereTheyWorkNatively) {
  const pmem::UniqueFd fd =
      open_file(mounted("f"), O_RDWR | O_CREAT | O_DIRECT);
  ASSERT_TRUE(fd.valid()) << std::strerror(errno);
  alignas(4096) std::array<char, 8192> out = {};
  alignas(4096) std::array<char, 8192> in = {};
  std::fill(out.begin(), out.end(), 'd');
  ASSERT_EQ(::pwrite(fd.get(), out.data(), out.size(), 4096), 8192);
  ASSERT_EQ(::pread(fd.get(), in.data(), in.size(), 4096), 8192);
  EXPECT_EQ(in, out);
}

TEST_P(Data, DescriptorsOfOneFileSeeEachOthersWritesAtOnce) {
  const pmem::UniqueFd first = open_file(mounted("f"), O_RDWR | O_CREAT);
  const pmem::UniqueFd second = open_file(mounted("f"), O_RDWR);
  const pmem::UniqueFd beneath = open_file(source("f"), O_RDWR);
  const std::array fds = {first.get(), second.get(), beneath.get()};
  for (unsigned round = 0; round < 60; ++round) {
    const std::string text = "round " + std::to_string(round * 7919);
    const off_t offset = static_cast<off_t>(round) * 1000;
    ASSERT_EQ(::pwrite(fds[round % 3], text.data(), text.size(), offset),
              static_cast<ssize_t>(text.size()));
    for (const int fd : fds) {
      ASSERT_EQ(read_at(fd, offset, 100), text) << "round " << round;
      struct stat status = {};
      ASSERT_EQ(::fstat(fd, &status), 0);
    }
  }
}

TEST_P(Data, LocksExcludeEachOther) {
  expect_same([](Account& account) {
    const pmem::UniqueFd first = open_file(account / "f", O_RDWR | O_CREAT);
    const pmem::UniqueFd second = open_file(account / "f", O_RDWR);
    account.call("flock", ::flock(first.get(), LOCK_EX | LOCK_NB));
    account.call("flock by another", ::flock(second.get(), LOCK_EX | LOCK_NB));
    account.call("unlock", ::flock(first.get(), LOCK_UN));
    account.call("flock by another", ::flock(second.get(), LOCK_EX | LOCK_NB));
    struct flock whole = {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    account.call("record lock", ::fcntl(first.get(), F_OFD_SETLK, &whole));
    account.call("by another", ::fcntl(second.get(), F_OFD_SETLK, &whole));
  });
}

TEST_P(Data, AReaderCannotWriteNorAWriterRead) {
  expect_same([](Account& account) {
    write_file(account / "f", "content");
    std::array<char, 10> bytes = {};
    const pmem::UniqueFd reader = open_file(account / "f", O_RDONLY);
    account.call("write", ::write(reader.get(), "x", 1));
    const pmem::UniqueFd writer = open_file(account / "f", O_WRONLY);
    account.call("read", ::read(writer.get(), bytes.data(), bytes.size()));
    account.call("write", ::write(writer.get(), "C", 1));
    account.call("read", ::pread(reader.get(), bytes.data(), bytes.size(), 0));
    account.call("write at a negative offset",
                 ::pwrite(writer.get(), "x", 1, -1));
    account.call("write of nothing", ::pwrite(writer.get(), "x", 0, 100));
    account.value("size", status_of(account / "f").st_size);
    account.call("read of a directory",
                 ::read(open_file(account.directory(), O_RDONLY).get(),
                        bytes.data(), bytes.size()));
  });
}

TEST_P(Data, AFileTooLargeToMapIsReadAndWritten) {
  // No address space holds it (tmpfs), or it is as large as files get (ext4).
  const pmem::UniqueFd beneath = open_file(source("f"), O_RDWR | O_CREAT);
  const off_t size = GetParam() == BackingKind::kTmpfs
                         ? off_t{1} << 60
                         : (off_t{1} << 44) - (1 << 20);
  ASSERT_EQ(::ftruncate(beneath.get(), size), 0) << std::strerror(errno);
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  struct stat status = {};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, size);
  for (const off_t offset : {off_t{100}, size / 2, size - 8}) {
    ASSERT_EQ(::pwrite(fd.get(), "in place", 8, offset), 8)
        << std::strerror(errno);
    EXPECT_EQ(read_at(fd.get(), offset - 2, 100).substr(0, 10),
              std::string(2, '\0') + "in place");
    EXPECT_EQ(read_at(beneath.get(), offset, 8), "in place");
  }
  EXPECT_EQ(read_at(fd.get(), size - 3, 100), "ace");
  ASSERT_EQ(::fsync(fd.get()), 0);
  ASSERT_EQ(::ftruncate(fd.get(), 104), 0);
  EXPECT_EQ(read_at(fd.get(), 100, 100), "in p");
  ASSERT_EQ(::pwrite(fd.get(), "small again", 11, 0), 11);
  EXPECT_EQ(content_of(source("f")).substr(0, 11), "small again");
}

TEST_P(Data, IsCutByWhoOpensForReadingWithOTrunc) {
  expect_same([](Account& account) {
    write_file(account / "f", "content");
    const pmem::UniqueFd fd = open_file(account / "f", O_RDONLY | O_TRUNC);
    account.call("open", fd.valid() ? 0 : -1);
    account.value("size", status_of(account / "f").st_size);
    account.call("write", ::write(fd.get(), "x", 1));
  });
}

TEST_P(Data, AWriteBeyondTheLargestFileIsRefusedAsNatively) {
  expect_same([](Account& account) {
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR | O_CREAT);
    const off_t last = std::numeric_limits<off_t>::max();
    account.call("at the last byte", ::pwrite(fd.get(), "x", 1, last - 1));
    account.call("over it", ::pwrite(fd.get(), "xx", 2, last - 1));
    account.value("size", status_of(account / "f").st_size);
  });
}

}  // namespace
}  // namespace mount_tests
