// What the kernel has mapped where, in this process.
#include "pmem/address_space.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/child_process.h"
#include "support/sanitizers.h"
#include "support/temp_dir.h"

namespace pmem {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kHugePage = std::uint64_t{2} << 20;

std::uintptr_t number(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

void* pointer(std::uintptr_t address) {
  return reinterpret_cast<void*>(address);
}

// Pages that are unmapped with the object, in the middle of some that stay
// unmapped meanwhile, so that no neighbour is one mapping with them.
class Pages {
 public:
  explicit Pages(std::size_t pages, int flags = MAP_PRIVATE | MAP_ANONYMOUS,
                 int fd = -1, off_t offset = 0)
      : length_(pages * kPage) {
    void* const room = ::mmap(nullptr, length_ + 2 * kPage, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    begin_ = static_cast<std::byte*>(room) + kPage;
    EXPECT_EQ(::mmap(begin_, length_, PROT_READ | PROT_WRITE, flags | MAP_FIXED,
                     fd, offset),
              begin_)
        << std::strerror(errno);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(begin_ - kPage, length_ + 2 * kPage); }

  [[nodiscard]] std::byte* begin() const { return begin_; }
  [[nodiscard]] std::uintptr_t at(std::size_t page) const {
    return number(begin_) + page * kPage;
  }

  void unmap(std::size_t page, std::size_t pages = 1) const {
    ASSERT_EQ(::munmap(pointer(at(page)), pages * kPage), 0);
  }

 private:
  std::size_t length_;
  std::byte* begin_;
};

class File {
 public:
  File()
      : fd_(::open((directory_ / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC,
                   0600)) {
    EXPECT_EQ(::ftruncate(fd_, 16 * kPage), 0);
    EXPECT_EQ(::fstat(fd_, &status_), 0);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(fd_); }

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] MappedObject object(bool is_shared) const {
    return {::major(status_.st_dev), ::minor(status_.st_dev), status_.st_ino,
            is_shared};
  }

 private:
  support::TempDir directory_;
  int fd_;
  struct stat status_ = {};
};

// Whether the kernel answers at all: the ioctl is of Linux 6.11.
bool is_answered() {
  const int here = 0;
  return mapped_range_at(number(&here)).has_value();
}

class MappedRangeAt : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_answered()) {
      GTEST_SKIP() << "this kernel has no PROCMAP_QUERY";
    }
  }
};

TEST_F(MappedRangeAt, TellsTheFileAndThePlaceInIt) {
  const File file;
  const Pages pages(3, MAP_SHARED, file.fd(), 5 * kPage);
  for (const std::uintptr_t address :
       {pages.at(0), pages.at(0) + 1, pages.at(1), pages.at(3) - 1}) {
    const std::optional<MappedRange> range = mapped_range_at(address);
    ASSERT_TRUE(range);
    EXPECT_EQ(range->begin, pages.at(0));
    EXPECT_EQ(range->end, pages.at(3));
    EXPECT_EQ(range->offset_bytes, 5 * kPage);
    EXPECT_EQ(range->object, file.object(true));
  }
}

TEST_F(MappedRangeAt, TellsAPrivateMappingFromASharedOne) {
  const File file;
  const Pages pages(1, MAP_PRIVATE, file.fd());
  const std::optional<MappedRange> range = mapped_range_at(pages.at(0));
  ASSERT_TRUE(range);
  EXPECT_EQ(range->object, file.object(false));
}

TEST_F(MappedRangeAt, KnowsAFileWithoutAName) {
  const int fd = ::memfd_create("unnamed", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(fd, kPage), 0);
  struct stat status = {};
  ASSERT_EQ(::fstat(fd, &status), 0);
  const Pages pages(1, MAP_SHARED, fd);
  ::close(fd);
  const std::optional<MappedRange> range = mapped_range_at(pages.at(0));
  ASSERT_TRUE(range);
  EXPECT_EQ(range->object.inode, status.st_ino);
  EXPECT_TRUE(range->object.is_shared);
}

