// Whatever a program may do in the backing directory, it may do through the
// mount, with the same result and the same errno: each scenario is played in a
// native directory and through the mount, as root and as an ordinary user, and
// the two accounts are compared. The scenarios are data, in scenarios/.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "mount/mount_test.h"
#include "mount/user_mount.h"
#include "posix/scenario.h"
#include "posix/words.h"

namespace posix_tests {
namespace {

using support::BackingKind;

constexpr std::array kFiles = {
    "attributes", "data", "errors",      "files", "locks",  "make-and-remove",
    "names",      "open", "permissions", "rare",  "rename", "times"};

std::vector<Scenario> scenarios_of(const std::string& file) {
  return load_scenarios(PMEMFS_SCENARIOS "/" + file + ".txt");
}

// Both places, for scenarios that are played in each.
class BothPlaces : public mount_tests::MountTest {
 protected:
  struct Accounts {
    std::string natively;
    std::string through_mount;
  };

  void mount_on(BackingKind kind) {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "only root can become other users";
    }
    mount(support::make_directory_on(kind));
    if (!IsSkipped()) {
      let_others_in();
    }
  }

  // The names of the directories are numbers: names are for the scenarios.
  Accounts play_in_both(const Scenario& scenario, bool as_user) {
    const std::string name = std::to_string(++played_);
    prepare(source(name), as_user);
    prepare(native(name), as_user);
    return {.natively = play(scenario, native(name), as_user),
            .through_mount = play(scenario, mounted(name), as_user)};
  }

 private:
  // A fresh directory, made beneath.
  static void prepare(const std::string& directory, bool as_user) {
    ASSERT_EQ(::mkdir(directory.c_str(), 0755), 0) << directory;
    if (as_user) {
      ASSERT_EQ(::chown(directory.c_str(), kUser, kUser), 0);
    }
  }

  int played_ = 0;
};

using Row = std::tuple<const char*, bool, BackingKind>;

class Differential : public BothPlaces,
                     public ::testing::WithParamInterface<Row> {
 protected:
  void SetUp() override { mount_on(std::get<BackingKind>(GetParam())); }
};

TEST_P(Differential, TheSameCallsHaveTheSameAnswers) {
  const std::vector<Scenario> scenarios =
      scenarios_of(std::get<const char*>(GetParam()));
  EXPECT_FALSE(scenarios.empty());
  for (const Scenario& scenario : scenarios) {
    const Accounts accounts =
        play_in_both(scenario, std::get<bool>(GetParam()));
    EXPECT_EQ(accounts.natively.find("BROKEN"), std::string::npos)
        << scenario.name << ": " << accounts.natively;
    if (scenario.differs.empty()) {
      EXPECT_EQ(accounts.natively, accounts.through_mount)
          << scenario.name << " (- natively, + through the mount)";
    }
  }
}

// What its user can play alone.
bool is_of_one_user(const Scenario& scenario) {
  return std::none_of(scenario.calls.begin(), scenario.calls.end(),
                      [](const std::string& call) {
                        return (call.starts_with("as ") && call != "as user") ||
                               call.starts_with("raise ");
                      });
}

using OwnRow = std::tuple<const char*, BackingKind>;

// Who may do what is a matter of several users.
std::vector<const char*> files_of_one_user() {
  std::vector<const char*> files(kFiles.begin(), kFiles.end());
  std::erase(files, std::string_view("permissions"));
  return files;
}

class DifferentialInOwnMount : public mount_tests::UserMountTest,
                               public ::testing::WithParamInterface<OwnRow> {
 protected:
  void SetUp() override { prepare(std::get<BackingKind>(GetParam())); }
};

TEST_P(DifferentialInOwnMount, TheSameCallsHaveTheSameAnswers) {
  constexpr bool kAsUser = true;
  as_user([&] {
    int played = 0;
    for (const Scenario& scenario :
         scenarios_of(std::get<const char*>(GetParam()))) {
      if (!is_of_one_user(scenario)) {
        continue;
      }
      const std::string name = std::to_string(++played);
      ASSERT_EQ(::mkdir(source(name).c_str(), 0755), 0);
      ASSERT_EQ(::mkdir(native(name).c_str(), 0755), 0);
      const std::string natively = play(scenario, native(name), kAsUser);
      const std::string through_mount = play(scenario, mounted(name), kAsUser);
      EXPECT_EQ(natively.find("BROKEN"), std::string::npos)
          << scenario.name << ": " << natively;
      // Some of these come out the same now and then.
      if (scenario.differs.empty() &&
          scenario.differs_without_passthrough.empty()) {
        EXPECT_EQ(natively, through_mount)
            << scenario.name << " (- natively, + through the mount)";
      }
    }
    EXPECT_GT(played, 0);
  });
}

INSTANTIATE_TEST_SUITE_P(
    Scenarios, DifferentialInOwnMount,
    ::testing::Combine(::testing::ValuesIn(files_of_one_user()),
                       ::testing::Values(BackingKind::kTmpfs,
                                         BackingKind::kDisk)),
    [](const auto& row) {
      std::string name = std::get<const char*>(row.param);
      std::erase(name, '-');
      return name + "_" + support::name_of(std::get<BackingKind>(row.param));
    });

// Whether the kernel is as new as one of this release, such as 6.9.
bool kernel_is_since(const std::string& release) {
  const auto parts = [](const std::string& text) {
    std::size_t point = 0;
    const int version = std::stoi(text, &point);
    return std::pair(version, std::stoi(text.substr(point + 1)));
  };
  struct utsname running = {};
  return ::uname(&running) == 0 &&
         parts(std::data(running.release)) >= parts(release);
}

class Differences : public BothPlaces,
                    public ::testing::WithParamInterface<BackingKind> {
 protected:
  void SetUp() override { mount_on(GetParam()); }

  // Whether it differs, or the kernel has no such call.
  bool differs(const Scenario& scenario, bool as_user) {
    const Accounts accounts = play_in_both(scenario, as_user);
    return accounts.natively != accounts.through_mount ||
           accounts.natively.find("ENOSYS") != std::string::npos;
  }

  static bool is_to_differ(const Scenario& scenario) {
    const bool is_tmpfs = GetParam() == BackingKind::kTmpfs;
    return !scenario.differs.empty() && scenario.differs_on_tmpfs == is_tmpfs &&
           (scenario.since_linux.empty() ||
            kernel_is_since(scenario.since_linux));
  }
};

// What is said to differ, here and in the manual, does: else it is to be said
// no more.
TEST_P(Differences, AreStillThere) {
  for (const char* const file : kFiles) {
    for (const Scenario& scenario : scenarios_of(file)) {
      if (is_to_differ(scenario)) {
        EXPECT_TRUE(differs(scenario, false) || differs(scenario, true))
            << scenario.name;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Scenarios, Differential,
    ::testing::Combine(::testing::ValuesIn(kFiles), ::testing::Bool(),
                       ::testing::Values(BackingKind::kTmpfs,
                                         BackingKind::kDisk)),
    [](const auto& row) {
      std::string name = std::get<const char*>(row.param);
      std::erase(name, '-');
      return name + (std::get<bool>(row.param) ? "_user_" : "_root_") +
             support::name_of(std::get<BackingKind>(row.param));
    });

PMEMFS_ON_EACH_BACKING(Differences);

}  // namespace
}  // namespace posix_tests
