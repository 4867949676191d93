// POSIX access control lists: kept, heeded and inherited as beside the mount.
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "mount/mount_test.h"
#include "support/child_process.h"

namespace mount_tests {
namespace {

constexpr uid_t kUser = 12345;
constexpr uid_t kStranger = 45678;
constexpr const char* kAccess = "system.posix_acl_access";
constexpr const char* kDefault = "system.posix_acl_default";

// The value of the attribute: what `kUser` may, with a mask of all.
std::string acl_for_user(std::uint16_t permissions) {
  struct Entry {
    std::uint16_t tag;
    std::uint16_t permissions;
    std::uint32_t id;
  };
  constexpr auto kNobody = static_cast<std::uint32_t>(ACL_UNDEFINED_ID);
  const std::uint32_t version = POSIX_ACL_XATTR_VERSION;
  const std::array entries = {
      Entry{ACL_USER_OBJ, 6, kNobody}, Entry{ACL_USER, permissions, kUser},
      Entry{ACL_GROUP_OBJ, 0, kNobody}, Entry{ACL_MASK, 7, kNobody},
      Entry{ACL_OTHER, 0, kNobody}};
  std::string value(reinterpret_cast<const char*>(&version), sizeof(version));
  value.append(reinterpret_cast<const char*>(entries.data()), sizeof(entries));
  return value;
}

void tell_acl(Account& account, const std::string& name) {
  struct stat status = {};
  account.call("lstat " + name, ::lstat((account / name).c_str(), &status));
  account.value("  mode", status.st_mode);
  for (const char* attribute : {kAccess, kDefault}) {
    std::array<char, 512> value = {};
    const long length =
        account.call(std::string("  ") + attribute,
                     ::getxattr((account / name).c_str(), attribute,
                                value.data(), value.size()));
    if (length > 0) {
      account.content("  value", std::string(value.data(),
                                             static_cast<std::size_t>(length)));
    }
  }
}

void set_acl(Account& account, const std::string& name, const char* attribute,
             const std::string& value) {
  account.call("setxattr " + name + " " + attribute,
               ::setxattr((account / name).c_str(), attribute, value.data(),
                          value.size(), 0));
}

int open_and_close(const std::string& path, int flags, mode_t mode = 0) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd >= 0) {
    ::close(fd);
  }
  return fd < 0 ? fd : 0;
}

class Acl : public OnEachBackingWithOthers {};
PMEMFS_ON_EACH_BACKING(Acl);

TEST_P(Acl, IsKeptAndShowsInTheMode) {
  expect_same([](Account& account) {
    write_file(account / "file", "content");
    tell_acl(account, "file");
    set_acl(account, "file", kAccess, acl_for_user(6));
    tell_acl(account, "file");
    account.call("chmod", ::chmod((account / "file").c_str(), 0640));
    tell_acl(account, "file");
    account.call("remove", ::removexattr((account / "file").c_str(), kAccess));
    tell_acl(account, "file");
  });
}

TEST_P(Acl, LetsInWhomItNames) {
  for (const uid_t user : {kUser, kStranger}) {
    expect_same([&](Account& account) {
      write_file(account / "readable", "content");
      set_acl(account, "readable", kAccess, acl_for_user(4));
      write_file(account / "writable", "content");
      set_acl(account, "writable", kAccess, acl_for_user(6));
      support::in_child([&] {
        support::become_user(user, user);
        // A child's account does not come back: it is checked here.
        const bool is_named = user == kUser;
        EXPECT_EQ(open_and_close(account / "readable", O_RDONLY) == 0,
                  is_named);
        EXPECT_EQ(open_and_close(account / "writable", O_RDWR) == 0, is_named);
        EXPECT_EQ(::access((account / "writable").c_str(), W_OK) == 0,
                  is_named);
        EXPECT_EQ(open_and_close(account / "readable", O_RDWR), -1);
        EXPECT_EQ(errno, EACCES);
      });
      tell_acl(account, "writable");
    });
  }
}

TEST_P(Acl, IsInheritedFromTheFolder) {
  expect_same([](Account& account) {
    account.call("mkdir", ::mkdir((account / "folder").c_str(), 0750));
    set_acl(account, "folder", kDefault, acl_for_user(7));
    account.call("open", open_and_close(account / "folder/file",
                                        O_RDWR | O_CREAT, 0666));
    account.call("mkdir", ::mkdir((account / "folder/inner").c_str(), 0777));
    account.call("mkfifo", ::mkfifo((account / "folder/fifo").c_str(), 0666));
    for (const char* name :
         {"folder", "folder/file", "folder/inner", "folder/fifo"}) {
      tell_acl(account, name);
    }
  });
}

TEST_P(Acl, ThatIsNoneIsRefused) {
  expect_same([](Account& account) {
    write_file(account / "file", "content");
    const std::string whole = acl_for_user(6);
    set_acl(account, "file", kAccess, whole.substr(0, whole.size() - 1));
    set_acl(account, "file", kAccess, "nonsense");
    set_acl(account, "file", kDefault, whole);  // is for folders
    tell_acl(account, "file");
  });
}

}  // namespace
}  // namespace mount_tests