TEST_F(MappedRangeAt, GivesNoFileToAnonymousMemory) {
  const Pages pages(1);
  const std::optional<MappedRange> range = mapped_range_at(pages.at(0));
  ASSERT_TRUE(range);
  EXPECT_EQ(range->object.inode, 0U);
  EXPECT_FALSE(range->object.is_shared);
}

TEST_F(MappedRangeAt, IsNothingWhereNothingIsMapped) {
  const Pages pages(3);
  pages.unmap(1);
  EXPECT_FALSE(mapped_range_at(pages.at(1)));
  EXPECT_FALSE(mapped_range_at(pages.at(2) - 1));
  EXPECT_TRUE(mapped_range_at(pages.at(1) - 1));
  EXPECT_TRUE(mapped_range_at(pages.at(2)));
  EXPECT_FALSE(mapped_range_at(0));
  EXPECT_FALSE(mapped_range_at(std::numeric_limits<std::uintptr_t>::max()));
}

TEST_F(MappedRangeAt, EndsWhereTheProtectionChanges) {
  const File file;
  const Pages pages(4, MAP_SHARED, file.fd(), kPage);
  ASSERT_EQ(::mprotect(pages.begin() + kPage, kPage, PROT_READ), 0);
  const std::optional<MappedRange> first = mapped_range_at(pages.at(0));
  const std::optional<MappedRange> second = mapped_range_at(pages.at(1));
  const std::optional<MappedRange> third = mapped_range_at(pages.at(2));
  ASSERT_TRUE(first && second && third);
  EXPECT_EQ(first->end, pages.at(1));
  EXPECT_EQ(second->begin, pages.at(1));
  EXPECT_EQ(second->end, pages.at(2));
  EXPECT_EQ(second->offset_bytes, 2 * kPage);
  EXPECT_EQ(third->begin, pages.at(2));
  EXPECT_EQ(third->end, pages.at(4));
  EXPECT_EQ(third->offset_bytes, 3 * kPage);
  EXPECT_EQ(second->object, file.object(true));
  EXPECT_EQ(third->object, file.object(true));
}

TEST_F(MappedRangeAt, FollowsChanges) {
  const File file;
  const Pages pages(2);
  EXPECT_EQ(mapped_range_at(pages.at(0))->object.inode, 0U);
  ASSERT_NE(::mmap(pages.begin(), kPage, PROT_READ, MAP_SHARED | MAP_FIXED,
                   file.fd(), 0),
            MAP_FAILED);
  EXPECT_EQ(mapped_range_at(pages.at(0))->object, file.object(true));
  pages.unmap(0);
  EXPECT_FALSE(mapped_range_at(pages.at(0)));
}

TEST_F(MappedRangeAt, LeavesErrnoAlone) {
  errno = EXDEV;
  const Pages pages(1);
  EXPECT_TRUE(mapped_range_at(pages.at(0)));
  EXPECT_FALSE(mapped_range_at(0));
  EXPECT_TRUE(is_mapped(pages.at(0), pages.at(1)));
  EXPECT_FALSE(is_mapped(kPage, 2 * kPage));
  EXPECT_EQ(errno, EXDEV);
}

TEST_F(MappedRangeAt, IsOfTheChildInAChild) {
  const Pages pages(3);
  ASSERT_TRUE(mapped_range_at(pages.at(0)));
  support::in_child([&] {
    pages.unmap(0);
    EXPECT_FALSE(mapped_range_at(pages.at(0)));
    EXPECT_TRUE(mapped_range_at(pages.at(1)));
    support::in_child([&] {
      pages.unmap(1);
      EXPECT_FALSE(mapped_range_at(pages.at(1)));
    });
    EXPECT_TRUE(mapped_range_at(pages.at(1)));
  });
  pages.unmap(2);
  EXPECT_TRUE(mapped_range_at(pages.at(0)));
  EXPECT_FALSE(mapped_range_at(pages.at(2)));
}

