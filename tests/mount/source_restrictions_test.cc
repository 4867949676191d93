// Sources on mounts that are read-only, noexec or nosymfollow: the mount is so,
// too, and answers as they do.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "mount/mount_test.h"
#include "mount/user_mount.h"
#include "support/child_process.h"

namespace mount_tests {
namespace {

constexpr unsigned long kNoSymfollow = 256;  // MS_NOSYMFOLLOW of linux/mount.h
constexpr unsigned long kAllFlags = MS_RDONLY | MS_NOEXEC | kNoSymfollow;

constexpr uid_t kOwner = 65534;

// What is restricted: a file system, or only a mount of it.
enum class Way { kTmpfs, kTmpfsMount, kDiskMount };

std::string way_name(const ::testing::TestParamInfo<Way>& info) {
  return info.param == Way::kTmpfs        ? "tmpfs"
         : info.param == Way::kTmpfsMount ? "tmpfs_by_mount"
                                          : "disk_by_mount";
}

BackingKind backing_of(Way way) {
  return way == Way::kDiskMount ? BackingKind::kDisk : BackingKind::kTmpfs;
}

// For a remount: of the mount alone.
unsigned long bind_flag_of(Way way) {
  return way == Way::kTmpfs ? 0UL : static_cast<unsigned long>(MS_BIND);
}

// Things of root's and of the user's.
void fill(const std::string& directory) {
  const std::string program = content_of("/bin/true");
  std::filesystem::create_directories(directory);
  const auto at = [&](const char* name) { return directory + "/" + name; };
  write_file(at("file"), "content");
  write_file(at("own"), "content");
  write_file(at("secret"), "content");
  write_file(at("program"), program);
  std::filesystem::create_directory(at("folder"));
  std::filesystem::create_directory(at("own-folder"));
  std::filesystem::create_symlink("own", at("link"));
  ASSERT_EQ(::chmod(at("secret").c_str(), 0600), 0);
  ASSERT_EQ(::chmod(at("program").c_str(), 0755), 0);
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0666), 0);
  for (const char* name : {"", "own", "own-folder", "fifo"}) {
    ASSERT_EQ(::chown(at(name).c_str(), kOwner, kOwner), 0);
  }
}

// For a child with mounts of its own: the directory becomes a mount, with
// `directories` in it, and is then restricted.
void mount_restricted(Way way, const std::string& path,
                      const std::vector<std::string>& directories,
                      unsigned long flags) {
  const unsigned long bind_flag = bind_flag_of(way);
  if (bind_flag != 0) {
    ASSERT_EQ(::mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr), 0)
        << std::strerror(errno);
  } else {
    support::mount_fresh("tmpfs", path, "mode=0755");
  }
  for (const std::string& directory : directories) {
    fill(directory);
  }
  ASSERT_EQ(::mount(nullptr, path.c_str(), nullptr,
                    MS_REMOUNT | flags | bind_flag, nullptr),
            0)
      << std::strerror(errno);
}

// execve(2) in another process.
int run(const std::string& program) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(program.c_str(), program.c_str(), nullptr);
    ::_exit(errno);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  errno = WEXITSTATUS(status);
  return errno == 0 ? 0 : -1;
}

int map_to_run(const std::string& program) {
  const pmem::UniqueFd fd = open_file(program, O_RDONLY);
  void* address =
      ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd.get(), 0);
  if (address == MAP_FAILED) {
    return -1;
  }
  return ::munmap(address, 4096);
}

unsigned long flags_of(const std::string& path) {
  struct statvfs status = {};
  EXPECT_EQ(::statvfs(path.c_str(), &status), 0) << std::strerror(errno);
  constexpr unsigned long kNoSymfollowThere = 0x2000;
  return status.f_flag & (ST_RDONLY | ST_NOEXEC | kNoSymfollowThere);
}

bool is_read_only(const std::string& path) {
  return (flags_of(path) & ST_RDONLY) != 0;
}

