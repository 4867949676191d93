// The flags of an inode (lsattr, chattr), and what else ioctl(2) tells of it.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>

#include "mount/mount_test.h"
#include "support/child_process.h"

namespace mount_tests {
namespace {

class InodeControl : public OnEachBacking {};
PMEMFS_ON_EACH_BACKING(InodeControl);

// Opens the file, asks, tells the answer and returns it.
template <typename Argument>
Argument tell(Account& account, const char* what, const std::string& name,
              unsigned long command, Argument argument) {
  const pmem::UniqueFd fd = open_file(account / name, O_RDONLY);
  if (account.call(what, ::ioctl(fd.get(), command, &argument)) >= 0) {
    account.content("  answer",
                    std::string(reinterpret_cast<const char*>(&argument),
                                sizeof(argument)));
  }
  return argument;
}

// tmpfs and ext4 differ; the mount must not.
TEST_P(InodeControl, FlagsAreReadAndSetAsBeneath) {
  expect_same([](Account& account) {
    write_file(account / "file", "content");
    account.call("mkdir", ::mkdir((account / "folder").c_str(), 0755));
    for (const char* name : {"file", "folder"}) {
      const long before =
          tell<long>(account, "FS_IOC_GETFLAGS", name, FS_IOC_GETFLAGS, 0);
      tell<long>(account, "FS_IOC_SETFLAGS", name, FS_IOC_SETFLAGS,
                 before | FS_NODUMP_FL | FS_NOATIME_FL);
      tell<long>(account, "FS_IOC_GETFLAGS", name, FS_IOC_GETFLAGS, 0);
      tell<struct fsxattr>(account, "FS_IOC_FSGETXATTR", name,
                           FS_IOC_FSGETXATTR, {});
    }
  });
}

TEST_P(InodeControl, AStrangerDoesNotSetFlags) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root can become other users";
  }
  write_file(mounted("file"), "content");
  const pmem::UniqueFd fd = open_file(mounted("file"), O_RDONLY);
  support::in_child([&] {
    ASSERT_EQ(::setresuid(12345, 12345, 12345), 0);
    long flags = FS_NODUMP_FL;
    EXPECT_EQ(::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags), -1);
    EXPECT_TRUE(errno == EPERM || errno == EACCES) << std::strerror(errno);
  });
}

TEST_P(InodeControl, OtherCommandsAreNotForThisFile) {
  expect_same([](Account& account) {
    write_file(account / "file", "content");
    std::array<char, 4096> argument = {};
    const pmem::UniqueFd fd = open_file(account / "file", O_RDONLY);
    for (const unsigned long command : {0x5401UL,         // TCGETS
                                        0x80081272UL}) {  // BLKGETSIZE64
      account.call("ioctl", ::ioctl(fd.get(), command, argument.data()));
    }
  });
}

}  // namespace
}  // namespace mount_tests
