#include "support/mount_fixture.h"

#include <gtest/gtest.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace support {
namespace {

using std::chrono::seconds;

// Long enough for a sanitized daemon on a busy machine.
constexpr seconds kPatience(30);

std::vector<std::string> mount_command(const std::vector<std::string>& sources,
                                       const MountSettings& settings,
                                       const std::string& mountpoint) {
  std::vector<std::string> command = settings.wrapper;
  command.insert(command.end(), {kPmemfs, "mount", "-f"});
  command.insert(command.end(), settings.arguments.begin(),
                 settings.arguments.end());
  command.insert(command.end(), sources.begin(), sources.end());
  command.push_back(mountpoint);
  return command;
}

// For what went wrong: the mount goes out of sight, whoever uses it.
void detach(const std::string& mountpoint) {
  if (::geteuid() == 0) {
    ::umount2(mountpoint.c_str(), MNT_DETACH);
  } else {
    [[maybe_unused]] const CommandResult ignored =
        run_command({"fusermount3", "-uz", "--", mountpoint});
  }
}

}  // namespace

bool is_fuse_mount(const std::string& path) {
  struct statfs status = {};
  return ::statfs(path.c_str(), &status) == 0 &&
         status.f_type == FUSE_SUPER_MAGIC;
}

MountedPmemfs::MountedPmemfs(const std::vector<std::string>& sources,
                             const MountSettings& settings)
    : directory_("/var/tmp"),
      mountpoint_(directory_ / "mount"),
      log_file_(directory_ / "log") {
  std::filesystem::create_directory(mountpoint_);
  // For tests as another user.
  std::filesystem::permissions(directory_.path(), std::filesystem::perms(0755));
  daemon_.emplace(mount_command(sources, settings, mountpoint_),
                  settings.environment, log_file_);
  wait_until_it_answers();
}

void MountedPmemfs::wait_until_it_answers() {
  const bool answers = becomes_true(
      [&] { return is_fuse_mount(mountpoint_) || !daemon_is_alive(); },
      kPatience);
  if (answers && daemon_is_alive()) {
    return;
  }
  daemon_->send_signal(SIGKILL);
  detach(mountpoint_);
  throw std::runtime_error("the mount did not come up:\n" + log());
}

MountedPmemfs::~MountedPmemfs() {
  end();
  if (is_dead_) {
    detach(mountpoint_);
  }
}

std::string MountedPmemfs::log() const {
  std::ifstream file(log_file_);
  return {std::istreambuf_iterator<char>(file), {}};
}

void MountedPmemfs::end() {
  if (has_ended_) {
    return;
  }
  has_ended_ = true;
  if (!daemon_is_alive()) {
    ADD_FAILURE() << "the daemon ended before its mount, with status "
                  << *daemon_->exit_status() << "; its log:\n"
                  << log();
    detach(mountpoint_);
    return;
  }
  const CommandResult unmounted = run_command({kPmemfs, "umount", mountpoint_});
  if (unmounted.exit_status != 0) {
    ADD_FAILURE() << "umount: " << unmounted.output;
    detach(mountpoint_);
  }
  const std::optional<int> status = daemon_->wait_for(kPatience);
  if (!status) {
    ADD_FAILURE() << "the daemon outlives its mount; its log:\n" << log();
  } else if (*status != 0) {
    ADD_FAILURE() << "the daemon ended with status " << *status
                  << "; its log:\n"
                  << log();
  }
  expect_nothing_left();
}

void MountedPmemfs::kill_daemon() {
  daemon_->send_signal(SIGKILL);
  has_ended_ = is_dead_ = true;
  ASSERT_TRUE(daemon_->wait_for(kPatience).has_value());
}

void MountedPmemfs::expect_nothing_left() const {
  struct stat mountpoint = {};
  struct stat parent = {};
  ASSERT_EQ(::stat(mountpoint_.c_str(), &mountpoint), 0)
      << std::strerror(errno);
  ASSERT_EQ(::stat(directory_.path().c_str(), &parent), 0);
  EXPECT_EQ(mountpoint.st_dev, parent.st_dev) << "still mounted";
  EXPECT_TRUE(std::filesystem::is_empty(mountpoint_));
}

}  // namespace support
