// Another process changes the backing file while it is read and written through
// the mount: at worst EIO or a short count, never a wrong byte, never the end
// of the daemon.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "mount/mount_test.h"
#include "support/disturber.h"

namespace mount_tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using support::Disturber;

constexpr milliseconds kDuration(2000);
constexpr off_t kSize = 1 << 20;

// What readers and writers saw.
struct Seen {
  std::atomic<std::uint64_t> whole = 0;
  std::atomic<std::uint64_t> short_ones = 0;
  std::atomic<std::uint64_t> refused = 0;
  std::atomic<std::uint64_t> wrong_bytes = 0;
  std::atomic<int> other_error = 0;

  void count(ssize_t got, std::size_t wanted) {
    const int error = errno;
    if (got < 0 && error == EIO) {
      ++refused;
    } else if (got < 0) {
      other_error = error;
    } else if (static_cast<std::size_t>(got) < wanted) {
      ++short_ones;
    } else {
      ++whole;
    }
  }
};

// Every byte that anybody writes into the file tells its place.
char byte_for(off_t offset) { return static_cast<char>('a' + offset % 23); }

std::string text_for(off_t offset, std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    text[i] = byte_for(offset + static_cast<off_t>(i));
  }
  return text;
}

class Interference : public OnEachBacking {
 protected:
  // Two readers and two writers go on for a while at random places.
  void read_and_write(const std::string& path, Seen& seen) {
    const auto end = steady_clock::now() + kDuration;
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 4; ++seed) {
      threads.emplace_back([&, seed] {
        const pmem::UniqueFd fd = open_file(path, O_RDWR);
        std::mt19937 random(seed);
        std::uniform_int_distribution<off_t> offsets(0, kSize - 1);
        std::uniform_int_distribution<std::size_t> sizes(1, 40000);
        while (steady_clock::now() < end) {
          const off_t offset = offsets(random);
          if (seed % 2 == 0) {
            read_once(fd.get(), offset, sizes(random), seen);
          } else {
            const std::string text = text_for(offset, sizes(random));
            seen.count(::pwrite(fd.get(), text.data(), text.size(), offset),
                       text.size());
          }
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }

  // After all that the mount works as ever.
  void expect_all_is_well(const Seen& seen) {
    EXPECT_EQ(seen.wrong_bytes, 0U);
    EXPECT_EQ(seen.other_error, 0) << std::strerror(seen.other_error);
    EXPECT_GT(seen.whole, 0U);
    EXPECT_TRUE(daemon().daemon_is_alive());
    write_file(mounted("after"), noise(100000));
    EXPECT_TRUE(content_of(source("after")) == noise(100000));
    EXPECT_TRUE(content_of(mounted("after")) == noise(100000));
  }

 private:
  static void read_once(int fd, off_t offset, std::size_t size, Seen& seen) {
    std::string bytes(size, '?');
    const ssize_t got = ::pread(fd, bytes.data(), size, offset);
    seen.count(got, size);
    for (ssize_t i = 0; i < got; ++i) {
      const char byte = bytes[static_cast<std::size_t>(i)];
      if (byte != '\0' && byte != byte_for(offset + i)) {
        ++seen.wrong_bytes;
      }
    }
  }
};
PMEMFS_ON_EACH_BACKING(Interference);

TEST_P(Interference, TruncatedAndExtendedBeneath) {
  write_file(mounted("f"), text_for(0, kSize));
  Seen seen;
  {
    const pmem::UniqueFd fd = open_file(source("f"), O_RDWR);
    const Disturber disturber([&](unsigned round) {
      [[maybe_unused]] int ignored =
          ::ftruncate(fd.get(), round % 3 == 0 ? 0 : (round * 7919) % kSize);
      ignored = ::ftruncate(fd.get(), kSize);
    });
    read_and_write(mounted("f"), seen);
  }
  expect_all_is_well(seen);
}

TEST_P(Interference, CutAndWrittenBeneath) {
  write_file(mounted("f"), text_for(0, kSize));
  Seen seen;
  {
    const pmem::UniqueFd fd = open_file(source("f"), O_RDWR);
    const std::string text = text_for(0, kSize);
    const Disturber disturber([&](unsigned round) {
      const off_t offset = (round * 104729) % kSize;
      [[maybe_unused]] ssize_t ignored = ::pwrite(
          fd.get(), text.data() + offset, std::size_t(kSize - offset), offset);
      if (round % 4 == 0) {
        ignored = ::ftruncate(fd.get(), offset);
      }
    });
    read_and_write(mounted("f"), seen);
  }
  expect_all_is_well(seen);
}

TEST_P(Interference, PunchedAndAllocatedBeneath) {
  write_file(mounted("f"), text_for(0, kSize));
  Seen seen;
  {
    const pmem::UniqueFd fd = open_file(source("f"), O_RDWR);
    const Disturber disturber([&](unsigned round) {
      const off_t offset = (round * 104729) % kSize;
      ::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                  100000);
      ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, offset, 50000);
    });
    read_and_write(mounted("f"), seen);
  }
  EXPECT_EQ(seen.refused, 0U) << "holes are zeros, not errors";
  expect_all_is_well(seen);
}

TEST_P(Interference, UnlinkedAndReplacedBeneath) {
  write_file(mounted("f"), text_for(0, kSize));
  Seen seen;
  {
    const std::string path = source("f");
    const std::string other = source("g");
    const std::string text = text_for(0, kSize);
    const Disturber disturber([&](unsigned round) {
      if (round % 2 == 0) {
        ::unlink(path.c_str());
      }
      const pmem::UniqueFd fd = open_file(other, O_RDWR | O_CREAT);
      [[maybe_unused]] const ssize_t ignored =
          ::pwrite(fd.get(), text.data(), text.size(), 0);
      ::rename(other.c_str(), path.c_str());
    });
    // By its name each time, too.
    std::atomic<bool> stop = false;
    std::atomic<int> strange_error = 0;
    std::thread opener([&] {
      while (!stop) {
        const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
        if (!fd.valid()) {
          // The name that the kernel looked up a moment ago is gone again.
          if (errno != ENOENT && errno != ESTALE) {
            strange_error = errno;
          }
          continue;
        }
        char byte = 0;
        if (::pread(fd.get(), &byte, 1, 1000) == 1 && byte != byte_for(1000) &&
            byte != '\0') {
          ++seen.wrong_bytes;
        }
      }
    });
    read_and_write(mounted("f"), seen);
    stop = true;
    opener.join();
    EXPECT_EQ(strange_error, 0) << std::strerror(strange_error);
  }
  expect_all_is_well(seen);
}

TEST_P(Interference, TruncatedWhileItIsAppendedTo) {
  write_file(mounted("f"), "");
  Seen seen;
  {
    const pmem::UniqueFd fd = open_file(source("f"), O_RDWR);
    const Disturber disturber([&](unsigned round) {
      [[maybe_unused]] const int ignored = ::ftruncate(fd.get(), round % 5000);
      ::usleep(500);
    });
    const auto end = steady_clock::now() + kDuration;
    const pmem::UniqueFd appender =
        open_file(mounted("f"), O_WRONLY | O_APPEND);
    const std::string line(3333, 'x');
    while (steady_clock::now() < end) {
      seen.count(::write(appender.get(), line.data(), line.size()),
                 line.size());
    }
  }
  expect_all_is_well(seen);
}

TEST_P(Interference, ANewLengthBeneathIsSeenAtOnceByWhoHasTheFileOpen) {
  write_file(mounted("f"), text_for(0, 10000));
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  ASSERT_EQ(read_at(fd.get(), 0, 20000).size(), 10000U);
  ASSERT_EQ(::truncate(source("f").c_str(), 100), 0);
  EXPECT_EQ(read_at(fd.get(), 0, 20000), text_for(0, 100));
  EXPECT_EQ(read_at(fd.get(), 5000, 100), "");
  ASSERT_EQ(::truncate(source("f").c_str(), 200000), 0);
  EXPECT_EQ(read_at(fd.get(), 0, 300000),
            text_for(0, 100) + std::string(199900, '\0'));
  const pmem::UniqueFd beneath = open_file(source("f"), O_RDWR);
  ASSERT_EQ(::pwrite(beneath.get(), "beyond", 6, 5 << 20), 6);
  EXPECT_EQ(read_at(fd.get(), 5 << 20, 100), "beyond");
  ASSERT_EQ(::ftruncate(beneath.get(), 0), 0);
  EXPECT_EQ(read_at(fd.get(), 0, 100), "");
  ASSERT_EQ(::pwrite(fd.get(), "again", 5, 3), 5);
  EXPECT_EQ(content_of(source("f")), std::string(3, '\0') + "again");
}

}  // namespace
}  // namespace mount_tests
