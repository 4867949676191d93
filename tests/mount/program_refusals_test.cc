// What the built program refuses, with which exit code and in which words; and
// how a mount in the background begins and ends.
//
// Each test mounts in a folder of its own, and leaves no mount and no daemon.
// Those that need other devices or another user work in a child process with
// mounts of its own; without root's rights they are skipped.
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "pmem/unique_fd.h"
#include "src/exit_code.h"
#include "src/mount_table.h"
#include "src/process.h"
#include "support/child_process.h"
#include "support/command.h"
#include "support/files.h"
#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using support::content_of;
using support::TempDir;
using support::write_file;
using Words = std::vector<std::string>;

constexpr seconds kPatience(20);

// Asks until it is so, for as long as a slow machine may need.
template <typename Condition>
bool comes_true(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

bool tells(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The program's folder may be closed to others than root, so whoever becomes
// another user takes a copy of it.
ProgramResult run_copy(const std::string& program, Words arguments) {
  arguments.insert(arguments.begin(), program);
  pmem::Result<ProgramResult> result = run_program(arguments);
  if (!result) {
    ADD_FAILURE() << result.error().message();
    return {.exit_status = -1, .standard_error = ""};
  }
  return std::move(*result);
}

ProgramResult run_pmemfs(const Words& arguments) {
  return run_copy(PMEMFS_PROGRAM, arguments);
}

std::string mount_helper() {
  return (std::filesystem::path(PMEMFS_PROGRAM).parent_path() /
          "mount.fuse.pmemfs")
      .string();
}

std::optional<Mount> mount_seen_at(const std::string& path) {
  pmem::Result<std::optional<Mount>> mount = mount_at(path);
  return mount ? std::move(*mount) : std::nullopt;
}

bool is_pmemfs_mount(const std::string& path) {
  const std::optional<Mount> mount = mount_seen_at(path);
  return mount && mount->type == kMountType;
}

bool answers(const std::string& path) {
  std::error_code error;
  const std::filesystem::directory_iterator listing(path, error);
  return !error;
}

// The line of mountinfo of the mount at a path.
std::string mountinfo_line(const std::string& path) {
  std::ifstream table("/proc/self/mountinfo");
  std::string found;
  for (std::string line; std::getline(table, line);) {
    if (tells(line, " " + path + " ")) {
      found = line;
    }
  }
  return found;
}

// A source with a file in it, a mountpoint, and files for the process id and
// the log. Its end unmounts what is still mounted and ends the daemon.
class Workshop {
 public:
  Workshop() {
    for (const char* name : {"source", "mount"}) {
      std::filesystem::create_directory(folder_ / name);
    }
    write_file(source() + "/file", "content");
  }
  ~Workshop() {
    const pid_t daemon = daemon_pid();
    while (::umount2(mountpoint().c_str(), MNT_DETACH) == 0) {
    }
    if (daemon > 0) {
      ::kill(daemon, SIGKILL);
    }
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  [[nodiscard]] std::string source() const { return folder_ / "source"; }
  [[nodiscard]] std::string mountpoint() const { return folder_ / "mount"; }
  [[nodiscard]] std::string pid_file() const { return folder_ / "pid"; }
  [[nodiscard]] std::string log_file() const { return folder_ / "log"; }
  [[nodiscard]] const std::string& path() const { return folder_.path(); }
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return folder_ / name;
  }

  // The running daemon, by its file; 0 when there is none.
  [[nodiscard]] pid_t daemon_pid() const {
    pid_t pid = 0;
    std::ifstream(pid_file()) >> pid;
    return pid;
  }

  [[nodiscard]] std::string log() const { return content_of(log_file()); }

  [[nodiscard]] Words mount_words(const Words& more = {}) const {
    Words words = {"mount", "--pid-file", pid_file(), "--log-file", log_file()};
    words.insert(words.end(), more.begin(), more.end());
    words.insert(words.end(), {source(), mountpoint()});
    return words;
  }

  [[nodiscard]] ProgramResult mount(const Words& more = {}) const {
    return run_pmemfs(mount_words(more));
  }

  [[nodiscard]] ProgramResult umount(const Words& more = {}) const {
    Words words = {"umount"};
    words.insert(words.end(), more.begin(), more.end());
    words.push_back(mountpoint());
    return run_pmemfs(words);
  }

  // Kills the daemon as a crash would: its mount stays, dead. Returns when the
  // process has ended; until then it may answer still.
  void kill_daemon() const {
    const pid_t daemon = daemon_pid();
    ASSERT_GT(daemon, 0);
    const support::Watched watched(daemon);
    ASSERT_EQ(::kill(daemon, SIGKILL), 0);
    ASSERT_TRUE(watched.ends_within(kPatience));
  }

  [[nodiscard]] bool daemon_ends() const {
    return comes_true([&] { return !support::exists(pid_file()); });
  }

 private:
  TempDir folder_;
};

// A test of the program, which needs FUSE for those that succeed.
class Program : public testing::Test {
 protected:
  void SetUp() override {
    if (::access("/dev/fuse", R_OK | W_OK) != 0) {
      GTEST_SKIP() << "/dev/fuse cannot be opened: " << std::strerror(errno);
    }
  }

  [[nodiscard]] const Workshop& shop() const { return shop_; }

 private:
  Workshop shop_;
};

// A test that changes its surroundings in a child process.
class ProgramElsewhere : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root, to have other mounts and to be another user";
    }
  }

  [[nodiscard]] const Workshop& shop() const { return shop_; }

 private:
  Workshop shop_;
};