// What would change the file or folder of the name.
void change(Account& account, const std::string& name) {
  const std::string path = account / name;
  const char* at = path.c_str();
  const auto call = [&](const std::string& what, long answer) {
    account.succeeds(what + " " + name, answer);
  };
  const auto open = [&](const std::string& what, int flags) {
    const int fd = ::open(at, flags | O_CLOEXEC, 0644);
    call(what, fd);
    ::close(fd);
  };
  call("access W", ::access(at, W_OK));
  call("access R", ::access(at, R_OK));
  call("effective access W", ::faccessat(AT_FDCWD, at, W_OK, AT_EACCESS));
  open("open W", O_WRONLY | O_NONBLOCK);
  open("open RW", O_RDWR | O_NONBLOCK);
  open("open append", O_WRONLY | O_APPEND | O_NONBLOCK);
  open("open truncate", O_WRONLY | O_TRUNC | O_NONBLOCK);
  open("open R truncate", O_RDONLY | O_TRUNC | O_NONBLOCK);
  open("open R create", O_RDONLY | O_CREAT | O_NONBLOCK);
  open("create", O_WRONLY | O_CREAT | O_EXCL);
  open("tmpfile", O_RDWR | O_TMPFILE);
  call("truncate", ::truncate(at, 3));
  call("chmod", ::chmod(at, 0640));
  call("chown", ::chown(at, kOwner, kOwner));
  call("utimensat", ::utimensat(AT_FDCWD, at, nullptr, 0));
  call("setxattr", ::setxattr(at, "user.x", "y", 1, 0));
  call("setxattr replace", ::setxattr(at, "user.none", "y", 1, XATTR_REPLACE));
  call("removexattr", ::removexattr(at, "user.x"));
  call("link", ::link(at, (account / "linked").c_str()));
  call("link there", ::link(at, (account / "file").c_str()));
  call("mkdir", ::mkdir(at, 0755));
  call("mkfifo", ::mkfifo(at, 0644));
  call("symlink", ::symlink("x", at));
  call("rename", ::rename(at, (account / "renamed").c_str()));
  call("rename back", ::rename((account / "renamed").c_str(), at));
  {
    const pmem::UniqueFd fd = open_file(path, O_RDONLY | O_NONBLOCK);
    call("open R", fd.get());
    call("fchmod", ::fchmod(fd.get(), 0600));
    call("futimens", ::futimens(fd.get(), nullptr));
    call("fsetxattr", ::fsetxattr(fd.get(), "user.x", "y", 1, 0));
    call("fsync", ::fsync(fd.get()));
  }
  call("unlink", ::unlink(at));
  call("rmdir", ::rmdir(at));
}

void change_all(Account& account, const std::vector<std::string>& names) {
  account.value("flags", flags_of(account.directory()));
  account.call("run", run(account / "program"));
  account.call("access X", ::access((account / "program").c_str(), X_OK));
  account.call("map to run", map_to_run(account / "program"));
  account.call("open link", [&] {
    return open_file(account / "link", O_RDONLY).valid() ? 0 : -1;
  }());
  std::array<char, 16> target = {};
  account.call("readlink", ::readlink((account / "link").c_str(), target.data(),
                                      target.size()));
  for (const std::string& name : names) {
    change(account, name);
  }
}

const std::vector<std::string> kOwnNames = {"own",  "own-folder", "missing",
                                            "fifo", "link",       "missing/x"};
const std::vector<std::string> kAllNames = {"own",    "own-folder", "missing",
                                            "fifo",   "link",       "missing/x",
                                            "secret", "file",       "folder"};

void expect_same(const std::string& native, const std::string& mounted,
                 const std::vector<std::string>& names) {
  Account natively(native);
  Account through_mount(mounted);
  change_all(natively, names);
  change_all(through_mount, names);
  EXPECT_EQ(natively.text(), through_mount.text())
      << "(- natively, + through the mount)";
}

void become_owner() { support::become_user(kOwner, kOwner); }

