// Whose files are: an ordinary user, with supplementary groups, on a mount made
// by root. Everything is compared with what the same user gets beside the
// mount.
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "mount/mount_test.h"
#include "support/child_process.h"

namespace mount_tests {
namespace {

constexpr uid_t kUser = 12345;
constexpr gid_t kGroup = 12345;
constexpr gid_t kSecondGroup = 23456;  // the user is in it, too
constexpr gid_t kForeignGroup = 34567;
constexpr uid_t kStranger = 45678;

// For a child: becomes the user for good.
void become_user(uid_t user = kUser) {
  support::become_user(user, kGroup, {kGroup, kSecondGroup});
}

void tell_owner(Account& account, const std::string& name) {
  struct stat status = {};
  if (account.call("lstat " + name,
                   ::lstat((account / name).c_str(), &status)) == 0) {
    account.value("  owner", status.st_uid);
    account.value("  group", status.st_gid);
    account.value("  mode", status.st_mode);
    if (!S_ISDIR(status.st_mode)) {
      account.value("  size", status.st_size);
    }
  }
}

class Ownership : public OnEachBackingWithOthers {
 protected:
  // Makes something as root in both places, beneath the mount.
  template <typename Make>
  void prepare(const Make& make) {
    make(Account(native()));
    make(Account(source()));
  }

  // The user tells of both places.
  template <typename Tell>
  void expect_same_for_user(const Tell& tell, uid_t user = kUser) {
    support::in_child([&] {
      become_user(user);
      expect_same(tell);
    });
  }

  static void make(const std::string& path, uid_t owner, gid_t group,
                   mode_t mode, const std::string& content = "content") {
    write_file(path, content);
    ASSERT_EQ(::chown(path.c_str(), owner, group), 0);
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }

