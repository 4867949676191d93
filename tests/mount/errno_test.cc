// What is refused natively is refused with the same errno: a table of calls.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

struct Refusal {
  const char* what;
  int error;
  // The call, in a directory with the things that prepare() makes.
  long (*make)(const Account& in);
};

const std::string kTooLong(256, 'n');

const char* path(const std::string& text) { return text.c_str(); }

int open_and_close(const std::string& name, int flags) {
  const int fd = ::open(name.c_str(), flags | O_CLOEXEC, 0644);
  const int error = errno;
  if (fd >= 0) {
    ::close(fd);
  }
  errno = error;
  return fd;
}

void prepare(const Account& in) {
  write_file(in / "file", "content");
  ASSERT_EQ(::mkdir(path(in / "empty"), 0755), 0);
  ASSERT_EQ(::mkdir(path(in / "full"), 0755), 0);
  write_file(in / "full/inner", "inner");
  ASSERT_EQ(::symlink("file", path(in / "link")), 0);
  ASSERT_EQ(::symlink("loop-b", path(in / "loop-a")), 0);
  ASSERT_EQ(::symlink("loop-a", path(in / "loop-b")), 0);
  ASSERT_EQ(::symlink("nowhere", path(in / "dangling")), 0);
  ASSERT_EQ(::mkfifo(path(in / "fifo"), 0600), 0);
}

