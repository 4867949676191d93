// What a power failure leaves behind: every store, flush and fence of a call is
// recorded, and after each of them the crash model tells what may be in memory.
// This program is linked with the build of the library that reports its stores.
#include <gtest/gtest.h>
#include <libpmem.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "persist_backend.h"
#include "pmem/persist.h"
#include "support/crash_model.h"
#include "support/movdir64b_emulator.h"
#include "support/row_name.h"
#include "support/sanitizers.h"
#include "support/store_recorder.h"
#include "support/streamed_lines.h"

namespace {

using pmem::CopyBackend;
using pmem::FlushKind;
using support::CrashModel;
using support::StoreEvent;
using support::StoreRecorder;

constexpr std::size_t kLine = 64;
constexpr std::size_t kMemoryBytes = 40 * kLine;

using Bytes = std::vector<std::byte>;

// Where a call writes.
struct Target {
  std::size_t begin;
  std::size_t length;

  [[nodiscard]] std::size_t end() const { return begin + length; }
  [[nodiscard]] bool is_aligned() const { return (begin | length) % 8 == 0; }
  [[nodiscard]] std::string in_words() const {
    return std::to_string(length) + " bytes to +" + std::to_string(begin);
  }
};

// What a call did to the memory.
struct Recording {
  Bytes before;
  Bytes after;
  std::vector<StoreEvent> events;
};

// Memory that begins at a cache line.
class Memory {
 public:
  Memory() : storage_(kMemoryBytes + kLine) {
    void* begin = storage_.data();
    std::size_t room = storage_.size();
    begin_ =
        static_cast<std::byte*>(std::align(kLine, kMemoryBytes, begin, room));
    for (std::size_t i = 0; i < kMemoryBytes; ++i) {
      begin_[i] = static_cast<std::byte>(i * 11 % 251);
    }
  }

  [[nodiscard]] std::byte* at(std::size_t offset) const {
    return begin_ + offset;
  }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {begin_, kMemoryBytes};
  }

 private:
  Bytes storage_;
  std::byte* begin_;
};

using Call = std::function<void(const Memory& memory)>;

Recording record(const Call& call) {
  const Memory memory;
  Recording recording;
  recording.before.assign(memory.bytes().begin(), memory.bytes().end());
  {
    StoreRecorder recorder(memory.bytes());
    call(memory);
    recording.events = recorder.events();
  }
  recording.after.assign(memory.bytes().begin(), memory.bytes().end());
  return recording;
}

std::string word_name(std::size_t word) {
  return "the word at +" + std::to_string(word * CrashModel::kWordBytes);
}

CrashModel::Word word_of(const Bytes& bytes, std::size_t word) {
  CrashModel::Word value;
  std::memcpy(value.data(), bytes.data() + word * value.size(), value.size());
  return value;
}

// "" if each byte of the word is either old or new, and where the target allows
// it all of them together are.
std::string check_word(const Recording& recording, const Target& target,
                       std::size_t word, const CrashModel::Word& value) {
  const CrashModel::Word before = word_of(recording.before, word);
  const CrashModel::Word after = word_of(recording.after, word);
  if (target.is_aligned() && value != before && value != after) {
    return word_name(word) + " may be torn";
  }
  for (std::size_t i = 0; i < value.size(); ++i) {
    const bool is_inside =
        word * 8 + i >= target.begin && word * 8 + i < target.end();
    if (value.at(i) != before.at(i) &&
        (!is_inside || value.at(i) != after.at(i))) {
      return word_name(word) + " may hold what was never meant to be there";
    }
  }
  return "";
}

// "" if a crash after any event leaves only old and new, and a crash after the
// last one leaves only new. Also, every store has been reported.
std::string find_violation(const Recording& recording, const Target& target) {
  CrashModel model(recording.before);
  for (const StoreEvent& event : recording.events) {
    model.apply(event);
    for (std::size_t word = 0; word < model.words(); ++word) {
      for (const CrashModel::Word& value : model.possible(word)) {
        const std::string wrong = check_word(recording, target, word, value);
        if (!wrong.empty()) {
          return wrong;
        }
      }
    }
  }
  for (std::size_t word = 0; word < model.words(); ++word) {
    if (model.current(word) != word_of(recording.after, word)) {
      return word_name(word) + " has changed by a store that was not reported";
    }
    if (model.possible(word).size() != 1) {
      return word_name(word) + " may be lost";
    }
  }
  return "";
}

