// The testers, tested: with something broken on purpose they find it, and show
// it with few operations.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "random/data_generator.h"
#include "random/data_run.h"
#include "random/operation_text.h"
#include "random/shrink.h"
#include "random/tree_generator.h"
#include "random/tree_run.h"
#include "support/child_process.h"
#include "support/temp_dir.h"

namespace random_tests {
namespace {

// --- shrinking --------------------------------------------------------------

std::vector<int> numbers_to(int last) {
  std::vector<int> numbers;
  for (int i = 1; i <= last; ++i) {
    numbers.push_back(i);
  }
  return numbers;
}

bool has(const std::vector<int>& numbers, int number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

TEST(Shrink, LeavesWhatIsNeededAlone) {
  const auto fails = [](const std::vector<int>& numbers) -> std::string {
    return has(numbers, 17) && has(numbers, 500) && has(numbers, 999) ? "wrong"
                                                                      : "";
  };
  const Shrunk<int> shrunk = shrink(numbers_to(1000), fails);
  EXPECT_EQ(shrunk.operations, (std::vector<int>{17, 500, 999}));
  EXPECT_EQ(shrunk.failure, "wrong");
}

TEST(Shrink, TriesNoMoreThanTheTailThatFails) {
  std::size_t longest = 0;
  const auto fails = [&](const std::vector<int>& numbers) -> std::string {
    longest = std::max(longest, numbers.size());
    return has(numbers, 100000) ? "wrong" : "";
  };
  EXPECT_EQ(shrink(numbers_to(100000), fails).operations,
            std::vector<int>{100000});
  EXPECT_EQ(longest, 1U);
}

TEST(Shrink, SaysWhatDoesNotFailAgain) {
  const auto fails = [](const std::vector<int>&) { return std::string(); };
  EXPECT_EQ(shrink(numbers_to(100), fails).failure, "");
  EXPECT_EQ(shrink(std::vector<int>(), fails).failure, "");
}

// --- operations -------------------------------------------------------------

TEST(DataOperations, AreTheSameForTheSameSeed) {
  const DataLayout layout = usual_layout(true, true);
  const auto once = first_operations(5, layout, 1, 5000);
  EXPECT_EQ(to_text(once), to_text(first_operations(5, layout, 1, 5000)));
  EXPECT_NE(to_text(once), to_text(first_operations(6, layout, 1, 5000)));
  EXPECT_NE(to_text(once), to_text(first_operations(5, layout, 2, 5000)));
}

TEST(DataOperations, AreReadAsTheyAreWritten) {
  for (const DataOperation& operation :
       first_operations(7, usual_layout(true, true), 0, 5000)) {
    const std::string text = to_text(operation);
    EXPECT_EQ(to_text(operation_from<DataOperation>(text)), text);
  }
  EXPECT_THROW((void)operation_from<DataOperation>("fly file=1"),
               std::runtime_error);
  EXPECT_THROW((void)operation_from<DataOperation>("pread wings=2"),
               std::runtime_error);
}

TEST(DataOperations, OfEachKindAreMade) {
  std::vector<std::uint64_t> counts(DataOperation::kNames.size());
  for (const DataOperation& operation :
       first_operations(8, usual_layout(true, true), 0, 50000)) {
    ++counts.at(static_cast<std::size_t>(operation.kind));
  }
  EXPECT_GT(*std::min_element(counts.begin(), counts.end()), 50U);
}

TEST(DataOperations, ChangeNoOtherThreadsStripe) {
  const DataLayout layout = usual_layout(true, true);
  for (std::uint64_t thread = 0; thread < layout.threads; ++thread) {
    for (const DataOperation& operation :
         first_operations(9, layout, thread, 20000)) {
      const FileLayout& file = layout.files[operation.file];
      if (operation.kind == DataKind::kPwrite && file.is_shared()) {
        const std::uint64_t zone = file.zone_of(operation.offset);
        EXPECT_EQ(zone, file.zone_of(operation.offset + operation.length - 1));
        EXPECT_TRUE(zone == file.stripes || zone % layout.threads == thread);
      }
    }
  }
}

// --- the data tester --------------------------------------------------------

// On a file system that refuses what FUSE does not pass on.
class DataTester : public ::testing::Test {
 protected:
  DataOutcome run_with(std::shared_ptr<FileCalls> calls,
                       std::uint64_t operations = 40000) {
    DataRun run;
    run.place.seen = run.place.beneath = directory_.path();
    run.place.has_zero_range = false;
    run.place.calls = std::move(calls);
    run.layout = usual_layout(true, true);
    run.seed = 1;
    run.operations = operations;
    return run_data(run);
  }

 private:
  support::TempDir directory_{"/dev/shm"};
};

TEST_F(DataTester, FindsNothingWrongWithTheKernel) {
  EXPECT_EQ(run_with(std::make_shared<FileCalls>()).report, "");
}

class PunchThatForgetsAByte : public FileCalls {
 public:
  int allocate(int fd, int mode, off_t offset, off_t length) override {
    const bool punches = (mode & FALLOC_FL_PUNCH_HOLE) != 0 && length > 1;
    return FileCalls::allocate(fd, mode, offset, punches ? length - 1 : length);
  }
};

TEST_F(DataTester, FindsAPunchThatForgetsAByte) {
  const DataOutcome outcome =
      run_with(std::make_shared<PunchThatForgetsAByte>());
  EXPECT_NE(outcome.report.find("PMEMFS_SEED=1 "), std::string::npos)
      << outcome.report;
  EXPECT_NE(outcome.report.find(to_text(outcome.shortest)), std::string::npos)
      << outcome.report;
  // What writes the byte, and what punches; maybe what looks.
  EXPECT_GE(outcome.shortest.size(), 2U) << outcome.report;
  EXPECT_LE(outcome.shortest.size(), 3U) << outcome.report;
  EXPECT_TRUE(std::any_of(outcome.shortest.begin(), outcome.shortest.end(),
                          [](const DataOperation& operation) {
                            return operation.kind == DataKind::kAllocate;
                          }))
      << outcome.report;
}

class GrowthThatIsNotZero : public FileCalls {
 public:
  int allocate(int fd, int mode, off_t offset, off_t length) override {
    const off_t end = ::lseek(fd, 0, SEEK_END);
    const int done = FileCalls::allocate(fd, mode, offset, length);
    if (done == 0 && mode == 0 && offset + length > end) {
      [[maybe_unused]] const ssize_t ignored =
          ::pwrite(fd, "x", 1, offset + length - 1);
    }
    return done;
  }
};

TEST_F(DataTester, FindsGrowthThatIsNotZero) {
  const DataOutcome outcome = run_with(std::make_shared<GrowthThatIsNotZero>());
  EXPECT_GE(outcome.shortest.size(), 1U) << outcome.report;
  EXPECT_LE(outcome.shortest.size(), 2U) << outcome.report;
}

class OneWrongRead : public FileCalls {
 public:
  ssize_t read(int fd, char* to, std::size_t length, off_t offset) override {
    const ssize_t got = FileCalls::read(fd, to, length, offset);
    if (got > 0 && offset % 4096 != 0 && ++reads_ == 1000) {
      to[0] = static_cast<char>(to[0] + 1);
    }
    return got;
  }

 private:
  std::atomic<unsigned> reads_ = 0;
};

TEST_F(DataTester, SaysWhatDoesNotComeAgain) {
  const DataOutcome outcome = run_with(std::make_shared<OneWrongRead>());
  EXPECT_NE(outcome.report.find("does not come again"), std::string::npos)
      << outcome.report;
  EXPECT_NE(outcome.report.find("thread 3:"), std::string::npos)
      << outcome.report;
  EXPECT_TRUE(outcome.shortest.empty());
}

// --- the tree tester --------------------------------------------------------

TEST(TreeOperations, AreTheSameForTheSameSeedAndReadAsTheyAreWritten) {
  const auto once = first_tree_operations(5, {.has_root = true}, 5000);
  EXPECT_EQ(to_text(once),
            to_text(first_tree_operations(5, {.has_root = true}, 5000)));
  EXPECT_NE(to_text(once),
            to_text(first_tree_operations(6, {.has_root = true}, 5000)));
  for (const TreeOperation& operation : once) {
    const std::string text = to_text(operation);
    EXPECT_EQ(to_text(operation_from<TreeOperation>(text)), text);
  }
}

TEST(TreeOperations, OfEachKindAreMade) {
  std::vector<std::uint64_t> counts(TreeOperation::kNames.size());
  for (const TreeOperation& operation :
       first_tree_operations(8, {.has_root = true}, 50000)) {
    ++counts.at(static_cast<std::size_t>(operation.kind));
  }
  EXPECT_GT(*std::min_element(counts.begin(), counts.end()), 50U);
}

// Two native directories, of which one may be handled wrongly.
class TreeTester : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"native", "seen"}) {
      ASSERT_EQ(::mkdir((directory_ / name).c_str(), 0777), 0);
      ASSERT_EQ(::chmod((directory_ / name).c_str(), 0777), 0);
    }
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
  }

  // Who is root becomes others, so in a process of its own.
  template <typename Place, typename Check>
  void run_with(const Check& check) {
    support::in_child([&] {
      TreeRun run;
      run.native = directory_ / "native";
      run.seen = run.beneath = directory_ / "seen";
      run.seed = 2;
      run.operations = 20000;
      run.make_place = [](const std::string& directory) {
        return std::make_unique<Place>(directory);
      };
      check(run_tree(run));
    });
  }

 private:
  support::TempDir directory_{"/dev/shm"};
};