#define EXPECT_REFUSED(result, code, part)                                \
  do {                                                                    \
    const ProgramResult& refused = (result);                              \
    EXPECT_EQ(refused.exit_status, static_cast<int>(ExitCode::code))      \
        << refused.standard_error;                                        \
    EXPECT_TRUE(tells(refused.standard_error, part))                      \
        << "'" << refused.standard_error << "' does not tell '" << (part) \
        << "'";                                                           \
    EXPECT_TRUE(refused.standard_error.starts_with("pmemfs: "))           \
        << refused.standard_error;                                        \
  } while (false)

#define EXPECT_DONE(result)                                \
  do {                                                     \
    const ProgramResult& done = (result);                  \
    EXPECT_EQ(done.exit_status, 0) << done.standard_error; \
    EXPECT_EQ(done.standard_error, "");                    \
  } while (false)

// Becomes a user without rights, whose are the source and the mountpoint.
// Returns a copy of the program that this user can run.
std::string become_user(const Workshop& shop) {
  constexpr uid_t kNobody = 65534;
  std::string copy = shop / "pmemfs";
  std::filesystem::copy_file(PMEMFS_PROGRAM, copy);
  EXPECT_EQ(::chmod(copy.c_str(), 0755), 0);
  EXPECT_EQ(::chmod(shop.path().c_str(), 0755), 0);
  for (const std::string& path : {shop.source(), shop.mountpoint()}) {
    EXPECT_EQ(::chown(path.c_str(), kNobody, kNobody), 0);
  }
  EXPECT_EQ(::setgroups(0, nullptr), 0);
  EXPECT_EQ(::setgid(kNobody), 0);
  EXPECT_EQ(::setuid(kNobody), 0);
  return copy;
}

// ---- the command line ----

TEST_F(Program, RefusesUnknownOptionsAndNamesTheNearest) {
  EXPECT_REFUSED(shop().mount({"--xattr-lst=all"}), kUsage,
                 "unknown option '--xattr-lst'; did you mean '--xattr-list'?");
  EXPECT_REFUSED(shop().mount({"-o", "ro,xattr_lst=all"}), kUsage,
                 "unknown option 'xattr_lst'; did you mean 'xattr_list'?");
  EXPECT_FALSE(is_pmemfs_mount(shop().mountpoint()));
}

TEST_F(Program, RefusesBadValuesAndNamesTheGoodOnes) {
  EXPECT_REFUSED(shop().mount({"-o", "io=mmap"}), kUsage,
                 "bad value 'mmap' of option 'io': it takes mapped, "
                 "passthrough or cached");
}

TEST_F(Program, RefusesMissingArguments) {
  EXPECT_REFUSED(run_pmemfs({}), kUsage, "no command given");
  EXPECT_REFUSED(run_pmemfs({"mount"}), kUsage, "no mountpoint");
  EXPECT_REFUSED(run_pmemfs({"list", "x"}), kUsage, "list takes no argument");
  EXPECT_REFUSED(run_pmemfs({"umount"}), kUsage, "umount takes one mountpoint");
}

TEST_F(Program, RefusesUnknownCommands) {
  EXPECT_REFUSED(run_pmemfs({"mont"}), kUsage, "did you mean 'mount'?");
}