// All of them take a sanitizer too long.
std::vector<Target> targets() {
  std::vector<Target> all;
  for (const std::size_t begin : {0U, 1U, 8U, 24U, 37U, 56U, 63U}) {
    for (const std::size_t length :
         {1U,   2U,   3U,   4U,   7U,   8U,   9U,    15U,  16U,  17U,
          24U,  31U,  32U,  40U,  48U,  63U,  64U,   65U,  96U,  100U,
          127U, 128U, 129U, 192U, 200U, 255U, 256U,  257U, 320U, 384U,
          448U, 511U, 512U, 513U, 600U, 777U, 1000U, 1024U}) {
      all.push_back({4 * kLine + begin, length});
    }
  }
  if (support::kHasSanitizer) {
    std::size_t index = 0;
    std::erase_if(all, [&](const Target&) { return index++ % 5 != 0; });
  }
  return all;
}

const Bytes& source() {
  static const Bytes kSource = [] {
    Bytes bytes(4096);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::byte>(i * 7 % 253 + 1);
    }
    return bytes;
  }();
  return kSource;
}

// The C interface.

struct FunctionRow {
  const char* name;
  std::function<void(std::byte* to, std::size_t length)> call;
};

class PersistFunction : public ::testing::TestWithParam<FunctionRow> {};

TEST_P(PersistFunction, LeavesNothingToACrash) {
  for (const Target& target : targets()) {
    const Recording recording = record([&](const Memory& memory) {
      GetParam().call(memory.at(target.begin), target.length);
    });
    ASSERT_EQ(find_violation(recording, target), "") << target.in_words();
  }
}

// Each flush and each fence is needed: without it the checker finds what a
// crash could do.
TEST_P(PersistFunction, IsFoundOutWhenAFlushOrTheFenceIsRemoved) {
  for (const Target& target : targets()) {
    const Recording whole = record([&](const Memory& memory) {
      GetParam().call(memory.at(target.begin), target.length);
    });
    std::size_t removed = 0;
    for (std::size_t i = 0; i < whole.events.size(); ++i) {
      const StoreEvent::Kind kind = whole.events[i].kind;
      if (kind != StoreEvent::Kind::kFlush &&
          kind != StoreEvent::Kind::kFence) {
        continue;
      }
      Recording less = whole;
      less.events.erase(less.events.begin() + static_cast<std::ptrdiff_t>(i));
      EXPECT_NE(find_violation(less, target).find("may be lost"),
                std::string::npos)
          << target.in_words() << ", without event " << i;
      ++removed;
    }
    ASSERT_GT(removed, 0U);
  }
}

// A store that goes unreported would make all of this worthless.
TEST_P(PersistFunction, IsFoundOutWhenAStoreIsNotReported) {
  for (const Target& target : targets()) {
    Recording recording = record([&](const Memory& memory) {
      GetParam().call(memory.at(target.begin), target.length);
    });
    std::erase_if(recording.events, [](const StoreEvent& event) {
      return event.kind == StoreEvent::Kind::kStore ||
             event.kind == StoreEvent::Kind::kStream;
    });
    ASSERT_NE(find_violation(recording, target), "") << target.in_words();
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, PersistFunction,
    ::testing::Values(
        FunctionRow{"memcpy_persist",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memcpy_persist(to, source().data() + 3, length);
                    }},
        FunctionRow{"memmove_persist",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memmove_persist(to, source().data(), length);
                    }},
        FunctionRow{"memset_persist",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memset_persist(to, 0xEE, length);
                    }},
        FunctionRow{"memcpy",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memcpy(to, source().data(), length, 0);
                    }},
        FunctionRow{"memmove_temporal",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memmove(to, source().data(), length,
                                     PMEM_F_MEM_TEMPORAL);
                    }},
        FunctionRow{"memmove_nontemporal",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memmove(to, source().data(), length,
                                     PMEM_F_MEM_NONTEMPORAL);
                    }},
        FunctionRow{"memset_temporal",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memset(to, 0xEE, length, PMEM_F_MEM_WB);
                    }},
        FunctionRow{"memset_nontemporal",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memset(to, 0xEE, length, PMEM_F_MEM_WC);
                    }},
        FunctionRow{"memcpy_nodrain_then_drain",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memcpy_nodrain(to, source().data(), length);
                      ::pmem_drain();
                    }},
        FunctionRow{"memset_nodrain_then_drain",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memset_nodrain(to, 0xEE, length);
                      ::pmem_drain();
                    }},
        FunctionRow{"memcpy_noflush_then_persist",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memcpy(to, source().data(), length,
                                    PMEM_F_MEM_NOFLUSH);
                      ::pmem_persist(to, length);
                    }},
        FunctionRow{"memset_noflush_then_flush_and_drain",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memset(to, 0xEE, length, PMEM_F_MEM_NOFLUSH);
                      ::pmem_flush(to, length);
                      ::pmem_drain();
                    }},
        FunctionRow{"memcpy_noflush_then_deep_flush",
                    [](std::byte* to, std::size_t length) {
                      ::pmem_memcpy(to, source().data(), length,
                                    PMEM_F_MEM_NOFLUSH);
                      ::pmem_deep_flush(to, length);
                      ::pmem_drain();
                    }}),
    support::RowName());

