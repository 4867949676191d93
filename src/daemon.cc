#include "src/daemon.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "src/process.h"

namespace pmemfs {
namespace {

// Waits for the end of a process and puts it in words.
std::string how_ended(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) == -1) {
    if (errno != EINTR) {
      return "nobody knows how";
    }
  }
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return "signal " + std::to_string(signal) + ", " + ::strsignal(signal);
  }
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

Outcome<Daemon> Daemon::start() {
  Outcome<StatusPipe> status = StatusPipe::create();
  if (!status) {
    return hand_on(status);
  }
  const pid_t pid = ::fork();
  if (pid == -1) {
    return refuse(
        ExitCode::kUnexpected,
        std::string("forking into the background: ") + std::strerror(errno));
  }
  if (pid == 0) {
    ::setsid();
    status->keep_writing_end();
  } else {
    // Without this an end of the daemon would never be an end of the pipe.
    status->keep_reading_end();
  }
  return Daemon(pid, std::move(*status));
}

Outcome<void> Daemon::wait() {
  std::optional<Outcome<void>> reported = status_.wait();
  if (reported) {
    return std::move(*reported);
  }
  return refuse(
      ExitCode::kMountFailed,
      "the daemon ended before the mount answered (" + how_ended(pid_) + ")");
}

void Daemon::ask_to_end() const { ::kill(pid_, SIGTERM); }

void Daemon::report(const Outcome<void>& outcome) {
  if (outcome) {
    detach_standard_streams();
  }
  status_.report(outcome);
}

void become_server() {
  ::umask(0);
  // There is no way for this to fail that would matter.
  [[maybe_unused]] const int result = ::chdir("/");
}

}  // namespace pmemfs
