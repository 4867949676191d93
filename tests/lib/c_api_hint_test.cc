// PMEM_MMAP_HINT, which is read when the library is loaded: each value needs a
// process of its own, and the "threadsafe" style of death tests starts this
// program anew, with the environment that the parent has just then.
//
// These tests also run against the distribution's libpmem, except those whose
// name has BeatsTheOriginal in it, which fail there, or MayBeatTheOriginal.
#include <gtest/gtest.h>
#include <libpmem.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/row_name.h"

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::uintptr_t kHugePage = std::uintptr_t{2} << 20;

// Below where the kernel begins, far above the program and its heap, and where
// the sanitizers allow mappings.
constexpr std::uintptr_t kHint = 0x7e9000000000;
constexpr const char* kHintText = "0x7e9000000000";

// A file without a name, which no death can leave behind.
void* map_file(std::size_t length) {
  const int fd = ::memfd_create("hinted", MFD_CLOEXEC);
  if (::ftruncate(fd, static_cast<off_t>(length)) != 0) {
    ::_exit(1);
  }
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  void* address = ::pmem_map_file(path.c_str(), 0, 0, 0, nullptr, nullptr);
  ::close(fd);
  return address;
}

// In huge pages above the hint: "+0"; elsewhere "other", and "none" where it
// was not mapped at all.
std::string place(const void* mapped) {
  const auto address = reinterpret_cast<std::uintptr_t>(mapped);
  if (mapped == nullptr) {
    return "none ";
  }
  if (address % kHugePage != 0) {
    return "misaligned ";
  }
  if (address < kHint || address > kHint + 1000 * kHugePage) {
    return "other ";
  }
  return "+" + std::to_string((address - kHint) / kHugePage) + " ";
}

void occupy(std::uintptr_t offset, std::size_t length) {
  void* wanted = reinterpret_cast<void*>(kHint + offset);
  if (::mmap(wanted, length, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
             0) != wanted) {
    std::fprintf(stderr, "the addresses are taken\n");
    ::_exit(1);
  }
}

[[noreturn]] void finish(const std::string& text) {
  std::fprintf(stderr, "at: %s\n", text.c_str());
  ::_exit(0);
}

// The environment of the process that the death test starts.
class MmapHintDeathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    set_hint(kHintText);
  }
  void TearDown() override { ::unsetenv("PMEM_MMAP_HINT"); }

  static void set_hint(const char* hint) {
    // Not in the new process itself: it is to see what it was started with.
    if (::getenv("PMEM_MMAP_HINT") == nullptr) {
      ::setenv("PMEM_MMAP_HINT", hint, 1);
    }
  }
};

[[noreturn]] void map_three() {
  std::string text = place(map_file(kPage));
  text += place(map_file(2 * kHugePage + 1));
  text += place(map_file(kPage));
  finish(text);
}

TEST_F(MmapHintDeathTest, IsWhereTheFirstMappingComes) {
  EXPECT_EXIT(map_three(), ::testing::ExitedWithCode(0), "at: \\+0 \\+1 \\+4 ");
}

[[noreturn]] void map_around_others() {
  occupy(0, kPage);                      // the hint itself
  occupy(2 * kHugePage - kPage, kPage);  // the end of the next
  occupy(4 * kHugePage, kPage);
  std::string text = place(map_file(kHugePage));  // 1 is not whole
  text += place(map_file(kHugePage + 1));         // 3 is too short
  text += place(map_file(kPage));                 // 1 has a page
  text += place(map_file(kPage));
  finish(text);
}

TEST_F(MmapHintDeathTest, IsFollowedByTheFirstGapThatFits) {
  EXPECT_EXIT(map_around_others(), ::testing::ExitedWithCode(0),
              "at: \\+2 \\+5 \\+1 \\+3 ");
}

[[noreturn]] void map_unmap_map() {
  void* first = map_file(kPage);
  std::string text = place(first) + place(map_file(kPage));
  if (::pmem_unmap(first, kPage) != 0) {
    ::_exit(1);
  }
  finish(text + place(map_file(kPage)));
}