TEST_F(Program, RefusesFilesThatCannotBeWritten) {
  const std::string nowhere = shop() / "none/file";
  EXPECT_REFUSED(run_pmemfs({"mount", "--log-file", nowhere, shop().source(),
                             shop().mountpoint()}),
                 kUsage, nowhere);
  EXPECT_REFUSED(run_pmemfs({"mount", "--pid-file", nowhere, shop().source(),
                             shop().mountpoint()}),
                 kUsage, "the pid file '" + nowhere + "' cannot be written");
  EXPECT_FALSE(is_pmemfs_mount(shop().mountpoint()));
}

TEST_F(Program, TellsHelpAndVersion) {
  EXPECT_DONE(run_pmemfs({"--help"}));
  EXPECT_DONE(run_pmemfs({"mount", "--help"}));
  EXPECT_DONE(run_pmemfs({"--version"}));
}

// ---- sources ----

TEST_F(Program, RefusesAMissingSource) {
  EXPECT_REFUSED(run_pmemfs({"mount", shop() / "none", shop().mountpoint()}),
                 kSourceRefused,
                 "source '" + (shop() / "none") + "' does not exist");
}

TEST_F(Program, RefusesAFileAsSource) {
  EXPECT_REFUSED(
      run_pmemfs({"mount", shop().source() + "/file", shop().mountpoint()}),
      kSourceRefused, "is a file, not a directory");
}

TEST_F(Program, RefusesTwoSourcesOfOneName) {
  std::filesystem::create_directories(shop() / "other/source");
  EXPECT_REFUSED(run_pmemfs({"mount", shop().source(), shop() / "other/source",
                             shop().mountpoint()}),
                 kSourceRefused, "two sources would both be called 'source'");
}

TEST_F(Program, RefusesBadNamesOfSources) {
  for (const char* name : {"", ".", "..", "a/b"}) {
    EXPECT_REFUSED(run_pmemfs({"mount", name + ("=" + shop().source()),
                               shop().mountpoint()}),
                   kSourceRefused, "name");
  }
}

TEST_F(Program, RefusesADeviceThatIsNotThereOrNoDeviceDax) {
  EXPECT_REFUSED(run_pmemfs({"mount", "/dev/dax99.0", shop().mountpoint()}),
                 kSourceRefused, "source '/dev/dax99.0' does not exist");
  EXPECT_REFUSED(run_pmemfs({"mount", "/dev/null", shop().mountpoint()}),
                 kSourceRefused, "source '/dev/null' is a device, but no");
}

TEST_F(Program, TellsTheWordForEverythingInPlaceOfAFiller) {
  EXPECT_REFUSED(run_pmemfs({"mount", "none", shop().mountpoint()}),
                 kSourceRefused, "the source is all");
}

TEST_F(ProgramElsewhere, RefusesASourceThatTheUserCannotRead) {
  const std::string secret = shop() / "secret";
  std::filesystem::create_directory(secret);
  ASSERT_EQ(::chmod(secret.c_str(), 0700), 0);
  support::in_child([&] {
    const std::string program = become_user(shop());
    EXPECT_REFUSED(run_copy(program, {"mount", secret, shop().mountpoint()}),
                   kSourceRefused,
                   "source '" + secret + "' cannot be read: Permission denied");
  });
}

// ---- mountpoints ----

TEST_F(Program, RefusesAMissingMountpoint) {
  EXPECT_REFUSED(
      run_pmemfs({"mount", shop().source(), shop() / "none"}),
      kMountpointRefused,
      "does not exist; make it first: mkdir -p " + (shop() / "none"));
}

TEST_F(Program, RefusesAFileAsMountpoint) {
  write_file(shop() / "file", "");
  EXPECT_REFUSED(run_pmemfs({"mount", shop().source(), shop() / "file"}),
                 kMountpointRefused, "is not a directory");
}

TEST_F(Program, RefusesAMountpointInASource) {
  std::filesystem::create_directory(shop().source() + "/below");
  std::filesystem::create_directory_symlink(shop().source() + "/below",
                                            shop() / "link");
  for (const std::string& mountpoint :
       {shop().source(), shop().source() + "/below", shop() / "link"}) {
    EXPECT_REFUSED(run_pmemfs({"mount", shop().source(), mountpoint}),
                   kMountpointRefused,
                   "lies in the source '" + shop().source() + "'");
  }
}

