// pmempool (and with it libpmempool, libpmemobj, libpmemblk and libpmemlog) on
// libpmem: it makes, shows, checks, repairs and removes pools of each type.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <regex>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "clients/client.h"
#include "support/files.h"
#include "support/row_name.h"
#include "support/temp_dir.h"

namespace clients {
namespace {

using Words = std::vector<std::string>;

const Client kPmempool = {
    "pmempool",
    {"pmem_map_file", "pmem_unmap", "pmem_is_pmem", "pmem_persist",
     "pmem_msync", "pmem_drain", "pmem_deep_flush", "pmem_memcpy_nodrain",
     "pmem_memcpy_persist", "pmem_memset_persist", "pmem_memmove"}};

struct PoolType {
  std::string name;
  Words create;           // the words after "create" and before the file
  std::string signature;  // as pmempool shows it
};

void PrintTo(const PoolType& type, std::ostream* out) { *out << type.name; }

const std::vector<PoolType>& types() {
  static const std::vector<PoolType> kAll = {
      {"Obj", {"obj", "--layout=test"}, "PMEMOBJ"},
      {"Blk", {"blk", "512"}, "PMEMBLK"},
      {"Log", {"log"}, "PMEMLOG"}};
  return kAll;
}

// A library, and a folder in which pmempool runs on it.
class Place {
 public:
  Place(Library library, bool is_forced)
      : library_(std::move(library)), is_forced_(is_forced) {}

  [[nodiscard]] const std::string& path() const { return folder_.path(); }
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return folder_ / name;
  }

  [[nodiscard]] support::CommandResult pmempool(const Words& words) const {
    return run(kPmempool, words, folder_.path(), library_, is_forced_);
  }
  [[nodiscard]] support::CommandResult create(const PoolType& type,
                                              const std::string& file) const {
    Words words = {"create"};
    words.insert(words.end(), type.create.begin(), type.create.end());
    words.push_back(file);
    return pmempool(words);
  }

  // Two bytes of the pool's header, which its checksum covers.
  void damage(const std::string& file) const {
    const pmem::UniqueFd fd = support::open_file(folder_ / file, O_RDWR);
    for (const off_t offset : {9, 40}) {
      const char byte =
          static_cast<char>(support::read_at(fd.get(), offset, 1).at(0) ^ 0x55);
      ASSERT_EQ(::pwrite(fd.get(), &byte, 1, offset), 1);
    }
  }