int count_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 1000; ++fd) {
    count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  }
  return count;
}

// The sanitizers' run times read /proc/self/maps through a descriptor as well.
TEST_F(MappedRangeAt, SurvivesThatItsDescriptorIsClosed) {
  const Pages pages(2);
  ASSERT_TRUE(mapped_range_at(pages.at(0)));
  pages.unmap(1);
  support::in_child([&] {
    for (int round = 0; round < 3; ++round) {
      ASSERT_EQ(::close_range(3, ~0U, 0), 0);
      EXPECT_TRUE(mapped_range_at(pages.at(0)));
      EXPECT_FALSE(mapped_range_at(pages.at(1)));
      EXPECT_EQ(count_descriptors(), 4) << "one is enough";
    }
  });
}

TEST_F(MappedRangeAt, SurvivesThatItsDescriptorIsSomebodyElses) {
  const Pages pages(2);
  ASSERT_TRUE(mapped_range_at(pages.at(0)));
  pages.unmap(1);
  support::in_child([&] {
    ASSERT_EQ(::close_range(3, ~0U, 0), 0);
    std::array<int, 20> own = {};
    for (int& fd : own) {
      fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    }
    EXPECT_TRUE(mapped_range_at(pages.at(0)));
    EXPECT_FALSE(mapped_range_at(pages.at(1)));
    for (const int fd : own) {
      EXPECT_EQ(::write(fd, "x", 1), 1);
    }
    EXPECT_EQ(count_descriptors(), 3 + 20 + 1);
  });
}

// Between the closing and the fork nobody asks: what the library remembers is
// the number alone.
TEST_F(MappedRangeAt, LeavesAChildTheDescriptorsThatTookItsNumber) {
  ASSERT_TRUE(is_answered());
  support::in_child([&] {
    ASSERT_TRUE(is_answered());
    ASSERT_EQ(::close_range(3, ~0U, 0), 0);
    constexpr int kLast = 600;
    for (int fd = ::open("/dev/null", O_RDWR); fd < kLast; fd = ::dup(fd)) {
      ASSERT_GE(fd, 0) << std::strerror(errno);
    }
    support::in_child([&] {
      for (int fd = 3; fd <= kLast; ++fd) {
        EXPECT_EQ(::write(fd, "x", 1), 1) << fd;
      }
      EXPECT_TRUE(is_answered());
    });
  });
}

TEST_F(MappedRangeAt, KeepsItsDescriptorFromProgramsThatAreExecuted) {
  ASSERT_TRUE(is_answered());
  for (int fd = 3; fd < 1000; ++fd) {
    std::array<char, 64> target = {};
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(link.c_str(), target.data(), target.size() - 1) > 0 &&
        std::strstr(target.data(), "/maps") != nullptr) {
      EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << target.data();
    }
  }
}

// All threads ask at the same moment, when the descriptor has just gone.
TEST_F(MappedRangeAt, MayBeAskedByManyThreadsWhileDescriptorsGo) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 300;
  // Nothing is ever mapped there; a page that we unmap might get a thread's
  // stack.
  constexpr std::uintptr_t kNeverMapped = 4096;
  const Pages pages(1);
  support::in_child([&] {
    std::atomic<int> wrong = 0;
    int most_descriptors = 0;
    std::barrier all_begin(kThreads + 1);
    std::barrier all_end(kThreads + 1);
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < kRounds; ++round) {
          all_begin.arrive_and_wait();
          wrong += mapped_range_at(pages.at(0)) ? 0 : 1;
          wrong += mapped_range_at(kNeverMapped) ? 1 : 0;
          all_end.arrive_and_wait();
        }
      });
    }
    for (int round = 0; round < kRounds; ++round) {
      wrong += ::close_range(3, ~0U, 0) == 0 ? 0 : 1;
      all_begin.arrive_and_wait();
      all_end.arrive_and_wait();
      most_descriptors = std::max(most_descriptors, count_descriptors());
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(most_descriptors, 4) << "one is enough";
  });
}