TEST(Nodrain, MayBeLostUntilTheDrain) {
  for (const Target& target : targets()) {
    const Recording recording = record([&](const Memory& memory) {
      ::pmem_memcpy_nodrain(memory.at(target.begin), source().data(),
                            target.length);
    });
    ASSERT_NE(find_violation(recording, target).find("may be lost"),
              std::string::npos)
        << target.in_words();
  }
}

TEST(Noflush, NeitherFlushesNorFences) {
  const Recording recording = record([&](const Memory& memory) {
    ::pmem_memcpy(memory.at(kLine), source().data(), 1000, PMEM_F_MEM_NOFLUSH);
    ::pmem_memset(memory.at(kLine), 1, 1000, PMEM_F_MEM_NOFLUSH);
  });
  for (const StoreEvent& event : recording.events) {
    EXPECT_EQ(event.kind, StoreEvent::Kind::kStore);
  }
}

TEST(LengthZero, StoresAndFlushesNothing) {
  const Recording recording = record([&](const Memory& memory) {
    ::pmem_memcpy_persist(memory.at(3), source().data(), 0);
    ::pmem_memset_persist(memory.at(3), 1, 0);
    ::pmem_memmove_persist(memory.at(5), memory.at(5), 300);
  });
  for (const StoreEvent& event : recording.events) {
    EXPECT_EQ(event.kind, StoreEvent::Kind::kFence);
  }
}

TEST(DeepPersist, LeavesNothingToACrash) {
  for (const Target& target : targets()) {
    const Recording recording = record([&](const Memory& memory) {
      ::pmem_memcpy(memory.at(target.begin), source().data(), target.length,
                    PMEM_F_MEM_NOFLUSH);
      EXPECT_EQ(::pmem_deep_persist(memory.at(target.begin), target.length), 0)
          << ::pmem_errormsg();
    });
    ASSERT_EQ(find_violation(recording, target), "") << target.in_words();
  }
}

// Moves inside the watched memory: what is overwritten is also what is read.
TEST(MemmovePersist, LeavesNothingToACrashWhereRangesOverlap) {
  for (const std::size_t length : {24U, 64U, 100U, 200U, 256U, 640U, 1000U}) {
    for (const std::ptrdiff_t distance : {-300, -64, -8, -1, 1, 8, 64, 300}) {
      const Target target = {8 * kLine, length};
      const Recording recording = record([&](const Memory& memory) {
        ::pmem_memmove_persist(
            memory.at(target.begin),
            memory.at(target.begin + static_cast<std::size_t>(-distance)),
            length);
      });
      ASSERT_EQ(find_violation(recording, target), "")
          << length << " by " << distance;
    }
  }
}

// Every back-end with every kind of flush.

struct BackendRow {
  std::string name;
  const CopyBackend* backend;
  FlushKind flush;
  bool streams;
};

class EachBackend : public ::testing::TestWithParam<BackendRow> {
 protected:
  void SetUp() override {
    const BackendRow& row = GetParam();
    if (row.backend == &pmem::kMovdir64b && !row.backend->is_supported()) {
      emulator_ = std::make_unique<support::Movdir64bEmulator>();
    } else if (!row.backend->is_supported()) {
      GTEST_SKIP() << "this CPU has no " << row.backend->name;
    }
    const bool has_flush =
        (row.flush != FlushKind::kClwb || pmem::kClwb.is_supported()) &&
        (row.flush != FlushKind::kClflushopt ||
         pmem::kClflushopt.is_supported());
    if (!has_flush) {
      GTEST_SKIP() << "this CPU lacks the flush instruction";
    }
  }

