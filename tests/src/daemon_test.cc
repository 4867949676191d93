#include "src/daemon.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "src/process.h"
#include "src/status_pipe.h"

namespace pmemfs {
namespace {

class StatusPipeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    ASSERT_TRUE(pipe_) << pipe_.error().message;
  }

  [[nodiscard]] StatusPipe& pipe() { return *pipe_; }

 private:
  Outcome<StatusPipe> pipe_ = StatusPipe::create();
};

TEST_F(StatusPipeTest, CarriesSuccess) {
  pipe().report({});
  const std::optional<Outcome<void>> heard = pipe().wait();
  ASSERT_TRUE(heard);
  EXPECT_TRUE(*heard);
}

TEST_F(StatusPipeTest, CarriesAFailureWithItsCodeAndText) {
  const std::string text = std::string("two\nlines, and a byte: ") + '\0';
  pipe().report(refuse(ExitCode::kSourceRefused, text));
  const std::optional<Outcome<void>> heard = pipe().wait();
  ASSERT_TRUE(heard);
  ASSERT_FALSE(*heard);
  EXPECT_EQ(heard->error().code, ExitCode::kSourceRefused);
  EXPECT_EQ(heard->error().message, text);
}

TEST_F(StatusPipeTest, TellsOfAnEndWithoutReport) {
  pipe().keep_reading_end();
  EXPECT_FALSE(pipe().wait());
}

TEST_F(StatusPipeTest, OnlyTheFirstReportCounts) {
  pipe().report({});
  pipe().report(refuse(ExitCode::kMountFailed, "too late"));
  EXPECT_TRUE(*pipe().wait());
  EXPECT_FALSE(pipe().wait());
}

TEST_F(StatusPipeTest, AReaderThatIsGoneDoesNotMatter) {
  pipe().keep_writing_end();
  pipe().report(refuse(ExitCode::kMountFailed, "nobody hears"));
}

TEST_F(StatusPipeTest, LongTextsAreCutAndNotLost) {
  // As much as a pipe holds by itself; the longest that is sent fits.
  const std::string text(60000, 'x');
  pipe().report(refuse(ExitCode::kUnexpected, text));
  EXPECT_EQ(pipe().wait()->error().message, text);
}

// Starts a daemon that does `work` and ends; returns what its parent hears.
template <typename Work>
Outcome<void> outcome_of(const Work& work) {
  Outcome<Daemon> daemon = Daemon::start();
  if (!daemon) {
    return hand_on(daemon);
  }
  if (!daemon->is_parent()) {
    work(*daemon);
    ::_exit(3);  // not through the test program's own end
  }
  return daemon->wait();
}

TEST(DaemonProcess, TellsThatItIsReady) {
  const Outcome<void> outcome =
      outcome_of([](Daemon& daemon) { daemon.report({}); });
  EXPECT_TRUE(outcome) << outcome.error().message;
}

TEST(DaemonProcess, TellsWhyItIsNot) {
  const Outcome<void> outcome = outcome_of([](Daemon& daemon) {
    daemon.report(refuse(ExitCode::kNotPermitted, "no way"));
  });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ExitCode::kNotPermitted);
  EXPECT_EQ(outcome.error().message, "no way");
}

TEST(DaemonProcess, AnEndWithoutReportIsTold) {
  const Outcome<void> outcome = outcome_of([](Daemon&) {});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ExitCode::kMountFailed);
  EXPECT_EQ(outcome.error().message,
            "the daemon ended before the mount answered (exit code 3)");
}

TEST(DaemonProcess, ASignalThatEndedItIsTold) {
  const Outcome<void> outcome =
      outcome_of([](Daemon&) { ::kill(::getpid(), SIGKILL); });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ExitCode::kMountFailed);
  EXPECT_EQ(outcome.error().message,
            "the daemon ended before the mount answered (signal 9, Killed)");
}

TEST(DaemonProcess, HasItsOwnSessionAndNoTerminalWhenReady) {
  const Outcome<void> outcome = outcome_of([](Daemon& daemon) {
    detach_standard_streams();
    const std::string target =
        std::filesystem::read_symlink("/proc/self/fd/1").string();
    const bool is_null = target == "/dev/null";
    daemon.report(is_null && ::getsid(0) == ::getpid()
                      ? Outcome<void>()
                      : refuse(ExitCode::kUnexpected, target));
  });
  EXPECT_TRUE(outcome) << outcome.error().message;
}

TEST(DaemonProcess, EndsWhenAsked) {
  Outcome<Daemon> daemon = Daemon::start();
  ASSERT_TRUE(daemon);
  if (!daemon->is_parent()) {
    while (true) {
      ::pause();
    }
  }
  daemon->ask_to_end();
  const Outcome<void> outcome = daemon->wait();
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().message.find("signal 15"), std::string::npos);
}

}  // namespace
}  // namespace pmemfs
