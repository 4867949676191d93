#include "src/logging.h"

#include <fuse_log.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <filesystem>

#include "support/files.h"
#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using support::content_of;
using support::TempDir;

LogOptions to_file(const TempDir& directory) {
  LogOptions options;
  options.target = LogTarget::kFile;
  options.file = directory / "log";
  return options;
}

TEST(LogLevels, HaveNames) {
  EXPECT_EQ(log_level_from_name("trace"), LogLevel::kTrace);
  EXPECT_EQ(log_level_from_name("warn"), LogLevel::kWarning);
  EXPECT_EQ(log_level_from_name("off"), LogLevel::kOff);
  EXPECT_FALSE(log_level_from_name("WARN"));
  EXPECT_FALSE(log_level_from_name(""));
}

TEST(Logging, AppendsToTheFile) {
  const TempDir directory;
  for (const char* message : {"first", "second"}) {
    const Outcome<Log> log = Log::start(to_file(directory));
    ASSERT_TRUE(log) << log.error().message;
    spdlog::info(message);
  }
  const std::string text = content_of(directory / "log");
  EXPECT_NE(text.find(" info: first\n"), std::string::npos) << text;
  EXPECT_NE(text.find(" info: second\n"), std::string::npos) << text;
}

TEST(Logging, LeavesOutWhatIsBelowTheLevel) {
  const TempDir directory;
  LogOptions options = to_file(directory);
  options.level = LogLevel::kWarning;
  const Outcome<Log> log = Log::start(options);
  ASSERT_TRUE(log);
  spdlog::info("low");
  spdlog::warn("high");
  const std::string text = content_of(directory / "log");
  EXPECT_EQ(text.find("low"), std::string::npos) << text;
  EXPECT_NE(text.find("warning: high"), std::string::npos) << text;
}

TEST(Logging, OffIsSilent) {
  const TempDir directory;
  LogOptions options = to_file(directory);
  options.level = LogLevel::kOff;
  const Outcome<Log> log = Log::start(options);
  ASSERT_TRUE(log);
  spdlog::critical("nothing");
  EXPECT_EQ(content_of(directory / "log"), "");
}

TEST(Logging, TakesTheMessagesOfLibfuse) {
  const TempDir directory;
  LogOptions options = to_file(directory);
  options.level = LogLevel::kDebug;
  const Outcome<Log> log = Log::start(options);
  ASSERT_TRUE(log);
  fuse_log(FUSE_LOG_ERR, "fuse: mount failed: %s\n", "reason {}");
  fuse_log(FUSE_LOG_DEBUG, "unique: %d", 7);
  const std::string text = content_of(directory / "log");
  EXPECT_NE(text.find(" error: libfuse: fuse: mount failed: reason {}\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(" debug: libfuse: unique: 7\n"), std::string::npos)
      << text;
}

TEST(Logging, CutsOverlongMessagesOfLibfuse) {
  const TempDir directory;
  const Outcome<Log> log = Log::start(to_file(directory));
  ASSERT_TRUE(log);
  const std::string overlong(5000, 'x');
  fuse_log(FUSE_LOG_INFO, "%s", overlong.c_str());
  const std::string text = content_of(directory / "log");
  EXPECT_GT(text.size(), 1000U);
  EXPECT_LT(text.size(), 1200U);
}

TEST(Logging, WarnsOnTheTerminalTooUntilItLeaves) {
  const TempDir directory;
  LogOptions options = to_file(directory);
  options.on_terminal_too = true;
  testing::internal::CaptureStderr();
  Outcome<Log> log = Log::start(options);
  ASSERT_TRUE(log);
  spdlog::info("quiet");
  spdlog::warn("seen");
  log->leave_terminal();
  spdlog::error("unseen");
  const std::string terminal = testing::internal::GetCapturedStderr();
  EXPECT_EQ(terminal, "pmemfs: warning: seen\n");
  EXPECT_NE(content_of(directory / "log").find("error: unseen"),
            std::string::npos);
}

TEST(Logging, RefusesAFileThatCannotBeOpened) {
  const TempDir directory;
  LogOptions options = to_file(directory);
  options.file = directory.path();  // a directory
  const Outcome<Log> log = Log::start(options);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, ExitCode::kUsage);
  EXPECT_NE(log.error().message.find(directory.path()), std::string::npos);
}

TEST(Logging, MakesNoFolders) {
  const TempDir directory;
  LogOptions options = to_file(directory);
  options.file = directory / "none/log";
  const Outcome<Log> log = Log::start(options);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().message, "the log file '" + options.file +
                                     "' cannot be opened: No such file or "
                                     "directory");
  EXPECT_FALSE(std::filesystem::exists(directory / "none"));
}

TEST(Logging, AfterItsEndMessagesGoNowhere) {
  const TempDir directory;
  { ASSERT_TRUE(Log::start(to_file(directory))); }
  spdlog::error("late");
  EXPECT_EQ(content_of(directory / "log"), "");
}

}  // namespace
}  // namespace pmemfs
