// Whatever a program may do in the backing directory, it may do through the
// mount, with the same result and the same errno: each scenario is played in a
// native directory and through the mount, as root and as an ordinary user, and
// the two accounts are compared. The scenarios are data, in scenarios/.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <tuple>

#include "mount/mount_test.h"
#include "posix/interpreter.h"
#include "posix/scenario.h"

namespace posix_tests {
namespace {

using support::BackingKind;

using Row = std::tuple<const char*, bool, BackingKind>;

class Differential : public mount_tests::MountTest,
                     public ::testing::WithParamInterface<Row> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "only root can become other users";
    }
    mount(support::make_directory_on(std::get<BackingKind>(GetParam())));
    if (IsSkipped()) {
      return;
    }
    let_others_in();
  }

  [[nodiscard]] static bool as_user() { return std::get<bool>(GetParam()); }

  // A fresh directory, made beneath.
  static void prepare(const std::string& directory) {
    ASSERT_EQ(::mkdir(directory.c_str(), 0755), 0) << directory;
    if (as_user()) {
      ASSERT_EQ(::chown(directory.c_str(), kUser, kUser), 0);
    }
  }

  // The name of the directory is a number: names are for the scenarios.
  void compare(const Scenario& scenario, const std::string& name) {
    ASSERT_NO_FATAL_FAILURE(prepare(source(name)));
    ASSERT_NO_FATAL_FAILURE(prepare(native(name)));
    const std::string natively = play(scenario, native(name), as_user());
    const std::string through_mount = play(scenario, mounted(name), as_user());
    EXPECT_EQ(natively.find("BROKEN"), std::string::npos)
        << scenario.name << ": " << natively;
    if (scenario.differs.empty()) {
      EXPECT_EQ(natively, through_mount)
          << scenario.name << " (- natively, + through the mount)";
    } else if (natively != through_mount) {
      std::cout << scenario.name << " differs: " << scenario.differs << '\n';
    }
  }
};

TEST_P(Differential, TheSameCallsHaveTheSameAnswers) {
  const std::string file = std::string(PMEMFS_SCENARIOS "/") +
                           std::get<const char*>(GetParam()) + ".txt";
  int number = 0;
  for (const Scenario& scenario : load_scenarios(file)) {
    ASSERT_NO_FATAL_FAILURE(compare(scenario, std::to_string(++number)));
  }
  EXPECT_GT(number, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Scenarios, Differential,
    ::testing::Combine(
        ::testing::Values("attributes", "data", "locks", "make-and-remove",
                          "names", "open", "permissions", "rename"),
        ::testing::Bool(),
        ::testing::Values(BackingKind::kTmpfs, BackingKind::kDisk)),
    [](const auto& row) {
      std::string name = std::get<const char*>(row.param);
      std::erase(name, '-');
      return name + (std::get<bool>(row.param) ? "_user_" : "_root_") +
             support::name_of(std::get<BackingKind>(row.param));
    });

}  // namespace
}  // namespace posix_tests