constexpr std::array kRefusals = {
    Refusal{"open a missing file", ENOENT,
            [](const Account& in) -> long {
              return open_and_close(in / "missing", O_RDONLY);
            }},
    Refusal{"open in a missing directory", ENOENT,
            [](const Account& in) -> long {
              return open_and_close(in / "missing/file", O_RDWR | O_CREAT);
            }},
    Refusal{"open a dangling link", ENOENT,
            [](const Account& in) -> long {
              return open_and_close(in / "dangling", O_RDONLY);
            }},
    Refusal{"create exclusively over a dangling link", EEXIST,
            [](const Account& in) -> long {
              return open_and_close(in / "dangling", O_RDWR | O_CREAT | O_EXCL);
            }},
    Refusal{"stat a missing file", ENOENT,
            [](const Account& in) -> long {
              struct stat status = {};
              return ::stat(path(in / "missing"), &status);
            }},
    Refusal{"unlink a missing file", ENOENT,
            [](const Account& in) -> long {
              return ::unlink(path(in / "missing"));
            }},
    Refusal{"rmdir a missing directory", ENOENT,
            [](const Account& in) -> long {
              return ::rmdir(path(in / "missing"));
            }},
    Refusal{"rename a missing file", ENOENT,
            [](const Account& in) -> long {
              return ::rename(path(in / "missing"), path(in / "other"));
            }},
    Refusal{"rename into a missing directory", ENOENT,
            [](const Account& in) -> long {
              return ::rename(path(in / "file"), path(in / "missing/file"));
            }},
    Refusal{"create an existing file exclusively", EEXIST,
            [](const Account& in) -> long {
              return open_and_close(in / "file", O_RDWR | O_CREAT | O_EXCL);
            }},
    Refusal{"mkdir onto a file", EEXIST,
            [](const Account& in) -> long {
              return ::mkdir(path(in / "file"), 0755);
            }},
    Refusal{"mkdir onto a directory", EEXIST,
            [](const Account& in) -> long {
              return ::mkdir(path(in / "empty"), 0755);
            }},
    Refusal{"mkdir onto the root of the mount", EEXIST,
            [](const Account& in) -> long {
              return ::mkdir(path(in / "."), 0755);
            }},
    Refusal{"symlink onto a file", EEXIST,
            [](const Account& in) -> long {
              return ::symlink("x", path(in / "file"));
            }},
    Refusal{"link onto a file", EEXIST,
            [](const Account& in) -> long {
              return ::link(path(in / "full/inner"), path(in / "file"));
            }},
    Refusal{"mknod onto a file", EEXIST,
            [](const Account& in) -> long {
              return ::mknod(path(in / "file"), S_IFREG | 0600, 0);
            }},
    Refusal{"rename onto a file that must not be there", EEXIST,
            [](const Account& in) -> long {
              return ::renameat2(AT_FDCWD, path(in / "full/inner"), AT_FDCWD,
                                 path(in / "file"), RENAME_NOREPLACE);
            }},
    Refusal{"open below a file", ENOTDIR,
            [](const Account& in) -> long {
              return open_and_close(in / "file/below", O_RDONLY);
            }},
    Refusal{"mkdir below a file", ENOTDIR,
            [](const Account& in) -> long {
              return ::mkdir(path(in / "file/below"), 0755);
            }},
    Refusal{"rmdir a file", ENOTDIR,
            [](const Account& in) -> long { return ::rmdir(path(in / "file")); }},
    Refusal{"rmdir a link", ENOTDIR,
            [](const Account& in) -> long { return ::rmdir(path(in / "link")); }},
    Refusal{"open a file as a directory", ENOTDIR,
            [](const Account& in) -> long {
              return open_and_close(in / "file", O_RDONLY | O_DIRECTORY);
            }},
    Refusal{"rename a directory onto a file", ENOTDIR,
            [](const Account& in) -> long {
              return ::rename(path(in / "empty"), path(in / "file"));
            }},
    Refusal{"make a nameless file in a file", ENOTDIR,
            [](const Account& in) -> long {
              return open_and_close(in / "file", O_RDWR | O_TMPFILE);
            }},
    Refusal{"open a directory for writing", EISDIR,
            [](const Account& in) -> long {
              return open_and_close(in / "empty", O_RDWR);
            }},
    Refusal{"create a directory as a file", EISDIR,
            [](const Account& in) -> long {
              return open_and_close(in / "empty", O_RDONLY | O_CREAT);
            }},
    Refusal{"unlink a directory", EISDIR,
            [](const Account& in) -> long {
              return ::unlink(path(in / "empty"));
            }},
    Refusal{"truncate a directory", EISDIR,
            [](const Account& in) -> long {
              return ::truncate(path(in / "empty"), 0);
            }},
    Refusal{"rename a file onto a directory", EISDIR,
            [](const Account& in) -> long {
              return ::rename(path(in / "file"), path(in / "empty"));
            }},
    Refusal{"rmdir a full directory", ENOTEMPTY,
            [](const Account& in) -> long { return ::rmdir(path(in / "full")); }},
    Refusal{"rename onto a full directory", ENOTEMPTY,
            [](const Account& in) -> long {
              return ::rename(path(in / "empty"), path(in / "full"));
            }},
    Refusal{"open a loop of links", ELOOP,
            [](const Account& in) -> long {
              return open_and_close(in / "loop-a", O_RDONLY);
            }},
    Refusal{"open a link that is not to be followed", ELOOP,
            [](const Account& in) -> long {
              return open_and_close(in / "link", O_RDONLY | O_NOFOLLOW);
            }},
    Refusal{"open a name that is too long", ENAMETOOLONG,
            [](const Account& in) -> long {
              return open_and_close(in / kTooLong, O_RDONLY);
            }},
    Refusal{"create a name that is too long", ENAMETOOLONG,
            [](const Account& in) -> long {
              return open_and_close(in / kTooLong, O_RDWR | O_CREAT);
            }},
    Refusal{"mkdir a name that is too long", ENAMETOOLONG,
            [](const Account& in) -> long {
              return ::mkdir(path(in / kTooLong), 0755);
            }},
    Refusal{"symlink of a name that is too long", ENAMETOOLONG,
            [](const Account& in) -> long {
              return ::symlink("x", path(in / kTooLong));
            }},
    Refusal{"rename to a name that is too long", ENAMETOOLONG,
            [](const Account& in) -> long {
              return ::rename(path(in / "file"), path(in / kTooLong));
            }},
    Refusal{"link to a name that is too long", ENAMETOOLONG,
            [](const Account& in) -> long {
              return ::link(path(in / "file"), path(in / kTooLong));
            }},
    Refusal{"rename a directory into itself", EINVAL,
            [](const Account& in) -> long {
              return ::rename(path(in / "full"), path(in / "full/deeper"));
            }},
    Refusal{"rmdir by the name .", EINVAL,
            [](const Account& in) -> long {
              return ::rmdir(path(in / "empty/."));
            }},
    Refusal{"readlink a file", EINVAL,
            [](const Account& in) -> long {
              std::array<char, 10> target = {};
              return ::readlink(path(in / "file"), target.data(),
                                target.size());
            }},
    Refusal{"truncate to a negative length", EINVAL,
            [](const Account& in) -> long {
              return ::truncate(path(in / "file"), -1);
            }},
    Refusal{"truncate a fifo", EINVAL,
            [](const Account& in) -> long {
              return ::truncate(path(in / "fifo"), 0);
            }},
    Refusal{"open a fifo that nobody reads for writing", ENXIO,
            [](const Account& in) -> long {
              return open_and_close(in / "fifo", O_WRONLY | O_NONBLOCK);
            }},
    Refusal{"seek data behind the end", ENXIO,
            [](const Account& in) -> long {
              return ::lseek(open_file(in / "file", O_RDONLY).get(), 100,
                             SEEK_DATA);
            }},
    Refusal{"exchange with a missing file", ENOENT,
            [](const Account& in) -> long {
              return ::renameat2(AT_FDCWD, path(in / "file"), AT_FDCWD,
                                 path(in / "missing"), RENAME_EXCHANGE);
            }},
    Refusal{"link a directory", EPERM,
            [](const Account& in) -> long {
              return ::link(path(in / "empty"), path(in / "other"));
            }},
    Refusal{"rename out of the file system", EXDEV,
            [](const Account& in) -> long {
              return ::rename(path(in / "file"), "/proc/pmemfs-test");
            }},
    Refusal{"link out of the file system", EXDEV,
            [](const Account& in) -> long {
              return ::link(path(in / "file"), "/dev/pmemfs-test");
            }},
    Refusal{"get an attribute that is not there", ENODATA,
            [](const Account& in) -> long {
              return ::getxattr(path(in / "file"), "user.missing", nullptr, 0);
            }},
    Refusal{"remove an attribute that is not there", ENODATA,
            [](const Account& in) -> long {
              return ::removexattr(path(in / "file"), "user.missing");
            }},
    Refusal{"replace an attribute that is not there", ENODATA,
            [](const Account& in) -> long {
              return ::setxattr(path(in / "file"), "user.missing", "x", 1,
                                XATTR_REPLACE);
            }},
    Refusal{"set an attribute of no namespace", EOPNOTSUPP,
            [](const Account& in) -> long {
              return ::setxattr(path(in / "file"), "nonsense", "x", 1, 0);
            }},
    Refusal{"get an attribute of no namespace", EOPNOTSUPP,
            [](const Account& in) -> long {
              return ::getxattr(path(in / "file"), "nonsense", nullptr, 0);
            }},
    Refusal{"set a user attribute of a fifo", EPERM,
            [](const Account& in) -> long {
              return ::setxattr(path(in / "fifo"), "user.x", "x", 1, 0);
            }},
};

class Errno : public OnEachBacking {};
PMEMFS_ON_EACH_BACKING(Errno);

TEST_P(Errno, IsThatOfTheDirectoryBeneath) {
  const Account natively(native());
  const Account through_mount(mounted());
  ASSERT_NO_FATAL_FAILURE(prepare(natively));
  ASSERT_NO_FATAL_FAILURE(prepare(through_mount));
  const auto error_of = [](const Refusal& refusal, const Account& in) {
    errno = 0;
    const long answer = refusal.make(in);
    return answer < 0 ? std::string(::strerrorname_np(errno))
                      : "success: " + std::to_string(answer);
  };
  for (const Refusal& refusal : kRefusals) {
    const std::string expected = ::strerrorname_np(refusal.error);
    EXPECT_EQ(error_of(refusal, natively), expected)
        << refusal.what << ", natively: the table is wrong";
    EXPECT_EQ(error_of(refusal, through_mount), expected) << refusal.what;
  }
}

}  // namespace
}  // namespace mount_tests
