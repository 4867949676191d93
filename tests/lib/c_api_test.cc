// The C interface beside pmem_map_file: versions, messages, unmapping, msync,
// PMEM_IS_PMEM_FORCE.
//
// These tests also run against the distribution's libpmem, except those whose
// name has BeatsTheOriginal in it.
#include <gtest/gtest.h>
#include <libpmem.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <thread>

#include "support/library_under_test.h"
#include "support/row_name.h"
#include "support/sanitizers.h"
#include "support/temp_dir.h"

namespace {

using support::TempDir;

constexpr std::size_t kPage = 4096;

// Before any test: what the caller's shell forces is not what is tested.
const int kUnforced = ::unsetenv("PMEM_IS_PMEM_FORCE");

// The tests name the library they mean; the loader might have found another.
TEST(Library, IsTheOneUnderTest) {
  ASSERT_EQ(kUnforced, 0);
  support::expect_library_under_test(PMEM_LIBRARY_FILE);
}

struct VersionRow {
  const char* name;
  unsigned major;
  unsigned minor;
  const char* expected;  // null: served
};

class CheckVersion : public ::testing::TestWithParam<VersionRow> {};

TEST_P(CheckVersion, ServesItsMajorUpToItsMinor) {
  const VersionRow& row = GetParam();
  const char* message = ::pmem_check_version(row.major, row.minor);
  EXPECT_STREQ(message, row.expected);
  if (row.expected != nullptr) {
    EXPECT_STREQ(::pmem_errormsg(), row.expected);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, CheckVersion,
    ::testing::Values(
        VersionRow{"Own", PMEM_MAJOR_VERSION, PMEM_MINOR_VERSION, nullptr},
        VersionRow{"OlderMinor", 1, 0, nullptr},
        VersionRow{"NewerMinor", 1, 2,
                   "libpmem minor version mismatch (need 2, found 1)"},
        VersionRow{"NewerMajor", 2, 0,
                   "libpmem major version mismatch (need 2, found 1)"},
        VersionRow{"OlderMajor", 0, 1,
                   "libpmem major version mismatch (need 0, found 1)"},
        VersionRow{"MajorBeforeMinor", 3, 9,
                   "libpmem major version mismatch (need 3, found 1)"},
        VersionRow{
            "LargestMinor", 1, 4294967295U,
            "libpmem minor version mismatch (need 4294967295, found 1)"}),
    support::RowName());

// Messages.

std::string message_of_fresh_thread() {
  std::string message = "?";
  std::thread([&] { message = ::pmem_errormsg(); }).join();
  return message;
}

void fail_for(const char* path) {
  ASSERT_EQ(::pmem_map_file(path, 0, 0, 0, nullptr, nullptr), nullptr);
}

TEST(ErrorMessage, IsEmptyAtFirst) { EXPECT_EQ(message_of_fresh_thread(), ""); }

TEST(ErrorMessage, NamesThePathAndTheReason) {
  fail_for("/nonexistent/some-name");
  const std::string message = ::pmem_errormsg();
  EXPECT_NE(message.find("/nonexistent/some-name"), std::string::npos);
  EXPECT_NE(message.find("No such file or directory"), std::string::npos);
}

TEST(ErrorMessage, BelongsToTheThread) {
  fail_for("/nonexistent/first");
  std::thread([] {
    EXPECT_STREQ(::pmem_errormsg(), "");
    fail_for("/nonexistent/second");
    EXPECT_NE(std::strstr(::pmem_errormsg(), "second"), nullptr);
  }).join();
  EXPECT_NE(std::strstr(::pmem_errormsg(), "first"), nullptr);
}

TEST(ErrorMessage, IsNotClearedBySuccess) {
  fail_for("/nonexistent/some-name");
  const std::string message = ::pmem_errormsg();
  const TempDir directory;
  std::size_t length = 0;
  void* address = ::pmem_map_file((directory / "file").c_str(), kPage,
                                  PMEM_FILE_CREATE, 0600, &length, nullptr);
  ASSERT_NE(address, nullptr);
  EXPECT_EQ(::pmem_unmap(address, length), 0);
  EXPECT_EQ(::pmem_check_version(1, 1), nullptr);
  EXPECT_EQ(::pmem_errormsg(), message);
}

TEST(ErrorMessage, IsReplacedByTheNextFailure) {
  fail_for("/nonexistent/first");
  fail_for("/nonexistent/second");
  EXPECT_EQ(std::strstr(::pmem_errormsg(), "first"), nullptr);
  EXPECT_NE(std::strstr(::pmem_errormsg(), "second"), nullptr);
}

TEST(ErrorMessage, HasRoomForTheLongestPath) {
  const std::string path = "/nonexistent" + std::string(3000, '/') + "x";
  fail_for(path.c_str());
  EXPECT_NE(std::strstr(::pmem_errormsg(), path.c_str()), nullptr);
}

// Unmapping.

bool is_mapped(void* address) { return ::msync(address, kPage, MS_ASYNC) == 0; }

class Unmap : public ::testing::Test {
 protected:
  void SetUp() override {
    address_ = static_cast<std::byte*>(
        ::pmem_map_file((directory_ / "file").c_str(), kLength,
                        PMEM_FILE_CREATE, 0600, nullptr, nullptr));
    ASSERT_NE(address_, nullptr) << ::pmem_errormsg();
  }
  void TearDown() override { ::pmem_unmap(address_, kLength); }

  static constexpr std::size_t kLength = 4 * kPage;
  TempDir directory_;
  std::byte* address_ = nullptr;
};

TEST_F(Unmap, RemovesTheMapping) {
  EXPECT_EQ(::pmem_unmap(address_, kLength), 0);
  EXPECT_FALSE(is_mapped(address_));
  EXPECT_FALSE(is_mapped(address_ + 3 * kPage));
}

TEST_F(Unmap, SucceedsTwice) {
  EXPECT_EQ(::pmem_unmap(address_, kLength), 0);
  EXPECT_EQ(::pmem_unmap(address_, kLength), 0);
}

TEST_F(Unmap, RemovesAPart) {
  EXPECT_EQ(::pmem_unmap(address_ + kPage, kPage), 0);
  EXPECT_TRUE(is_mapped(address_));
  EXPECT_FALSE(is_mapped(address_ + kPage));
  EXPECT_TRUE(is_mapped(address_ + 2 * kPage));
  address_[2 * kPage] = std::byte{1};
  EXPECT_EQ(::pmem_msync(address_ + 2 * kPage, kPage), 0);
}

TEST_F(Unmap, RoundsTheLengthUpToAPage) {
  EXPECT_EQ(::pmem_unmap(address_, kPage + 1), 0);
  EXPECT_FALSE(is_mapped(address_ + kPage));
  EXPECT_TRUE(is_mapped(address_ + 2 * kPage));
}

TEST_F(Unmap, RemovesAdjacentMappingsAtOnce) {
  // The library maps where it likes: neighbours are made by giving the middle
  // of a mapping back and away.
  ASSERT_EQ(::pmem_unmap(address_ + kPage, kPage), 0);
  ASSERT_NE(::mmap(address_ + kPage, kPage, PROT_READ,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
            MAP_FAILED);
  EXPECT_EQ(::pmem_unmap(address_, kLength), 0);
  for (std::size_t page = 0; page < 4; ++page) {
    EXPECT_FALSE(is_mapped(address_ + page * kPage)) << page;
  }
}

struct RefusalRow {
  const char* name;
  std::size_t offset;
  std::size_t length;
};

class UnmapRefusals : public Unmap,
                      public ::testing::WithParamInterface<RefusalRow> {};

TEST_P(UnmapRefusals, AreEinvalAndKeepTheMapping) {
  const RefusalRow& row = GetParam();
  errno = 0;
  EXPECT_EQ(::pmem_unmap(address_ + row.offset, row.length), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_STRNE(::pmem_errormsg(), "");
  EXPECT_TRUE(is_mapped(address_));
  EXPECT_TRUE(is_mapped(address_ + 3 * kPage));
}

INSTANTIATE_TEST_SUITE_P(
    All, UnmapRefusals,
    ::testing::Values(RefusalRow{"LengthZero", 0, 0},
                      RefusalRow{"UnalignedAddress", 1, kPage},
                      RefusalRow{"UnalignedAddressAndEnd", kPage + 8, 8}),
    support::RowName());

constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max();

#ifndef SUPPORT_THREAD_SANITIZER  // whose munmap dies of such lengths
INSTANTIATE_TEST_SUITE_P(
    Huge, UnmapRefusals,
    ::testing::Values(RefusalRow{"LengthBeyondTheAddressSpace", 0, kMax},
                      RefusalRow{"LengthThatWraps", 0, kMax - kPage}),
    support::RowName());
#endif

TEST_F(Unmap, RefusesNullOfLengthZero) {
  EXPECT_EQ(::pmem_unmap(nullptr, 0), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(Unmap, FindsNothingToDoAtNullAsMunmapDoes) {
  EXPECT_EQ(::pmem_unmap(nullptr, kPage), 0);
}

// msync.

class Msync : public Unmap {};

TEST_F(Msync, TakesAnyAddressAndLength) {
  for (const std::size_t offset : {0U, 1U, 4095U, 4096U, 5000U}) {
    for (const std::size_t length : {0U, 1U, 100U, 4096U, 8000U}) {
      errno = 0;
      EXPECT_EQ(::pmem_msync(address_ + offset, length), 0)
          << offset << " " << length << ": " << std::strerror(errno);
    }
  }
}

TEST_F(Msync, IsEnomemWhereNothingIsMapped) {
  ASSERT_EQ(::pmem_unmap(address_ + kPage, kPage), 0);
  errno = 0;
  EXPECT_EQ(::pmem_msync(address_ + kPage + 5, 10), -1);
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_STRNE(::pmem_errormsg(), "");
  EXPECT_EQ(::pmem_msync(address_ + 5, kPage), -1);
  EXPECT_EQ(errno, ENOMEM);
}

// The original's sum wraps to a short range, and it says 0.
TEST_F(Msync, BeatsTheOriginalByRefusingALengthThatWraps) {
  EXPECT_EQ(::pmem_msync(address_ + 1, kMax), -1);
  EXPECT_EQ(errno, ENOMEM);
}

// pmem_is_pmem on files that the page cache serves.

TEST(IsPmem, IsNotForTheLengthZero) {
  const char byte = 0;
  EXPECT_EQ(::pmem_is_pmem(&byte, 0), 0);
  EXPECT_EQ(::pmem_is_pmem(nullptr, 0), 0);
}

TEST(IsPmem, IsNotForMemoryThatTheLibraryDidNotMap) {
  const std::array<char, 64> bytes = {};
  EXPECT_EQ(::pmem_is_pmem(bytes.data(), bytes.size()), 0);
  EXPECT_EQ(::pmem_is_pmem(nullptr, 1), 0);
  EXPECT_EQ(
      ::pmem_is_pmem(bytes.data(), std::numeric_limits<std::size_t>::max()), 0);
}

TEST(HasHardwareDrain, IsNo) { EXPECT_EQ(::pmem_has_hw_drain(), 0); }

// PMEM_IS_PMEM_FORCE is read once, so that each value needs a process of its
// own: the "threadsafe" style starts this program anew.

struct ForceRow {
  const char* name;
  const char* value;  // null: unset
  const char* expected;
};

class IsPmemForceDeathTest : public ::testing::TestWithParam<ForceRow> {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

void force(const char* value) {
  if (value == nullptr) {
    ::unsetenv("PMEM_IS_PMEM_FORCE");
  } else {
    ::setenv("PMEM_IS_PMEM_FORCE", value, 1);
  }
}

// A file without a name, which no death can leave behind.
std::string path_of_memory() {
  const int fd = ::memfd_create("forced", MFD_CLOEXEC);
  if (::ftruncate(fd, 2 * kPage) != 0) {
    ::_exit(1);
  }
  return "/proc/self/fd/" + std::to_string(fd);
}

[[noreturn]] void print_answers(const char* value) {
  force(value);  // after the library was loaded, before it was asked
  std::size_t length = 0;
  int is_pmem = -1;
  const std::string path = path_of_memory();
  auto* address = static_cast<std::byte*>(
      ::pmem_map_file(path.c_str(), 0, 0, 0, &length, &is_pmem));
  const int heap = 0;
  force(is_pmem == 1 ? "0" : "1");  // too late
  std::fprintf(stderr, "mapped %d whole %d part %d empty %d other %d\n",
               is_pmem, ::pmem_is_pmem(address, length),
               ::pmem_is_pmem(address + 5, 100), ::pmem_is_pmem(address, 0),
               ::pmem_is_pmem(&heap, sizeof(heap)));
  ::_exit(0);
}

TEST_P(IsPmemForceDeathTest, DecidesFromTheFirstQuestionOn) {
  EXPECT_EXIT(print_answers(GetParam().value), ::testing::ExitedWithCode(0),
              GetParam().expected);
}

constexpr const char* kNever = "mapped 0 whole 0 part 0 empty 0 other 0";
constexpr const char* kAlways = "mapped 1 whole 1 part 1 empty 0 other 1";

INSTANTIATE_TEST_SUITE_P(All, IsPmemForceDeathTest,
                         ::testing::Values(ForceRow{"Unset", nullptr, kNever},
                                           ForceRow{"Zero", "0", kNever},
                                           ForceRow{"One", "1", kAlways},
                                           ForceRow{"Two", "2", kNever},
                                           ForceRow{"MinusOne", "-1", kNever},
                                           ForceRow{"OneWithATail", "1yes",
                                                    kAlways},
                                           ForceRow{"NoNumber", "yes", kNever},
                                           ForceRow{"Empty", "", kNever}),
                         support::RowName());

// Mapping without asking does not read it yet.
[[noreturn]] void print_late_answer() {
  force("0");
  std::size_t length = 0;
  const std::string path = path_of_memory();
  void* address = ::pmem_map_file(path.c_str(), 0, 0, 0, &length, nullptr);
  force("1");
  std::fprintf(stderr, "answer %d\n", ::pmem_is_pmem(address, length));
  ::_exit(0);
}

TEST(IsPmemFirstQuestionDeathTest, IsNotAMappingThatDoesNotAsk) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(print_late_answer(), ::testing::ExitedWithCode(0), "answer 1");
}

}  // namespace
