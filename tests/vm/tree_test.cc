// The whole tree of a machine, and what people do with a device in it by the
// programs that they have.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "support/command.h"
#include "support/files.h"
#include "support/mount_fixture.h"
#include "support/temp_dir.h"
#include "vm/device_mount.h"
#include "vm/guest.h"

namespace vm {
namespace {

using support::run_command;

class DeviceInTheTree : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_mount.emplace(
        std::vector<std::string>{"dax", "fsdax=" + place("EXT4")});
  }
  static void TearDownTestSuite() { shared_mount.reset(); }

  [[nodiscard]] std::string file() const {
    return *shared_mount / ("dax/" + device_.name());
  }
  [[nodiscard]] const GuestDevice& device() const { return device_; }
  [[nodiscard]] std::string scratch(const std::string& name) const {
    return scratch_ / name;
  }
  // In the part of the tree that is files.
  [[nodiscard]] static std::string beside(const std::string& name) {
    return *shared_mount / ("fsdax/" + name);
  }

 private:
  static inline std::optional<support::MountedPmemfs> shared_mount;

  const GuestDevice device_{"DEVDAX"};
  const support::TempDir scratch_ = support::TempDir("/dev/shm");
};

TEST_F(DeviceInTheTree, IsFilledByDdAndHoldsWhatDaxioReads) {
  const support::CommandResult filled =
      run_command({"dd", "if=/dev/urandom", "of=" + file(), "bs=1M"});
  expect_status(1, filled);
  EXPECT_NE(filled.output.find("No space left on device"), std::string::npos)
      << filled.output;
  EXPECT_NE(filled.output.find(std::to_string(device().size()) + " bytes"),
            std::string::npos)
      << filled.output;
  expect_success(
      run_command({"daxio", "-i", device().node, "-o", scratch("by daxio")}));
  expect_success(run_command({"cmp", scratch("by daxio"), file()}));
}

TEST_F(DeviceInTheTree, TakesATarOfEtcAndGivesItBack) {
  // Both once from a copy in memory: the guest reads this machine's files
  // slowly.
  expect_success(run_command({"cp", "-a", "/etc", scratch("etc")}));
  expect_success(run_command({"tar", "-C", scratch(""), "-cf", file(), "etc"}));
  const support::CommandResult listed = run_command({"tar", "-tf", file()});
  expect_success(listed);
  EXPECT_EQ(
      listed.output,
      run_command({"sh", "-c", "tar -C " + scratch("") + " -c etc | tar -t"})
          .output);
  expect_success(run_command({"tar", "-C", scratch(""), "-df", file()}));
}

TEST_F(DeviceInTheTree, IsCopiedToAndFromAFileBesideIt) {
  const NativeMapping natively = device().map();
  natively.fill_with_noise(0, 3 * kMiB, 31);
  expect_success(run_command({"dd", "if=" + file(), "of=" + beside("copy"),
                              "bs=1M", "count=3", "status=none"}));
  expect_success(run_command(
      {"cmp", "-n", std::to_string(3 * kMiB), beside("copy"), file()}));
  natively.fill('#', 0, 3 * kMiB);
  expect_success(run_command({"cp", beside("copy"), file()}));
  expect_success(run_command(
      {"cmp", "-n", std::to_string(3 * kMiB), beside("copy"), file()}));
  EXPECT_EQ(natively.read(3 * kMiB - 5, 5),
            support::content_of(beside("copy")).substr(3 * kMiB - 5));
  expect_success(run_command({"rm", beside("copy")}));
}

TEST_F(DeviceInTheTree, IsAmongWhatDfCounts) {
  const support::CommandResult shown =
      run_command({"df", "-B1", "--output=size", file()});
  expect_success(shown);
  EXPECT_NE(shown.output.find(std::to_string(device().size())),
            std::string::npos)
      << shown.output;
}

}  // namespace
}  // namespace vm