TEST_F(Program, TakesAMountpointThatIsNotEmpty) {
  write_file(shop().mountpoint() + "/hidden", "");
  EXPECT_DONE(shop().mount());
  EXPECT_FALSE(support::exists(shop().mountpoint() + "/hidden"));
  EXPECT_EQ(content_of(shop().mountpoint() + "/file"), "content");
  EXPECT_DONE(shop().umount());
  EXPECT_TRUE(support::exists(shop().mountpoint() + "/hidden"));
}

TEST_F(Program, RefusesToMountOnALivingMountOfIts) {
  EXPECT_DONE(shop().mount());
  EXPECT_REFUSED(run_pmemfs({"mount", shop().source(), shop().mountpoint()}),
                 kMountpointRefused,
                 "already has a pmemfs on it, which shows " + shop().source() +
                     "; to end that one: pmemfs umount " + shop().mountpoint());
  EXPECT_EQ(content_of(shop().mountpoint() + "/file"), "content");
  EXPECT_DONE(shop().umount());
}

TEST_F(ProgramElsewhere, MountsOverAnotherFileSystem) {
  support::in_child([&] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped()) {
      return;
    }
    support::mount_fresh("tmpfs", shop().mountpoint());
    EXPECT_DONE(shop().mount());
    EXPECT_EQ(content_of(shop().mountpoint() + "/file"), "content");
    EXPECT_DONE(shop().umount());
    EXPECT_EQ(mount_seen_at(shop().mountpoint())->type, "tmpfs");
    EXPECT_EQ(::umount(shop().mountpoint().c_str()), 0);
  });
}

// A mount of ours that others hide is not on top, and does not count.
TEST_F(ProgramElsewhere, MountsOverAHiddenMountOfIts) {
  support::in_child([&] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped()) {
      return;
    }
    EXPECT_DONE(shop().mount({"--pid-file", shop() / "first-pid"}));
    support::mount_fresh("tmpfs", shop().mountpoint());
    EXPECT_DONE(shop().mount());
    EXPECT_DONE(shop().umount());
    EXPECT_REFUSED(shop().umount(), kUmountRefused, "one of type tmpfs");
    EXPECT_EQ(::umount(shop().mountpoint().c_str()), 0);
    EXPECT_DONE(shop().umount());
  });
}

// ---- FUSE ----

// Puts something else where /dev/fuse is, for this process alone.
void replace_dev_fuse(const Workshop& shop, mode_t mode) {
  const std::string devices = shop / "devices";
  std::filesystem::create_directory(devices);
  support::mount_fresh("tmpfs", devices);
  const std::string node = devices + "/fuse";
  ASSERT_EQ(::mknod(node.c_str(), S_IFCHR | mode, ::makedev(10, 229)), 0)
      << std::strerror(errno);
  ASSERT_EQ(::chmod(node.c_str(), mode), 0);
  ASSERT_EQ(::mount(node.c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr), 0)
      << std::strerror(errno);
}

TEST_F(ProgramElsewhere, TellsThatThereIsNoDevFuse) {
  support::in_child([&] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped()) {
      return;
    }
    support::mount_fresh("tmpfs", "/dev");
    EXPECT_REFUSED(shop().mount(), kNoFuse,
                   "FUSE is not available: /dev/fuse: No such file or "
                   "directory");
  });
}

TEST_F(ProgramElsewhere, TellsThatDevFuseMayNotBeOpened) {
  support::in_child([&] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped()) {
      return;
    }
    replace_dev_fuse(shop(), 0600);
    const std::string program = become_user(shop());
    EXPECT_REFUSED(
        run_copy(program, {"mount", shop().source(), shop().mountpoint()}),
        kNotPermitted, "not permitted to use FUSE: /dev/fuse");
  });
}

TEST_F(ProgramElsewhere, TellsAUserThatTheMountpointIsNotTheirs) {
  support::in_child([&] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped()) {
      return;
    }
    replace_dev_fuse(shop(), 0666);
    std::filesystem::create_directory(shop() / "roots");
    const std::string program = become_user(shop());
    EXPECT_REFUSED(
        run_copy(program, {"mount", shop().source(), shop() / "roots"}),
        kNotPermitted,
        "not permitted to mount on '" + (shop() / "roots") + "'");
  });
}

TEST_F(ProgramElsewhere, TellsAUserThatThereIsNoFusermount3) {
  support::in_child([&] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped()) {
      return;
    }
    replace_dev_fuse(shop(), 0666);
    const std::string program = become_user(shop());
    ASSERT_EQ(::setenv("PATH", shop().source().c_str(), 1), 0);
    EXPECT_REFUSED(
        run_copy(program, {"mount", shop().source(), shop().mountpoint()}),
        kNoFuse, "fusermount3 is not in PATH");
  });
}

