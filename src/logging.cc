#include "src/logging.h"

#include <fcntl.h>
#include <fuse_log.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <syslog.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "pmem/unique_fd.h"

namespace pmemfs {
namespace {

struct NamedLevel {
  std::string_view name;
  LogLevel level;
};
constexpr auto kNamedLevels = std::to_array<NamedLevel>({
    {"trace", LogLevel::kTrace},
    {"debug", LogLevel::kDebug},
    {"info", LogLevel::kInfo},
    {"warn", LogLevel::kWarning},
    {"error", LogLevel::kError},
    {"off", LogLevel::kOff},
});

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

spdlog::level::level_enum spdlog_level(fuse_log_level level) {
  switch (level) {
    case FUSE_LOG_EMERG:
    case FUSE_LOG_ALERT:
    case FUSE_LOG_CRIT:
      return spdlog::level::critical;
    case FUSE_LOG_ERR:
      return spdlog::level::err;
    case FUSE_LOG_WARNING:
      return spdlog::level::warn;
    case FUSE_LOG_NOTICE:
    case FUSE_LOG_INFO:
      return spdlog::level::info;
    case FUSE_LOG_DEBUG:
      break;
  }
  return spdlog::level::debug;
}

std::shared_ptr<spdlog::sinks::sink> standard_error_sink() {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  sink->set_pattern("pmemfs: %l: %v");
  return sink;
}

std::shared_ptr<spdlog::sinks::sink> syslog_sink() {
  auto sink = std::make_shared<spdlog::sinks::syslog_sink_mt>(
      "pmemfs", LOG_PID, LOG_DAEMON, /*enable_formatting=*/true);
  sink->set_pattern("%v");
  return sink;
}

// Throws spdlog_ex. REQUIRES: check_log_file() was content.
std::shared_ptr<spdlog::sinks::sink> file_sink(const std::string& file) {
  auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
  sink->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z pmemfs[%P] %l: %v");
  return sink;
}

// spdlog makes folders for its file, so that a misspelled one would be made
// instead of refused; this does not.
Outcome<void> check_log_file(const std::string& file) {
  constexpr mode_t kMode = 0644;
  const pmem::UniqueFd fd(
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kMode));
  if (!fd.valid()) {
    return refuse(ExitCode::kUsage,
                  "the log file '" + file +
                      "' cannot be opened: " + std::strerror(errno));
  }
  return {};
}

std::shared_ptr<spdlog::sinks::sink> target_sink(const LogOptions& options) {
  switch (options.target) {
    case LogTarget::kSyslog:
      return syslog_sink();
    case LogTarget::kFile:
      return file_sink(options.file);
    case LogTarget::kStandardError:
      break;
  }
  return standard_error_sink();
}

// The handler for fuse_set_log_func: called from C, on any thread.
void log_fuse_message(fuse_log_level level, const char* format,
                      va_list arguments) {
  std::array<char, 1024> text{};
  const int wanted =
      std::vsnprintf(text.data(), text.size(), format, arguments);
  if (wanted < 0) {
    return;
  }
  std::string_view message(text.data());
  while (message.ends_with('\n')) {
    message.remove_suffix(1);
  }
  try {
    spdlog::log(spdlog_level(level), "libfuse: {}", message);
  } catch (...) {  // spdlog throws what is no std::exception onwards
  }
}

}  // namespace

std::optional<LogLevel> log_level_from_name(std::string_view name) {
  for (const NamedLevel& named : kNamedLevels) {
    if (named.name == name) {
      return named.level;
    }
  }
  return std::nullopt;
}

struct Log::State {
  std::shared_ptr<spdlog::sinks::sink> terminal;  // null: not there
};

Log::Log(std::unique_ptr<State> state) : state_(std::move(state)) {}
Log::Log(Log&& other) noexcept = default;

Log::~Log() {
  if (state_ != nullptr) {
    fuse_set_log_func(nullptr);
    // Not shutdown(): a message that comes later must have somewhere to go.
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("pmemfs"));
  }
}

Outcome<Log> Log::start(const LogOptions& options) {
  if (options.target == LogTarget::kFile) {
    Outcome<void> checked = check_log_file(options.file);
    if (!checked) {
      return hand_on(checked);
    }
  }
  auto state = std::make_unique<State>();
  std::vector<std::shared_ptr<spdlog::sinks::sink>> sinks;
  try {
    sinks.push_back(target_sink(options));
  } catch (const spdlog::spdlog_ex& error) {
    return refuse(ExitCode::kUsage,
                  "the log cannot be opened: " + std::string(error.what()));
  }
  if (options.on_terminal_too) {
    state->terminal = standard_error_sink();
    state->terminal->set_level(spdlog::level::warn);
    sinks.push_back(state->terminal);
  }
  auto logger =
      std::make_shared<spdlog::logger>("pmemfs", sinks.begin(), sinks.end());
  logger->set_level(spdlog_level(options.level));
  // Nothing is logged on the way of the data, so each line may go out at once:
  // the last ones before a crash are the ones that matter.
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  fuse_set_log_func(log_fuse_message);
  return Log(std::move(state));
}

void Log::leave_terminal() {
  if (state_->terminal != nullptr) {
    // Not removed from the logger, which other threads are using.
    state_->terminal->set_level(spdlog::level::off);
  }
}

}  // namespace pmemfs
