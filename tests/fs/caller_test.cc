#include "fs/caller.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "pmem/unique_fd.h"
#include "support/child_process.h"
#include "support/temp_dir.h"

namespace pmemfs {
namespace {

class CallerScopeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "only root acts as another user";
    }
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0777), 0);
  }

  struct stat create(const std::string& name) {
    const std::string path = dir_ / name;
    const pmem::UniqueFd fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666));
    EXPECT_TRUE(fd.valid());
    struct stat status = {};
    ::fstat(fd.get(), &status);
    return status;
  }

  support::TempDir dir_;
};

TEST_F(CallerScopeTest, MakesFilesThatBelongToTheCallerAndThenToRoot) {
  std::thread([&] {
    {
      const CallerScope scope({1234, 5678, ::getpid(), 022});
      const struct stat status = create("callers");
      EXPECT_EQ(status.st_uid, 1234U);
      EXPECT_EQ(status.st_gid, 5678U);
      EXPECT_EQ(status.st_mode & 07777U, 0644U);
    }
    const struct stat status = create("roots");
    EXPECT_EQ(status.st_uid, 0U);
    EXPECT_EQ(status.st_gid, ::getegid());
  }).join();
}

TEST_F(CallerScopeTest, AppliesTheCallersUmaskToThisThreadAlone) {
  const mode_t before = ::umask(0);
  std::thread([&] {
    const CallerScope scope({0, ::getegid(), ::getpid(), 077});
    EXPECT_EQ(create("private").st_mode & 07777U, 0600U);
  }).join();
  EXPECT_EQ(create("open").st_mode & 07777U, 0666U);
  ::umask(before);
}

TEST_F(CallerScopeTest, BringsTheCallersSupplementaryGroups) {
  ASSERT_EQ(::mkdir((dir_ / "groups").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((dir_ / "groups").c_str(), 0770), 0);
  ASSERT_EQ(::chown((dir_ / "groups").c_str(), 0, 4321), 0);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t member = ::fork();
  ASSERT_GE(member, 0);
  if (member == 0) {
    const gid_t groups[] = {99, 4321};
    const char done = ::setgroups(2, groups) == 0 ? 'y' : 'n';
    [[maybe_unused]] const ssize_t told = ::write(ready[1], &done, 1);
    ::pause();
    ::_exit(0);
  }
  char done = 'n';
  ASSERT_EQ(::read(ready[0], &done, 1), 1);
  ASSERT_EQ(done, 'y');
  std::thread([&] {
    const CallerScope scope({1234, 1234, member, 022});
    create("groups/file");
  }).join();
  std::thread([&] {
    const CallerScope scope({1234, 1234, ::getpid(), 022});
    EXPECT_EQ(::open((dir_ / "groups/other").c_str(), O_WRONLY | O_CREAT, 0666),
              -1);
    EXPECT_EQ(errno, EACCES);
  }).join();
  ::kill(member, SIGKILL);
  ::waitpid(member, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace pmemfs