  static void copy(std::byte* to, std::size_t length) {
    const pmem::CopyFunctions& functions =
        GetParam().backend->with(GetParam().flush);
    (GetParam().streams ? functions.stream_copy : functions.copy)(
        to, source().data(), length);
    pmem::fence();
  }
  static void fill(std::byte* to, std::size_t length) {
    const pmem::CopyFunctions& functions =
        GetParam().backend->with(GetParam().flush);
    (GetParam().streams ? functions.stream_fill : functions.fill)(to, 0xEE,
                                                                  length);
    pmem::fence();
  }

 private:
  std::unique_ptr<support::Movdir64bEmulator> emulator_;
};

// With a back-end that does not flush the same check fails: a flush that is
// removed in the code is found.
TEST_P(EachBackend, IsDurableIfAndOnlyIfItFlushes) {
  const CopyBackend& backend = *GetParam().backend;
  for (const Target& target : targets()) {
    const std::size_t first = target.begin / kLine * kLine;
    bool needs_no_flush = GetParam().streams;
    for (std::size_t line = first; line < target.end(); line += kLine) {
      needs_no_flush =
          needs_no_flush &&
          support::streams_line(backend, line, target.begin, target.end());
    }
    for (const auto& call : {copy, fill}) {
      const Recording recording = record([&](const Memory& memory) {
        call(memory.at(target.begin), target.length);
      });
      ASSERT_EQ(find_violation(recording, target).find("may be lost") ==
                    std::string::npos,
                GetParam().flush != FlushKind::kNone || needs_no_flush)
          << target.in_words();
    }
  }
}

// An aligned 8-byte value that another thread or a crash looks at must not be
// half there.
TEST_P(EachBackend, StoresAlignedWordsWhole) {
  if (GetParam().backend == &pmem::kLibc) {
    return;  // libc promises nothing, and is chosen only when asked for
  }
  for (const Target& target : targets()) {
    if (!target.is_aligned()) {
      continue;
    }
    for (const auto& call : {copy, fill}) {
      const Recording recording = record([&](const Memory& memory) {
        call(memory.at(target.begin), target.length);
      });
      for (const StoreEvent& event : recording.events) {
        if (event.kind == StoreEvent::Kind::kStore ||
            event.kind == StoreEvent::Kind::kStream) {
          ASSERT_EQ(event.begin % 8, 0U) << target.in_words();
          ASSERT_EQ(event.bytes.size() % 8, 0U) << target.in_words();
        }
      }
    }
  }
}

TEST_P(EachBackend, StreamsWholeLinesAroundTheCaches) {
  for (const Target& target : targets()) {
    const Recording recording = record([&](const Memory& memory) {
      copy(memory.at(target.begin), target.length);
    });
    std::set<std::size_t> streamed;
    std::set<std::size_t> flushed;
    for (const StoreEvent& event : recording.events) {
      if (event.kind == StoreEvent::Kind::kStream) {
        streamed.insert(event.begin / kLine);
      }
      if (event.kind == StoreEvent::Kind::kFlush) {
        flushed.insert(event.begin / kLine);
      }
    }
    std::set<std::size_t> to_stream;
    std::set<std::size_t> to_flush;
    for (std::size_t line = target.begin / kLine; line * kLine < target.end();
         ++line) {
      const bool streams =
          GetParam().streams &&
          support::streams_line(*GetParam().backend, line * kLine, target.begin,
                                target.end());
      (streams ? to_stream : to_flush).insert(line);
    }
    if (GetParam().flush == FlushKind::kNone) {
      to_flush.clear();
    }
    ASSERT_EQ(streamed, to_stream) << target.in_words();
    ASSERT_EQ(flushed, to_flush) << target.in_words();
  }
}

std::vector<BackendRow> each_backend() {
  constexpr std::array<std::pair<const char*, FlushKind>, 4> kKinds = {{
      {"none", FlushKind::kNone},
      {"clflush", FlushKind::kClflush},
      {"clflushopt", FlushKind::kClflushopt},
      {"clwb", FlushKind::kClwb},
  }};
  std::vector<BackendRow> rows;
  for (const CopyBackend* backend :
       {&pmem::kMovdir64b, &pmem::kAvx512f, &pmem::kAvx, &pmem::kSse2,
        &pmem::kPortable, &pmem::kLibc}) {
    for (const auto& [name, kind] : kKinds) {
      const std::string prefix = std::string(backend->name) + "_" + name;
      rows.push_back({prefix + "_cached", backend, kind, false});
      if (backend != &pmem::kPortable && backend != &pmem::kLibc) {
        rows.push_back({prefix + "_streaming", backend, kind, true});
      }
    }
  }
  return rows;
}

