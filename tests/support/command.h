// Programs that a test starts: one that runs to its end, and one that goes on.
//
// Values and a move-only owner; REQUIRES: started from the main thread, because
// what is started ends with the thread that started it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pmem/unique_fd.h"

namespace support {

struct CommandResult {
  int exit_status = -1;  // 128 + the signal, if one ended it
  std::string output;    // standard output and standard error, as they came
};

// Runs a program of PATH to its end. `environment` are NAME=VALUE words to add.
// Throws std::system_error when it cannot be started.
[[nodiscard]] CommandResult run_command(
    const std::vector<std::string>& command,
    const std::vector<std::string>& environment = {});

// A program that runs beside the test, with its output in a file. It is killed
// when the object goes while it still runs.
class BackgroundCommand {
 public:
  BackgroundCommand(const std::vector<std::string>& command,
                    const std::vector<std::string>& environment,
                    const std::string& output_file);
  BackgroundCommand(BackgroundCommand&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), status_(other.status_) {}
  BackgroundCommand& operator=(BackgroundCommand&&) = delete;
  BackgroundCommand(const BackgroundCommand&) = delete;
  BackgroundCommand& operator=(const BackgroundCommand&) = delete;
  ~BackgroundCommand();

  [[nodiscard]] pid_t pid() const { return pid_; }

  // The exit status, as in CommandResult; nothing while the program runs.
  [[nodiscard]] std::optional<int> exit_status();

  // The same, waiting at most so long.
  [[nodiscard]] std::optional<int> wait_for(std::chrono::milliseconds time);

  void send_signal(int signal) const;

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

// Hears of the end of a process that need not be a child: what nobody has
// collected yet has ended, too. REQUIRES: it runs when this is made.
class Watched {
 public:
  explicit Watched(pid_t pid);
  // Whether it has ended, waiting at most so long.
  [[nodiscard]] bool ends_within(std::chrono::milliseconds most) const;

 private:
  pmem::UniqueFd process_;
};

// Asks until it is so, at most so long; whether it came to be so.
template <typename Condition>
[[nodiscard]] bool becomes_true(const Condition& condition,
                                std::chrono::milliseconds most) {
  const auto end = std::chrono::steady_clock::now() + most;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace support
