// A fixture: two directories on one file system, `native` to be used as it is
// and `source` through a mount, so that the same calls can be made in both.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "support/account.h"
#include "support/backing.h"
#include "support/files.h"
#include "support/mount_fixture.h"

namespace mount_tests {

using support::Account;
using support::BackingKind;
using support::content_of;
using support::noise;
using support::open_file;
using support::read_at;
using support::status_of;
using support::write_file;

// Why mounting cannot be tested here; "" when it can.
[[nodiscard]] inline std::string cannot_mount() {
  return ::access("/dev/fuse", R_OK | W_OK) == 0
             ? ""
             : "/dev/fuse cannot be opened: " +
                   std::string(std::strerror(errno));
}

class MountTest : public ::testing::Test {
 protected:
  // Makes the directories and mounts. Skips where there is no FUSE; the caller
  // returns when IsSkipped().
  void mount(std::unique_ptr<support::Backing> backing,
             const support::MountSettings& settings = {}) {
    const std::string reason = cannot_mount();
    if (!reason.empty()) {
      GTEST_SKIP() << reason;
    }
    backing_ = std::move(backing);
    std::filesystem::create_directory(source());
    std::filesystem::create_directory(native());
    settings_ = settings;
    mounted_.emplace(std::vector<std::string>{source()}, settings_);
  }

  void remount() {
    mounted_.reset();
    mounted_.emplace(std::vector<std::string>{source()}, settings_);
  }

  // Users other than root may come to the directories, and make things there.
  void let_others_in() const {
    using std::filesystem::perms;
    std::filesystem::permissions(backing_->path(), perms(0755));
    std::filesystem::permissions(source(), perms(0777));
    std::filesystem::permissions(native(), perms(0777));
  }

  // Paths of something in the source, beside it, and seen through the mount.
  [[nodiscard]] std::string source(const std::string& name = "") const {
    return *backing_ / ("source/" + name);
  }
  [[nodiscard]] std::string native(const std::string& name = "") const {
    return *backing_ / ("native/" + name);
  }
  [[nodiscard]] std::string mounted(const std::string& name = "") const {
    return *mounted_ / name;
  }

  [[nodiscard]] support::MountedPmemfs& daemon() { return *mounted_; }
  [[nodiscard]] support::Backing& backing() { return *backing_; }

  // Gives `tell` an Account in either place and compares them. Returns what was
  // told of the mount.
  template <typename Tell>
  std::string expect_same(const Tell& tell) {
    Account natively(*backing_ / "native");
    Account through_mount(mounted_->path());
    tell(natively);
    tell(through_mount);
    EXPECT_EQ(natively.text(), through_mount.text())
        << "(- natively, + through the mount)";
    return through_mount.text();
  }

 private:
  std::unique_ptr<support::Backing> backing_;
  support::MountSettings settings_;
  std::optional<support::MountedPmemfs> mounted_;
};

// On each kind of file system that a test can have without being root.
class OnEachBacking : public MountTest,
                      public ::testing::WithParamInterface<BackingKind> {
 protected:
  void SetUp() override {
    mount(support::make_directory_on(GetParam()), settings());
  }

  [[nodiscard]] virtual support::MountSettings settings() const { return {}; }
};

// The same where other users come in, too.
class OnEachBackingWithOthers : public OnEachBacking {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "only root can become other users";
    }
    OnEachBacking::SetUp();
    if (!IsSkipped()) {
      let_others_in();
    }
  }
};

#define PMEMFS_ON_EACH_BACKING(Suite)                 \
  INSTANTIATE_TEST_SUITE_P(                           \
      Mounted, Suite,                                 \
      ::testing::Values(support::BackingKind::kTmpfs, \
                        support::BackingKind::kDisk), \
      [](const auto& parameter) { return support::name_of(parameter.param); })

}  // namespace mount_tests
