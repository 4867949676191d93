// The defects of the original libpmem 1.12, one by one: each
// DefectNBeatsTheOriginal test passes on ours and fails on the distribution's
// library, for the reason that its name tells. (Defect 1, which needs nothing
// interposed, is in c_api_device_dax_test.cc.) The other tests here are rules
// that both keep.
//
// Neither needs persistent memory. support/interposed_calls.h makes the kernel
// take MAP_SYNC for any file, so that files here are persistent memory to the
// library; a Device DAX is made of /dev/zero, a fake sysfs and, for the
// original, a fake libndctl.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <libpmem.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/child_process.h"
#include "support/fake_dax_node.h"
#include "support/fake_ndctl.h"
#include "support/fake_sysfs.h"
#include "support/interposed_calls.h"
#include "support/library_under_test.h"
#include "support/mount_over_sys.h"
#include "support/row_name.h"
#include "support/temp_dir.h"

namespace {

using support::AddressRange;
using support::interposed_calls;
using support::TempDir;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLength = 4 * kPage;
constexpr int kCreate = PMEM_FILE_CREATE;

// Before any test: what the caller's shell forces is not what is tested.
[[maybe_unused]] const int kUnforced = ::unsetenv("PMEM_IS_PMEM_FORCE");

TEST(LibraryOfTheDefects, IsTheOneUnderTest) {
  support::expect_library_under_test(PMEM_LIBRARY_FILE);
}

std::uintptr_t number(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

// Files that the library takes for persistent memory.
class PmemFile : public ::testing::Test {
 protected:
  void SetUp() override { interposed_calls().accepts_map_sync = true; }

  std::byte* map(const std::string& name, std::size_t length = kLength) {
    const std::string path = directory_ / name;
    int is_pmem = -1;
    void* address =
        ::pmem_map_file(path.c_str(), length, kCreate, 0600, nullptr, &is_pmem);
    EXPECT_NE(address, nullptr) << ::pmem_errormsg();
    EXPECT_EQ(is_pmem, 1);
    return static_cast<std::byte*>(address);
  }

  // Maps a file at an address where the kernel has room.
  std::byte* map_at(std::byte* address, const std::string& name,
                    std::size_t length = kLength) {
    interposed_calls().steered_bytes = length;
    interposed_calls().steer_to = address;
    return map(name, length);
  }

  // Maps behind the library's back, over whatever is there.
  void map_raw(const std::string& name, std::byte* address, std::size_t length,
               std::size_t offset) {
    const int fd =
        ::open((directory_ / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(::ftruncate(fd, static_cast<off_t>(16 * kPage)), 0);
    ASSERT_EQ(::mmap(address, length, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(offset)),
              address);
    ::close(fd);
  }

  support::InterposedScope scope_;
  TempDir directory_;
};

void map_anonymous(std::byte* address, std::size_t length) {
  ASSERT_EQ(::mmap(address, length, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
            address);
}

// Rules of the registry that both libraries keep.

TEST_F(PmemFile, IsPmemToTheByte) {
  std::byte* address = map("file", 5000);
  EXPECT_EQ(::pmem_is_pmem(address, 5000), 1);
  EXPECT_EQ(::pmem_is_pmem(address + 4999, 1), 1);
  EXPECT_EQ(::pmem_is_pmem(address, 5001), 0);
  EXPECT_EQ(::pmem_is_pmem(address, 8192), 0);
  EXPECT_EQ(::pmem_is_pmem(address + 5000, 1), 0);
  EXPECT_EQ(::pmem_is_pmem(address - 1, 2), 0);
  EXPECT_EQ(::pmem_is_pmem(address, 0), 0);
  EXPECT_EQ(::pmem_is_pmem(address, SIZE_MAX), 0);
  EXPECT_EQ(::pmem_unmap(address, 5000), 0);
  EXPECT_EQ(::pmem_is_pmem(address, 1), 0);
}

TEST_F(PmemFile, StaysPmemWhenAnotherDescriptorOrNameGoes) {
  std::byte* address = map("file");
  ASSERT_EQ(::unlink((directory_ / "file").c_str()), 0);
  EXPECT_EQ(::pmem_is_pmem(address, kLength), 1);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

TEST_F(PmemFile, StaysPmemInPiecesOfDifferentProtection) {
  std::byte* address = map("file");
  ASSERT_EQ(::mprotect(address + kPage, kPage, PROT_READ), 0);
  ASSERT_EQ(::mprotect(address + 2 * kPage, kPage, PROT_NONE), 0);
  EXPECT_EQ(::pmem_is_pmem(address, kLength), 1);
  EXPECT_EQ(::pmem_is_pmem(address + kPage + 5, 2 * kPage), 1);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

TEST_F(PmemFile, StaysPmemInAChild) {
  std::byte* address = map("file");
  support::in_child([&] {
    EXPECT_EQ(::pmem_is_pmem(address, kLength), 1);
    EXPECT_EQ(::pmem_unmap(address, kLength), 0);
    EXPECT_EQ(::pmem_is_pmem(address, 1), 0);
  });
  EXPECT_EQ(::pmem_is_pmem(address, kLength), 1);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

TEST_F(PmemFile, KeepsTheRestAfterAPartWasUnmapped) {
  std::byte* address = map("file", 5 * kPage + 1);
  EXPECT_EQ(::pmem_unmap(address + kPage, kPage), 0);
  EXPECT_EQ(::pmem_is_pmem(address, kPage), 1);
  EXPECT_EQ(::pmem_is_pmem(address, kPage + 1), 0);
  EXPECT_EQ(::pmem_is_pmem(address + kPage, 1), 0);
  EXPECT_EQ(::pmem_is_pmem(address + 2 * kPage, 3 * kPage + 1), 1);
  EXPECT_EQ(::pmem_is_pmem(address + 2 * kPage, 3 * kPage + 2), 0);
  EXPECT_EQ(::pmem_unmap(address, 6 * kPage), 0);
  EXPECT_EQ(::pmem_is_pmem(address + 2 * kPage, 1), 0);
}

// An aligned address with nothing mapped at it and behind it.
std::byte* find_room(std::size_t length) {
  void* const room = ::mmap(nullptr, length + kHugePage, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(room, MAP_FAILED);
  EXPECT_EQ(::munmap(room, length + kHugePage), 0);
  auto* const begin = static_cast<std::byte*>(room);
  return begin + (kHugePage - number(begin) % kHugePage) % kHugePage;
}

TEST_F(PmemFile, IsTheSameAcrossMappingsThatTouch) {
  std::byte* const lower = find_room(4 * kHugePage);
  std::byte* const upper = lower + kHugePage;
  ASSERT_EQ(map_at(lower, "lower", kHugePage), lower);
  ASSERT_EQ(map_at(upper, "upper"), upper);
  EXPECT_EQ(::pmem_is_pmem(lower, kHugePage + kLength), 1);
  EXPECT_EQ(::pmem_is_pmem(upper - 1, 2), 1);
  EXPECT_EQ(::pmem_is_pmem(lower, kHugePage + kLength + 1), 0);
  EXPECT_EQ(::pmem_unmap(lower, kHugePage + kLength), 0);
  EXPECT_EQ(::pmem_is_pmem(lower, 1), 0);
  EXPECT_EQ(::pmem_is_pmem(upper, 1), 0);
}

// 2. A temporary file is made by O_TMPFILE: with the mode that was asked for,
// without a change of the process's umask, and linked in later unless EXCL
// forbids it. The open file is seen just before it gets its blocks.

class TemporaryFile : public ::testing::Test {
 protected:
  void map(int flags, mode_t mode) {
    interposed_calls().umask_calls = 0;
    interposed_calls().before_fallocate = [this](int fd) {
      ASSERT_EQ(::fstat(fd, &status_), 0);
      const std::string open_file = "/proc/self/fd/" + std::to_string(fd);
      link_status_ =
          ::linkat(AT_FDCWD, open_file.c_str(), AT_FDCWD,
                   (directory_ / "linked").c_str(), AT_SYMLINK_FOLLOW);
      link_error_ = errno;
    };
    void* address = ::pmem_map_file(directory_.path().c_str(), kLength,
                                    kCreate | PMEM_FILE_TMPFILE | flags, mode,
                                    nullptr, nullptr);
    interposed_calls().before_fallocate = nullptr;
    ASSERT_NE(address, nullptr) << ::pmem_errormsg();
    EXPECT_EQ(::pmem_unmap(address, kLength), 0);
  }

  support::InterposedScope scope_;
  TempDir directory_;
  struct stat status_ = {};
  int link_status_ = -2;
  int link_error_ = 0;
};

using Defect2BeatsTheOriginal = TemporaryFile;

TEST_F(Defect2BeatsTheOriginal, HasTheModeThatWasAskedFor) {
  const mode_t old_mask = ::umask(022);
  map(0, 0664);
  ::umask(old_mask);
  EXPECT_EQ(status_.st_mode & 07777, 0644U);
}

TEST_F(Defect2BeatsTheOriginal, LeavesTheUmaskOfOtherThreadsAlone) {
  map(0, 0600);
  EXPECT_EQ(interposed_calls().umask_calls, 0);
}

TEST_F(Defect2BeatsTheOriginal, MayGetANameLater) {
  map(0, 0600);
  EXPECT_EQ(link_status_, 0) << std::strerror(link_error_);
}

TEST_F(TemporaryFile, MayGetNoNameWhenExclusive) {
  map(PMEM_FILE_EXCL, 0600);
  EXPECT_EQ(link_status_, -1);
  EXPECT_EQ(link_error_, ENOENT);
}

// 3. A pmem_unmap that fails changes nothing.

using Defect3BeatsTheOriginal = PmemFile;

TEST_F(PmemFile, KeepsTheRangeOfAMisalignedUnmap) {
  std::byte* address = map("file");
  EXPECT_EQ(::pmem_unmap(address + 8, kPage), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::pmem_is_pmem(address, kLength), 1);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

TEST_F(Defect3BeatsTheOriginal, KeepsTheRangeOfAnUnmapBeyondTheAddressSpace) {
  std::byte* address = map("file");
  EXPECT_EQ(::pmem_unmap(address, std::size_t{1} << 47), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::pmem_is_pmem(address, kLength), 1);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

// 4. What was unmapped, or mapped over, behind the library's back is no
// persistent memory any more, and is in nobody's way.

using Defect4BeatsTheOriginal = PmemFile;

TEST_F(Defect4BeatsTheOriginal, ForgetsARangeThatWasUnmappedRaw) {
  std::byte* address = map("file");
  ASSERT_EQ(::munmap(address, kLength), 0);
  EXPECT_EQ(::pmem_is_pmem(address, kLength), 0);
  EXPECT_EQ(::pmem_is_pmem(address + kPage + 5, 1), 0);
}

TEST_F(Defect4BeatsTheOriginal, KeepsWhatWasNotUnmapped) {
  std::byte* address = map("file", 3 * kPage + 10);
  ASSERT_EQ(::munmap(address + kPage, kPage), 0);
  EXPECT_EQ(::pmem_is_pmem(address, kPage), 1);
  EXPECT_EQ(::pmem_is_pmem(address, kPage + 1), 0);
  EXPECT_EQ(::pmem_is_pmem(address + kPage, 1), 0);
  EXPECT_EQ(::pmem_is_pmem(address + 2 * kPage - 1, 2), 0);
  EXPECT_EQ(::pmem_is_pmem(address + 2 * kPage, kPage + 10), 1);
  EXPECT_EQ(::pmem_is_pmem(address + 2 * kPage, kPage + 11), 0);
  EXPECT_EQ(::pmem_is_pmem(address, 3 * kPage + 10), 0);
  EXPECT_EQ(::pmem_unmap(address, 4 * kPage), 0);
}

TEST_F(Defect4BeatsTheOriginal, IsNotAnAnonymousMappingAtTheSameAddresses) {
  std::byte* address = map("file");
  map_anonymous(address, kLength);
  EXPECT_EQ(::pmem_is_pmem(address, kLength), 0);
  EXPECT_EQ(::pmem_is_pmem(address + kLength - 1, 1), 0);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

TEST_F(Defect4BeatsTheOriginal, IsNotAnotherFileAtTheSameAddresses) {
  std::byte* address = map("file");
  map_raw("other", address, kLength, 0);
  EXPECT_EQ(::pmem_is_pmem(address, kLength), 0);
  EXPECT_EQ(::pmem_is_pmem(address + kPage, 1), 0);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

TEST_F(Defect4BeatsTheOriginal, IsNotAPrivateMappingOfTheSameFile) {
  std::byte* address = map("file");
  const int fd = ::open((directory_ / "file").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::mmap(address, kLength, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_FIXED, fd, 0),
            address);
  ::close(fd);
  EXPECT_EQ(::pmem_is_pmem(address, kLength), 0);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

TEST_F(Defect4BeatsTheOriginal, IsNotTheSameFileAtAnotherOffset) {
  std::byte* address = map("file");
  map_raw("file", address, kLength, 4 * kPage);
  EXPECT_EQ(::pmem_is_pmem(address, kLength), 0);
  EXPECT_EQ(::pmem_is_pmem(address + kPage, kPage), 0);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

TEST_F(Defect4BeatsTheOriginal, StaysWhereAPartWasMappedOver) {
  std::byte* address = map("file", 6 * kPage);
  map_raw("other", address + kPage, kPage, 0);
  map_raw("file", address + 3 * kPage, kPage, 7 * kPage);
  EXPECT_EQ(::pmem_is_pmem(address, 6 * kPage), 0);
  const std::array<int, 6> expected = {1, 0, 1, 0, 1, 1};
  for (std::size_t page = 0; page < expected.size(); ++page) {
    EXPECT_EQ(::pmem_is_pmem(address + page * kPage + 7, 100), expected[page])
        << page;
  }
  EXPECT_EQ(::pmem_is_pmem(address + 4 * kPage, 2 * kPage), 1);
  EXPECT_EQ(::pmem_is_pmem(address + 3 * kPage, 2 * kPage), 0);
  EXPECT_EQ(::pmem_unmap(address, 6 * kPage), 0);
}

TEST_F(Defect4BeatsTheOriginal, IsRightAfterAPartWasUnmappedByTheLibraryToo) {
  std::byte* address = map("file", 6 * kPage);
  ASSERT_EQ(::pmem_unmap(address + kPage, kPage), 0);
  // What is behind the hole is still known by its place in the file.
  EXPECT_EQ(::pmem_is_pmem(address + 2 * kPage, 4 * kPage), 1);
  map_raw("file", address + 3 * kPage, kPage, 0);
  EXPECT_EQ(::pmem_is_pmem(address + 2 * kPage, kPage), 1);
  EXPECT_EQ(::pmem_is_pmem(address + 3 * kPage, kPage), 0);
  EXPECT_EQ(::pmem_is_pmem(address + 4 * kPage, 2 * kPage), 1);
  EXPECT_EQ(::pmem_unmap(address, 6 * kPage), 0);
}

TEST_F(Defect4BeatsTheOriginal, MapsAtTheAddressesOfADeadRange) {
  std::byte* address = map("file");
  ASSERT_EQ(::munmap(address, kLength), 0);
  ASSERT_EQ(map_at(address, "other"), address);
  EXPECT_EQ(::pmem_is_pmem(address, kLength), 1);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
  EXPECT_EQ(::pmem_is_pmem(address, 1), 0);
}

TEST_F(Defect4BeatsTheOriginal, MapsLessAtTheAddressesOfADeadRange) {
  std::byte* address = map("file", 8 * kPage);
  ASSERT_EQ(::munmap(address, 8 * kPage), 0);
  ASSERT_EQ(map_at(address, "other", 5000), address);
  EXPECT_EQ(::pmem_is_pmem(address, 5000), 1);
  EXPECT_EQ(::pmem_is_pmem(address, 5001), 0);
  EXPECT_EQ(::pmem_is_pmem(address + 2 * kPage, kPage), 0);
  EXPECT_EQ(::pmem_unmap(address, 5000), 0);
}

// Each thread's file is mapped over by anonymous memory, and then unmapped, so
// that another thread's may come there next.
void map_and_let_die(const std::string& path, std::atomic<int>& wrong) {
  const auto expect = [&](bool condition) { wrong += condition ? 0 : 1; };
  for (int round = 0; round < 100; ++round) {
    int is_pmem = -1;
    auto* address = static_cast<std::byte*>(::pmem_map_file(
        path.c_str(), kLength, kCreate, 0600, nullptr, &is_pmem));
    expect(address != nullptr && is_pmem == 1);
    if (address == nullptr) {
      continue;
    }
    expect(::pmem_is_pmem(address, kLength) == 1);
    void* over = ::mmap(address + kPage, kPage, PROT_READ,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    expect(over == address + kPage);
    expect(::pmem_is_pmem(address, kPage) == 1);
    expect(::pmem_is_pmem(address + kPage, kPage) == 0);
    expect(::pmem_is_pmem(address, kLength) == 0);
    expect(::pmem_is_pmem(address + 2 * kPage, 2 * kPage) == 1);
    expect(::munmap(address, kLength) == 0);
  }
}

TEST_F(Defect4BeatsTheOriginal, InSixteenThreads) {
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  threads.reserve(16);
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([this, i, &wrong] {
      map_and_let_die(directory_ / std::to_string(i), wrong);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(Defect4BeatsTheOriginal, InParentAndChildThatUnmapDifferentThings) {
  std::byte* first = map("first");
  std::byte* second = map("second");
  EXPECT_EQ(::pmem_is_pmem(first, kLength), 1);
  support::in_child([&] {
    ASSERT_EQ(::munmap(first, kLength), 0);
    EXPECT_EQ(::pmem_is_pmem(first, 1), 0);
    EXPECT_EQ(::pmem_is_pmem(second, kLength), 1);
    support::in_child([&] {
      ASSERT_EQ(::munmap(second, kLength), 0);
      EXPECT_EQ(::pmem_is_pmem(second, 1), 0);
    });
    EXPECT_EQ(::pmem_is_pmem(second, kLength), 1);
  });
  ASSERT_EQ(::munmap(second, kLength), 0);
  EXPECT_EQ(::pmem_is_pmem(first, kLength), 1);
  EXPECT_EQ(::pmem_is_pmem(second, 1), 0);
  EXPECT_EQ(::pmem_unmap(first, kLength), 0);
}

// As daemons do: they close what they find, and then open files of their own.
TEST_F(Defect4BeatsTheOriginal, AfterAllDescriptorsWereClosedAndReused) {
  std::byte* alive = map("alive");
  std::byte* dead = map("dead");
  ASSERT_EQ(::munmap(dead, kLength), 0);
  support::in_child([&] {
    EXPECT_EQ(::pmem_is_pmem(alive, kLength), 1);
    ASSERT_EQ(::close_range(3, ~0U, 0), 0) << std::strerror(errno);
    EXPECT_EQ(::pmem_is_pmem(alive, kLength), 1);
    EXPECT_EQ(::pmem_is_pmem(dead, kLength), 0);

    ASSERT_EQ(::close_range(3, ~0U, 0), 0) << std::strerror(errno);
    std::array<int, 30> own = {};
    for (int& fd : own) {
      fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
      ASSERT_GE(fd, 0);
    }
    EXPECT_EQ(::pmem_is_pmem(alive, kLength), 1);
    EXPECT_EQ(::pmem_is_pmem(dead, kLength), 0);
    for (const int fd : own) {
      EXPECT_EQ(::write(fd, "x", 1), 1) << "a descriptor of ours is gone";
    }
  });
  EXPECT_EQ(::pmem_unmap(alive, kLength), 0);
}

// The library must not take the answer of somebody else's file for its own: it
// keeps its descriptor at a number that few programs reach.
TEST_F(Defect4BeatsTheOriginal, AfterTheMapsOfAnotherProcessWereOpened) {
  std::byte* dead = map("dead");
  std::array<int, 2> stop = {};
  ASSERT_EQ(::pipe2(stop.data(), O_CLOEXEC), 0);
  const pid_t other = ::fork();  // has the mapping, and keeps it
  ASSERT_GE(other, 0);
  if (other == 0) {
    char end = 0;
    ::close(stop[1]);
    ::_exit(::read(stop[0], &end, 1) < 0 ? 1 : 0);
  }
  ASSERT_EQ(::munmap(dead, kLength), 0);
  support::in_child([&] {
    EXPECT_EQ(::pmem_is_pmem(dead, kLength), 0);
    const std::string maps = "/proc/" + std::to_string(other) + "/maps";
    ASSERT_EQ(::close_range(3, ~0U, 0), 0) << std::strerror(errno);
    for (int i = 0; i < 30; ++i) {
      ASSERT_GE(::open(maps.c_str(), O_RDONLY | O_CLOEXEC), 0);
    }
    EXPECT_EQ(::pmem_is_pmem(dead, kLength), 0);
  });
  ::close(stop[0]);
  ::close(stop[1]);
  ASSERT_EQ(::waitpid(other, nullptr, 0), other);
}

TEST_F(Defect4BeatsTheOriginal, WithoutDescriptorsToOpen) {
  std::byte* alive = map("alive");
  std::byte* dead = map("dead");
  ASSERT_EQ(::munmap(dead, kLength), 0);
  support::in_child([&] {
    ASSERT_EQ(::close_range(3, ~0U, 0), 0) << std::strerror(errno);
    while (::open("/dev/null", O_RDWR | O_CLOEXEC) >= 0) {
    }
    ASSERT_EQ(errno, EMFILE);
    EXPECT_EQ(::pmem_is_pmem(alive, kLength), 1);
    EXPECT_EQ(::pmem_is_pmem(dead, kLength), 0);
    EXPECT_EQ(errno, EMFILE);
  });
  EXPECT_EQ(::pmem_unmap(alive, kLength), 0);
}

// Whether /proc was there when the file was mapped, or is not there at all.
struct ProcRow {
  const char* name;
  bool maps_before;
};

class Defect4BeatsTheOriginalWithoutProc
    : public PmemFile,
      public ::testing::WithParamInterface<ProcRow> {
 protected:
  // In a child.
  void hide_proc() {
    support::enter_private_mounts();
    if (!IsSkipped() && !HasFatalFailure()) {
      support::mount_fresh("tmpfs", "/proc");
    }
    // What has been kept open goes as well.
    ASSERT_EQ(::close_range(3, ~0U, 0), 0);
  }
};

TEST_P(Defect4BeatsTheOriginalWithoutProc, SeesWhatIsDead) {
  support::in_child([&] {
    std::byte* alive = nullptr;
    std::byte* dead = nullptr;
    for (const bool hides : {!GetParam().maps_before, GetParam().maps_before}) {
      if (hides) {
        hide_proc();
        if (IsSkipped() || HasFatalFailure()) {
          return;
        }
      }
      if (alive == nullptr) {
        alive = map("alive");
        dead = map("dead");
      }
    }
    EXPECT_EQ(::pmem_is_pmem(alive, kLength), 1);
    EXPECT_EQ(::pmem_is_pmem(dead, kLength), 1);
    ASSERT_EQ(::munmap(dead + kPage, kPage), 0);
    EXPECT_EQ(::pmem_is_pmem(alive, kLength), 1);
    EXPECT_EQ(::pmem_is_pmem(dead, kPage), 1);
    EXPECT_EQ(::pmem_is_pmem(dead + kPage, kPage), 0);
    EXPECT_EQ(::pmem_is_pmem(dead, kLength), 0);
    EXPECT_EQ(::pmem_unmap(alive, kLength), 0);
    EXPECT_EQ(::pmem_is_pmem(alive, 1), 0);
  });
}

INSTANTIATE_TEST_SUITE_P(All, Defect4BeatsTheOriginalWithoutProc,
                         ::testing::Values(ProcRow{"MappedBefore", true},
                                           ProcRow{"MappedAfter", false}),
                         support::RowName());

// 5. The original looks a range up, gives its lock back, and then goes by what
// it found, which another thread may have freed. Here that thread comes at
// once: it unmaps another page of the same mapping, which is its right. The
// memory that this frees is full of zeros, as if it had been allocated anew:
// the original synchronises something else, and fails.

class LockGap : public PmemFile {
 protected:
  // Another thread unmaps the range when the library has given its lock back.
  static void unmap_in_gap(std::byte* address, std::size_t length) {
    support::zero_freed_memory(true);
    interposed_calls().after_unlock = [=] {
      std::thread([=] { EXPECT_EQ(::pmem_unmap(address, length), 0); }).join();
    };
  }

  static bool is_synced(std::byte* address) {
    for (const AddressRange& range : interposed_calls().synced) {
      if (range.begin <= number(address) && number(address) < range.end) {
        return true;
      }
    }
    return false;
  }
};

using Defect5BeatsTheOriginal = LockGap;

TEST_F(Defect5BeatsTheOriginal, DeepDrainSyncsWhileAnotherPageIsUnmapped) {
  std::byte* address = map("file");
  unmap_in_gap(address + 2 * kPage, kPage);
  const int status = ::pmem_deep_drain(address, kPage);
  support::zero_freed_memory(false);
  EXPECT_EQ(status, 0) << ::pmem_errormsg();
  EXPECT_TRUE(is_synced(address));
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

TEST_F(LockGap, DeepDrainFailsWhenItsPagesAreUnmapped) {
  std::byte* address = map("file");
  unmap_in_gap(address, kLength);
  const int status = ::pmem_deep_drain(address, kPage);
  const int error = errno;
  support::zero_freed_memory(false);
  if (interposed_calls().after_unlock) {  // the library needed no such lock
    interposed_calls().after_unlock = nullptr;
    EXPECT_EQ(::pmem_unmap(address, kLength), 0);
    return;
  }
  EXPECT_EQ(status, -1);
  EXPECT_EQ(error, ENOMEM);
}

// Threads at work on one mapping: what is not unmapped is synchronised.
TEST_F(LockGap, DoesNotShowInSixteenThreads) {
  std::byte* address = map("file", 64 * kPage);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  threads.reserve(16);
  for (std::size_t i = 0; i < 16; ++i) {
    // Pages 4i .. 4i+3 are the thread's own. Each unmapping splits the ranges.
    threads.emplace_back([=, &wrong] {
      std::byte* const own = address + 4 * i * kPage;
      for (std::size_t page = 3; page > 0; --page) {
        for (int round = 0; round < 50; ++round) {
          wrong += ::pmem_is_pmem(own, page * kPage) == 1 ? 0 : 1;
        }
        wrong += ::pmem_unmap(own + page * kPage, kPage) == 0 ? 0 : 1;
        wrong += ::pmem_is_pmem(own + page * kPage, 1) == 0 ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(::pmem_deep_drain(address + 4 * i * kPage, kPage), 0);
  }
  EXPECT_EQ(::pmem_unmap(address, 64 * kPage), 0);
}

// On a Device DAX of a region that wants a deep flush.

class PmemDevice : public support::FakeDaxNodeTest {
 protected:
  static constexpr std::size_t kDeviceLength = 4194304;

  void SetUp() override {
    FakeDaxNodeTest::SetUp();
    sysfs_.add_region("region0", "memory_controller");
    sysfs_.add_dax_of_region(kZero, "region0", {});
  }

  // Runs the code in a child, where the device is mapped.
  template <typename Code>
  void with_device(const Code& code) {
    set_back_times();
    support::in_child([&] {
      if (!support::mount_over_sys(sysfs_)) {
        return;
      }
      support::fake_namespace() = support::FakeNamespace{};
      std::size_t length = 0;
      int is_pmem = -1;
      address_ = static_cast<std::byte*>(
          ::pmem_map_file(node_.c_str(), 0, 0, 0, &length, &is_pmem));
      ASSERT_NE(address_, nullptr) << ::pmem_errormsg();
      ASSERT_EQ(length, kDeviceLength);
      ASSERT_EQ(is_pmem, 1);
      interposed_calls().device_dax =
          AddressRange{number(address_), number(address_) + kDeviceLength};
      code();
    });
  }

  void write_deep_flush(const std::string& text) {
    sysfs_.write(
        support::FakeSysfs::region_directory("region0") + "/deep_flush", text);
  }

  [[nodiscard]] std::string deep_flush_path() const {
    return sysfs_.root() + "/" +
           support::FakeSysfs::region_directory("region0") + "/deep_flush";
  }

  // Whether a deep flush was asked for since with_device() began.
  [[nodiscard]] bool was_flushed() const {
    struct stat status = {};
    EXPECT_EQ(::stat(deep_flush_path().c_str(), &status), 0);
    std::ifstream file(deep_flush_path());
    const std::string text(std::istreambuf_iterator<char>(file), {});
    if (status.st_mtim.tv_sec == kLongAgo) {
      return false;
    }
    EXPECT_EQ(text, "1\n");
    return true;
  }

  support::InterposedScope scope_;
  std::byte* address_ = nullptr;

 private:
  static constexpr time_t kLongAgo = 1000;

  void set_back_times() const {
    const std::array<timespec, 2> times = {timespec{kLongAgo, 0},
                                           timespec{kLongAgo, 0}};
    ::utimensat(AT_FDCWD, deep_flush_path().c_str(), times.data(), 0);
  }
};

TEST_F(PmemDevice, IsKnownToTheByte) {
  with_device([&] {
    EXPECT_EQ(::pmem_is_pmem(address_, kDeviceLength), 1);
    EXPECT_EQ(::pmem_is_pmem(address_ + kDeviceLength - 1, 1), 1);
    EXPECT_EQ(::pmem_is_pmem(address_, kDeviceLength + 1), 0);
    EXPECT_EQ(::pmem_is_pmem(address_, 0), 0);
    EXPECT_EQ(::pmem_unmap(address_, kHugePage), 0);
    EXPECT_EQ(::pmem_is_pmem(address_, 1), 0);
    EXPECT_EQ(::pmem_is_pmem(address_ + kHugePage, kHugePage), 1);
  });
}

TEST_F(PmemDevice, IsFlushedDeepWhereItsRegionWantsThat) {
  write_deep_flush("1\n");
  with_device([&] {
    EXPECT_EQ(::pmem_deep_drain(address_ + 5, 100), 0);
    EXPECT_TRUE(was_flushed());
    EXPECT_TRUE(interposed_calls().synced.empty());
  });
}

TEST_F(PmemDevice, IsFlushedDeepByPersist) {
  write_deep_flush("1\n");
  with_device([&] {
    std::memset(address_, 1, kPage);
    EXPECT_EQ(::pmem_deep_persist(address_, kPage), 0);
    EXPECT_TRUE(was_flushed());
  });
}

TEST_F(PmemDevice, IsNotFlushedDeepWhereItsRegionDoesNot) {
  write_deep_flush("0\n");
  with_device([&] {
    EXPECT_EQ(::pmem_deep_persist(address_, kDeviceLength), 0);
    EXPECT_FALSE(was_flushed());
  });
}

TEST_F(PmemDevice, IsNotFlushedDeepForTheLengthZero) {
  write_deep_flush("1\n");
  with_device([&] {
    EXPECT_EQ(::pmem_deep_drain(address_, 0), 0);
    EXPECT_FALSE(was_flushed());
  });
}

TEST_F(PmemDevice, IsFlushedDeepUpToItsEndAndNotBeyond) {
  write_deep_flush("1\n");
  with_device([&] {
    std::byte* end = address_ + kDeviceLength;
    ::munmap(end, kPage);
    EXPECT_EQ(::pmem_deep_drain(end - 10, 10), 0);
    EXPECT_TRUE(was_flushed());
    EXPECT_EQ(::pmem_deep_drain(end - 10, 20), -1);
    EXPECT_EQ(errno, ENOMEM);
  });
}

// 3, again, as it is on a real device: it can be split at 2 MiB only.

using Defect3BeatsTheOriginalOnDeviceDax = PmemDevice;

TEST_F(Defect3BeatsTheOriginalOnDeviceDax, KeepsTheRangeOfAMisalignedUnmap) {
  with_device([&] {
    EXPECT_EQ(::pmem_unmap(address_, kPage), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(::pmem_is_pmem(address_, kDeviceLength), 1);
    EXPECT_EQ(::pmem_unmap(address_ + kHugePage, kHugePage), 0);
    EXPECT_EQ(::pmem_is_pmem(address_, kHugePage), 1);
    EXPECT_EQ(::pmem_is_pmem(address_, kHugePage + 1), 0);
  });
}

// 4, again: what took the device's addresses is not taken for the device.

using Defect4BeatsTheOriginalOnDeviceDax = PmemDevice;

TEST_F(Defect4BeatsTheOriginalOnDeviceDax, SyncsAFileAtTheAddressesOfADevice) {
  write_deep_flush("1\n");
  with_device([&] {
    interposed_calls().device_dax.reset();
    const std::string path = directory_ / "file";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(::ftruncate(fd, kDeviceLength), 0);
    ASSERT_EQ(::mmap(address_, kDeviceLength, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_FIXED, fd, 0),
              address_);
    EXPECT_EQ(::pmem_is_pmem(address_, kPage), 0);
    EXPECT_EQ(::pmem_msync(address_, kPage), 0);
    EXPECT_EQ(interposed_calls().synced.size(), 1U) << "msync was left out";
    interposed_calls().synced.clear();
    EXPECT_EQ(::pmem_deep_drain(address_, kPage), 0);
    EXPECT_EQ(interposed_calls().synced.size(), 1U) << "msync was left out";
  });
}

TEST_F(Defect4BeatsTheOriginalOnDeviceDax, RefusesToSyncADeadDevice) {
  with_device([&] {
    interposed_calls().device_dax.reset();
    ASSERT_EQ(::munmap(address_, kDeviceLength), 0);
    EXPECT_EQ(::pmem_is_pmem(address_, kPage), 0);
    EXPECT_EQ(::pmem_msync(address_, kPage), -1);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_EQ(::pmem_deep_drain(address_, kPage), -1);
    EXPECT_EQ(errno, ENOMEM);
  });
}

// 6. pmem_msync has no effect on a Device DAX, says the man page: it succeeds.

using Defect6BeatsTheOriginal = PmemDevice;

TEST_F(Defect6BeatsTheOriginal, MsyncSucceedsOnDeviceDax) {
  with_device([&] {
    for (const auto& [offset, length] :
         {std::pair<std::size_t, std::size_t>{0, kDeviceLength},
          {5, 100},
          {kPage, kPage},
          {kDeviceLength - 1, 1}}) {
      EXPECT_EQ(::pmem_msync(address_ + offset, length), 0)
          << offset << " " << length << ": " << ::pmem_errormsg();
    }
    EXPECT_TRUE(interposed_calls().synced.empty());
  });
}

TEST_F(Defect6BeatsTheOriginal, MsyncStillSyncsWhatIsBesideTheDevice) {
  with_device([&] {
    std::byte* end = address_ + kDeviceLength;
    map_anonymous(end, kPage);
    EXPECT_EQ(::pmem_msync(end - 100, 200), 0) << ::pmem_errormsg();
    const std::vector<AddressRange> expected = {
        {number(end), number(end) + 100}};
    EXPECT_EQ(interposed_calls().synced, expected);
    ASSERT_EQ(::munmap(end, kPage), 0);
    EXPECT_EQ(::pmem_msync(end - 100, 200), -1);
    EXPECT_EQ(errno, ENOMEM);
  });
}

// 7. A deep flush that could not be asked for is no success.

using Defect7BeatsTheOriginal = PmemDevice;

TEST_F(Defect7BeatsTheOriginal, DeepPersistFailsWhereDeepFlushIsUnreadable) {
  sysfs_.make_directory(support::FakeSysfs::region_directory("region0") +
                        "/deep_flush");
  with_device([&] {
    EXPECT_EQ(::pmem_deep_persist(address_, 64), -1);
    EXPECT_EQ(errno, EISDIR);
    EXPECT_NE(std::strstr(::pmem_errormsg(), "deep_flush"), nullptr)
        << ::pmem_errormsg();
    EXPECT_EQ(::pmem_deep_drain(address_, 64), -1);
    EXPECT_EQ(errno, EISDIR);
  });
}

TEST_F(Defect7BeatsTheOriginal, DeepPersistFailsForAUserWhoMayNotFlush) {
  write_deep_flush("1\n");
  ASSERT_EQ(::chmod(deep_flush_path().c_str(), 0644), 0);
  ASSERT_EQ(::chmod(sysfs_.root().c_str(), 0755), 0);
  with_device([&] {
    constexpr uid_t kNobody = 65534;
    ASSERT_EQ(::setresgid(kNobody, kNobody, kNobody), 0);
    ASSERT_EQ(::setresuid(kNobody, kNobody, kNobody), 0);
    EXPECT_EQ(::pmem_deep_persist(address_, 64), -1);
    EXPECT_EQ(errno, EACCES);
    EXPECT_NE(std::strstr(::pmem_errormsg(), "deep_flush"), nullptr)
        << ::pmem_errormsg();
  });
}

TEST_F(Defect7BeatsTheOriginal, DeepDrainFailsForAUserWhoMayNotEvenLook) {
  write_deep_flush("1\n");
  ASSERT_EQ(::chmod(deep_flush_path().c_str(), 0200), 0);
  ASSERT_EQ(::chmod(sysfs_.root().c_str(), 0755), 0);
  with_device([&] {
    constexpr uid_t kNobody = 65534;
    ASSERT_EQ(::setresuid(kNobody, kNobody, kNobody), 0);
    EXPECT_EQ(::pmem_deep_drain(address_, 64), -1);
    EXPECT_EQ(errno, EACCES);
  });
}

// 8. Each failure has its own message.

TEST(Defect8BeatsTheOriginal, TellsWhyACharacterDeviceIsRefused) {
  ASSERT_EQ(::pmem_map_file("/nonexistent", 0, 0, 0, nullptr, nullptr),
            nullptr);
  ASSERT_EQ(::pmem_map_file("/dev/null", 0, 0, 0, nullptr, nullptr), nullptr);
  EXPECT_EQ(errno, EINVAL);
  const std::string message = ::pmem_errormsg();
  EXPECT_EQ(message.find("/nonexistent"), std::string::npos) << message;
  EXPECT_NE(message.find("/dev/null"), std::string::npos) << message;
}

// 9. The original finds an address by mapping something there, unmaps it, and
// maps the file with that address as a mere hint. Here another thread takes a
// page of whatever range has just been given back.

class Defect9BeatsTheOriginal : public ::testing::Test {
 protected:
  void SetUp() override {
    interposed_calls().after_munmap = [this](std::byte* begin,
                                             std::size_t length) {
      // Of a range of a mapping's size, the page at the lowest aligned address
      // that a mapping could have.
      const std::uintptr_t first =
          (number(begin) + kHugePage - 1) / kHugePage * kHugePage;
      const std::uintptr_t end = number(begin) + length;
      const std::uintptr_t page = first < end ? first : number(begin);
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      void* const taken =
          ::mmap(reinterpret_cast<void*>(page), kPage, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
      if (taken != MAP_FAILED) {
        taken_.push_back(taken);
      }
    };
  }

  void TearDown() override {
    interposed_calls().after_munmap = nullptr;
    for (void* page : taken_) {
      ::munmap(page, kPage);
    }
  }

  support::InterposedScope scope_;
  TempDir directory_;
  std::vector<void*> taken_;
};

// Short enough that the kernel itself has no reason to align it.
TEST_F(Defect9BeatsTheOriginal, AlignsWhenAnotherThreadTakesAPage) {
  taken_.reserve(100);
  for (int i = 0; i < 8; ++i) {
    const std::string path = directory_ / std::to_string(i);
    void* address = ::pmem_map_file(path.c_str(), 5 * kPage, kCreate, 0600,
                                    nullptr, nullptr);
    ASSERT_NE(address, nullptr) << ::pmem_errormsg();
    EXPECT_EQ(number(address) % kHugePage, 0U) << address;
  }
}

// Synchronising files: what is asked of the kernel.

class Synchronising : public PmemFile {
 protected:
  // The file is mapped with MAP_SYNC or without.
  std::byte* map_file(bool is_pmem) {
    interposed_calls().accepts_map_sync = is_pmem;
    auto* address = static_cast<std::byte*>(
        ::pmem_map_file((directory_ / "file").c_str(), kLength, kCreate, 0600,
                        nullptr, nullptr));
    EXPECT_NE(address, nullptr) << ::pmem_errormsg();
    return address;
  }
};

struct SyncRow {
  const char* name;
  bool is_pmem;
  int (*function)(const void*, std::size_t);
};

class SynchronisingBy : public Synchronising,
                        public ::testing::WithParamInterface<SyncRow> {};

TEST_P(SynchronisingBy, CoversTheRangeFromItsPageOn) {
  const SyncRow& row = GetParam();
  std::byte* address = map_file(row.is_pmem);
  const std::uintptr_t begin = number(address);
  for (const auto& [offset, length, first, end] :
       {std::array<std::size_t, 4>{0, kLength, 0, kLength},
        {0, 1, 0, 1},
        {5, 100, 0, 105},
        {4095, 2, 0, 4097},
        {4096, 4096, 4096, 8192},
        {5000, 8000, 4096, 13000},
        {kLength - 1, 1, kLength - kPage, kLength}}) {
    interposed_calls().synced.clear();
    EXPECT_EQ(row.function(address + offset, length), 0) << ::pmem_errormsg();
    const std::vector<AddressRange> expected = {{begin + first, begin + end}};
    EXPECT_EQ(interposed_calls().synced, expected) << offset << " " << length;
  }
  EXPECT_EQ(row.function(address, 0), 0);
  EXPECT_EQ(row.function(address + 5, 0), 0);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

TEST_P(SynchronisingBy, IsEnomemWhereAPartIsNotMapped) {
  const SyncRow& row = GetParam();
  std::byte* address = map_file(row.is_pmem);
  ASSERT_EQ(::pmem_unmap(address + 2 * kPage, kPage), 0);
  EXPECT_EQ(row.function(address, kPage + 10), 0);
  EXPECT_EQ(row.function(address + 3 * kPage, 10), 0);
  errno = 0;
  EXPECT_EQ(row.function(address + kPage, kPage + 1), -1);
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_STRNE(::pmem_errormsg(), "");
  EXPECT_EQ(row.function(address, kLength), -1);
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_EQ(::pmem_unmap(address, kLength), 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, SynchronisingBy,
    ::testing::Values(SyncRow{"MsyncOfAPlainFile", false, ::pmem_msync},
                      SyncRow{"MsyncOfAPmemFile", true, ::pmem_msync},
                      SyncRow{"DeepDrainOfAPlainFile", false,
                              ::pmem_deep_drain},
                      SyncRow{"DeepDrainOfAPmemFile", true, ::pmem_deep_drain}),
    support::RowName());

TEST_F(Synchronising, DeepPersistFlushesAndSyncs) {
  for (const bool is_pmem : {false, true}) {
    std::byte* address = map_file(is_pmem);
    std::memset(address, 1, kLength);
    interposed_calls().synced.clear();
    EXPECT_EQ(::pmem_deep_persist(address + 100, 8000), 0);
    const std::vector<AddressRange> expected = {
        {number(address), number(address) + 8100}};
    EXPECT_EQ(interposed_calls().synced, expected);
    EXPECT_EQ(::pmem_deep_persist(address, 0), 0);
    EXPECT_EQ(::pmem_unmap(address, kLength), 0);
  }
}

TEST_F(Synchronising, MemoryWithoutAFileIsAsMsyncSees) {
  std::array<std::byte, 2 * kPage> memory = {};
  EXPECT_EQ(::pmem_deep_drain(memory.data(), memory.size()), 0);
  EXPECT_EQ(::pmem_msync(memory.data() + 1, 100), 0);
}

}  // namespace