  static void make_directory(const std::string& path, uid_t owner, gid_t group,
                             mode_t mode) {
    ASSERT_EQ(::mkdir(path.c_str(), 0755), 0);
    ASSERT_EQ(::chown(path.c_str(), owner, group), 0);
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }
};
PMEMFS_ON_EACH_BACKING(Ownership);

// One of each kind, made by the caller.
void make_everything(Account& account, const std::string& directory) {
  const auto in = [&](const char* name) { return directory + name; };
  account.succeeds(
      "create", open_file(account / in("file"), O_RDWR | O_CREAT, 0666).get());
  account.succeeds(
      "create with set-id bits",
      open_file(account / in("set-id"), O_RDWR | O_CREAT, 06777).get());
  account.call("mkdir", ::mkdir((account / in("directory")).c_str(), 0777));
  account.call("symlink", ::symlink("file", (account / in("link")).c_str()));
  account.call("mkfifo", ::mkfifo((account / in("fifo")).c_str(), 0666));
  account.call("mknod",
               ::mknod((account / in("node")).c_str(), S_IFREG | 0666, 0));
  const pmem::UniqueFd nameless(::open((account / directory).c_str(),
                                       O_TMPFILE | O_RDWR | O_CLOEXEC, 0666));
  account.succeeds("tmpfile", nameless.get());
  const std::string path = "/proc/self/fd/" + std::to_string(nameless.get());
  account.call("linkat",
               ::linkat(AT_FDCWD, path.c_str(), AT_FDCWD,
                        (account / in("named")).c_str(), AT_SYMLINK_FOLLOW));
  for (const char* name :
       {"file", "set-id", "directory", "link", "fifo", "node", "named"}) {
    tell_owner(account, in(name));
  }
}

TEST_P(Ownership, NewFilesAreTheCallers) {
  expect_same_for_user([](Account& account) {
    make_everything(account, "./");
    EXPECT_EQ(status_of(account / "file").st_uid, kUser);
    EXPECT_EQ(status_of(account / "file").st_gid, kGroup);
  });
}

TEST_P(Ownership, TheUmaskOfTheCallerCounts) {
  expect_same_for_user([](Account& account) {
    for (const mode_t mask : {0U, 022U, 077U, 0777U}) {
      ::umask(mask);
      const std::string name = "mask-" + std::to_string(mask);
      account.succeeds("create",
                       open_file(account / name, O_RDWR | O_CREAT, 0666).get());
      tell_owner(account, name);
      account.call("mkdir", ::mkdir((account / (name + "-d")).c_str(), 0777));
      tell_owner(account, name + "-d");
    }
    ::umask(022);
  });
}

TEST_P(Ownership, RootsUmaskCountsForRoot) {
  support::in_child([&] {
    ::umask(0117);
    expect_same([](Account& account) { make_everything(account, "./"); });
  });
}

TEST_P(Ownership, ASetGroupIdDirectoryGivesItsGroup) {
  prepare([](const Account& in) {
    make_directory(in / "of-mine", 0, kSecondGroup, 02777);
    make_directory(in / "of-others", 0, kForeignGroup, 02777);
  });
  expect_same_for_user([](Account& account) {
    ::umask(0);
    make_everything(account, "of-mine/");
    make_everything(account, "of-others/");
    EXPECT_EQ(status_of(account / "of-mine/file").st_gid, kSecondGroup);
    EXPECT_TRUE((status_of(account / "of-mine/directory").st_mode & S_ISGID) !=
                0);
  });
}

TEST_P(Ownership, ADefaultAccessListTakesThePlaceOfTheUmask) {
  struct Acl {
    std::uint32_t version;
    struct {
      std::uint16_t tag;
      std::uint16_t permissions;
      std::uint32_t id;
    } entries[3];
  };
  constexpr auto kNobody = std::uint32_t(-1);
  const Acl acl = {
      2, {{0x01, 7, kNobody}, {0x04, 6, kNobody}, {0x20, 2, kNobody}}};
  prepare([&](const Account& in) {
    make_directory(in / "d", 0, 0, 0777);
    ASSERT_EQ(::setxattr((in / "d").c_str(), "system.posix_acl_default", &acl,
                         sizeof(acl), 0),
              0);
  });
  expect_same_for_user([](Account& account) {
    ::umask(077);
    make_everything(account, "d/");
  });
}

TEST_P(Ownership, WhatTheModeForbidsIsRefused) {
  prepare([](const Account& in) {
    make(in / "secret", 0, 0, 0600);
    make(in / "read-only", 0, 0, 0444);
    make(in / "write-only", 0, 0, 0222);
    make(in / "executable", 0, 0, 0755);
    make_directory(in / "closed", 0, 0, 0700);
    make(in / "closed/inner", 0, 0, 0666);
    make_directory(in / "listable", 0, 0, 0744);
    make(in / "listable/inner", 0, 0, 0666);
    make_directory(in / "passable", 0, 0, 0711);
    make(in / "passable/inner", 0, 0, 0666);
  });
  expect_same_for_user([](Account& account) {
    for (const char* name : {"secret", "read-only", "write-only", "executable",
                             "closed", "closed/inner", "listable",
                             "listable/inner", "passable", "passable/inner"}) {
      const std::string path = account / name;
      account.value("--", name);
      for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC}) {
        account.succeeds("open", open_file(path, flags).get());
      }
      for (const int wanted : {R_OK, W_OK, X_OK}) {
        account.call("access", ::access(path.c_str(), wanted));
      }
      account.call("truncate", ::truncate(path.c_str(), 3));
      account.call("chmod", ::chmod(path.c_str(), 0777));
      account.call("chown", ::chown(path.c_str(), kUser, kGroup));
      account.call("utimes", ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0));
      const std::array past = {timespec{.tv_sec = 1000, .tv_nsec = 0},
                               timespec{.tv_sec = 1000, .tv_nsec = 0}};
      account.call("utimes of the past",
                   ::utimensat(AT_FDCWD, path.c_str(), past.data(), 0));
      account.call("setxattr", ::setxattr(path.c_str(), "user.x", "x", 1, 0));
      account.call("getxattr", ::getxattr(path.c_str(), "user.x", nullptr, 0));
      account.call("trusted", ::setxattr(path.c_str(), "trusted.x", "x", 1, 0));
      account.call("create in it", ::mkdir((path + "/new").c_str(), 0755));
      account.call("rename", ::rename(path.c_str(), (path + "-new").c_str()));
      tell_owner(account, name);
    }
  });
}

TEST_P(Ownership, SupplementaryGroupsCount) {
  prepare([](const Account& in) {
    make(in / "readable", 0, kSecondGroup, 0640);
    make(in / "writable", 0, kSecondGroup, 0660);
    make(in / "foreign", 0, kForeignGroup, 0660);
    make_directory(in / "shared", 0, kSecondGroup, 0770);
    make(in / "shared/of-root", 0, 0, 0644);
    make_directory(in / "not-shared", 0, kForeignGroup, 0770);
  });
  expect_same_for_user([](Account& account) {
    for (const char* name : {"readable", "writable", "foreign"}) {
      const std::string path = account / name;
      account.succeeds("read", open_file(path, O_RDONLY).get());
      const pmem::UniqueFd fd = open_file(path, O_WRONLY);
      account.succeeds("open", fd.get());
      account.call("write", ::write(fd.get(), "written", 7));
      account.call("ftruncate", ::ftruncate(fd.get(), 4));
      account.call("truncate", ::truncate(path.c_str(), 3));
      account.succeeds("trunc", open_file(path, O_WRONLY | O_TRUNC).get());
      tell_owner(account, name);
    }
    make_everything(account, "shared/");
    account.call("unlink", ::unlink((account / "shared/of-root").c_str()));
    account.call("rename", ::rename((account / "shared/file").c_str(),
                                    (account / "shared/other").c_str()));
    account.call("mkdir", ::mkdir((account / "not-shared/d").c_str(), 0755));
    account.succeeds(
        "create",
        open_file(account / "not-shared/f", O_RDWR | O_CREAT, 0644).get());
  });
}