TEST_F(ProgramElsewhere, TellsRootWithoutRightsThatMountIsNotPermitted) {
  support::in_child([&] {
    ASSERT_EQ(::prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0), 0);
    const ProgramResult result = shop().mount();
    EXPECT_EQ(result.exit_status, static_cast<int>(ExitCode::kNotPermitted))
        << result.standard_error;
    EXPECT_TRUE(tells(result.standard_error, "Operation not permitted"))
        << result.standard_error;
    EXPECT_FALSE(support::exists(shop().pid_file()));
  });
}

// ---- in the background ----

TEST_F(Program, ReturnsWhenTheMountAnswers) {
  EXPECT_DONE(shop().mount());
  EXPECT_EQ(content_of(shop().mountpoint() + "/file"), "content");
  EXPECT_TRUE(is_pmemfs_mount(shop().mountpoint()));
  EXPECT_TRUE(tells(shop().log(), " info: mounted " + shop().source() + " at " +
                                      shop().mountpoint() + ": "))
      << shop().log();
  EXPECT_DONE(shop().umount());
}

TEST_F(Program, LetsGoOfTheTerminalAndOfTheWorkingDirectory) {
  EXPECT_DONE(shop().mount());
  const pid_t daemon = shop().daemon_pid();
  ASSERT_GT(daemon, 0);
  const std::string process = "/proc/" + std::to_string(daemon);
  EXPECT_EQ(::getsid(daemon), daemon);
  EXPECT_EQ(std::filesystem::read_symlink(process + "/cwd"), "/");
  for (const char* stream : {"0", "1", "2"}) {
    EXPECT_EQ(std::filesystem::read_symlink(process + "/fd/" + stream),
              "/dev/null");
  }
  EXPECT_DONE(shop().umount());
}

TEST_F(Program, TakesRelativePaths) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(shop().path());
  const ProgramResult mounted = run_pmemfs(
      {"mount", "--pid-file", "pid", "--log-file", "log", "source", "mount"});
  EXPECT_DONE(mounted);
  EXPECT_GT(shop().daemon_pid(), 0);
  EXPECT_TRUE(tells(shop().log(), "mounted " + shop().source()));
  EXPECT_EQ(content_of("mount/file"), "content");
  EXPECT_DONE(run_pmemfs({"umount", "mount"}));
  std::filesystem::current_path(before);
}

TEST_F(Program, MayOpenAsManyFilesAsTheHardLimitAllows) {
  EXPECT_DONE(shop().mount());
  std::ifstream limits("/proc/" + std::to_string(shop().daemon_pid()) +
                       "/limits");
  std::string soft;
  std::string hard;
  for (std::string line; std::getline(limits, line);) {
    if (line.starts_with("Max open files")) {
      std::istringstream(line.substr(14)) >> soft >> hard;
    }
  }
  EXPECT_FALSE(soft.empty());
  EXPECT_EQ(soft, hard);
  EXPECT_DONE(shop().umount());
}

TEST_F(Program, ShowsTypeSourceAndOptionsInTheMountTable) {
  EXPECT_DONE(shop().mount({"-o", "ro,noatime,nofail,x-systemd.automount"}));
  const std::string line = mountinfo_line(shop().mountpoint());
  EXPECT_TRUE(tells(line, " - fuse.pmemfs " + shop().source() + " ")) << line;
  EXPECT_TRUE(tells(line, " ro,nosuid,nodev,noatime ")) << line;
  EXPECT_TRUE(tells(line, "default_permissions")) << line;
  EXPECT_EQ(tells(line, "allow_other"), ::geteuid() == 0) << line;
  EXPECT_FALSE(
      support::open_file(shop().mountpoint() + "/new", O_WRONLY | O_CREAT)
          .valid());
  EXPECT_EQ(errno, EROFS);
  EXPECT_DONE(shop().umount());
}

TEST_F(Program, ShowsTheGivenSourceAndKeepsOthersOut) {
  EXPECT_DONE(shop().mount({"-o", "fsname=a\\,b c,no_allow_other"}));
  const std::optional<Mount> mount = mount_seen_at(shop().mountpoint());
  ASSERT_TRUE(mount);
  EXPECT_EQ(mount->source, "a,b c");
  EXPECT_FALSE(tells(mountinfo_line(shop().mountpoint()), "allow_other"));
  EXPECT_DONE(shop().umount());
}

