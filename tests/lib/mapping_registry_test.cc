// The ranges behind pmem_is_pmem and pmem_unmap. Where nothing is unmapped the
// addresses are invented; the registry never looks at what they point to.
#include "pmem/mapping_registry.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <optional>
#include <thread>
#include <vector>

#include "support/row_name.h"
#include "support/sanitizers.h"

namespace pmem {
namespace {

constexpr bool kPmem = true;
constexpr bool kNoPmem = false;
constexpr std::optional<dev_t> kDeviceDax = dev_t{64512};
constexpr std::optional<dev_t> kFile = std::nullopt;
constexpr std::size_t kPage = 4096;
constexpr std::uintptr_t kBase = 0x7000'0000'0000;

const void* at(std::uintptr_t offset) {
  return reinterpret_cast<const void*>(kBase + offset);
}

bool is_device_dax(const MappingRegistry& registry, const void* address) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  const auto part = registry.first_part(begin, begin + 1);
  return part && part->dax_number == kDeviceDax;
}

// Anonymous pages at an address that the kernel chooses.
std::byte* map_pages(std::size_t pages) {
  void* address = ::mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return address == MAP_FAILED ? nullptr : static_cast<std::byte*>(address);
}

bool is_mapped(void* address) { return ::msync(address, kPage, MS_ASYNC) == 0; }

struct Question {
  const char* name;
  std::uintptr_t offset;
  std::size_t length;
  bool expected;
};

class Questions : public ::testing::TestWithParam<Question> {
 protected:
  // [1 page, 5000 bytes) pmem alone; then three that touch: two pmem, one not,
  // and one pmem again that touches the latter.
  void SetUp() override {
    registry_.add(at(kPage), 5000, kPmem, kFile);
    registry_.add(at(16 * kPage), kPage, kPmem, kFile);
    registry_.add(at(17 * kPage), 2 * kPage, kPmem, kDeviceDax);
    registry_.add(at(19 * kPage), kPage, kNoPmem, kFile);
    registry_.add(at(20 * kPage), kPage, kPmem, kFile);
  }