TEST_F(MmapHintDeathTest, IsUsedAgainWhenItIsFreeAgain) {
  EXPECT_EXIT(map_unmap_map(), ::testing::ExitedWithCode(0),
              "at: \\+0 \\+1 \\+0 ");
}

[[noreturn]] void map_after_a_change() {
  ::setenv("PMEM_MMAP_HINT", "0x7ea000000000", 1);
  const std::string text = place(map_file(kPage));
  ::unsetenv("PMEM_MMAP_HINT");
  finish(text + place(map_file(kPage)));
}

TEST_F(MmapHintDeathTest, IsNotReadAgain) {
  EXPECT_EXIT(map_after_a_change(), ::testing::ExitedWithCode(0),
              "at: \\+0 \\+1 ");
}

struct HintRow {
  const char* name;
  const char* hint;
  const char* expected;
};

class MmapHintTextDeathTest : public MmapHintDeathTest,
                              public ::testing::WithParamInterface<HintRow> {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    set_hint(GetParam().hint);
  }
};

[[noreturn]] void map_one() { finish(place(map_file(kPage))); }

TEST_P(MmapHintTextDeathTest, IsAHexadecimalNumber) {
  EXPECT_EXIT(map_one(), ::testing::ExitedWithCode(0), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    All, MmapHintTextDeathTest,
    ::testing::Values(HintRow{"WithPrefix", "0x7e9000000000", "at: \\+0 "},
                      HintRow{"WithoutPrefix", "7e9000000000", "at: \\+0 "},
                      HintRow{"InCapitals", "0X7E9000000000", "at: \\+0 "},
                      HintRow{"BehindASpace", " 7e9000000000", "at: \\+0 "},
                      HintRow{"WithATail", "7e9000000000 and so on",
                              "at: \\+0 "},
                      HintRow{"Unaligned", "7e9000000001", "at: \\+1 "},
                      HintRow{"JustBelow", "7e8fffffffff", "at: \\+0 "},
                      HintRow{"NoNumber", "zz", "at: other "},
                      HintRow{"Empty", "", "at: other "},
                      HintRow{"TooLarge", "10000000000000000", "at: other "}),
    support::RowName());

// First fit above nothing: among the lowest addresses that may be mapped.
[[noreturn]] void map_low() {
  const auto address = reinterpret_cast<std::uintptr_t>(map_file(kPage));
  finish(address != 0 && address < (std::uintptr_t{1} << 32) ? "low" : "high");
}

class MmapHintZeroDeathTest : public MmapHintDeathTest {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    set_hint("0");
  }
};

TEST_F(MmapHintZeroDeathTest, IsAHintAsWell) {
  EXPECT_EXIT(map_low(), ::testing::ExitedWithCode(0), "at: low");
}

// The original maps such files where the kernel likes, aligned or not.
class MmapHintBeyondDeathTest : public MmapHintDeathTest,
                                public ::testing::WithParamInterface<HintRow> {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    set_hint(GetParam().hint);
  }
};

TEST_P(MmapHintBeyondDeathTest, BeatsTheOriginalByAligning) {
  EXPECT_EXIT(map_three(), ::testing::ExitedWithCode(0), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    All, MmapHintBeyondDeathTest,
    ::testing::Values(HintRow{"TheAddressSpace", "7fffffffff000",
                              "at: other other other "},
                      HintRow{"AllNumbers", "-1", "at: other other other "}),
    support::RowName());

// Threads that search for a gap at the same time find the same one. (Where that
// happens the original maps the file wherever the kernel likes.)
[[noreturn]] void map_in_threads() {
  std::vector<std::thread> threads;
  std::vector<std::string> places(8);
  for (std::string& found : places) {
    threads.emplace_back([&found] {
      for (int i = 0; i < 50; ++i) {
        const std::string one = place(map_file(kPage));
        found = found.empty() || one[0] != '+' ? one : found;
      }
    });
  }
  std::string text;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    threads[i].join();
    text += places[i].substr(0, 1);
  }
  finish(text);
}

TEST_F(MmapHintDeathTest, MayBeatTheOriginalInThreads) {
  EXPECT_EXIT(map_in_threads(), ::testing::ExitedWithCode(0),
              "at: \\+\\+\\+\\+\\+\\+\\+\\+");
}

}  // namespace
