#include "src/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/pid_file.h"
#include "support/files.h"
#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using support::content_of;
using support::TempDir;
using support::write_file;

// The exit code of a forked process that runs `check`.
template <typename Check>
int in_child(const Check& check) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::_exit(check() ? 0 : 1);
  }
  int status = 0;
  return ::waitpid(pid, &status, 0) == pid && WIFEXITED(status)
             ? WEXITSTATUS(status)
             : -1;
}

TEST(PrepareProcess, OpensClosedStandardStreams) {
  EXPECT_EQ(in_child([] {
              ::close(STDIN_FILENO);
              ::close(STDERR_FILENO);
              prepare_process();
              return ::fcntl(STDIN_FILENO, F_GETFD) != -1 &&
                     ::fcntl(STDERR_FILENO, F_GETFD) != -1 &&
                     ::open("/dev/null", O_RDONLY) > STDERR_FILENO;
            }),
            0);
}

TEST(PrepareProcess, RaisesTheLimitOfOpenFiles) {
  EXPECT_EQ(in_child([] {
              rlimit limit{};
              ::getrlimit(RLIMIT_NOFILE, &limit);
              limit.rlim_cur = 64;
              ::setrlimit(RLIMIT_NOFILE, &limit);
              prepare_process();
              ::getrlimit(RLIMIT_NOFILE, &limit);
              return limit.rlim_cur == limit.rlim_max;
            }),
            0);
}

TEST(RunProgram, ReturnsExitStatusAndStandardError) {
  const pmem::Result<ProgramResult> result =
      run_program({"sh", "-c", "echo one >&2; echo two >&2; exit 7"});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->exit_status, 7);
  EXPECT_EQ(result->standard_error, "one\ntwo");
}

TEST(RunProgram, TellsOfASignal) {
  const pmem::Result<ProgramResult> result =
      run_program({"sh", "-c", "kill -9 $$"});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->exit_status, 128 + 9);
}

TEST(RunProgram, RefusesWhatIsNotInPath) {
  const pmem::Result<ProgramResult> result =
      run_program({"pmemfs-no-such-program"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ENOENT);
}

TEST(FindProgram, LooksThroughPath) {
  const std::optional<std::string> sh = find_program("sh");
  ASSERT_TRUE(sh);
  EXPECT_TRUE(sh->ends_with("/sh"));
  EXPECT_FALSE(find_program("pmemfs-no-such-program"));
}

TEST(PidFileTest, HoldsOurProcessIdWhileItLives) {
  const TempDir directory;
  const std::string path = directory / "pid";
  write_file(path, "a longer text that was there before");
  {
    const Outcome<PidFile> file = PidFile::create(path);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(content_of(path), std::to_string(::getpid()) + "\n");
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0022, 0U);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(PidFileTest, IsNoFileWithoutAPath) { EXPECT_TRUE(PidFile::create("")); }

TEST(PidFileTest, RefusesAPathThatCannotBeWritten) {
  const TempDir directory;
  const Outcome<PidFile> file = PidFile::create(directory / "none/pid");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ExitCode::kUsage);
  EXPECT_NE(file.error().message.find("none/pid"), std::string::npos);
}

}  // namespace
}  // namespace pmemfs