  MappingRegistry registry_;
};

TEST_P(Questions, AreAnsweredToTheByte) {
  const Question& question = GetParam();
  EXPECT_EQ(registry_.is_pmem(at(question.offset), question.length),
            question.expected);
}

INSTANTIATE_TEST_SUITE_P(
    MappingRegistry, Questions,
    ::testing::Values(
        Question{"WholeRange", kPage, 5000, true},
        Question{"FirstByte", kPage, 1, true},
        Question{"LastByte", kPage + 4999, 1, true},
        Question{"Middle", kPage + 100, 4000, true},
        Question{"OneByteTooMany", kPage, 5001, false},
        Question{"RestOfTheLastPage", kPage, 8192, false},
        Question{"FirstByteBeyond", kPage + 5000, 1, false},
        Question{"ByteBefore", kPage - 1, 1, false},
        Question{"FromBeforeIntoTheRange", kPage - 1, 2, false},
        Question{"LengthZero", kPage, 0, false},
        Question{"BelowAllRanges", 0, 1, false},
        Question{"AboveAllRanges", 1000 * kPage, 1, false},
        Question{"SpanOfTouchingRanges", 16 * kPage, 3 * kPage, true},
        Question{"SpanFromMiddleToMiddle", 16 * kPage + 1, kPage + 7, true},
        Question{"SpanIntoOneThatIsNoPmem", 16 * kPage, 3 * kPage + 1, false},
        Question{"SpanAcrossOneThatIsNoPmem", 16 * kPage, 5 * kPage, false},
        Question{"RangeThatIsNoPmem", 19 * kPage, kPage, false},
        Question{"SpanAcrossAGap", kPage, 16 * kPage, false},
        Question{"LengthThatWraps", kPage,
                 std::numeric_limits<std::size_t>::max(), false},
        Question{"LengthThatWrapsIntoTheRange", kPage,
                 std::numeric_limits<std::size_t>::max() - kBase, false}),
    support::RowName());

TEST(MappingRegistry, KnowsNothingAtFirst) {
  const MappingRegistry registry;
  EXPECT_FALSE(registry.is_pmem(at(0), 1));
  EXPECT_FALSE(registry.is_pmem(nullptr, 1));
  EXPECT_FALSE(is_device_dax(registry, at(0)));
}

TEST(MappingRegistry, TellsDeviceDaxByTheByte) {
  MappingRegistry registry;
  registry.add(at(0), 2 * kPage, kPmem, kDeviceDax);
  registry.add(at(2 * kPage), kPage, kPmem, kFile);
  EXPECT_TRUE(is_device_dax(registry, at(0)));
  EXPECT_TRUE(is_device_dax(registry, at(2 * kPage - 1)));
  EXPECT_FALSE(is_device_dax(registry, at(2 * kPage)));
  EXPECT_FALSE(is_device_dax(registry, at(3 * kPage)));
  EXPECT_FALSE(
      is_device_dax(registry, reinterpret_cast<const void*>(kBase - 1)));
}

// Ranges that the kernel has given away again: a raw munmap(2) tells nobody.

TEST(MappingRegistry, ReplacesAStaleRange) {
  MappingRegistry registry;
  registry.add(at(0), 4 * kPage, kPmem, kDeviceDax);
  registry.add(at(0), 4 * kPage, kNoPmem, kFile);
  EXPECT_FALSE(registry.is_pmem(at(0), 1));
  EXPECT_FALSE(is_device_dax(registry, at(0)));
}

TEST(MappingRegistry, ReplacesTheMiddleOfAStaleRange) {
  MappingRegistry registry;
  registry.add(at(0), 4 * kPage, kPmem, kFile);
  registry.add(at(kPage), kPage, kNoPmem, kFile);
  EXPECT_TRUE(registry.is_pmem(at(0), kPage));
  EXPECT_FALSE(registry.is_pmem(at(kPage), 1));
  EXPECT_FALSE(registry.is_pmem(at(2 * kPage - 1), 1));
  EXPECT_TRUE(registry.is_pmem(at(2 * kPage), 2 * kPage));
}

TEST(MappingRegistry, ReplacesSeveralStaleRangesAtOnce) {
  MappingRegistry registry;
  registry.add(at(0), kPage, kPmem, kFile);
  registry.add(at(kPage), kPage, kPmem, kFile);
  registry.add(at(3 * kPage), 2 * kPage, kPmem, kFile);
  registry.add(at(0), 4 * kPage, kNoPmem, kFile);
  EXPECT_FALSE(registry.is_pmem(at(0), 1));
  EXPECT_FALSE(registry.is_pmem(at(kPage), 1));
  EXPECT_FALSE(registry.is_pmem(at(3 * kPage), 1));
  EXPECT_TRUE(registry.is_pmem(at(4 * kPage), kPage));
}

// The new mapping has taken the whole last page from the old one.
TEST(MappingRegistry, LeavesNoStaleRangeInTheLastPageOfAShorterOne) {
  MappingRegistry registry;
  registry.add(at(0), 2 * kPage, kPmem, kFile);
  registry.add(at(0), 5000, kPmem, kFile);
  EXPECT_TRUE(registry.is_pmem(at(0), 5000));
  EXPECT_FALSE(registry.is_pmem(at(5000), 1));
  EXPECT_FALSE(registry.is_pmem(at(0), 2 * kPage));
}

// Unmapping, on real memory.

TEST(MappingRegistryUnmap, RemovesTheMappingAndTheRange) {
  MappingRegistry registry;
  std::byte* address = map_pages(2);
  ASSERT_NE(address, nullptr);
  registry.add(address, 2 * kPage, kPmem, kDeviceDax);
  ASSERT_TRUE(registry.unmap(address, 2 * kPage));
  EXPECT_FALSE(is_mapped(address));
  EXPECT_FALSE(registry.is_pmem(address, 1));
  EXPECT_FALSE(is_device_dax(registry, address));
}

TEST(MappingRegistryUnmap, SucceedsTwice) {
  MappingRegistry registry;
  std::byte* address = map_pages(1);
  ASSERT_NE(address, nullptr);
  registry.add(address, kPage, kPmem, kFile);
  EXPECT_TRUE(registry.unmap(address, kPage));
  EXPECT_TRUE(registry.unmap(address, kPage));
}

TEST(MappingRegistryUnmap, RemovesMappingsThatItDoesNotKnow) {
  MappingRegistry registry;
  std::byte* address = map_pages(1);
  ASSERT_NE(address, nullptr);
  EXPECT_TRUE(registry.unmap(address, kPage));
  EXPECT_FALSE(is_mapped(address));
}

TEST(MappingRegistryUnmap, KeepsWhatIsBeforeAndBehindAPart) {
  MappingRegistry registry;
  std::byte* address = map_pages(4);
  ASSERT_NE(address, nullptr);
  registry.add(address, 3 * kPage + 1, kPmem, kFile);
  ASSERT_TRUE(registry.unmap(address + kPage, kPage));
  EXPECT_TRUE(registry.is_pmem(address, kPage));
  EXPECT_FALSE(registry.is_pmem(address + kPage, 1));
  EXPECT_FALSE(registry.is_pmem(address + 2 * kPage - 1, 1));
  EXPECT_TRUE(registry.is_pmem(address + 2 * kPage, kPage + 1));
  EXPECT_FALSE(registry.is_pmem(address + 2 * kPage, kPage + 2));
  EXPECT_TRUE(is_mapped(address));
  EXPECT_FALSE(is_mapped(address + kPage));
  EXPECT_TRUE(is_mapped(address + 3 * kPage));
  EXPECT_TRUE(registry.unmap(address, 4 * kPage));
}

TEST(MappingRegistryUnmap, RoundsTheLengthUpToAPage) {
  MappingRegistry registry;
  std::byte* address = map_pages(3);
  ASSERT_NE(address, nullptr);
  registry.add(address, 3 * kPage, kPmem, kFile);
  ASSERT_TRUE(registry.unmap(address, kPage + 1));
  EXPECT_FALSE(registry.is_pmem(address + 2 * kPage - 1, 1));
  EXPECT_FALSE(is_mapped(address + kPage));
  EXPECT_TRUE(registry.is_pmem(address + 2 * kPage, kPage));
  EXPECT_TRUE(is_mapped(address + 2 * kPage));
  EXPECT_TRUE(registry.unmap(address + 2 * kPage, 1));
}

TEST(MappingRegistryUnmap, RemovesSeveralRangesAtOnce) {
  MappingRegistry registry;
  std::byte* address = map_pages(4);
  ASSERT_NE(address, nullptr);
  for (std::size_t page = 0; page < 4; ++page) {
    registry.add(address + page * kPage, kPage, kPmem, kFile);
  }
  ASSERT_TRUE(registry.unmap(address, 3 * kPage));
  EXPECT_FALSE(registry.is_pmem(address, 1));
  EXPECT_FALSE(registry.is_pmem(address + 2 * kPage, 1));
  EXPECT_TRUE(registry.is_pmem(address + 3 * kPage, kPage));
  EXPECT_TRUE(registry.unmap(address + 3 * kPage, kPage));
}

struct Refusal {
  const char* name;
  bool is_null;
  std::size_t offset;
  std::size_t length;
};

class UnmapRefusals : public ::testing::TestWithParam<Refusal> {};

TEST_P(UnmapRefusals, AreEinvalAndKeepTheRange) {
  const Refusal& row = GetParam();
  MappingRegistry registry;
  std::byte* address = map_pages(2);
  ASSERT_NE(address, nullptr);
  registry.add(address, 2 * kPage, kPmem, kDeviceDax);

  const Result<void> unmapped =
      registry.unmap(row.is_null ? nullptr : address + row.offset, row.length);

  ASSERT_FALSE(unmapped);
  EXPECT_EQ(unmapped.error().code, EINVAL);
  EXPECT_TRUE(is_mapped(address));
  EXPECT_TRUE(registry.is_pmem(address, 2 * kPage));
  EXPECT_TRUE(is_device_dax(registry, address));
  EXPECT_TRUE(registry.unmap(address, 2 * kPage));
}

INSTANTIATE_TEST_SUITE_P(
    MappingRegistryUnmap, UnmapRefusals,
    ::testing::Values(Refusal{"NullAddressAndLengthZero", true, 0, 0},
                      Refusal{"LengthZero", false, 0, 0},
                      Refusal{"UnalignedAddress", false, 1, kPage},
                      Refusal{"UnalignedAddressInTheMiddle", false, kPage + 8,
                              8}),
    support::RowName());

#ifndef SUPPORT_THREAD_SANITIZER  // whose munmap dies of such lengths
constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max();
INSTANTIATE_TEST_SUITE_P(
    MappingRegistryUnmapHuge, UnmapRefusals,
    ::testing::Values(Refusal{"LengthBeyondTheAddressSpace", false, 0, kMax},
                      Refusal{"LengthBeyondTheAddressSpaceByPages", false, 0,
                              kMax - kPage + 1}),
    support::RowName());
#endif

// Threads. Addresses that one thread gives back may be another's a moment
// later, so that each thread can only ask about what it holds.

// Counts what is not so; gtest's own macros are too slow for this.
class Tally {
 public:
  void expect(bool condition) {
    if (!condition) {
      ++wrong_;
    }
  }
  [[nodiscard]] int wrong() const { return wrong_; }

