// Four writers and four readers on one file. Each 8-byte word belongs to one
// writer, and tells who wrote it, as which of its writes, and for which place,
// so that every word that a reader sees can be held against what its owner
// wrote there, and against what the reader saw before.
//
// PMEMFS_STRESS_SECONDS says how long, 3 s by default.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

using std::chrono::steady_clock;

constexpr unsigned kWriters = 4;
constexpr unsigned kReaders = 4;
constexpr std::size_t kBlockWords = 513;  // a page and a bit
constexpr std::size_t kBlocks = 256;
constexpr std::size_t kWords = kBlockWords * kBlocks;
constexpr std::size_t kWordBytes = sizeof(std::uint64_t);

std::chrono::seconds duration() {
  const char* text = std::getenv("PMEMFS_STRESS_SECONDS");
  const int seconds = text == nullptr ? 0 : std::atoi(text);
  return std::chrono::seconds(seconds > 0 ? seconds : 3);
}

unsigned owner_of(std::size_t word) {
  return static_cast<unsigned>(word / kBlockWords % kWriters);
}

std::uint32_t checksum(std::uint32_t owner, std::uint32_t sequence,
                       std::size_t word) {
  std::uint64_t mixed =
      (std::uint64_t{sequence} << 32 | owner) ^ word * 0x9E3779B97F4A7C15U;
  mixed = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9U;
  return static_cast<std::uint32_t>(mixed >> 32) | 1U;
}

// A word: the number of the write (from 1 on) above, the checksum below.
std::uint64_t make_word(unsigned owner, std::uint32_t sequence,
                        std::size_t word) {
  return std::uint64_t{sequence} << 32 | checksum(owner, sequence, word);
}

std::uint32_t sequence_of(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

bool is_word_of(std::uint64_t value, unsigned owner, std::size_t word) {
  return value == make_word(owner, sequence_of(value), word);
}

// A random stretch of words within one block, or over several.
struct Stretch {
  std::size_t first;
  std::size_t count;
};

class Stress : public OnEachBacking {
 protected:
  void write_until(steady_clock::time_point end, unsigned owner) {
    const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
    std::mt19937 random(owner);
    std::uniform_int_distribution<std::size_t> blocks(0,
                                                      kBlocks / kWriters - 1);
    std::uniform_int_distribution<std::size_t> places(0, kBlockWords - 1);
    std::vector<std::uint64_t> words;
    for (std::uint32_t sequence = 1; steady_clock::now() < end; ++sequence) {
      const std::size_t place = places(random);
      const Stretch stretch = {
          (blocks(random) * kWriters + owner) * kBlockWords + place,
          places(random) % (kBlockWords - place) + 1};
      words.clear();
      for (std::size_t i = 0; i < stretch.count; ++i) {
        words.push_back(make_word(owner, sequence, stretch.first + i));
      }
      started_[owner] = sequence;
      const auto size = static_cast<ssize_t>(words.size() * kWordBytes);
      const auto offset = static_cast<off_t>(stretch.first * kWordBytes);
      if (::pwrite(fd.get(), words.data(), words.size() * kWordBytes, offset) !=
          size) {
        ++failed_calls_;
        return;
      }
      for (std::size_t i = 0; i < stretch.count; ++i) {
        last_written_[stretch.first + i] = words[i];
      }
    }
  }

  void read_until(steady_clock::time_point end, unsigned seed) {
    const pmem::UniqueFd fd = open_file(mounted("f"), O_RDONLY);
    std::mt19937 random(100 + seed);
    std::uniform_int_distribution<std::size_t> firsts(0, kWords - 1);
    std::uniform_int_distribution<std::size_t> counts(1, 5 * kBlockWords);
    std::vector<std::uint64_t> words(5 * kBlockWords);
    std::vector<std::uint32_t> seen(kWords);
    while (steady_clock::now() < end) {
      const std::size_t first = firsts(random);
      const std::size_t count = std::min(counts(random), kWords - first);
      const auto size = static_cast<ssize_t>(count * kWordBytes);
      if (::pread(fd.get(), words.data(), count * kWordBytes,
                  static_cast<off_t>(first * kWordBytes)) != size) {
        ++failed_calls_;
        return;
      }
      for (std::size_t i = 0; i < count; ++i) {
        check(words[i], first + i, seen[first + i]);
      }
      ++reads_;
    }
  }

  // The file as its writers left it, seen in the given way.
  void expect_last_written(const std::string& path) {
    const std::string content = content_of(path);
    ASSERT_EQ(content.size(), kWords * kWordBytes);
    std::size_t wrong = 0;
    for (std::size_t word = 0; word < kWords; ++word) {
      std::uint64_t value = 0;
      std::memcpy(&value, content.data() + word * kWordBytes, kWordBytes);
      wrong += std::size_t{value != last_written_[word]};
    }
    EXPECT_EQ(wrong, 0U) << "words of " << path << " that were lost";
  }

  std::atomic<std::uint64_t> reads_ = 0;
  std::atomic<std::uint64_t> wrong_words_ = 0;
  std::atomic<std::uint64_t> words_from_the_past_ = 0;
  std::atomic<std::uint64_t> failed_calls_ = 0;
  std::array<std::atomic<std::uint32_t>, kWriters> started_ = {};
  // Each word is its owner's alone until the owners have ended.
  std::vector<std::uint64_t> last_written_ = std::vector<std::uint64_t>(kWords);

 private:
  void check(std::uint64_t value, std::size_t word, std::uint32_t& seen) {
    const std::uint32_t sequence = sequence_of(value);
    const bool is_right =
        value == 0 || (is_word_of(value, owner_of(word), word) &&
                       sequence <= started_[owner_of(word)]);
    if (!is_right) {
      ++wrong_words_;
    } else if (sequence < seen) {
      ++words_from_the_past_;
    } else {
      seen = sequence;
    }
  }
};
PMEMFS_ON_EACH_BACKING(Stress);

TEST_P(Stress, FourWritersAndFourReadersSeeNoWrongByte) {
  {
    const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
    ASSERT_EQ(::ftruncate(fd.get(), off_t{kWords * kWordBytes}), 0);
  }
  const auto end = steady_clock::now() + duration();
  std::vector<std::thread> threads;
  for (unsigned owner = 0; owner < kWriters; ++owner) {
    threads.emplace_back([=, this] { write_until(end, owner); });
  }
  for (unsigned seed = 0; seed < kReaders; ++seed) {
    threads.emplace_back([=, this] { read_until(end, seed); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(failed_calls_, 0U);
  EXPECT_EQ(wrong_words_, 0U);
  EXPECT_EQ(words_from_the_past_, 0U);
  EXPECT_GT(reads_, 10U);
  std::uint64_t writes = 0;
  for (const auto& started : started_) {
    writes += started;
  }
  EXPECT_GT(writes, 10U);
  RecordProperty("reads", std::to_string(reads_));
  RecordProperty("writes", std::to_string(writes));
  expect_last_written(mounted("f"));
  expect_last_written(source("f"));
  remount();
  expect_last_written(mounted("f"));
}

}  // namespace
}  // namespace mount_tests