TEST_P(Ownership, AnOwnerGivesAFileToGroupsOfHisOnly) {
  expect_same_for_user([](Account& account) {
    ::umask(0);
    write_file(account / "f", "x");
    const std::string path = account / "f";
    account.call("to a second group",
                 ::chown(path.c_str(), uid_t(-1), kSecondGroup));
    tell_owner(account, "f");
    account.call("set-id bits", ::chmod(path.c_str(), 06755));
    tell_owner(account, "f");
    account.call("to a foreign group",
                 ::chown(path.c_str(), uid_t(-1), kForeignGroup));
    account.call("to another user",
                 ::chown(path.c_str(), kStranger, gid_t(-1)));
    account.call("back", ::chown(path.c_str(), kUser, kGroup));
    tell_owner(account, "f");
  });
}

TEST_P(Ownership, SetGroupIdOfAForeignGroupIsNotTaken) {
  prepare([](const Account& in) {
    make(in / "f", kUser, kForeignGroup, 0755);
    make_directory(in / "d", kUser, kForeignGroup, 0755);
  });
  expect_same_for_user([](Account& account) {
    for (const char* name : {"f", "d"}) {
      account.call("chmod", ::chmod((account / name).c_str(), 02755));
      tell_owner(account, name);
    }
  });
}

TEST_P(Ownership, AWriteByAnotherClearsSetIdBits) {
  const std::array<const char*, 6> names = {"write", "append",    "truncate",
                                            "trunc", "fallocate", "copy"};
  prepare([&](const Account& in) {
    for (const char* name : names) {
      make(in / name, 0, 0, 06777);
    }
    make(in / "not-executable", 0, 0, 06666);
    make(in / "mine", kUser, kGroup, 06777);
    make(in / "untouched", 0, 0, 06777);
  });
  expect_same_for_user([&](Account& account) {
    const auto write_to = [&](const char* name, int flags) {
      const pmem::UniqueFd fd = open_file(account / name, flags);
      account.call(name, ::write(fd.get(), "new", 3));
    };
    write_to("write", O_WRONLY);
    write_to("append", O_WRONLY | O_APPEND);
    write_to("not-executable", O_WRONLY);
    write_to("mine", O_WRONLY);
    account.call("truncate", ::truncate((account / "truncate").c_str(), 2));
    account.succeeds("trunc",
                     open_file(account / "trunc", O_WRONLY | O_TRUNC).get());
    const pmem::UniqueFd fd = open_file(account / "fallocate", O_RDWR);
    account.call("fallocate", ::fallocate(fd.get(), 0, 0, 100));
    const pmem::UniqueFd from = open_file(account / "write", O_RDONLY);
    const pmem::UniqueFd to = open_file(account / "copy", O_RDWR);
    account.call("copy", ::copy_file_range(from.get(), nullptr, to.get(),
                                           nullptr, 3, 0));
    for (const char* name : names) {
      tell_owner(account, name);
    }
    tell_owner(account, "not-executable");
    tell_owner(account, "mine");
    tell_owner(account, "untouched");
  });
  EXPECT_EQ(status_of(source("write")).st_mode & 07777, 0777U);
}

TEST_P(Ownership, RootsWriteKeepsSetIdBits) {
  expect_same([](Account& account) {
    make(account / "f", kUser, kGroup, 06777);
    const pmem::UniqueFd fd = open_file(account / "f", O_WRONLY);
    account.call("write", ::write(fd.get(), "new", 3));
    tell_owner(account, "f");
    account.call("truncate", ::truncate((account / "f").c_str(), 1));
    tell_owner(account, "f");
  });
}

TEST_P(Ownership, AStickyDirectoryProtectsWhatIsOthers) {
  prepare([](const Account& in) {
    make_directory(in / "sticky", 0, 0, 01777);
    make(in / "sticky/of-root", 0, 0, 0666);
    make(in / "sticky/of-stranger", kStranger, kForeignGroup, 0666);
    make(in / "sticky/mine", kUser, kGroup, 0644);
    make_directory(in / "mine", kUser, kGroup, 01777);
    make(in / "mine/of-root", 0, 0, 0666);
  });
  expect_same_for_user([](Account& account) {
    for (const char* name : {"of-root", "of-stranger", "mine"}) {
      const std::string path = account / ("sticky/" + std::string(name));
      account.call("rename", ::rename(path.c_str(), (path + "-new").c_str()));
      account.call("rename back",
                   ::rename((path + "-new").c_str(), path.c_str()));
      account.call("replace",
                   ::rename((account / "sticky/mine").c_str(), path.c_str()));
      account.call("unlink", ::unlink(path.c_str()));
    }
    account.call("in one's own", ::unlink((account / "mine/of-root").c_str()));
  });
}

