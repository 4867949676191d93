// A program of libpmemobj on libpmem is killed within transactions; whoever
// opens the pool next, on the same library or on the other one, finds every
// acknowledged transaction, and none by half. (A kill loses no store, as a
// power cut would: what is shown is the recovery.)
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "clients/client.h"
#include "support/files.h"
#include "support/temp_dir.h"

namespace clients {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongest{30000};

const Client kTransactions = {
    PMEMFS_PMEMOBJ_TRANSACTIONS,
    {"pmem_flush", "pmem_drain", "pmem_persist", "pmem_msync", "pmem_memcpy",
     "pmem_memmove", "pmem_memset", "pmem_is_pmem", "pmem_deep_flush"}};

// One library runs until it is killed, another recovers.
class Pmemobj
    : public ::testing::TestWithParam<std::tuple<Library, Library, bool>> {
 protected:
  void SetUp() override {
    need(runs_on());
    need(recovers_on());
    if (kTransactions.program.empty()) {
      GTEST_SKIP() << "libpmemobj was not there when this was configured "
                      "(package libpmemobj-dev)";
    }
  }

  static const Library& runs_on() { return std::get<0>(GetParam()); }
  static const Library& recovers_on() { return std::get<1>(GetParam()); }
  static bool is_forced() { return std::get<2>(GetParam()); }

  [[nodiscard]] std::string pool() const { return folder_ / "pool"; }

  void create() const {
    const support::CommandResult ran =
        run(kTransactions, {"create", pool()}, folder_.path(), runs_on(),
            is_forced());
    ASSERT_EQ(ran.exit_status, 0) << ran.output;
  }

  // Starts it, waits for the first line and some more time, and kills it.
  // Returns its last whole line.
  std::string kill_while(const std::string& command,
                         std::chrono::microseconds more) {
    const std::string output =
        folder_ / ("output" + std::to_string(++started_));
    const Bindings bindings;
    support::BackgroundCommand program(
        {kTransactions.program, command, pool()},
        bindings.environment(runs_on(), is_forced()), output);
    EXPECT_TRUE(support::becomes_true(
        [&] {
          return program.exit_status() ||
                 support::content_of(output).find('\n') != std::string::npos;
        },
        kLongest));
    std::this_thread::sleep_for(more);
    program.send_signal(SIGKILL);
    EXPECT_EQ(program.wait_for(kLongest), 128 + SIGKILL);
    EXPECT_EQ(bindings.fault(runs_on(), kTransactions.symbols), "");
    return last_line(support::content_of(output));
  }

  // Opens it again; how many steps were taken. Fails the test if what they have
  // left is not whole.
  [[nodiscard]] unsigned long recovered_steps() const {
    const support::CommandResult ran =
        run(kTransactions, {"check", pool()}, folder_.path(), recovers_on(),
            is_forced());
    EXPECT_EQ(ran.exit_status, 0) << ran.output;
    EXPECT_NE(ran.output.find(" steps, whole\n"), std::string::npos)
        << ran.output;
    return number_in(ran.output);
  }

  static unsigned long number_in(const std::string& text) {
    unsigned long number = 0;
    EXPECT_TRUE(std::istringstream(text) >> number) << text;
    return number;
  }

 private:
  static std::string last_line(const std::string& text) {
    const std::size_t end = text.rfind('\n');
    const std::size_t before =
        end == std::string::npos || end == 0 ? end : text.rfind('\n', end - 1);
    const std::size_t start = before == std::string::npos ? 0 : before + 1;
    return end == std::string::npos ? "" : text.substr(start, end - start);
  }

  support::TempDir folder_;
  int started_ = 0;
};

TEST_P(Pmemobj, HalfOfATransactionIsTakenBack) {
  ASSERT_NO_FATAL_FAILURE(create());
  EXPECT_EQ(kill_while("half", milliseconds(0)), "half");

  // It was half made, not just not made.
  const std::string mark = "half-made change";
  EXPECT_NE(support::content_of(pool()).find(mark), std::string::npos);
  EXPECT_EQ(recovered_steps(), 75U);
  EXPECT_EQ(support::content_of(pool()).find(mark), std::string::npos);
}

TEST_P(Pmemobj, NothingAcknowledgedIsLostWheneverItIsKilled) {
  constexpr unsigned kSeed = 20261123;
  constexpr int kRounds = 8;
  std::cout << "seed: " << kSeed << '\n';
  std::mt19937 random(kSeed);
  std::uniform_int_distribution<int> microseconds(0, 30000);

  ASSERT_NO_FATAL_FAILURE(create());
  unsigned long steps = 0;
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const std::chrono::microseconds more(microseconds(random));
    const unsigned long acknowledged = number_in(kill_while("run", more));
    EXPECT_GT(acknowledged, steps);
    steps = recovered_steps();
    // One more may be committed, and killed before it could be said.
    EXPECT_GE(steps, acknowledged) << "killed after " << more.count() << " us";
    EXPECT_LE(steps, acknowledged + 1);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Pmemobj,
                         ::testing::Combine(::testing::ValuesIn(libraries()),
                                            ::testing::ValuesIn(libraries()),
                                            ::testing::Bool()),
                         [](const auto& row) {
                           return std::get<0>(row.param).name + "RecoveredBy" +
                                  std::get<1>(row.param).name +
                                  (std::get<2>(row.param) ? "ByFlush"
                                                          : "ByMsync");
                         });

}  // namespace
}  // namespace clients