TEST_F(TreeTester, FindsNothingWrongWithTheKernel) {
  run_with<TreePlace>([](const TreeOutcome& outcome) {
    EXPECT_EQ(outcome.report, "");
    // Not only refusals are compared.
    EXPECT_GT(outcome.succeeded, 5000U);
  });
}

class ExchangeThatOnlyReplaces : public TreePlace {
 public:
  using TreePlace::TreePlace;
  std::string perform(const TreeOperation& operation) override {
    TreeOperation made = operation;
    if (made.kind == TreeKind::kRename && made.flags == RENAME_EXCHANGE) {
      made.flags = 0;
    }
    return TreePlace::perform(made);
  }
};

TEST_F(TreeTester, FindsAnExchangeThatOnlyReplaces) {
  run_with<ExchangeThatOnlyReplaces>([](const TreeOutcome& outcome) {
    EXPECT_GE(outcome.shortest.size(), 2U) << outcome.report;
    EXPECT_LE(outcome.shortest.size(), 4U) << outcome.report;
    EXPECT_NE(outcome.report.find(to_text(outcome.shortest)), std::string::npos)
        << outcome.report;
  });
}

class ModeThatLosesABit : public TreePlace {
 public:
  using TreePlace::TreePlace;
  std::string perform(const TreeOperation& operation) override {
    TreeOperation made = operation;
    if (made.kind == TreeKind::kSlotChmod) {
      made.mode &= ~std::uint64_t{1};  // of all the bits, the last
    }
    return TreePlace::perform(made);
  }
};