 private:
  std::atomic<int> wrong_ = 0;
};

void map_ask_unmap(MappingRegistry& registry, Tally& tally) {
  for (int round = 0; round < 200; ++round) {
    const bool is_pmem = round % 3 != 0;
    const std::size_t pages = 2 + static_cast<std::size_t>(round) % 3;
    std::byte* address = map_pages(pages);
    registry.add(address, pages * kPage - 8, is_pmem,
                 is_pmem ? kDeviceDax : kFile);
    tally.expect(registry.is_pmem(address, pages * kPage - 8) == is_pmem);
    tally.expect(!registry.is_pmem(address + pages * kPage - 8, 1));
    tally.expect(is_device_dax(registry, address) == is_pmem);
    tally.expect(
        registry.unmap(address + kPage, (pages - 1) * kPage).has_value());
    tally.expect(registry.is_pmem(address, kPage) == is_pmem);
    tally.expect(registry.unmap(address, kPage).has_value());
  }
}

TEST(MappingRegistryThreads, EachSeesItsOwnRangesRight) {
  MappingRegistry registry;
  std::byte* fixed = map_pages(4);
  ASSERT_NE(fixed, nullptr);
  registry.add(fixed, 4 * kPage, kPmem, kFile);

  Tally tally;
  std::vector<std::thread> threads(16);
  for (std::size_t i = 0; i < 12; ++i) {
    threads[i] = std::thread([&] { map_ask_unmap(registry, tally); });
  }
  for (std::size_t i = 12; i < 16; ++i) {
    threads[i] = std::thread([&] {
      for (int round = 0; round < 2000; ++round) {
        tally.expect(registry.is_pmem(fixed, 4 * kPage));
        tally.expect(!registry.is_pmem(fixed, 0));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(tally.wrong(), 0);
  EXPECT_TRUE(registry.is_pmem(fixed, 4 * kPage));
  EXPECT_TRUE(registry.unmap(fixed, 4 * kPage));
}

}  // namespace
}  // namespace pmem
