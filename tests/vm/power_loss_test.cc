// What has been acknowledged is there after the next boot, whenever the power
// goes. These tests run on the host: guest after guest boots on the same
// NVDIMMs, checks what the ones before have been acknowledged, writes on
// (power_loss_writer), and is killed at a random moment.
#include "vm/power_loss.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/command.h"
#include "support/files.h"
#include "support/temp_dir.h"
#include "vm/guest.h"

namespace vm {
namespace {

using power_loss::kStreams;
using power_loss::Numbers;
using power_loss::Stream;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Of scripts/vm-run: a guest that was killed told nothing.
constexpr int kNoVerdict = 125;
constexpr seconds kPatience(60);

template <typename Condition>
std::vector<std::size_t> streams_with(const Condition& condition) {
  std::vector<std::size_t> streams;
  for (std::size_t i = 0; i < kStreams.size(); ++i) {
    if (i != power_loss::kNotDurable && condition(kStreams.at(i))) {
      streams.push_back(i);
    }
  }
  return streams;
}

std::vector<std::size_t> durable_streams() {
  return streams_with([](const Stream& /*any*/) { return true; });
}

// What is synced makes its whole file system durable, and an append is synced
// by the daemon: in turn, all of them write, or none of the first, or none of
// either.
std::vector<std::size_t> streams_of_round(int round) {
  return streams_with([&](const Stream& stream) {
    const bool is_log = stream.shape == power_loss::Shape::kLog;
    return round % 3 == 1 || (round % 3 == 2 && !stream.is_synced) ||
           (!stream.is_synced && !is_log);
  });
}

std::uint64_t sum_of(const Numbers& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0});
}

class PowerLoss : public ::testing::Test {
 protected:
  // What the streams have been acknowledged until now.
  [[nodiscard]] const Numbers& acknowledged() const { return acknowledged_; }

  // One boot that checks and writes, until it ends as `end` has it end; that is
  // called some time after the writing began, with a folder that holds the
  // guest's qemu.pid. Whether anything was acknowledged.
  template <typename End>
  bool write_until(const std::vector<std::size_t>& streams,
                   milliseconds sysrq_after, const std::string& sysrq,
                   const End& end) {
    const std::string out = next_folder();
    support::BackgroundCommand guest(
        vm_run(out, payload("write", streams, sysrq_after, sysrq)), {},
        out + "/log");
    const bool is_writing = support::becomes_true(
        [&] {
          return guest.exit_status() ||
                 support::exists(out + "/" + power_loss::kWriting);
        },
        kPatience);
    if (!is_writing || guest.exit_status()) {
      ADD_FAILURE() << "round " << round_ << " came to no writing:\n"
                    << support::content_of(out + "/log");
      return false;
    }
    end(out);
    const std::optional<int> status = guest.wait_for(kPatience);
    EXPECT_EQ(status.value_or(-1), kNoVerdict)
        << support::content_of(out + "/log");
    const Numbers before = acknowledged_;
    acknowledged_ = power_loss::load(out + "/" + power_loss::kAcknowledged);
    found_ = power_loss::load(out + "/" + power_loss::kFound);
    tell(streams, before);
    return sum_of(acknowledged_) > sum_of(found_);
  }

  // One boot that checks. How it came out, and what it said.
  [[nodiscard]] support::CommandResult check(
      const std::vector<std::size_t>& streams) {
    const std::string out = next_folder();
    support::CommandResult ran =
        support::run_command(vm_run(out, payload("check", streams, {}, "")));
    found_ = power_loss::load(out + "/" + power_loss::kFound);
    return ran;
  }

  // Of this test; it is printed for the next one who needs the same moments.
  [[nodiscard]] milliseconds random_time(milliseconds most) {
    return milliseconds(
        std::uniform_int_distribution<long>(0, most.count())(generator_));
  }

 private:
  static unsigned seed() {
    const char* wanted = std::getenv("PMEMFS_VM_SEED");
    const unsigned seed = wanted == nullptr
                              ? std::random_device()()
                              : static_cast<unsigned>(std::stoul(wanted));
    std::cout << "PMEMFS_VM_SEED=" << seed << std::endl;
    return seed;
  }

  // A folder of a boot, with what was acknowledged before it.
  std::string next_folder() {
    ++round_;
    const std::string test =
        ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::string out =
        place("PMEMFS_VM_OUT") + "/" + test + "/" + std::to_string(round_);
    std::filesystem::create_directories(out);
    power_loss::save(out + "/" + power_loss::kAcknowledged, acknowledged_);
    return out;
  }

