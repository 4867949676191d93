// What may be in persistent memory after a crash.
//
// The model is that of x86-64 with cache-line granularity (Intel's and AMD's
// manuals; SNIA's programming model): memory takes naturally aligned 8-byte
// words whole, and nothing larger. Each word may hold any value that it has had
// since the last one that is certain. A store through the caches becomes
// certain by a flush of its line that follows it, and a fence that follows the
// flush; a streaming store by a fence that follows it. Nothing else is certain,
// and words are independent of each other: a cache line may be written back, or
// lost, at any time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "support/store_recorder.h"

namespace support {

class CrashModel {
 public:
  static constexpr std::size_t kWordBytes = 8;
  static constexpr std::size_t kLineBytes = 64;
  using Word = std::array<std::byte, kWordBytes>;

  // `durable` begins at a cache line and holds whole ones.
  explicit CrashModel(std::span<const std::byte> durable)
      : words_(durable.size() / kWordBytes) {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      Version first;
      std::memcpy(first.value.data(), durable.data() + i * kWordBytes,
                  kWordBytes);
      words_[i].push_back(first);
    }
  }

  void apply(const StoreEvent& event) {
    switch (event.kind) {
      case StoreEvent::Kind::kStore:
        store(event, false);
        return;
      case StoreEvent::Kind::kStream:
        store(event, true);
        return;
      case StoreEvent::Kind::kFlush:
        flush(event.begin);
        return;
      case StoreEvent::Kind::kFence:
        fence();
        return;
    }
  }

  [[nodiscard]] std::size_t words() const { return words_.size(); }

  // What the word may hold after a crash now; oldest first.
  [[nodiscard]] std::vector<Word> possible(std::size_t word) const {
    std::vector<Word> values;
    for (const Version& version : words_[word]) {
      if (std::find(values.begin(), values.end(), version.value) ==
          values.end()) {
        values.push_back(version.value);
      }
    }
    return values;
  }

  // What the program itself reads.
  [[nodiscard]] Word current(std::size_t word) const {
    return words_[word].back().value;
  }

  // Hands over every image that a crash now may leave of the words
  // [first, first+count): the number of them is the product of what each word
  // may hold.
  void for_each_image(
      std::size_t first, std::size_t count,
      const std::function<void(std::span<const Word>)>& visit) const {
    std::vector<Word> image(count);
    choose(first, image, 0, visit);
  }

 private:
  struct Version {
    Word value = {};
    bool is_on_its_way = false;  // streamed or flushed: certain after a fence
  };

  void store(const StoreEvent& event, bool is_streamed) {
    std::size_t at = event.begin;
    const std::size_t end = event.begin + event.bytes.size();
    while (at < end) {
      std::vector<Version>& versions = words_[at / kWordBytes];
      Version next = {versions.back().value, is_streamed};
      const std::size_t word_end = (at / kWordBytes + 1) * kWordBytes;
      for (; at < std::min(end, word_end); ++at) {
        next.value.at(at % kWordBytes) = event.bytes[at - event.begin];
      }
      versions.push_back(next);
    }
  }

  void flush(std::size_t at) {
    const std::size_t first = at / kLineBytes * kLineBytes / kWordBytes;
    for (std::size_t i = first; i < first + kLineBytes / kWordBytes; ++i) {
      for (Version& version : words_[i]) {
        version.is_on_its_way = true;
      }
    }
  }

  void fence() {
    for (std::vector<Version>& versions : words_) {
      const auto certain =
          std::find_if(versions.rbegin(), versions.rend(),
                       [](const Version& v) { return v.is_on_its_way; });
      if (certain != versions.rend()) {
        versions.erase(versions.begin(), std::prev(certain.base()));
      }
    }
  }

  void choose(std::size_t first, std::vector<Word>& image, std::size_t chosen,
              const std::function<void(std::span<const Word>)>& visit) const {
    if (chosen == image.size()) {
      visit(image);
      return;
    }
    for (const Word& value : possible(first + chosen)) {
      image[chosen] = value;
      choose(first, image, chosen + 1, visit);
    }
  }

  std::vector<std::vector<Version>> words_;
};

}  // namespace support
