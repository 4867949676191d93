// Where log messages go: spdlog's default logger, set up once at the start, and
// libfuse's own messages, led into it.
//
// start_logging() makes no thread, so the program may fork afterwards; messages
// may then come from any thread. Rooms that log include spdlog themselves.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/exit_code.h"

namespace pmemfs {

enum class LogLevel { kTrace, kDebug, kInfo, kWarning, kError, kOff };

// The level of --log-level NAME; nothing for another word.
[[nodiscard]] std::optional<LogLevel> log_level_from_name(
    std::string_view name);

enum class LogTarget {
  kStandardError,
  kSyslog,  // facility daemon
  kFile,    // appended to
};

struct LogOptions {
  LogTarget target = LogTarget::kStandardError;
  std::string file;  // for kFile
  LogLevel level = LogLevel::kInfo;
  // Warnings and errors also on standard error, until leave_terminal().
  bool on_terminal_too = false;
};

// The log of this process. Owned by the command that runs; when it goes, so
// does the log.
class Log {
 public:
  // Errors: kUsage when the file cannot be opened. REQUIRES: no other Log.
  [[nodiscard]] static Outcome<Log> start(const LogOptions& options);

  // Ends `on_terminal_too`. Any thread.
  void leave_terminal();

  Log(Log&& other) noexcept;
  Log& operator=(Log&& other) = delete;
  Log(const Log& other) = delete;
  Log& operator=(const Log& other) = delete;
  ~Log();

 private:
  struct State;
  explicit Log(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace pmemfs