TEST_F(TreeTester, FindsAModeThatLosesABit) {
  run_with<ModeThatLosesABit>([](const TreeOutcome& outcome) {
    // What opens, and what changes.
    EXPECT_GE(outcome.shortest.size(), 2U) << outcome.report;
    EXPECT_LE(outcome.shortest.size(), 3U) << outcome.report;
    EXPECT_TRUE(std::any_of(outcome.shortest.begin(), outcome.shortest.end(),
                            [](const TreeOperation& operation) {
                              return operation.kind == TreeKind::kSlotChmod;
                            }))
        << outcome.report;
  });
}

class OneWrongAnswer : public TreePlace {
 public:
  using TreePlace::TreePlace;
  std::string perform(const TreeOperation& operation) override {
    static int calls = 0;
    return ++calls == 3000 ? "EIO" : TreePlace::perform(operation);
  }
};

TEST_F(TreeTester, SaysWhatDoesNotComeAgain) {
  run_with<OneWrongAnswer>([](const TreeOutcome& outcome) {
    EXPECT_NE(outcome.report.find("operation 3"), std::string::npos);
    EXPECT_NE(outcome.report.find("does not come again"), std::string::npos)
        << outcome.report;
    EXPECT_TRUE(outcome.shortest.empty());
  });
}

}  // namespace
}  // namespace random_tests
