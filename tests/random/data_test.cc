// Random operations on the bytes of files, by four threads, against a model in
// memory: what is read, mapped, sized and sought is what the model has, and so
// is what lies beneath.
//
// PMEMFS_SEED repeats a run, PMEMFS_OPERATIONS says how many operations,
// PMEMFS_REPLAY=FILE plays the operations of a file, as a failed run prints
// them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <string>

#include "mount/mount_test.h"
#include "random/data_run.h"
#include "random/operation_text.h"
#include "random/seed.h"
#include "support/sanitizers.h"

namespace random_tests {
namespace {

using support::BackingKind;

struct Row {
  BackingKind backing;
  const char* io;
  std::uint64_t operations;  // in the release build
};

// A sanitized program does in the same time:
constexpr std::uint64_t kSlowerWithSanitizers = 4;

std::uint64_t operations_for(std::uint64_t released) {
  return operations_of_this_run(
      support::kHasSanitizer ? released / kSlowerWithSanitizers : released);
}

// What tmpfs, for one, does not have.
bool has_zero_range(const std::string& directory) {
  const pmem::UniqueFd fd(
      ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  return ::fallocate(fd.get(), FALLOC_FL_ZERO_RANGE, 0, 1) == 0;
}

std::string play(const DataRun& run) {
  const char* file = std::getenv("PMEMFS_REPLAY");
  if (file != nullptr) {
    return play_data(run, operations_of_file<DataOperation>(file), "");
  }
  std::cout << how_to_repeat(run.seed, run.operations) << std::endl;
  return run_data(run);
}

class RandomData : public mount_tests::MountTest,
                   public ::testing::WithParamInterface<Row> {
 protected:
  void SetUp() override {
    mount(support::make_directory_on(GetParam().backing),
          {.arguments = {"--io", GetParam().io}});
  }
};

TEST_P(RandomData, IsWhatTheModelHas) {
  const bool is_cached = std::string(GetParam().io) == "cached";
  const DataRun run = {
      .place = {.seen = mounted(),
                .beneath = source(),
                .has_zero_range = has_zero_range(source()),
                .maps_the_file = !is_cached},
      .layout = usual_layout(!is_cached, true),
      .seed = seed_of_this_run(),
      .operations = operations_for(GetParam().operations),
      .is_alive = [this] { return daemon().daemon_is_alive(); }};
  const std::string wrong = play(run);
  EXPECT_TRUE(wrong.empty()) << wrong;
}

INSTANTIATE_TEST_SUITE_P(
    Mounted, RandomData,
    ::testing::Values(Row{BackingKind::kTmpfs, "mapped", 400'000},
                      Row{BackingKind::kDisk, "mapped", 300'000},
                      Row{BackingKind::kTmpfs, "cached", 75'000},
                      Row{BackingKind::kDisk, "cached", 75'000},
                      Row{BackingKind::kTmpfs, "passthrough", 50'000},
                      Row{BackingKind::kDisk, "passthrough", 50'000}),
    [](const auto& row) {
      return support::name_of(row.param.backing) + "_" + row.param.io;
    });

}  // namespace
}  // namespace random_tests
