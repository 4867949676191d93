// Every copy back-end runs the same tests, each through the caches and
// streaming, and is compared with libc. What the CPU lacks is skipped, but for
// MOVDIR64B, which is emulated.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cpu_features.h"
#include "persist_backend.h"
#include "support/movdir64b_emulator.h"
#include "support/sanitizers.h"

namespace pmem {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kLine = kCacheLineBytes;
constexpr std::byte kGuard{0xA5};

struct BackendRow {
  const CopyBackend* backend;
  bool streams;
};

// Memory between pages that cannot be touched.
class Arena {
 public:
  explicit Arena(std::size_t pages) : length_(pages * kPage) {
    void* room = ::mmap(nullptr, length_ + 2 * kPage, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(room, MAP_FAILED);
    begin_ = static_cast<std::byte*>(room) + kPage;
    EXPECT_EQ(::mprotect(begin_, length_, PROT_READ | PROT_WRITE), 0);
  }
  ~Arena() { ::munmap(begin_ - kPage, length_ + 2 * kPage); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  [[nodiscard]] std::byte* begin() const { return begin_; }
  [[nodiscard]] std::byte* end() const { return begin_ + length_; }

  void fill(std::byte value) const {
    std::memset(begin_, std::to_integer<int>(value), length_);
  }
  // No two lines and no two neighbours are alike; the guard byte is not in it.
  void fill_with_pattern() const {
    for (std::size_t i = 0; i < length_; ++i) {
      begin_[i] = static_cast<std::byte>((i * 7 + i / kLine) % 163);
    }
  }

 private:
  std::size_t length_;
  std::byte* begin_ = nullptr;
};

bool is_all(const std::byte* begin, std::size_t length, std::byte value) {
  return std::all_of(begin, begin + length,
                     [&](std::byte byte) { return byte == value; });
}

class EachCopyBackend : public ::testing::TestWithParam<BackendRow> {
 protected:
  void SetUp() override {
    if (backend().is_supported()) {
      return;
    }
    if (&backend() != &kMovdir64b) {
      GTEST_SKIP() << "this CPU has no " << backend().name;
    }
    emulator_ = std::make_unique<support::Movdir64bEmulator>();
  }

  [[nodiscard]] static const CopyBackend& backend() {
    return *GetParam().backend;
  }
  [[nodiscard]] static CopyFunction copy_with(FlushKind kind) {
    const CopyFunctions& functions = backend().with(kind);
    return GetParam().streams ? functions.stream_copy : functions.copy;
  }
  [[nodiscard]] static FillFunction fill_with(FlushKind kind) {
    const CopyFunctions& functions = backend().with(kind);
    return GetParam().streams ? functions.stream_fill : functions.fill;
  }
  // Each emulated store costs a signal; sanitizers watch the comparing.
  [[nodiscard]] bool is_thorough() const {
    return emulator_ == nullptr && !support::kHasSanitizer;
  }

 private:
  std::unique_ptr<support::Movdir64bEmulator> emulator_;
};

// Every length up to a page, at every alignment of the target and so with every
// alignment of its end, from sources at every alignment: all of them for the
// lengths at which code differs, some for the longer ones.
TEST_P(EachCopyBackend, CopiesEveryLengthAtEveryAlignment) {
  constexpr std::size_t kLongestWithAll = kPage;
  constexpr std::array<std::size_t, 8> kSome = {0, 1, 7, 8, 31, 32, 37, 63};
  const CopyFunction copy = copy_with(FlushKind::kNone);
  const Arena source(2);
  const Arena target(2);
  source.fill_with_pattern();
  target.fill(kGuard);
  const auto check = [&](std::size_t length, std::size_t to, std::size_t from) {
    std::byte* begin = target.begin() + kLine + to;
    const std::byte* bytes = source.begin() + from;
    copy(begin, bytes, length);
    const bool is_right = std::memcmp(begin, bytes, length) == 0 &&
                          is_all(begin - kLine, kLine, kGuard) &&
                          is_all(begin + length, kLine, kGuard);
    std::memset(begin - kLine, std::to_integer<int>(kGuard),
                length + 2 * kLine);
    return is_right;
  };
  const std::size_t step = is_thorough() ? 1U : 61U;
  for (std::size_t length = 0; length <= kPage;
       length += length < 2 * kLine ? 1U : step) {
    for (std::size_t to = 0; to < kLine; to += is_thorough() ? 1U : 7U) {
      const bool with_all = is_thorough() && length <= kLongestWithAll;
      for (std::size_t i = 0; i < (with_all ? kLine : kSome.size()); ++i) {
        const std::size_t from = with_all ? i : kSome.at(i);
        ASSERT_TRUE(check(length, to, from))
            << length << " bytes from +" << from << " to +" << to;
      }
    }
  }
}

TEST_P(EachCopyBackend, FillsEveryLengthAtEveryAlignment) {
  const FillFunction fill = fill_with(FlushKind::kNone);
  const Arena target(2);
  target.fill(kGuard);
  const std::size_t step = is_thorough() ? 1U : 61U;
  for (std::size_t length = 0; length <= kPage;
       length += length < 2 * kLine ? 1U : step) {
    for (std::size_t to = 0; to < kLine; to += is_thorough() ? 1U : 7U) {
      std::byte* begin = target.begin() + kLine + to;
      const auto value = static_cast<int>((length + to) % 160);
      fill(begin, value + 0x7F00, length);  // as memset: the lowest byte counts
      ASSERT_TRUE(is_all(begin, length, static_cast<std::byte>(value)) &&
                  is_all(begin - kLine, kLine, kGuard) &&
                  is_all(begin + length, kLine, kGuard))
          << length << " bytes to +" << to;
      std::memset(begin, std::to_integer<int>(kGuard), length);
    }
  }
}

class Overlaps {
 public:
  explicit Overlaps(CopyFunction move) : move_(move) {
    pristine_.fill_with_pattern();
  }

  // "" if moving inside one buffer gives what memmove gives.
  [[nodiscard]] std::string check(std::size_t from, std::ptrdiff_t distance,
                                  std::size_t length) const {
    const std::size_t to = from + static_cast<std::size_t>(distance);
    const std::size_t used = std::max(to, from) + length + kLine;
    std::memcpy(buffer_.begin(), pristine_.begin(), used);
    std::memcpy(expected_.begin(), pristine_.begin(), used);
    std::memmove(expected_.begin() + to, expected_.begin() + from, length);
    move_(buffer_.begin() + to, buffer_.begin() + from, length);
    if (std::memcmp(buffer_.begin(), expected_.begin(), used) == 0) {
      return "";
    }
    return std::to_string(length) + " bytes from " + std::to_string(from) +
           " by " + std::to_string(distance);
  }

 private:
  static constexpr std::size_t kPages = 80;

  CopyFunction move_;
  Arena pristine_{kPages};
  Arena buffer_{kPages};
  Arena expected_{kPages};
};

TEST_P(EachCopyBackend, MovesShortOverlaps) {
  constexpr std::size_t kLongest = 600;
  const Overlaps overlaps(copy_with(FlushKind::kNone));
  const std::ptrdiff_t step = is_thorough() ? 1 : 13;
  for (std::size_t length = 0; length <= kLongest;
       length += length < 2 * kLine || length % kLine > kLine - 3 ? 1U : 3U) {
    const auto reach = static_cast<std::ptrdiff_t>(std::min<std::size_t>(
        length + 2, is_thorough() ? kLongest : 2 * kLine));
    for (std::ptrdiff_t distance = -reach; distance <= reach;
         distance += step) {
      for (const std::size_t from : {1024U, 1024U + 37U}) {
        ASSERT_EQ(overlaps.check(from, distance, length), "");
      }
    }
  }
}

// Lengths at which the back-ends change the size of their blocks, and
// distances at which they change the direction.
TEST_P(EachCopyBackend, MovesLongOverlaps) {
  const Overlaps overlaps(copy_with(FlushKind::kNone));
  std::vector<std::size_t> lengths = {1000, 4096, 5000};
  if (is_thorough()) {
    lengths.insert(lengths.end(), {65536, 65537 + 64, 70001, 150000});
  }
  for (const std::size_t length : lengths) {
    for (const std::ptrdiff_t distance :
         {1, 8, 63, 64, 65, 100, 255, 256, 511, 512, 1024, 2047, 2048, 2049,
          4095, 4096, 4097, 8192, 65536}) {
      for (const std::size_t from : {65536U + 4096U, 65536U + 4096U + 21U}) {
        ASSERT_EQ(overlaps.check(from, distance, length), "");
        ASSERT_EQ(overlaps.check(from, -distance, length), "");
      }
    }
  }
}

TEST_P(EachCopyBackend, LeavesBytesThatAreAlreadyInPlace) {
  const CopyFunction copy = copy_with(FlushKind::kNone);
  const Arena arena(2);
  arena.fill_with_pattern();
  const std::vector<std::byte> before(arena.begin(), arena.end());
  for (const std::size_t length : {1U, 64U, 300U, 5000U}) {
    copy(arena.begin() + 3, arena.begin() + 3, length);
  }
  EXPECT_TRUE(std::equal(before.begin(), before.end(), arena.begin()));
}

// The next page cannot be touched, neither for reading nor for writing.
TEST_P(EachCopyBackend, ReadsAndWritesNothingBeside) {
  const CopyFunction copy = copy_with(FlushKind::kNone);
  const FillFunction fill = fill_with(FlushKind::kNone);
  const Arena source(3);
  const Arena target(3);
  source.fill_with_pattern();
  const std::size_t step = is_thorough() ? 1U : 37U;
  for (std::size_t length = 0; length <= 2 * kPage;
       length += length < 3 * kLine ? 1U : step) {
    copy(target.begin(), source.begin(), length);
    ASSERT_EQ(std::memcmp(target.begin(), source.begin(), length), 0) << length;
    copy(target.end() - length, source.end() - length, length);
    ASSERT_EQ(std::memcmp(target.end() - length, source.end() - length, length),
              0)
        << length;
    fill(target.begin(), 3, length);
    fill(target.end() - length, 4, length);
    ASSERT_TRUE(is_all(target.end() - length, length, std::byte{4})) << length;
  }
}

TEST_P(EachCopyBackend, CopiesAlikeWithEachKindOfFlush) {
  const Arena source(32);
  const Arena target(32);
  source.fill_with_pattern();
  for (const FlushBackend* flush : {&kClflush, &kClflushopt, &kClwb}) {
    if (!flush->is_supported()) {
      continue;
    }
    const CopyFunction copy = copy_with(flush->kind);
    const FillFunction fill = fill_with(flush->kind);
    for (const std::size_t length :
         {0U, 1U, 8U, 63U, 64U, 65U, 200U, 256U, 1000U, 4096U, 70001U}) {
      target.fill(kGuard);
      std::byte* begin = target.begin() + 13;
      copy(begin, source.begin() + 5, length);
      ASSERT_EQ(std::memcmp(begin, source.begin() + 5, length), 0)
          << flush->name << ' ' << length;
      ASSERT_TRUE(is_all(begin + length, kLine, kGuard));
      fill(begin, 9, length);
      ASSERT_TRUE(is_all(begin, length, std::byte{9}))
          << flush->name << ' ' << length;
      ASSERT_TRUE(is_all(begin + length, kLine, kGuard));
    }
  }
}

std::vector<BackendRow> each_backend() {
  std::vector<BackendRow> rows;
  for (const CopyBackend* backend : {&kMovdir64b, &kAvx512f, &kAvx, &kSse2}) {
    rows.push_back({backend, false});
    rows.push_back({backend, true});
  }
  rows.push_back({&kPortable, false});
  rows.push_back({&kLibc, false});
  return rows;
}

INSTANTIATE_TEST_SUITE_P(All, EachCopyBackend,
                         ::testing::ValuesIn(each_backend()),
                         [](const auto& row) {
                           return std::string(row.param.backend->name) +
                                  (row.param.streams ? "_streaming"
                                                     : "_cached");
                         });

}  // namespace
}  // namespace pmem
