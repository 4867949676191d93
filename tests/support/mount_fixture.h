// A mount of the built program for the length of a scope.
//
// The daemon runs in the foreground as a child of the test, with its log in a
// file. The end of the scope unmounts and fails the test unless the daemon
// ended by itself with 0 and left the mountpoint as it was. One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "support/command.h"
#include "support/temp_dir.h"

namespace support {

// The program under test.
inline constexpr const char* kPmemfs = PMEMFS_PROGRAM;

struct MountSettings {
  std::vector<std::string> wrapper;    // a program that starts the daemon
  std::vector<std::string> arguments;  // of `pmemfs mount`, before the sources
  std::vector<std::string> environment;  // NAME=VALUE to add
};

class MountedPmemfs {
 public:
  // Returns when the mount answers. Throws std::runtime_error, with the log,
  // when that does not come.
  explicit MountedPmemfs(const std::vector<std::string>& sources,
                         const MountSettings& settings = {});
  MountedPmemfs(const MountedPmemfs&) = delete;
  MountedPmemfs& operator=(const MountedPmemfs&) = delete;
  ~MountedPmemfs();

  // The mountpoint.
  [[nodiscard]] const std::string& path() const { return mountpoint_; }
  // The path of something in the mount.
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return mountpoint_ + "/" + name;
  }

  // What the daemon has logged until now.
  [[nodiscard]] std::string log() const;

  [[nodiscard]] bool daemon_is_alive() { return !daemon_->exit_status(); }
  [[nodiscard]] pid_t daemon_pid() const { return daemon_->pid(); }

  // Unmounts and checks, now instead of at the end of the scope.
  void end();

  // Ends the daemon as a crash would; the mount stays, dead, until the end.
  void kill_daemon();

 private:
  void wait_until_it_answers();
  void expect_nothing_left() const;

  TempDir directory_;
  std::string mountpoint_;
  std::string log_file_;
  std::optional<BackgroundCommand> daemon_;
  bool has_ended_ = false;
  bool is_dead_ = false;
};

// Whether a FUSE file system is mounted there and answers.
[[nodiscard]] bool is_fuse_mount(const std::string& path);

}  // namespace support