INSTANTIATE_TEST_SUITE_P(All, EachBackend, ::testing::ValuesIn(each_backend()),
                         support::RowName());

// The model itself, on cases that can be worked out by hand.

class Model : public ::testing::Test {
 protected:
  static StoreEvent store(std::size_t at, std::size_t length, int value) {
    return {StoreEvent::Kind::kStore, at,
            Bytes(length, static_cast<std::byte>(value))};
  }
  static StoreEvent stream(std::size_t at, std::size_t length, int value) {
    StoreEvent event = store(at, length, value);
    event.kind = StoreEvent::Kind::kStream;
    return event;
  }
  static StoreEvent flush(std::size_t at) {
    return {StoreEvent::Kind::kFlush, at, {}};
  }
  static StoreEvent fence() { return {}; }

  // The first bytes of what the word may hold.
  [[nodiscard]] std::vector<int> possible(std::size_t word) const {
    std::vector<int> values;
    for (const CrashModel::Word& value : model_.possible(word)) {
      values.push_back(std::to_integer<int>(value[0]));
    }
    return values;
  }

  CrashModel model_{Bytes(2 * kLine)};
};

TEST_F(Model, KeepsEveryValueSinceTheLastCertainOne) {
  model_.apply(store(0, 8, 1));
  model_.apply(store(0, 8, 2));
  EXPECT_EQ(possible(0), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(possible(1), (std::vector<int>{0}));
}

TEST_F(Model, IsCertainAfterFlushAndFence) {
  model_.apply(store(0, 8, 1));
  model_.apply(flush(0));
  EXPECT_EQ(possible(0), (std::vector<int>{0, 1}));
  model_.apply(fence());
  EXPECT_EQ(possible(0), (std::vector<int>{1}));
}

TEST_F(Model, IsNotCertainWhenTheFenceComesFirst) {
  model_.apply(store(0, 8, 1));
  model_.apply(fence());
  model_.apply(flush(0));
  EXPECT_EQ(possible(0), (std::vector<int>{0, 1}));
}

TEST_F(Model, DoesNotCountAFlushBeforeTheStore) {
  model_.apply(flush(0));
  model_.apply(store(0, 8, 1));
  model_.apply(fence());
  EXPECT_EQ(possible(0), (std::vector<int>{0, 1}));
}

TEST_F(Model, DoesNotCountTheFlushOfAnotherLine) {
  model_.apply(store(kLine, 8, 1));
  model_.apply(flush(0));
  model_.apply(fence());
  EXPECT_EQ(possible(8), (std::vector<int>{0, 1}));
}

TEST_F(Model, NeedsNoFlushForAStream) {
  model_.apply(stream(0, 64, 1));
  EXPECT_EQ(possible(7), (std::vector<int>{0, 1}));
  model_.apply(fence());
  EXPECT_EQ(possible(7), (std::vector<int>{1}));
}

TEST_F(Model, KeepsWhatIsStoredAfterTheFlush) {
  model_.apply(store(0, 8, 1));
  model_.apply(flush(0));
  model_.apply(store(0, 8, 2));
  model_.apply(fence());
  EXPECT_EQ(possible(0), (std::vector<int>{1, 2}));
}

TEST_F(Model, TearsAStoreBetweenWords) {
  model_.apply(store(0, 24, 1));
  std::set<std::vector<int>> images;
  model_.for_each_image(0, 3, [&](std::span<const CrashModel::Word> image) {
    std::vector<int> values;
    for (const CrashModel::Word& word : image) {
      values.push_back(std::to_integer<int>(word[0]));
    }
    images.insert(values);
  });
  EXPECT_EQ(images, (std::set<std::vector<int>>{{0, 0, 0},
                                                {0, 0, 1},
                                                {0, 1, 0},
                                                {0, 1, 1},
                                                {1, 0, 0},
                                                {1, 0, 1},
                                                {1, 1, 0},
                                                {1, 1, 1}}));
}

}  // namespace