TEST_F(Program, ShowsSeveralSourcesByName) {
  std::filesystem::create_directory(shop() / "second");
  write_file(shop() / "second/other", "2");
  EXPECT_DONE(
      run_pmemfs({"mount", "--pid-file", shop().pid_file(), shop().source(),
                  "logs=" + (shop() / "second"), shop().mountpoint()}));
  EXPECT_EQ(content_of(shop().mountpoint() + "/source/file"), "content");
  EXPECT_EQ(content_of(shop().mountpoint() + "/logs/other"), "2");
  EXPECT_EQ(mount_seen_at(shop().mountpoint())->source,
            shop().source() + ":logs=" + (shop() / "second"));
  EXPECT_DONE(shop().umount());
}

TEST_F(Program, LogsNothingWhenTheLevelIsOff) {
  EXPECT_DONE(shop().mount({"--log-level", "off"}));
  EXPECT_EQ(shop().log(), "");
  EXPECT_DONE(shop().umount());
}

class ProgramSignals : public Program,
                       public testing::WithParamInterface<int> {};

TEST_P(ProgramSignals, EndTheDaemonAndItsMount) {
  EXPECT_DONE(shop().mount());
  const pid_t daemon = shop().daemon_pid();
  ASSERT_GT(daemon, 0);
  ASSERT_EQ(::kill(daemon, GetParam()), 0);
  EXPECT_TRUE(
      comes_true([&] { return !is_pmemfs_mount(shop().mountpoint()); }));
  EXPECT_TRUE(shop().daemon_ends());
  EXPECT_TRUE(tells(shop().log(), " info: unmounted " + shop().mountpoint()))
      << shop().log();
}

// Starts the program in the foreground; its standard error goes to a file.
pid_t start_in_foreground(const Workshop& shop) {
  Words words = shop.mount_words({"-d"});
  words.insert(words.begin(), "pmemfs");
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    ::execv(PMEMFS_PROGRAM, arguments.data());
    ::_exit(127);
  }
  return pid;
}

// Whether the program that start_in_foreground() started has mounted.
bool comes_to_be_mounted(const Workshop& shop) {
  return comes_true([&] {
    return support::exists(shop.log_file()) && tells(shop.log(), " mounted ");
  });
}

// The exit code of a child process; -1 when a signal ended it.
int exit_code_of(pid_t pid) {
  int status = 0;
  return ::waitpid(pid, &status, 0) == pid && WIFEXITED(status)
             ? WEXITSTATUS(status)
             : -1;
}

TEST_P(ProgramSignals, EndTheForegroundWithSuccess) {
  const pid_t pid = start_in_foreground(shop());
  ASSERT_GT(pid, 0);
  EXPECT_TRUE(comes_to_be_mounted(shop()));
  EXPECT_TRUE(support::exists(shop().mountpoint() + "/file"));
  EXPECT_EQ(shop().daemon_pid(), pid);
  ASSERT_EQ(::kill(pid, GetParam()), 0);
  EXPECT_EQ(exit_code_of(pid), 0);
  EXPECT_FALSE(is_pmemfs_mount(shop().mountpoint()));
  EXPECT_FALSE(support::exists(shop().pid_file()));
  EXPECT_TRUE(tells(shop().log(), "debug: libfuse: ")) << shop().log();
}

// The kernel has then not released the file. Under the address sanitizer the
// exit code also tells that nothing of it was lost.
TEST_P(ProgramSignals, EndTheForegroundWithSuccessWhileAFileIsOpen) {
  const pid_t pid = start_in_foreground(shop());
  ASSERT_GT(pid, 0);
  EXPECT_TRUE(comes_to_be_mounted(shop()));
  const pmem::UniqueFd file =
      support::open_file(shop().mountpoint() + "/file", O_RDONLY);
  EXPECT_TRUE(file.valid());
  EXPECT_EQ(support::read_at(file.get(), 0, 100), "content");
  ASSERT_EQ(::kill(pid, GetParam()), 0);
  EXPECT_EQ(exit_code_of(pid), 0);
  EXPECT_FALSE(is_pmemfs_mount(shop().mountpoint()));
}

INSTANTIATE_TEST_SUITE_P(ThatEnd, ProgramSignals,
                         testing::Values(SIGTERM, SIGINT, SIGHUP),
                         [](const testing::TestParamInfo<int>& signal) {
                           return std::string(::sigabbrev_np(signal.param));
                         });

// ---- dead mounts ----