TEST_F(MappedRangeAt, IsNothingWithoutProc) {
  const Pages pages(1);
  support::in_child([&] {
    support::enter_private_mounts();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    support::mount_fresh("tmpfs", "/proc");
    ASSERT_EQ(::close_range(3, ~0U, 0), 0);
    EXPECT_FALSE(mapped_range_at(pages.at(0)));
    EXPECT_FALSE(mapped_range_at(pages.at(0)));
    EXPECT_TRUE(is_mapped(pages.at(0), pages.at(1)));
    EXPECT_FALSE(find_gap(kPage, kPage, kPage));
    EXPECT_EQ(count_descriptors(), 3);
  });
}

TEST(IsMapped, WantsEveryPage) {
  const Pages pages(5);
  pages.unmap(2);
  EXPECT_TRUE(is_mapped(pages.at(0), pages.at(2)));
  EXPECT_TRUE(is_mapped(pages.at(3), pages.at(5)));
  EXPECT_FALSE(is_mapped(pages.at(0), pages.at(5)));
  EXPECT_FALSE(is_mapped(pages.at(2), pages.at(3)));
  EXPECT_FALSE(is_mapped(pages.at(1), pages.at(2) + 1));
  EXPECT_FALSE(is_mapped(pages.at(3) - 1, pages.at(3)));
  EXPECT_TRUE(is_mapped(pages.at(2) - 1, pages.at(2)));
  EXPECT_TRUE(is_mapped(pages.at(3), pages.at(3) + 1));
  EXPECT_TRUE(is_mapped(pages.at(3) + 100, pages.at(5) - 100));
}

TEST(IsMapped, IsTrueWhateverTheProtection) {
  const Pages pages(2);
  ASSERT_EQ(::mprotect(pages.begin(), kPage, PROT_NONE), 0);
  EXPECT_TRUE(is_mapped(pages.at(0), pages.at(2)));
}

TEST(IsMapped, IsTrueOfFiles) {
  const File file;
  const Pages pages(2, MAP_SHARED, file.fd());
  EXPECT_TRUE(is_mapped(pages.at(0), pages.at(2)));
}

// Gaps, in a stretch of addresses where all that is mapped is the test's own:
// a reservation with holes.

class FindGap : public ::testing::Test {
 protected:
  static constexpr std::size_t kRoom = 16 * kHugePage;