 private:
  support::TempDir folder_;
  Library library_;
  bool is_forced_;
};

void need_pmempool_on(const Library& library) {
  need(library);
  if (!::testing::Test::IsSkipped()) {
    need_program("pmempool");
  }
}

// --- one library ------------------------------------------------------------

class Pmempool
    : public ::testing::TestWithParam<std::tuple<Library, PoolType, bool>> {
 protected:
  void SetUp() override { need_pmempool_on(std::get<0>(GetParam())); }
};

TEST_P(Pmempool, MakesShowsChecksAndRemovesAPool) {
  const auto& [library, type, is_forced] = GetParam();
  const Place place(library, is_forced);

  const support::CommandResult created = place.create(type, "pool");
  EXPECT_EQ(created.exit_status, 0) << created.output;
  const support::CommandResult shown = place.pmempool({"info", "pool"});
  EXPECT_EQ(shown.exit_status, 0) << shown.output;
  EXPECT_NE(shown.output.find(": " + type.signature + "\n"), std::string::npos)
      << shown.output;
  const support::CommandResult checked =
      place.pmempool({"check", "-v", "pool"});
  EXPECT_EQ(checked.exit_status, 0) << checked.output;
  EXPECT_NE(checked.output.find("pool: consistent\n"), std::string::npos)
      << checked.output;
  const support::CommandResult removed = place.pmempool({"rm", "pool"});
  EXPECT_EQ(removed.exit_status, 0) << removed.output;
  EXPECT_FALSE(support::exists(place / "pool"));
}

TEST_P(Pmempool, SeesDamage) {
  const auto& [library, type, is_forced] = GetParam();
  const Place place(library, is_forced);
  ASSERT_EQ(place.create(type, "pool").exit_status, 0);
  place.damage("pool");
  const support::CommandResult checked =
      place.pmempool({"check", "-v", "pool"});
  EXPECT_EQ(checked.exit_status, 1) << checked.output;
  EXPECT_NE(checked.output.find("pool: not consistent\n"), std::string::npos)
      << checked.output;
}

INSTANTIATE_TEST_SUITE_P(All, Pmempool,
                         ::testing::Combine(::testing::ValuesIn(libraries()),
                                            ::testing::ValuesIn(types()),
                                            ::testing::Bool()),
                         [](const auto& row) {
                           return std::get<0>(row.param).name +
                                  std::get<1>(row.param).name +
                                  (std::get<2>(row.param) ? "ByFlush"
                                                          : "ByMsync");
                         });

// --- both, compared ---------------------------------------------------------

// What is different in every pool: identities, times, and checksums of these.
std::string without_identity(std::string text, const std::string& folder) {
  for (std::size_t at = 0; (at = text.find(folder, at)) != std::string::npos;) {
    text.replace(at, folder.size(), "FOLDER");
  }
  static const std::regex kUuid(
      "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
  static const std::regex kTime("(Creation Time +: ).*");
  static const std::regex kChecksum("(Checksum +: )0x[0-9a-f]+");
  text = std::regex_replace(text, kUuid, "UUID");
  text = std::regex_replace(text, kTime, "$1TIME");
  return std::regex_replace(text, kChecksum, "$1SUM");
}

// Everything that pmempool answers, with the exit codes.
class Transcript {
 public:
  explicit Transcript(const Place& place) : place_(place) {}

  void pmempool(const Words& words) {
    const support::CommandResult ran = place_.pmempool(words);
    text_ << "$";
    for (const std::string& word : words) {
      text_ << ' ' << word;
    }
    text_ << '\n' << ran.output << "-> " << ran.exit_status << '\n';
  }

  [[nodiscard]] std::string text() const {
    return without_identity(text_.str(), place_.path());
  }

 private:
  const Place& place_;
  std::ostringstream text_;
};

// A life of a pool with its accidents.
std::string transcript_of_a_pool(const Place& place, const PoolType& type) {
  EXPECT_EQ(place.create(type, "pool").exit_status, 0);
  Transcript transcript(place);
  Words create_again = {"create"};
  create_again.insert(create_again.end(), type.create.begin(),
                      type.create.end());
  create_again.emplace_back("pool");
  transcript.pmempool(create_again);
  transcript.pmempool({"info", "-s", "-v", "pool"});
  transcript.pmempool({"check", "-v", "pool"});
  transcript.pmempool({"feature", "--query", "SHUTDOWN_STATE", "pool"});
  place.damage("pool");
  transcript.pmempool({"info", "pool"});
  transcript.pmempool({"check", "-v", "pool"});
  transcript.pmempool({"check", "-v", "--repair", "--yes", "pool"});
  transcript.pmempool({"check", "-v", "pool"});
  transcript.pmempool({"info", "pool"});
  transcript.pmempool({"rm", "-v", "pool"});
  transcript.pmempool({"rm", "pool"});
  transcript.pmempool({"info", "pool"});
  transcript.pmempool({"check", "pool"});
  return transcript.text();
}

// A pool of three files, two of which mirror the third.
std::string transcript_of_a_set(const Place& place) {
  support::write_file(place / "set", "PMEMPOOLSET\n8M " + (place / "part0") +
                                         "\n8M " + (place / "part1") +
                                         "\nREPLICA\n16M " +
                                         (place / "mirror") + "\n");
  Transcript transcript(place);
  transcript.pmempool({"create", "obj", "set"});
  transcript.pmempool({"info", "-s", "set"});
  transcript.pmempool({"check", "-v", "set"});
  place.damage("part1");
  transcript.pmempool({"check", "-v", "set"});
  transcript.pmempool({"sync", "-v", "set"});
  transcript.pmempool({"check", "-v", "set"});
  EXPECT_EQ(::unlink((place / "mirror").c_str()), 0);
  transcript.pmempool({"check", "-v", "set"});
  transcript.pmempool({"sync", "-v", "set"});
  transcript.pmempool({"check", "-v", "set"});
  transcript.pmempool({"rm", "-v", "set"});
  return transcript.text();
}

std::string transcript_of_refusals(const Place& place) {
  support::write_file(place / "text", std::string(std::size_t{9} << 20, 'x'));
  Transcript transcript(place);
  for (const PoolType& type : types()) {
    for (const char* last :
         {"--size=4k", "--size=9E", "missing/pool", "text", ""}) {
      Words words = {"create"};
      words.insert(words.end(), type.create.begin(), type.create.end());
      words.emplace_back(last);
      words.emplace_back("pool");
      transcript.pmempool(words);
    }
  }
  transcript.pmempool({"info", "text"});
  transcript.pmempool({"check", "-v", "text"});
  transcript.pmempool({"rm", "missing"});
  transcript.pmempool({"sync", "text"});
  return transcript.text();
}

class PmempoolOnBoth : public ::testing::Test {
 protected:
  void SetUp() override { need_pmempool_on(libraries()[1]); }

  // For the library that flushes, and for the one that calls msync.
  template <typename MakeTranscript>
  static void expect_the_same(const MakeTranscript& make_transcript) {
    for (const bool is_forced : {true, false}) {
      std::vector<std::string> texts;
      for (const Library& library : libraries()) {
        const Place place(library, is_forced);
        texts.push_back(make_transcript(place));
      }
      EXPECT_EQ(texts[0], texts[1]) << "forced: " << is_forced;
    }
  }
};

TEST_F(PmempoolOnBoth, ObjPoolsAreAnsweredAlike) {
  expect_the_same([](const Place& place) {
    return transcript_of_a_pool(place, types()[0]);
  });
}

TEST_F(PmempoolOnBoth, BlkPoolsAreAnsweredAlike) {
  expect_the_same([](const Place& place) {
    return transcript_of_a_pool(place, types()[1]);
  });
}

TEST_F(PmempoolOnBoth, LogPoolsAreAnsweredAlike) {
  expect_the_same([](const Place& place) {
    return transcript_of_a_pool(place, types()[2]);
  });
}

TEST_F(PmempoolOnBoth, MirroredSetsAreAnsweredAlike) {
  expect_the_same(transcript_of_a_set);
}

TEST_F(PmempoolOnBoth, RefusalsAreAlike) {
  expect_the_same(transcript_of_refusals);
}

// --- one after the other ----------------------------------------------------

class PmempoolHandedOver
    : public ::testing::TestWithParam<std::tuple<Pair, PoolType>> {
 protected:
  void SetUp() override { need_pmempool_on(libraries()[1]); }
};

TEST_P(PmempoolHandedOver, ThePoolOfTheFirstIsConsistentForTheSecond) {
  const auto& [pair, type] = GetParam();
  const Place first(pair.first, true);
  const Place second(pair.second, true);
  const std::string pool = first / "pool";
  ASSERT_EQ(first.create(type, pool).exit_status, 0);

  const support::CommandResult checked = second.pmempool({"check", "-v", pool});
  EXPECT_EQ(checked.exit_status, 0) << checked.output;
  EXPECT_NE(checked.output.find(": consistent\n"), std::string::npos)
      << checked.output;
  EXPECT_EQ(second.pmempool({"info", "-s", pool}).output,
            first.pmempool({"info", "-s", pool}).output);
}

INSTANTIATE_TEST_SUITE_P(All, PmempoolHandedOver,
                         ::testing::Combine(::testing::ValuesIn(pairs()),
                                            ::testing::ValuesIn(types())),
                         [](const auto& row) {
                           return std::get<0>(row.param).name +
                                  std::get<1>(row.param).name;
                         });

}  // namespace
}  // namespace clients