class SourceRestrictions : public ::testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "only root mounts file systems";
    }
    const std::string reason = cannot_mount();
    if (!reason.empty()) {
      GTEST_SKIP() << reason;
    }
    backing_ = support::make_directory_on(backing_of(GetParam()));
    std::filesystem::permissions(backing_->path(),
                                 std::filesystem::perms(0755));
    for (const char* name : {"place", "other"}) {
      std::filesystem::create_directory(*backing_ / name);
    }
  }

  // Runs the code in a child, where the place has the flags.
  void with_place(unsigned long flags, const std::function<void()>& code) {
    support::in_child([&] {
      support::enter_private_mounts();
      if (IsSkipped() || HasFatalFailure()) {
        return;
      }
      mount_restricted(GetParam(), *backing_ / "place", {native(), source()},
                       flags);
      if (!HasFatalFailure()) {
        code();
      }
    });
  }

  void expect_same_with(unsigned long flags) {
    with_place(flags, [&] {
      const support::MountedPmemfs mounted({source()});
      // Who lacks permission first, as nothing is left by who does not.
      support::in_child([&] {
        become_owner();
        mount_tests::expect_same(native(), mounted.path(), kAllNames);
      });
      mount_tests::expect_same(native(), mounted.path(), kAllNames);
    });
  }

  [[nodiscard]] std::string source(const std::string& name = "") const {
    return *backing_ / ("place/source" + (name.empty() ? "" : "/" + name));
  }
  [[nodiscard]] std::string native() const {
    return *backing_ / "place/native";
  }
  // A directory of no restricted mount.
  [[nodiscard]] std::string other() const { return *backing_ / "other"; }

 private:
  std::unique_ptr<support::Backing> backing_;
};
INSTANTIATE_TEST_SUITE_P(Mounted, SourceRestrictions,
                         ::testing::Values(Way::kTmpfs, Way::kTmpfsMount,
                                           Way::kDiskMount),
                         way_name);

TEST_P(SourceRestrictions, ReadOnlyAnswersAsNatively) {
  expect_same_with(MS_RDONLY);
}

TEST_P(SourceRestrictions, NoexecAnswersAsNatively) {
  expect_same_with(MS_NOEXEC);
}

TEST_P(SourceRestrictions, NosymfollowAnswersAsNatively) {
  expect_same_with(kNoSymfollow);
}

TEST_P(SourceRestrictions, AllOfThemAnswerAsNatively) {
  expect_same_with(kAllFlags);
}

TEST_P(SourceRestrictions, NoneAnswerAsNatively) { expect_same_with(0); }

TEST_P(SourceRestrictions, AreToldInTheLog) {
  with_place(MS_RDONLY | MS_NOEXEC, [&] {
    const support::MountedPmemfs mounted({source()});
    EXPECT_NE(
        mounted.log().find("read-only and noexec, as its source is: FUSE"),
        std::string::npos)
        << mounted.log();
  });
}

TEST_P(SourceRestrictions, AreNotTakenOverWhereThereAreNone) {
  with_place(0, [&] {
    const support::MountedPmemfs mounted({source()});
    EXPECT_EQ(mounted.log().find("as its source"), std::string::npos)
        << mounted.log();
    EXPECT_EQ(flags_of(mounted.path()), 0UL);
    write_file(mounted / "new", "new");
    EXPECT_EQ(run(mounted / "program"), 0) << std::strerror(errno);
  });
}

// mount(8) gives "rw" to its helpers.
TEST_P(SourceRestrictions, AreNotLiftedByOptions) {
  with_place(MS_RDONLY | MS_NOEXEC, [&] {
    const support::MountedPmemfs mounted({source()},
                                         {.arguments = {"-o", "rw,exec"}});
    EXPECT_EQ(flags_of(mounted.path()), flags_of(source()));
  });
}

TEST_P(SourceRestrictions, CanBeGivenToAnySource) {
  with_place(0, [&] {
    const support::MountedPmemfs mounted({source()},
                                         {.arguments = {"-o", "ro,noexec"}});
    EXPECT_EQ(flags_of(mounted.path()), ST_RDONLY | ST_NOEXEC);
    EXPECT_EQ(mounted.log().find("as its source"), std::string::npos);
  });
}

