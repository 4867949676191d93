// A fixture for other people's programs on a mount, each with what it is used
// for: what they put in comes out the same. On both kinds of file system, in
// root's mount and in an ordinary user's own.
//
// The tests are scripts of bash, which end at the first command that fails and
// print what they do. Variables of theirs:
//   M  the mount    S  the same directory beneath it
//   N  a directory beside the source, on the same file system
//   ordinary  what to put before a command that is not to run as root; the
//             process ends with the script
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "mount/user_mount.h"

namespace program_tests {

using support::BackingKind;

enum class MountedBy {
  kRoot,  // or who else runs the tests
  kUser,
};

struct Place {
  BackingKind backing = BackingKind::kTmpfs;
  MountedBy by = MountedBy::kRoot;
};

inline std::string name_of(const Place& place) {
  return support::name_of(place.backing) +
         (place.by == MountedBy::kRoot ? "_root" : "_user");
}

inline void PrintTo(const Place& place, std::ostream* out) {
  *out << name_of(place);
}

class ProgramTest : public mount_tests::UserMountTest,
                    public ::testing::WithParamInterface<Place> {
 protected:
  void SetUp() override {
    if (GetParam().by == MountedBy::kUser) {
      prepare(GetParam().backing);
      return;
    }
    const std::string reason = mount_tests::cannot_mount();
    if (!reason.empty()) {
      GTEST_SKIP() << reason;
    }
    backing_ = support::make_directory_on(GetParam().backing);
    // For servers that refuse to be root.
    std::filesystem::permissions(backing_->path(),
                                 std::filesystem::perms(0755));
    std::filesystem::create_directory(*backing_ / "source");
    std::filesystem::create_directory(*backing_ / "native");
  }

  [[nodiscard]] static bool is(BackingKind backing, MountedBy by) {
    return GetParam().backing == backing && GetParam().by == by;
  }

  // Skips when one of them is not installed; the caller returns when
  // IsSkipped().
  static void need(const std::vector<std::string>& programs) {
    for (const std::string& program : programs) {
      if (support::run_command({"which", program}).exit_status != 0) {
        GTEST_SKIP() << program << " is not installed";
      }
    }
  }

  // Mounts and runs a script to its end, as who has mounted; the test fails
  // when one of its commands does. `variables` are NAME=VALUE words for it,
  // `arguments` those of `pmemfs mount`.
  void run(const std::string& script,
           const std::vector<std::string>& variables = {},
           const std::vector<std::string>& arguments = {}) {
    if (GetParam().by == MountedBy::kUser) {
      as_user(
          [&] { run_at(mountpoint(), source(), native(), script, variables); },
          arguments);
      return;
    }
    support::MountedPmemfs daemon({*backing_ / "source"},
                                  {.arguments = arguments});
    run_at(daemon.path(), *backing_ / "source", *backing_ / "native", script,
           variables);
  }

 private:
  static void run_at(const std::string& mount, const std::string& source,
                     const std::string& native, const std::string& script,
                     const std::vector<std::string>& variables) {
    std::vector<std::string> environment = {
        "M=" + mount,       "S=" + source, "N=" + native, "HOME=" + native,
        "TMPDIR=" + native, "LC_ALL=C",    "TZ=UTC",      "PS4=> "};
    environment.insert(environment.end(), variables.begin(), variables.end());
    const support::CommandResult ran =
        support::run_command({"bash", "-e", "-u", "-x", "-o", "pipefail", "-c",
                              std::string(kPrelude) + script},
                             environment);
    std::cout << ran.output << std::flush;
    EXPECT_EQ(ran.exit_status, 0);
  }

  static constexpr const char* kPrelude = R"sh(
    set +x
    umask 022
    cd "$N"
    ordinary=(setpriv --pdeathsig KILL)
    test "$UID" != 0 ||
      ordinary+=(--reuid nobody --regid "$(id -g nobody)" --clear-groups)
    set -x
  )sh";

  std::unique_ptr<support::Backing> backing_;
};

#define PMEMFS_IN_EACH_PLACE(Suite)                               \
  INSTANTIATE_TEST_SUITE_P(                                       \
      Mounted, Suite,                                             \
      ::testing::Values(                                          \
          program_tests::Place{support::BackingKind::kTmpfs,      \
                               program_tests::MountedBy::kRoot},  \
          program_tests::Place{support::BackingKind::kTmpfs,      \
                               program_tests::MountedBy::kUser},  \
          program_tests::Place{support::BackingKind::kDisk,       \
                               program_tests::MountedBy::kRoot},  \
          program_tests::Place{support::BackingKind::kDisk,       \
                               program_tests::MountedBy::kUser}), \
      [](const auto& parameter) {                                 \
        return program_tests::name_of(parameter.param);           \
      })

}  // namespace program_tests