TEST_P(Ownership, AFileMadeReadOnlyIsStillWrittenByItsMaker) {
  expect_same_for_user([](Account& account) {
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR | O_CREAT, 0);
    account.succeeds("create", fd.get());
    account.call("write", ::write(fd.get(), "through", 7));
    account.content("read", read_at(fd.get(), 0, 10));
    account.call("truncate", ::ftruncate(fd.get(), 3));
    account.call("chmod", ::fchmod(fd.get(), 0400));
    account.call("write", ::write(fd.get(), "still", 5));
    account.call("fallocate", ::fallocate(fd.get(), 0, 0, 100));
    account.succeeds("open anew", open_file(account / "f", O_RDWR).get());
    account.succeeds("read anew", open_file(account / "f", O_RDONLY).get());
    tell_owner(account, "f");
  });
}

TEST_P(Ownership, OthersSeeTheAttributesOfWhatTheyMayRead) {
  prepare([](const Account& in) {
    make(in / "open", 0, 0, 0644);
    make(in / "secret", 0, 0, 0600);
  });
  support::in_child([&] {
    become_user();
    std::array<char, 10> value = {};
    EXPECT_EQ(::getxattr(mounted("open").c_str(), "user.pmem.sparse",
                         value.data(), value.size()),
              1);
    EXPECT_EQ(::getxattr(mounted("secret").c_str(), "user.pmem.sparse",
                         value.data(), value.size()),
              -1);
    EXPECT_EQ(errno, EACCES);
  });
}

TEST_P(Ownership, ManyUsersAtOnceKeepTheirFilesApart) {
  support::in_child([&] {
    // Each a process of its own, all at the same time.
    constexpr uid_t kUsers = 6;
    constexpr int kFiles = 60;
    std::vector<pid_t> children;
    for (uid_t user = 0; user < kUsers; ++user) {
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        become_user(20000 + user);
        ::umask(user * 8);
        bool is_well = true;
        for (int number = 0; number < kFiles; ++number) {
          const std::string name =
              std::to_string(user) + "-" + std::to_string(number);
          is_well =
              is_well && ::mkdir(mounted(name).c_str(), 0777) == 0 &&
              open_file(mounted(name + "/f"), O_RDWR | O_CREAT, 0666).valid();
        }
        ::_exit(is_well ? 0 : 1);
      }
      children.push_back(child);
    }
    for (const pid_t child : children) {
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
    for (uid_t user = 0; user < kUsers; ++user) {
      for (int number = 0; number < kFiles; ++number) {
        const std::string name =
            std::to_string(user) + "-" + std::to_string(number);
        const struct stat file = status_of(source(name + "/f"));
        EXPECT_EQ(file.st_uid, 20000 + user);
        EXPECT_EQ(file.st_gid, kGroup);
        EXPECT_EQ(file.st_mode & 0777U, 0666U & ~(user * 8));
        EXPECT_EQ(status_of(source(name)).st_mode & 0777U, 0777U & ~(user * 8));
      }
    }
  });
}

// As root of a container that was given few capabilities.
TEST_P(Ownership, RootWithoutTheCapabilityLosesSetIdBitsToo) {
  support::in_child([&] {
    ASSERT_EQ(::prctl(PR_CAPBSET_DROP, CAP_FSETID), 0);
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<struct __user_cap_data_struct, 2> sets = {};
    ASSERT_EQ(::syscall(SYS_capget, &header, sets.data()), 0);
    sets[0].effective &= ~(1U << CAP_FSETID);
    ASSERT_EQ(::syscall(SYS_capset, &header, sets.data()), 0);
    expect_same([](Account& account) {
      const std::string path = account / "f";
      const auto tell = [&](const char* what) {
        account.value(what, status_of(path).st_mode);
        ASSERT_EQ(::chmod(path.c_str(), 06777), 0);
      };
      make(path, 0, 0, 06777);
      const pmem::UniqueFd fd = open_file(path, O_RDWR);
      account.call("inside", ::pwrite(fd.get(), "x", 1, 0));
      tell("mode");
      account.call("at the end", ::pwrite(fd.get(), "x", 1, 100));
      tell("mode");
      account.call("by name", ::truncate(path.c_str(), 50));
      tell("mode");
      account.call("by descriptor", ::ftruncate(fd.get(), 40));
      tell("mode");
      account.succeeds("O_TRUNC", ::open(path.c_str(), O_WRONLY | O_TRUNC));
      tell("mode");
      account.call("fallocate", ::fallocate(fd.get(), 0, 0, 100));
      tell("mode");
    });
  });
}

}  // namespace
}  // namespace mount_tests