  std::string payload(const std::string& what,
                      const std::vector<std::size_t>& streams,
                      milliseconds sysrq_after, const std::string& sysrq) {
    std::string script =
        "#!/bin/sh\n"
        "mkdir /tmp/mount\n"
        "pmemfs mount $PMEM0 ext4=$PMEM1 virtio=$PMEM2 /tmp/mount || exit\n";
    if (!sysrq.empty()) {
      script += "(while [ ! -e /out/" + std::string(power_loss::kWriting) +
                " ]; do usleep 10000; done; usleep " +
                std::to_string(sysrq_after.count() * 1000) + "; echo " + sysrq +
                " >/proc/sysrq-trigger) &\n";
    }
    script +=
        "power_loss_writer /tmp/mount/${PMEM0##*/} /tmp/mount/ext4 "
        "/tmp/mount/virtio /out " +
        what;
    for (const std::size_t stream : streams) {
      script += " " + std::to_string(stream);
    }
    support::write_file(payload_ / "run", script + "\n");
    ::chmod((payload_ / "run").c_str(), 0755);
    for (const char* program : {PMEMFS_PROGRAM, PMEMFS_POWER_LOSS_WRITER}) {
      const std::string name = std::filesystem::path(program).filename();
      if (!support::exists(payload_ / name)) {
        const support::CommandResult stripped =
            support::run_command({"strip", "-o", payload_ / name, program});
        EXPECT_EQ(stripped.exit_status, 0) << stripped.output;
      }
    }
    return payload_.path();
  }

  [[nodiscard]] std::vector<std::string> vm_run(
      const std::string& out, const std::string& payload) const {
    return {std::string(PMEMFS_SCRIPTS) + "/vm-run",
            "--image",
            place("PMEMFS_VM_IMAGE"),
            "--out",
            out,
            "--nvdimm",
            "devdax:32M:" + (nvdimms_ / "device"),
            "--nvdimm",
            "ext4:64M:" + (nvdimms_ / "ext4"),
            "--nvdimm",
            "virtio:32M:" + (nvdimms_ / "virtio"),
            payload};
  }

  void tell(const std::vector<std::size_t>& streams,
            const Numbers& before) const {
    for (const std::size_t i : streams) {
      std::cout << "  " << kStreams.at(i).name << ": " << before.at(i)
                << " acknowledged before, " << found_.at(i) << " found, "
                << acknowledged_.at(i) - found_.at(i) << " more acknowledged\n";
    }
    std::cout << std::flush;
  }

  const support::TempDir nvdimms_;
  const support::TempDir payload_;
  std::mt19937 generator_ = std::mt19937(seed());
  Numbers acknowledged_{};
  Numbers found_{};
  int round_ = 0;
};

void kill_guest(const std::string& out) {
  pid_t pid = 0;
  std::ifstream(out + "/qemu.pid") >> pid;
  ASSERT_GT(pid, 1);
  EXPECT_EQ(::kill(pid, SIGKILL), 0);
}

TEST_F(PowerLoss, TwentyTimesLosesNothingThatWasAcknowledged) {
  constexpr int kRounds = 20;
  int counted = 0;
  for (int round = 1; counted < kRounds && round < 2 * kRounds; ++round) {
    const milliseconds time = random_time(milliseconds(1500));
    std::cout << "round " << round << ": killed after " << time.count()
              << " ms of writing" << std::endl;
    const bool has_acknowledged = write_until(
        streams_of_round(round), {}, "", [&](const std::string& out) {
          std::this_thread::sleep_for(time);
          kill_guest(out);
        });
    counted += has_acknowledged ? 1 : 0;
    if (HasFailure()) {
      return;
    }
  }
  EXPECT_EQ(counted, kRounds);
  const support::CommandResult last = check(durable_streams());
  EXPECT_EQ(last.exit_status, 0) << last.output;
  for (const std::size_t stream : durable_streams()) {
    EXPECT_GT(acknowledged().at(stream), 20U) << kStreams.at(stream).name;
  }
}

TEST_F(PowerLoss, ByAKernelThatResetsLosesNothingEither) {
  for (const char* sysrq : {"b", "c"}) {
    const milliseconds time = random_time(milliseconds(1000));
    std::cout << "sysrq " << sysrq << " after " << time.count()
              << " ms of writing" << std::endl;
    EXPECT_TRUE(write_until(durable_streams(), time, sysrq,
                            [](const std::string& /*out*/) {}));
  }
  const support::CommandResult last = check(durable_streams());
  EXPECT_EQ(last.exit_status, 0) << last.output;
}

// That the tests above would see it.
TEST_F(PowerLoss, LosesWhatIsNotDurable) {
  ASSERT_TRUE(write_until({power_loss::kNotDurable}, {}, "",
                          [&](const std::string& out) {
                            std::this_thread::sleep_for(milliseconds(300));
                            kill_guest(out);
                          }));
  const support::CommandResult checked = check({power_loss::kNotDurable});
  EXPECT_EQ(checked.exit_status, 1);
  EXPECT_NE(checked.output.find("is not there"), std::string::npos)
      << checked.output;
}

}  // namespace
}  // namespace vm
