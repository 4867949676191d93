// pmem_memmove and its kin: they return the destination and write the right
// bytes, and no other.
//
// These tests also run against the distribution's libpmem.
#include <gtest/gtest.h>
#include <libpmem.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "support/guarded_buffer.h"
#include "support/row_name.h"

namespace {

using support::GuardedBuffer;

using Copy = void* (*)(void* to, const void* from, std::size_t length);
using Fill = void* (*)(void* to, int value, std::size_t length);

constexpr std::array<std::size_t, 9> kOffsets = {0,  1,  7,  8, 16,
                                                 31, 32, 56, 63};
constexpr std::array<std::size_t, 3> kSourceOffsets = {0, 5, 8};

std::vector<std::size_t> sampled_lengths() {
  std::vector<std::size_t> lengths;
  for (std::size_t length = 0; length <= 300; ++length) {
    lengths.push_back(length);
  }
  for (const std::size_t length : {512U, 513U, 4096U, 4097U, 200003U}) {
    lengths.push_back(length);
  }
  return lengths;
}

void expect_exact_copies(Copy copy) {
  GuardedBuffer source(200003 + 64);
  source.fill_with_pattern();
  for (const std::size_t length : sampled_lengths()) {
    GuardedBuffer target(length + 64);
    for (const std::size_t to : kOffsets) {
      for (const std::size_t from : kSourceOffsets) {
        target.clear();
        std::byte* destination = target.data() + to;
        ASSERT_EQ(copy(destination, source.data() + from, length), destination);
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

void expect_exact_fills(Fill fill) {
  for (const std::size_t length : sampled_lengths()) {
    GuardedBuffer target(length + 64);
    for (const std::size_t to : kOffsets) {
      target.clear();
      std::byte* destination = target.data() + to;
      // As memset(3): what is above the lowest byte does not count.
      ASSERT_EQ(fill(destination, 0x7F17, length), destination);
      ASSERT_EQ(target.find_wrong(to, length,
                                  [](std::size_t) { return std::byte{0x17}; }),
                "")
          << length << " bytes to " << to;
    }
  }
}

void expect_exact_moves(Copy move) {
  constexpr std::size_t kRoom = 2048;
  for (const std::size_t length :
       {0U, 1U, 8U, 63U, 64U, 65U, 255U, 256U, 300U, 1024U}) {
    for (const std::ptrdiff_t distance : {-300, -256, -65, -64, -63, -8, -1, 0,
                                          1, 7, 8, 63, 64, 65, 256, 300}) {
      for (const std::ptrdiff_t from : {400, 405, 448}) {
        GuardedBuffer buffer(kRoom);
        buffer.fill_with_pattern();
        std::vector<std::byte> expected(buffer.data(), buffer.data() + kRoom);
        const auto to = static_cast<std::size_t>(from + distance);
        std::memmove(expected.data() + to, expected.data() + from, length);
        ASSERT_EQ(move(buffer.data() + to, buffer.data() + from, length),
                  buffer.data() + to);
        ASSERT_EQ(buffer.find_wrong(0, kRoom,
                                    [&](std::size_t i) { return expected[i]; }),
                  "")
            << length << " bytes from " << from << " by " << distance;
      }
    }
  }
}

struct Functions {
  const char* name;
  Copy copy;
  Copy move;
  Fill fill;
};

class CopyFunctions : public ::testing::TestWithParam<Functions> {};

TEST_P(CopyFunctions, CopyExactly) { expect_exact_copies(GetParam().copy); }

TEST_P(CopyFunctions, MoveExactly) {
  expect_exact_copies(GetParam().move);
  expect_exact_moves(GetParam().move);
}

TEST_P(CopyFunctions, FillExactly) { expect_exact_fills(GetParam().fill); }

template <unsigned kFlags>
constexpr Functions with_flags(const char* name) {
  return {name,
          [](void* to, const void* from, std::size_t n) {
            return ::pmem_memcpy(to, from, n, kFlags);
          },
          [](void* to, const void* from, std::size_t n) {
            return ::pmem_memmove(to, from, n, kFlags);
          },
          [](void* to, int value, std::size_t n) {
            return ::pmem_memset(to, value, n, kFlags);
          }};
}

INSTANTIATE_TEST_SUITE_P(
    All, CopyFunctions,
    ::testing::Values(
        Functions{"Persist", ::pmem_memcpy_persist, ::pmem_memmove_persist,
                  ::pmem_memset_persist},
        Functions{"Nodrain", ::pmem_memcpy_nodrain, ::pmem_memmove_nodrain,
                  ::pmem_memset_nodrain},
        with_flags<0>("NoFlags"), with_flags<PMEM_F_MEM_NODRAIN>("FlagNodrain"),
        with_flags<PMEM_F_MEM_NONTEMPORAL>("FlagNontemporal"),
        with_flags<PMEM_F_MEM_TEMPORAL>("FlagTemporal"),
        with_flags<PMEM_F_MEM_WC>("FlagWc"),
        with_flags<PMEM_F_MEM_WB>("FlagWb"),
        with_flags<PMEM_F_MEM_NOFLUSH>("FlagNoflush"),
        with_flags<PMEM_F_MEM_VALID_FLAGS>("AllFlags"),
        with_flags<PMEM_F_MEM_WC | PMEM_F_MEM_NODRAIN>("WcAndNodrain"),
        with_flags<1U << 31>("UnknownFlag")),
    support::RowName());

TEST(Flush, LeavesTheBytesAlone) {
  GuardedBuffer buffer(5000);
  buffer.fill_with_pattern();
  ::pmem_persist(buffer.data() + 1, 4000);
  ::pmem_flush(buffer.data(), 5000);
  ::pmem_drain();
  ::pmem_persist(buffer.data(), 0);
  EXPECT_EQ(buffer.find_wrong(0, 5000, GuardedBuffer::pattern), "");
}

}  // namespace