  void SetUp() override {
    reserved_ = static_cast<std::byte*>(
        ::mmap(nullptr, kRoom + kHugePage, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    ASSERT_NE(reserved_, MAP_FAILED);
    begin_ = (number(reserved_) + kHugePage - 1) / kHugePage * kHugePage;
  }
  void TearDown() override { ::munmap(reserved_, kRoom + kHugePage); }

  void make_hole(std::uintptr_t offset, std::size_t length) const {
    ASSERT_EQ(::munmap(pointer(begin_ + offset), length), 0);
  }

  // The gap's offset; a gap behind the room is none.
  [[nodiscard]] std::optional<std::uintptr_t> find(
      std::uintptr_t lowest, std::uint64_t length,
      std::uint64_t align = kHugePage) const {
    const std::optional<std::uintptr_t> gap =
        find_gap(begin_ + lowest, length, align);
    return gap && *gap < begin_ + kRoom ? std::optional(*gap - begin_)
                                        : std::nullopt;
  }

  std::byte* reserved_ = nullptr;
  std::uintptr_t begin_ = 0;
};

TEST_F(FindGap, IsTheFirstThatFits) {
  make_hole(2 * kHugePage, kHugePage);
  make_hole(5 * kHugePage, 3 * kHugePage);
  make_hole(10 * kHugePage, 4 * kHugePage);
  EXPECT_EQ(find(0, 1), 2 * kHugePage);
  EXPECT_EQ(find(0, kHugePage), 2 * kHugePage);
  EXPECT_EQ(find(0, kHugePage + 1), 5 * kHugePage);
  EXPECT_EQ(find(0, 3 * kHugePage), 5 * kHugePage);
  EXPECT_EQ(find(0, 4 * kHugePage), 10 * kHugePage);
  EXPECT_EQ(find(0, 4 * kHugePage + 1), std::nullopt);
}

TEST_F(FindGap, IsNotBelowTheLowest) {
  make_hole(2 * kHugePage, 4 * kHugePage);
  make_hole(10 * kHugePage, 2 * kHugePage);
  EXPECT_EQ(find(2 * kHugePage, kHugePage), 2 * kHugePage);
  EXPECT_EQ(find(2 * kHugePage + 1, kHugePage), 3 * kHugePage);
  EXPECT_EQ(find(4 * kHugePage, 2 * kHugePage), 4 * kHugePage);
  EXPECT_EQ(find(4 * kHugePage + kPage, 2 * kHugePage), 10 * kHugePage);
  EXPECT_EQ(find(5 * kHugePage, 2 * kHugePage), 10 * kHugePage);
}

TEST_F(FindGap, IsAligned) {
  make_hole(2 * kHugePage + kPage, 2 * kHugePage);
  EXPECT_EQ(find(0, kHugePage), 3 * kHugePage);
  EXPECT_EQ(find(0, kHugePage + kPage), 3 * kHugePage);
  EXPECT_EQ(find(0, kHugePage + 2 * kPage), std::nullopt);
  EXPECT_EQ(find(0, kPage, kPage), 2 * kHugePage + kPage);
  EXPECT_EQ(find(0, 2 * kHugePage, kPage), 2 * kHugePage + kPage);
}

TEST_F(FindGap, MayBeAsLargeAsTheRoomBetweenTwoMappings) {
  make_hole(kHugePage, 14 * kHugePage);
  EXPECT_EQ(find(0, 14 * kHugePage), kHugePage);
  EXPECT_EQ(find(0, 14 * kHugePage + 1), std::nullopt);
}

TEST_F(FindGap, SeesNamesLongerThanALine) {
  const support::TempDir directory;
  std::string path = directory.path();
  for (int i = 0; i < 5; ++i) {
    path += "/" + std::string(200, 'n');
    ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  }
  // A name with what looks like the beginning of a line in it.
  path += "/0-1\n" + std::string(100, 'f');
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0) << std::strerror(errno);
  ASSERT_EQ(::ftruncate(fd, kPage), 0);
  make_hole(2 * kHugePage, 2 * kHugePage);
  ASSERT_NE(::mmap(pointer(begin_ + 2 * kHugePage), kPage, PROT_READ,
                   MAP_SHARED | MAP_FIXED, fd, 0),
            MAP_FAILED);
  ::close(fd);
  EXPECT_EQ(find(0, kHugePage), 3 * kHugePage);
}

TEST_F(FindGap, IsNotWhereItWouldWrap) {
  constexpr auto kMax = std::numeric_limits<std::uintptr_t>::max();
  EXPECT_FALSE(find_gap(kMax, kPage, kHugePage));
  EXPECT_FALSE(find_gap(kMax - kHugePage + 1, kPage, kHugePage));
  EXPECT_FALSE(find_gap(0, kMax, kPage));
  EXPECT_FALSE(find_gap(begin_, kMax - begin_, kHugePage));
}

TEST_F(FindGap, CanBeMapped) {
  make_hole(3 * kHugePage, 2 * kHugePage);
  const std::optional<std::uintptr_t> gap =
      find_gap(begin_, 2 * kHugePage, kHugePage);
  ASSERT_EQ(gap, begin_ + 3 * kHugePage);
  EXPECT_EQ(::mmap(pointer(*gap), 2 * kHugePage, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
            pointer(*gap));
  EXPECT_EQ(find(0, kHugePage), std::nullopt);
}

}  // namespace
}  // namespace pmem
