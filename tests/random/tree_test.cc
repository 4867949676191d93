// Random operations on names, modes, owners, attributes and open files, made in
// a native directory and through the mount: the answers and the trees are the
// same. Two processes at a time, each with its own trees.
//
// PMEMFS_SEED repeats a run, PMEMFS_OPERATIONS says how many operations,
// PMEMFS_REPLAY=FILE plays the operations of a file, as a failed run prints
// them.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "mount/mount_test.h"
#include "mount/user_mount.h"
#include "random/operation_text.h"
#include "random/seed.h"
#include "random/tree_run.h"
#include "support/temp_dir.h"

namespace random_tests {
namespace {

using support::BackingKind;

constexpr std::uint64_t kOperations = 60'000;
constexpr std::uint64_t kProcesses = 2;

std::string play(const TreeRun& run) {
  const char* file = std::getenv("PMEMFS_REPLAY");
  if (file != nullptr) {
    return play_tree(run, operations_of_file<TreeOperation>(file), "replay");
  }
  const TreeOutcome outcome = run_tree(run);
  // Where all is refused, nothing is tested.
  if (outcome.report.empty() && outcome.succeeded < run.operations / 5) {
    return "of " + std::to_string(run.operations) + " calls only " +
           std::to_string(outcome.succeeded) + " succeeded";
  }
  return outcome.report;
}

// In processes of their own, which become others; all that they report.
std::string run_side_by_side(TreeRun run, const std::string& reports) {
  const std::uint64_t seed = run.seed;
  std::vector<pid_t> children;
  for (std::uint64_t i = 0; i < kProcesses; ++i) {
    run.seed = seed_of_part(seed, i);
    run.operations /= i == 0 ? kProcesses : 1;
    const std::string report = reports + "/" + std::to_string(i);
    std::cout << std::flush;
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGPIPE, SIG_IGN);
      std::string text;
      try {
        text = play(run);
      } catch (const std::exception& error) {
        text = error.what();
      }
      std::ofstream(report) << text << "\nended\n";
      ::_exit(0);
    }
    children.push_back(child);
  }
  std::string text;
  for (std::uint64_t i = 0; i < kProcesses; ++i) {
    ::waitpid(children[i], nullptr, 0);
    const std::string report =
        support::content_of(reports + "/" + std::to_string(i));
    text += report == "\nended\n" ? "" : report + "\n";
  }
  return text;
}

TreeRun run_in(const std::string& native, const std::string& seen,
               const std::string& beneath) {
  TreeRun run;
  run.native = native;
  run.seen = seen;
  run.beneath = beneath;
  run.seed = seed_of_this_run();
  run.operations = operations_of_this_run(kOperations / kSlowerBy);
  std::cout << how_to_repeat(run.seed, run.operations) << std::endl;
  return run;
}

// Fails where the two come out differently.
void expect_no_difference(TreeRun run, const std::string& mountpoint) {
  run.is_alive = [mountpoint] { return support::is_fuse_mount(mountpoint); };
  const support::TempDir reports;
  const std::string report = run_side_by_side(run, reports.path());
  EXPECT_TRUE(report.empty()) << report;
}

// With so few, most inodes are remembered otherwise, and opened for each use.
const std::vector<std::string> kFewDescriptors = {"prlimit",
                                                  "--nofile=120:120"};

class RandomTree : public mount_tests::OnEachBackingWithOthers {};
PMEMFS_ON_EACH_BACKING(RandomTree);

TEST_P(RandomTree, IsTheSameAsNatively) {
  expect_no_difference(run_in(native(), mounted(), source()), daemon().path());
}

class RandomTreeByHandles : public mount_tests::MountTest,
                            public ::testing::WithParamInterface<BackingKind> {
 protected:
  void SetUp() override {
    mount(support::make_directory_on(GetParam()), {.wrapper = kFewDescriptors});
  }
};
PMEMFS_ON_EACH_BACKING(RandomTreeByHandles);

TEST_P(RandomTreeByHandles, IsTheSameAsNatively) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root can open files by handle";
  }
  let_others_in();
  expect_no_difference(run_in(native(), mounted(), source()), daemon().path());
}

class RandomTreeOfAUser : public mount_tests::UserMountTest,
                          public ::testing::WithParamInterface<BackingKind> {
 protected:
  void SetUp() override { prepare(GetParam()); }

  void run(bool locks) {
    as_user([&] {
      TreeRun run = run_in(native(), mounted(), source());
      run.locks = locks;
      expect_no_difference(run, mountpoint());
    });
  }
};
PMEMFS_ON_EACH_BACKING(RandomTreeOfAUser);

TEST_P(RandomTreeOfAUser, IsTheSameAsNatively) { run(true); }

// What is remembered by its name cannot be reached through a directory that its
// owner has locked, as pmemfs(8) tells.
TEST_P(RandomTreeOfAUser, ByPlacesIsTheSameAsNatively) {
  start_with(kFewDescriptors);
  run(false);
}

}  // namespace
}  // namespace random_tests
