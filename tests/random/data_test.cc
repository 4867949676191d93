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
#include <vector>

#include "mount/mount_test.h"
#include "mount/user_mount.h"
#include "random/data_run.h"
#include "random/operation_text.h"
#include "random/seed.h"
#include "support/row_name.h"

namespace random_tests {
namespace {

using support::BackingKind;

struct Row {
  const char* name;
  BackingKind backing;
  const char* io;
  std::uint64_t operations;  // in the release build
  std::vector<std::string> environment = {};
};

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
  return run_data(run).report;
}

// How a file system is reached whose mmap is of the backing file, or goes
// through the page cache.
DataRun run_in(const std::string& seen, const std::string& beneath,
               bool maps_the_file, std::uint64_t operations) {
  return {.place = {.seen = seen,
                    .beneath = beneath,
                    .has_zero_range = has_zero_range(beneath),
                    .maps_the_file = maps_the_file},
          .layout = usual_layout(maps_the_file, true),
          .seed = seed_of_this_run(),
          .operations = operations_of_this_run(operations / kSlowerBy)};
}

class RandomData : public mount_tests::MountTest,
                   public ::testing::WithParamInterface<Row> {
 protected:
  void SetUp() override {
    mount(support::make_directory_on(GetParam().backing),
          {.arguments = {"--io", GetParam().io},
           .environment = GetParam().environment});
  }
};

TEST_P(RandomData, IsWhatTheModelHas) {
  const bool is_cached = std::string(GetParam().io) == "cached";
  DataRun run = run_in(mounted(), source(), !is_cached, GetParam().operations);
  run.is_alive = [this] { return daemon().daemon_is_alive(); };
  const std::string wrong = play(run);
  EXPECT_TRUE(wrong.empty()) << wrong;
}

INSTANTIATE_TEST_SUITE_P(
    Mounted, RandomData,
    ::testing::Values(
        Row{"tmpfs_mapped", BackingKind::kTmpfs, "mapped", 400'000},
        Row{"disk_mapped", BackingKind::kDisk, "mapped", 250'000},
        // Each store is flushed, as to persistent memory.
        Row{"disk_flushed",
            BackingKind::kDisk,
            "mapped",
            50'000,
            {"PMEM_IS_PMEM_FORCE=1"}},
        Row{"tmpfs_cached", BackingKind::kTmpfs, "cached", 75'000},
        Row{"disk_cached", BackingKind::kDisk, "cached", 75'000},
        Row{"tmpfs_passthrough", BackingKind::kTmpfs, "passthrough", 50'000},
        Row{"disk_passthrough", BackingKind::kDisk, "passthrough", 50'000}),
    support::RowName());

// There is no passthrough, so mmap goes through the page cache beside reads and
// writes that do not.
class RandomDataOfAUser : public mount_tests::UserMountTest,
                          public ::testing::WithParamInterface<BackingKind> {
 protected:
  void SetUp() override { prepare(GetParam()); }
};

TEST_P(RandomDataOfAUser, IsWhatTheModelHas) {
  as_user([&] {
    DataRun run = run_in(mounted(), source(), false, 25'000);
    run.layout.maps_shared_files = false;
    run.is_alive = [this] { return support::is_fuse_mount(mountpoint()); };
    const std::string wrong = play(run);
    EXPECT_TRUE(wrong.empty()) << wrong;
  });
}

INSTANTIATE_TEST_SUITE_P(Mounted, RandomDataOfAUser,
                         ::testing::Values(BackingKind::kTmpfs,
                                           BackingKind::kDisk),
                         [](const auto& row) {
                           return support::name_of(row.param);
                         });

}  // namespace
}  // namespace random_tests