TEST_F(Program, ReplacesADeadMountOfIts) {
  EXPECT_DONE(shop().mount());
  shop().kill_daemon();
  EXPECT_FALSE(answers(shop().mountpoint()));
  EXPECT_TRUE(is_pmemfs_mount(shop().mountpoint()));

  const ProgramResult second = shop().mount();
  EXPECT_EQ(second.exit_status, 0) << second.standard_error;
  EXPECT_TRUE(tells(second.standard_error,
                    "detached a dead pmemfs mount at " + shop().mountpoint()))
      << second.standard_error;
  EXPECT_TRUE(tells(shop().log(), " warning: detached a dead pmemfs mount"))
      << shop().log();
  EXPECT_EQ(content_of(shop().mountpoint() + "/file"), "content");
  EXPECT_DONE(shop().umount());
  EXPECT_FALSE(mount_seen_at(shop().mountpoint()));  // nor one beneath
}

// The kernel still remembers the attributes of the dead mount's root then.
TEST_F(Program, ReplacesADeadMountWhoseAttributesTheKernelTrusts) {
  EXPECT_DONE(shop().mount({"-o", "attr_timeout=3600,entry_timeout=3600"}));
  struct stat status = {};
  ASSERT_EQ(::stat(shop().mountpoint().c_str(), &status), 0);
  shop().kill_daemon();
  const ProgramResult second = shop().mount();
  EXPECT_EQ(second.exit_status, 0) << second.standard_error;
  EXPECT_EQ(content_of(shop().mountpoint() + "/file"), "content");
  EXPECT_DONE(shop().umount());
}

TEST_F(Program, UnmountsADeadMountOfIts) {
  EXPECT_DONE(shop().mount());
  shop().kill_daemon();
  EXPECT_FALSE(answers(shop().mountpoint()));
  EXPECT_DONE(shop().umount());
  EXPECT_FALSE(mount_seen_at(shop().mountpoint()));
}

// ---- umount ----

TEST_F(Program, UmountReturnsWhenTheMountIsGone) {
  EXPECT_DONE(shop().mount());
  EXPECT_DONE(shop().umount());
  EXPECT_FALSE(mount_seen_at(shop().mountpoint()));
  EXPECT_TRUE(shop().daemon_ends());
}

TEST_F(Program, UmountFollowsLinksToTheMountpoint) {
  EXPECT_DONE(shop().mount());
  std::filesystem::create_directory_symlink("mount", shop() / "link");
  EXPECT_DONE(run_pmemfs({"umount", shop() / "link"}));
  EXPECT_FALSE(mount_seen_at(shop().mountpoint()));
}

TEST_F(Program, UmountRefusesWhatIsNoMountOfIts) {
  EXPECT_REFUSED(shop().umount(), kUmountRefused, "nothing is mounted on it");
  EXPECT_REFUSED(run_pmemfs({"umount", shop() / "none"}), kUmountRefused,
                 "No such file or directory");
  EXPECT_REFUSED(run_pmemfs({"umount", "/proc"}), kUmountRefused,
                 "'/proc' is not a pmemfs mount but one of type proc");
  EXPECT_TRUE(support::exists("/proc/self"));
}

TEST_F(Program, UmountRefusesAMountInUse) {
  EXPECT_DONE(shop().mount());
  {
    const pmem::UniqueFd file =
        support::open_file(shop().mountpoint() + "/file", O_RDONLY);
    ASSERT_TRUE(file.valid());
    EXPECT_REFUSED(shop().umount(), kUmountRefused,
                   "pmemfs umount --lazy " + shop().mountpoint());
    EXPECT_EQ(support::read_at(file.get(), 0, 100), "content");
  }
  // The release of the file may come after the close.
  EXPECT_TRUE(comes_true([&] { return shop().umount().exit_status == 0; }));
}

TEST_F(Program, LazyUmountLeavesTheLastUserAlone) {
  EXPECT_DONE(shop().mount());
  {
    const pmem::UniqueFd file =
        support::open_file(shop().mountpoint() + "/file", O_RDONLY);
    ASSERT_TRUE(file.valid());
    EXPECT_DONE(shop().umount({"--lazy"}));
    EXPECT_FALSE(mount_seen_at(shop().mountpoint()));
    EXPECT_EQ(support::read_at(file.get(), 0, 100), "content");
    EXPECT_TRUE(support::exists(shop().pid_file()));
  }
  EXPECT_TRUE(shop().daemon_ends());
}

