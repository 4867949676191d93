// Flush, fence, copy and fill: the right bytes, the chosen instruction.
// (Whether each line is really flushed shows in the disassembly alone.)
#include "pmem/persist.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "persist_backend.h"
#include "support/fake_sysfs.h"
#include "support/guarded_buffer.h"
#include "support/row_name.h"
#include "support/temp_dir.h"

namespace pmem {
namespace {

using support::FakeSysfs;
using support::GuardedBuffer;

// Every short length, then those around what an implementation may switch at.
std::vector<std::size_t> sampled_lengths() {
  std::vector<std::size_t> lengths;
  for (std::size_t length = 0; length <= 300; ++length) {
    lengths.push_back(length);
  }
  for (const std::size_t length :
       {511U, 512U, 513U, 520U, 1024U, 4095U, 4096U, 4097U, 70001U}) {
    lengths.push_back(length);
  }
  return lengths;
}

constexpr std::array<std::size_t, 11> kOffsets = {0,  1,  4,  7,  8, 15,
                                                  16, 31, 32, 56, 63};
constexpr std::array<std::size_t, 4> kSourceOffsets = {0, 5, 8, 63};
constexpr std::size_t kCapacity = 70001 + 64;

// `copy(to, from, length)` copies right at all alignments and lengths, and
// nothing beside.
template <typename Copy>
void expect_exact_copies(const Copy& copy) {
  GuardedBuffer source(kCapacity);
  source.fill_with_pattern();
  for (const std::size_t length : sampled_lengths()) {
    GuardedBuffer target(length + 64);
    for (const std::size_t to : kOffsets) {
      for (const std::size_t from : kSourceOffsets) {
        target.clear();
        copy(target.data() + to, source.data() + from, length);
        ASSERT_EQ(target.find_wrong(to, length,
                                    [&](std::size_t i) {
                                      return GuardedBuffer::pattern(from + i);
                                    }),
                  "")
            << length << " bytes from " << from << " to " << to;
      }
    }
  }
}

// `fill(to, value, length)` as well.
template <typename Fill>
void expect_exact_fills(const Fill& fill) {
  for (const std::size_t length : sampled_lengths()) {
    GuardedBuffer target(length + 64);
    for (const std::size_t to : kOffsets) {
      target.clear();
      // As memset(3): what is above the lowest byte does not count.
      fill(target.data() + to, 0x7F17, length);
      ASSERT_EQ(target.find_wrong(to, length,
                                  [](std::size_t) { return std::byte{0x17}; }),
                "")
          << length << " bytes to " << to;
    }
  }
}

// `move(to, from, length)` where the two overlap by various distances.
template <typename Move>
void expect_exact_moves(const Move& move) {
  constexpr std::size_t kRoom = 2048;
  for (const std::size_t length :
       {1U, 8U, 63U, 64U, 65U, 255U, 256U, 300U, 1024U}) {
    for (const std::ptrdiff_t distance : {-300, -256, -65, -64, -63, -8, -1, 0,
                                          1, 7, 8, 63, 64, 65, 256, 300}) {
      for (const std::ptrdiff_t from : {400, 405, 448}) {
        GuardedBuffer buffer(kRoom);
        buffer.fill_with_pattern();
        std::vector<std::byte> expected(buffer.data(), buffer.data() + kRoom);
        const auto to = static_cast<std::size_t>(from + distance);
        std::memmove(expected.data() + to, expected.data() + from, length);
        move(buffer.data() + to, buffer.data() + from, length);
        ASSERT_EQ(buffer.find_wrong(0, kRoom,
                                    [&](std::size_t i) { return expected[i]; }),
                  "")
            << length << " bytes from " << from << " by " << distance;
      }
    }
  }
}

struct KindRow {
  const char* name;
  StoreKind kind;
};

class CopyAndFlush : public ::testing::TestWithParam<KindRow> {};

TEST_P(CopyAndFlush, CopiesExactly) {
  expect_exact_copies([](std::byte* to, const std::byte* from, std::size_t n) {
    copy_and_flush(to, from, n, GetParam().kind);
  });
}

TEST_P(CopyAndFlush, MovesOverlappingBytes) {
  expect_exact_moves([](std::byte* to, const std::byte* from, std::size_t n) {
    copy_and_flush(to, from, n, GetParam().kind);
  });
}

TEST_P(CopyAndFlush, FillsExactly) {
  expect_exact_fills([](std::byte* to, int value, std::size_t n) {
    fill_and_flush(to, value, n, GetParam().kind);
  });
}

INSTANTIATE_TEST_SUITE_P(
    Persist, CopyAndFlush,
    ::testing::Values(KindRow{"Auto", StoreKind::kAuto},
                      KindRow{"Temporal", StoreKind::kTemporal},
                      KindRow{"NonTemporal", StoreKind::kNonTemporal}),
    support::RowName());

TEST(CopyNoFlush, CopiesExactly) { expect_exact_copies(copy_no_flush); }

TEST(CopyNoFlush, MovesOverlappingBytes) { expect_exact_moves(copy_no_flush); }

TEST(CopyNoFlush, FillsExactly) { expect_exact_fills(fill_no_flush); }

TEST(CopyForward, CopiesExactly) { expect_exact_copies(copy_forward); }

TEST(Persist, LeavesTheBytesAlone) {
  GuardedBuffer buffer(5000);
  buffer.fill_with_pattern();
  flush(buffer.data() + 3, 4900);
  fence();
  persist(buffer.data(), 5000);
  persist(buffer.data() + 100, 0);
  EXPECT_EQ(buffer.find_wrong(0, 5000, GuardedBuffer::pattern), "");
}

// Back-ends: whatever this CPU has.

class EachFlushBackend : public ::testing::TestWithParam<const FlushBackend*> {
};

TEST_P(EachFlushBackend, FlushesAnyRange) {
  const FlushBackend& backend = *GetParam();
  if (!backend.is_supported()) {
    GTEST_SKIP() << "this CPU has no " << backend.name;
  }
  GuardedBuffer buffer(1024);
  buffer.fill_with_pattern();
  for (std::size_t length = 0; length <= 300; ++length) {
    for (const std::size_t offset : kOffsets) {
      backend.flush(buffer.data() + offset, length);
    }
  }
  EXPECT_EQ(buffer.find_wrong(0, 1024, GuardedBuffer::pattern), "");
}

// A flush of the next line would fault, one of the line before as well.
TEST_P(EachFlushBackend, TouchesNoOtherPage) {
  const FlushBackend& backend = *GetParam();
  if (!backend.is_supported()) {
    GTEST_SKIP() << "this CPU has no " << backend.name;
  }
  constexpr std::size_t kPage = 4096;
  void* room =
      ::mmap(nullptr, 3 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(room, MAP_FAILED);
  auto* page = static_cast<std::byte*>(room) + kPage;
  ASSERT_EQ(::mprotect(page, kPage, PROT_READ | PROT_WRITE), 0);
  backend.flush(page, kPage);
  backend.flush(page + 1, kPage - 1);
  backend.flush(page + kPage - 1, 1);
  backend.flush(page, 0);
  backend.flush(page + kPage, 0);
  EXPECT_EQ(page[0], std::byte{0});
  EXPECT_EQ(::munmap(room, 3 * kPage), 0);
}

INSTANTIATE_TEST_SUITE_P(Persist, EachFlushBackend,
                         ::testing::Values(&kClwb, &kClflushopt, &kClflush),
                         [](const auto& row) {
                           return std::string(row.param->name);
                         });

// What the environment decides is read once, so that each choice needs a
// process of its own: the "threadsafe" style starts this program anew.

struct Variable {
  const char* name;
  const char* value;
};

// The variables that decide are those of the row alone.
void set_environment(const std::vector<Variable>& variables) {
  for (const char* name :
       {"PMEM_NO_FLUSH", "PMEM_NO_CLWB", "PMEM_NO_CLFLUSHOPT", "PMEM_NO_MOVNT",
        "PMEM_MOVNT_THRESHOLD", "PMEM_AVX512F", "PMEM_AVX", "PMEM_SSE2",
        "PMEM_MOVDIR64B", "PMEM_NO_GENERIC_MEMCPY", "PMEM_WC_WORKAROUND"}) {
    ::unsetenv(name);
  }
  for (const Variable& variable : variables) {
    ::setenv(variable.name, variable.value, 1);
  }
}

// What the library should choose when the platform needs flushes.
std::string best_flush(bool may_clwb, bool may_clflushopt) {
  if (may_clwb && kClwb.is_supported()) {
    return "clwb";
  }
  if (may_clflushopt && kClflushopt.is_supported()) {
    return "clflushopt";
  }
  return "clflush";
}

bool platform_needs_flush() {
  return !platform_saves_caches("/sys").value_or(false);
}

struct EnvironmentRow {
  const char* name;
  std::vector<Variable> variables;
  std::string flush;
  std::string copy;
  std::string stream;
  std::size_t threshold_bytes = 256;
};

std::string best_copy() {
  return kAvx512f.is_supported() ? "avx512f"
         : kAvx.is_supported()   ? "avx"
                                 : "sse2";
}

class PersistEnvironmentDeathTest
    : public ::testing::TestWithParam<EnvironmentRow> {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  void TearDown() override { set_environment({}); }
};

std::string choice_in_words() {
  const PersistChoice& choice = persist_choice;
  return std::string("flush ") + flush_instruction() + ", copy " +
         choice.copy_name + ", stream " + choice.stream_name + " from " +
         std::to_string(choice.stream_threshold_bytes);
}

// Ends the process: 0 if all is as expected.
[[noreturn]] void check_choice() {
  const std::string at_first = choice_in_words();
  set_environment({{"PMEM_NO_FLUSH", "1"}, {"PMEM_NO_MOVNT", "1"}});
  expect_exact_copies([](std::byte* to, const std::byte* from, std::size_t n) {
    copy_and_flush(to, from, n);
  });
  expect_exact_moves([](std::byte* to, const std::byte* from, std::size_t n) {
    copy_and_flush(to, from, n);
  });
  expect_exact_fills([](std::byte* to, int value, std::size_t n) {
    fill_and_flush(to, value, n);
  });
  EXPECT_EQ(choice_in_words(), at_first);  // it was too late for a change
  std::fprintf(stderr, "chosen: %s\n", at_first.c_str());
  std::fflush(nullptr);
  ::_exit(::testing::Test::HasFailure() ? 1 : 0);
}

// This process's own choice was made when it started; the child's is made anew.
TEST_P(PersistEnvironmentDeathTest, DecidesWhenTheLibraryIsLoaded) {
  const EnvironmentRow& row = GetParam();
  set_environment(row.variables);
  EXPECT_EXIT(check_choice(), ::testing::ExitedWithCode(0),
              "chosen: flush " + row.flush + ", copy " + row.copy +
                  ", stream " + row.stream + " from " +
                  std::to_string(row.threshold_bytes) + "\n");
}

std::vector<EnvironmentRow> environment_rows() {
  const std::string wide = best_copy();
  const std::string avx = kAvx.is_supported() ? "avx" : "sse2";
  const std::string direct = kMovdir64b.is_supported() ? "movdir64b" : wide;
  const std::string clwb = best_flush(true, true);
  const std::string best = platform_needs_flush() ? clwb : "none";
  return {
      {"Nothing", {}, best, wide, wide},
      {"NoFlush", {{"PMEM_NO_FLUSH", "1"}}, "none", wide, wide},
      {"FlushInAnyCase", {{"PMEM_NO_FLUSH", "0"}}, clwb, wide, wide},
      {"NoFlushThatIsNoNumber", {{"PMEM_NO_FLUSH", "yes"}}, clwb, wide, wide},
      {"NoClwb",
       {{"PMEM_NO_CLWB", "1"}, {"PMEM_NO_FLUSH", "0"}},
       best_flush(false, true),
       wide,
       wide},
      {"NoClflushopt",
       {{"PMEM_NO_CLFLUSHOPT", "1"}, {"PMEM_NO_FLUSH", "0"}},
       best_flush(true, false),
       wide,
       wide},
      {"ClflushAlone",
       {{"PMEM_NO_CLWB", "1"},
        {"PMEM_NO_CLFLUSHOPT", "1"},
        {"PMEM_NO_FLUSH", "0"}},
       "clflush",
       wide,
       wide},
      {"ClwbNotForbiddenByZero",
       {{"PMEM_NO_CLWB", "0"}, {"PMEM_NO_FLUSH", "0"}},
       clwb,
       wide,
       wide},
      {"NoMovnt", {{"PMEM_NO_MOVNT", "1"}}, best, wide, "none"},
      {"MovntThresholdZero",
       {{"PMEM_MOVNT_THRESHOLD", "0"}},
       best,
       wide,
       wide,
       0},
      {"MovntThreshold",
       {{"PMEM_MOVNT_THRESHOLD", "64"}},
       best,
       wide,
       wide,
       64},
      {"MovntThresholdNegative",
       {{"PMEM_MOVNT_THRESHOLD", "-1"}},
       best,
       wide,
       wide},
      {"MovntWithoutFlush",
       {{"PMEM_MOVNT_THRESHOLD", "0"}, {"PMEM_NO_FLUSH", "1"}},
       "none",
       wide,
       wide,
       0},
      {"NoAvx512f", {{"PMEM_AVX512F", "0"}}, best, avx, avx},
      {"Avx512fIsTheDefault", {{"PMEM_AVX512F", "1"}}, best, wide, wide},
      {"NoAvxAtAll",
       {{"PMEM_AVX512F", "0"}, {"PMEM_AVX", "0"}},
       best,
       "sse2",
       "sse2"},
      {"Portable",
       {{"PMEM_AVX512F", "0"}, {"PMEM_AVX", "0"}, {"PMEM_SSE2", "0"}},
       best,
       "portable",
       "portable"},
      {"Libc",
       {{"PMEM_AVX512F", "0"},
        {"PMEM_AVX", "0"},
        {"PMEM_SSE2", "0"},
        {"PMEM_NO_GENERIC_MEMCPY", "1"}},
       best,
       "libc",
       "libc"},
      {"LibcOnlyWhereNothingElseWasChosen",
       {{"PMEM_NO_GENERIC_MEMCPY", "1"}},
       best,
       wide,
       wide},
      {"Movdir64b", {{"PMEM_MOVDIR64B", "1"}}, best, wide, direct},
      {"Movdir64bOff", {{"PMEM_MOVDIR64B", "0"}}, best, wide, wide},
      {"FencesBetweenPieces", {{"PMEM_WC_WORKAROUND", "1"}}, best, wide, wide},
      {"NoFencesBetweenPieces",
       {{"PMEM_WC_WORKAROUND", "0"}},
       best,
       wide,
       wide},
  };
}

INSTANTIATE_TEST_SUITE_P(Persist, PersistEnvironmentDeathTest,
                         ::testing::ValuesIn(environment_rows()),
                         support::RowName());

// A set-uid program must not be talked out of flushing by whoever starts it:
// the second test runs the first in a set-uid copy of this program.

TEST(FlushInstruction, HasOneOfFourNames) {
  const std::string name = flush_instruction();
  std::printf("flush instruction: %s\n", name.c_str());
  EXPECT_TRUE(name == "clwb" || name == "clflushopt" || name == "clflush" ||
              name == "none");
}

TEST(FlushInstruction, IsNotForbiddenInASetUidProgram) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root can make a set-uid copy of somebody else's";
  }
  const support::TempDir directory;
  const std::string program = directory / "copy";
  std::filesystem::copy_file("/proc/self/exe", program);
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(::chown(program.c_str(), kNobody, kNobody), 0);
  ASSERT_EQ(::chmod(program.c_str(), 04755), 0);
  ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
  const std::string command =
      "PMEM_NO_FLUSH=1 " + program +
      " --gtest_filter=FlushInstruction.HasOneOfFourNames 2>&1";
  std::FILE* output = ::popen(command.c_str(), "r");
  ASSERT_NE(output, nullptr);
  std::string text;
  for (int character = 0; (character = std::fgetc(output)) != EOF;) {
    text.push_back(static_cast<char>(character));
  }
  // Its exit status may be that of the leak sanitizer, which cannot look into
  // a set-uid process.
  ::pclose(output);
  EXPECT_NE(text.find("[  PASSED  ] 1 test."), std::string::npos) << text;
  const std::string expected =
      platform_needs_flush() ? best_flush(true, true) : "none";
  EXPECT_NE(text.find("flush instruction: " + expected + "\n"),
            std::string::npos)
      << text;
}

// Platforms.

using Domain = std::optional<std::string>;

struct PlatformRow {
  const char* name;
  std::vector<Domain> regions;
  std::optional<bool> saves_caches;
};

class Platform : public ::testing::TestWithParam<PlatformRow> {};

TEST_P(Platform, SavesCachesIfEveryRegionSaysSo) {
  FakeSysfs sysfs;
  sysfs.write("bus/nd/devices/ndbus0/persistence_domain", "no region\n");
  int number = 0;
  for (const Domain& domain : GetParam().regions) {
    sysfs.add_region("region" + std::to_string(number++), domain);
  }
  EXPECT_EQ(platform_saves_caches(sysfs.root()), GetParam().saves_caches);
}

INSTANTIATE_TEST_SUITE_P(
    Persist, Platform,
    ::testing::Values(
        PlatformRow{"NoRegion", {}, false},
        PlatformRow{"CpuCache", {"cpu_cache"}, true},
        PlatformRow{"CpuCacheTwice", {"cpu_cache", "cpu_cache"}, true},
        PlatformRow{"MemoryController", {"memory_controller"}, false},
        PlatformRow{"Unknown", {"unknown"}, false},
        PlatformRow{"Mixed", {"cpu_cache", "memory_controller"}, false},
        // So the kernel has it where the platform promises nothing.
        PlatformRow{"Missing", {std::nullopt}, false},
        PlatformRow{"Empty", {""}, std::nullopt},
        PlatformRow{"CpuCacheAndMissing", {"cpu_cache", std::nullopt}, false},
        PlatformRow{"CpuCacheAndEmpty", {"cpu_cache", ""}, std::nullopt}),
    support::RowName());

TEST(Platform, DoesNotSaveCachesWithoutThePmemBus) {
  const FakeSysfs sysfs;
  EXPECT_EQ(platform_saves_caches(sysfs.root()), false);
  EXPECT_EQ(platform_saves_caches("/nonexistent"), false);
}

TEST(Platform, IsUnknownWhereARegionCannotBeRead) {
  FakeSysfs sysfs;
  sysfs.add_region("region0", std::nullopt);
  sysfs.make_directory("bus/nd/devices/region0/persistence_domain");
  EXPECT_EQ(platform_saves_caches(sysfs.root()), std::nullopt);
}

}  // namespace
}  // namespace pmem