TEST_P(SourceRestrictions, AreThoseOfAllSources) {
  with_place(MS_RDONLY | MS_NOEXEC, [&] {
    {
      const support::MountedPmemfs mounted({source(), other()});
      EXPECT_EQ(flags_of(mounted.path()), flags_of(other()));
      EXPECT_FALSE(is_read_only(mounted.path()));
      write_file(mounted / "other/new", "new");
      EXPECT_FALSE(
          open_file(mounted / "source/new", O_WRONLY | O_CREAT).valid());
      EXPECT_EQ(errno, EROFS);
    }
    const support::MountedPmemfs mounted({source(), native()});
    EXPECT_EQ(flags_of(mounted.path()), ST_RDONLY | ST_NOEXEC);
    EXPECT_NE(mounted.log().find("as its sources are: FUSE"), std::string::npos)
        << mounted.log();
  });
}

TEST_P(SourceRestrictions, AreThoseOfTheMountsInside) {
  with_place(MS_RDONLY | MS_NOEXEC, [&] {
    const std::string inside = source("folder");
    support::mount_fresh("tmpfs", inside);
    {
      const support::MountedPmemfs mounted({source()});
      EXPECT_EQ(flags_of(mounted.path()), 0UL);
      write_file(mounted / "folder/new", "new");
      EXPECT_EQ(content_of(inside + "/new"), "new");
    }
    ASSERT_EQ(::mount(nullptr, inside.c_str(), nullptr,
                      MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr),
              0);
    const support::MountedPmemfs mounted({source()});
    EXPECT_EQ(flags_of(mounted.path()), ST_RDONLY);
  });
}

TEST_P(SourceRestrictions, AreLiftedByRemounting) {
  with_place(MS_RDONLY, [&] {
    const support::MountedPmemfs mounted({source()});
    EXPECT_TRUE(is_read_only(mounted.path()));
    const std::string place = std::filesystem::path(source()).parent_path();
    ASSERT_EQ(::mount(nullptr, place.c_str(), nullptr,
                      MS_REMOUNT | bind_flag_of(GetParam()), nullptr),
              0);
    EXPECT_FALSE(open_file(mounted / "new", O_WRONLY | O_CREAT).valid());
    EXPECT_EQ(errno, EROFS);
    const support::CommandResult remounted = support::run_command(
        {"mount", "-i", "-o", "remount,rw", mounted.path()});
    ASSERT_EQ(remounted.exit_status, 0) << remounted.output;
    write_file(mounted / "new", "new");
    EXPECT_EQ(content_of(source("new")), "new");
  });
}

// The same in a mount that the owner makes.
class SourceRestrictionsOfAUser : public UserMountTest,
                                  public ::testing::WithParamInterface<Way> {
 protected:
  void SetUp() override { prepare(backing_of(GetParam())); }

  void expect_same_with(unsigned long flags, const std::string& log) {
    ASSERT_EQ(user().uid, kOwner);
    support::in_child([&] {
      support::enter_private_mounts();
      if (IsSkipped() || HasFatalFailure()) {
        return;
      }
      const std::string place =
          std::filesystem::path(source()).parent_path().parent_path();
      mount_restricted(GetParam(), place, {native(), source()}, flags);
      if (HasFatalFailure()) {
        return;
      }
      as_user([&] {
        const std::string told = content_of(log_file());
        EXPECT_NE(told.find(log), std::string::npos) << told;
        // Only root can have a mount read-only and its file system not.
        const bool tells_permission_first =
            GetParam() != Way::kTmpfs && (flags & MS_RDONLY) != 0;
        mount_tests::expect_same(
            native(), mountpoint(),
            tells_permission_first ? kOwnNames : kAllNames);
      });
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Mounted, SourceRestrictionsOfAUser,
                         ::testing::Values(Way::kTmpfs, Way::kTmpfsMount,
                                           Way::kDiskMount),
                         way_name);

TEST_P(SourceRestrictionsOfAUser, ReadOnlyAnswersAsNatively) {
  expect_same_with(MS_RDONLY, ", read-only, as its source is: FUSE");
}

TEST_P(SourceRestrictionsOfAUser, NoexecAnswersAsNatively) {
  expect_same_with(MS_NOEXEC, ", noexec, as its source is: FUSE");
}

TEST_P(SourceRestrictionsOfAUser, NoneAnswerAsNatively) {
  expect_same_with(0, mountpoint() + ": FUSE");
}

}  // namespace
}  // namespace mount_tests