TEST_F(ProgramElsewhere, UmountRefusesAUserTheMountOfAnother) {
  support::in_child([&] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped()) {
      return;
    }
    EXPECT_DONE(shop().mount());
    support::in_child([&] {
      const std::string program = become_user(shop());
      EXPECT_REFUSED(run_copy(program, {"umount", shop().mountpoint()}),
                     kNotPermitted, "which another user mounted");
    });
    EXPECT_TRUE(is_pmemfs_mount(shop().mountpoint()));
    EXPECT_DONE(shop().umount());
  });
}

// ---- mount(8) ----

TEST_F(Program, IsTheHelperOfMount8UnderItsName) {
  const std::string options = "rw,noatime,nofail,pid_file=" + shop().pid_file();
  EXPECT_DONE(run_copy(mount_helper(), {shop().source(), shop().mountpoint(),
                                        "-n", "-o", options}));
  EXPECT_EQ(content_of(shop().mountpoint() + "/file"), "content");
  EXPECT_TRUE(tells(mountinfo_line(shop().mountpoint()), "noatime"));
  EXPECT_DONE(shop().umount());
}

TEST_F(Program, HelperChecksButDoesNotMountWithF) {
  EXPECT_DONE(
      run_copy(mount_helper(), {shop().source(), shop().mountpoint(), "-f"}));
  EXPECT_FALSE(is_pmemfs_mount(shop().mountpoint()));
  EXPECT_REFUSED(
      run_copy(mount_helper(), {shop() / "none", shop().mountpoint(), "-f"}),
      kSourceRefused, "does not exist");
}

TEST_F(Program, HelperOverlooksUnknownOptionsWithS) {
  const Words words = {shop().source(), shop().mountpoint(), "-o",
                       "frobnicate,log_file=" + shop().log_file() +
                           ",pid_file=" + shop().pid_file()};
  EXPECT_REFUSED(run_copy(mount_helper(), words), kUsage,
                 "unknown option 'frobnicate'");
  Words sloppy = words;
  sloppy.emplace_back("-s");
  EXPECT_EQ(run_copy(mount_helper(), sloppy).exit_status, 0);
  EXPECT_TRUE(tells(shop().log(), "overlooked the unknown option 'frobnicate'"))
      << shop().log();
  EXPECT_DONE(shop().umount());
}

// With the helper put where mount(8) looks for it, in mounts of our own.
TEST_F(ProgramElsewhere, IsMountedThroughFstab) {
  support::in_child([&] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped()) {
      return;
    }
    const std::string layers = shop() / "layers";
    std::filesystem::create_directory(layers);
    support::mount_fresh("tmpfs", layers);
    for (const char* name : {"/upper", "/scratch"}) {
      std::filesystem::create_directory(layers + name);
    }
    const std::string sbin = std::filesystem::canonical("/sbin").string();
    const std::string overlay = "lowerdir=" + sbin + ",upperdir=" + layers +
                                "/upper,workdir=" + layers + "/scratch";
    if (::mount("overlay", sbin.c_str(), "overlay", 0, overlay.c_str()) != 0) {
      GTEST_SKIP() << "no overlay file system: " << std::strerror(errno);
    }
    std::filesystem::create_symlink(PMEMFS_PROGRAM,
                                    sbin + "/mount.fuse.pmemfs");
    write_file(shop() / "fstab", shop().source() + " " + shop().mountpoint() +
                                     " fuse.pmemfs noatime,noauto,pid_file=" +
                                     shop().pid_file() + " 0 0\n");
    EXPECT_DONE(
        run_copy("mount", {"--fstab", shop() / "fstab", shop().mountpoint()}));
    EXPECT_EQ(content_of(shop().mountpoint() + "/file"), "content");
    EXPECT_TRUE(tells(mountinfo_line(shop().mountpoint()), "noatime"));
    EXPECT_DONE(run_copy("umount", {shop().mountpoint()}));
    EXPECT_FALSE(mount_seen_at(shop().mountpoint()));
    EXPECT_TRUE(shop().daemon_ends());

    const ProgramResult refused =
        run_copy("mount", {"-t", "fuse.pmemfs", "-o", "xattr_lst=all",
                           shop().source(), shop().mountpoint()});
    EXPECT_EQ(refused.exit_status, static_cast<int>(ExitCode::kUsage));
    EXPECT_TRUE(tells(refused.standard_error, "did you mean 'xattr_list'?"))
        << refused.standard_error;
  });
}

}  // namespace
}  // namespace pmemfs
