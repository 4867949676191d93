// A process that works in the background, and the one that started it, which
// waits until it hears that the work is under way or why it cannot be.
//
// REQUIRES: start() is called before there is a thread. In the daemon,
// report() may come from any thread.
#pragma once

#include <sys/types.h>

#include "src/exit_code.h"
#include "src/status_pipe.h"

namespace pmemfs {

class Daemon {
 public:
  // Forks, and returns in both processes. The daemon has its own session; its
  // standard streams are still those of its parent, so that what libraries
  // print while it starts is seen. Errors: kUnexpected (fork failed).
  [[nodiscard]] static Outcome<Daemon> start();

  [[nodiscard]] bool is_parent() const { return pid_ != 0; }

  // Parent: waits for the report. Errors: the reported one, or kMountFailed,
  // telling how the daemon ended, when it ended without a report.
  [[nodiscard]] Outcome<void> wait();

  // Parent: asks the daemon to end (SIGTERM).
  void ask_to_end() const;

  // Daemon: tells the parent, once. With success the standard streams go to
  // /dev/null.
  void report(const Outcome<void>& outcome);

 private:
  Daemon(pid_t pid, StatusPipe status)
      : pid_(pid), status_(std::move(status)) {}

  pid_t pid_;  // of the daemon; 0 in the daemon itself
  StatusPipe status_;
};

// What every server does, also in the foreground: it leaves the permissions of
// new files to those who create them, and pins no directory.
void become_server();

}  // namespace pmemfs
