// fio on libpmem, through its engines libpmem and, by way of libpmemblk,
// pmemblk, with every byte verified. (Its third one, dev-dax, needs a Device
// DAX, which an ordinary machine has not.)
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

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

const Client kFio = {
    "fio", {"pmem_map_file", "pmem_memcpy", "pmem_drain", "pmem_unmap"}};

// What the engine does with a write: pmem_memcpy, streaming with --direct=1 and
// through the cache without, drained at once with --sync=1 and without that at
// --fsync and at the end.
struct Job {
  const char* name;
  Words words;
};

void PrintTo(const Job& job, std::ostream* out) { *out << job.name; }

// The options that all have.
Words verified(const Words& words) {
  Words all = {"--name=job", "--ioengine=libpmem", "--verify=crc32c",
               "--verify_fatal=1"};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

void expect_success(const support::CommandResult& ran) {
  EXPECT_EQ(ran.exit_status, 0) << ran.output;
  EXPECT_NE(ran.output.find(" err= 0:"), std::string::npos) << ran.output;
}

class Fio : public ::testing::TestWithParam<std::tuple<Library, Job>> {
 protected:
  void SetUp() override {
    need(std::get<0>(GetParam()));
    if (!IsSkipped()) {
      need_program("fio");
    }
  }
};

TEST_P(Fio, FindsWhatItWrote) {
  const auto& [library, job] = GetParam();
  const support::TempDir folder;
  expect_success(run(kFio, verified(job.words), folder.path(), library));
}

INSTANTIATE_TEST_SUITE_P(
    All, Fio,
    ::testing::Combine(
        ::testing::ValuesIn(libraries()),
        ::testing::Values(
            Job{"RandomReadsAndWrites",
                {"--rw=randrw", "--bs=4k", "--size=16m", "--direct=1",
                 "--sync=1"}},
            Job{"SequentialWrites",
                {"--rw=write", "--bs=64k", "--size=32m", "--direct=1",
                 "--sync=1"}},
            Job{"StreamingNotDrained",
                {"--rw=randwrite", "--bs=4k", "--size=16m", "--direct=1",
                 "--sync=0", "--fsync=32"}},
            Job{"CachedNotDrained",
                {"--rw=randwrite", "--bs=16k", "--size=16m", "--direct=0",
                 "--sync=0"}},
            Job{"CachedAndDrained",
                {"--rw=randrw", "--bs=4k", "--size=8m", "--direct=0",
                 "--sync=1"}},
            Job{"OddLengthsAndOffsets",
                {"--rw=randwrite", "--bsrange=64-9000", "--bs_unaligned=1",
                 "--size=4m", "--direct=0", "--sync=1"}},
            Job{"ThreadsOfOneProcess",
                {"--rw=randrw", "--bs=4k", "--size=4m", "--direct=1",
                 "--sync=1", "--numjobs=4", "--thread=1"}},
            Job{"ManyFilesAtOnce",
                {"--rw=randrw", "--bs=4k", "--size=8m", "--nrfiles=32",
                 "--direct=1", "--sync=1"}},
            Job{"ABlockPool",
                {"--ioengine=pmemblk", "--thread=1", "--rw=randrw", "--bs=512",
                 "--size=2m", "--filename=pool,512,20", "--direct=1"}})),
    [](const auto& row) {
      return std::get<0>(row.param).name + std::get<1>(row.param).name;
    });

class FioOnBoth : public ::testing::TestWithParam<Pair> {
 protected:
  void SetUp() override {
    need(libraries()[1]);
    if (!IsSkipped()) {
      need_program("fio");
    }
  }

  [[nodiscard]] support::CommandResult write_with(
      const Library& library) const {
    return run(kFio,
               verified({"--rw=randwrite", "--bs=4k", "--size=8m", "--direct=1",
                         "--filename=region", "--do_verify=0"}),
               folder_.path(), library);
  }
  // Unless it is told to write nothing, fio fills the file before it reads.
  [[nodiscard]] support::CommandResult verify_with(
      const Library& library) const {
    return run(kFio,
               verified({"--rw=read", "--bs=4k", "--size=8m", "--direct=1",
                         "--filename=region", "--readonly"}),
               folder_.path(), library);
  }

  void change_byte(off_t offset) const {
    const pmem::UniqueFd region =
        support::open_file(folder_ / "region", O_RDWR);
    const char byte = static_cast<char>(
        support::read_at(region.get(), offset, 1).at(0) ^ 0x10);
    ASSERT_EQ(::pwrite(region.get(), &byte, 1, offset), 1);
  }

 private:
  support::TempDir folder_;
};

TEST_P(FioOnBoth, TheSecondVerifiesWhatTheFirstWrote) {
  expect_success(write_with(GetParam().first));
  const support::CommandResult verified = verify_with(GetParam().second);
  expect_success(verified);
  EXPECT_NE(verified.output.find(" io=8192KiB "), std::string::npos)
      << verified.output;
}

TEST_P(FioOnBoth, TheSecondMissesAByteThatWasChanged) {
  expect_success(write_with(GetParam().first));
  change_byte(5000000);
  const support::CommandResult verified = verify_with(GetParam().second);
  EXPECT_EQ(verified.exit_status, 1);
  EXPECT_NE(verified.output.find("crc32c: verify failed"), std::string::npos)
      << verified.output;
}

INSTANTIATE_TEST_SUITE_P(All, FioOnBoth, ::testing::ValuesIn(pairs()),
                         support::RowName());

}  // namespace
}  // namespace clients
