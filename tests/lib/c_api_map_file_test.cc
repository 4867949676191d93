// pmem_map_file on files: the table of its errors, with what each failure
// leaves behind, and what its successes give. (Device DAX:
// c_api_device_dax_test.cc.)
//
// These tests also run against the distribution's libpmem, except those whose
// name has BeatsTheOriginal in it.
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <libpmem.h>
#include <linux/magic.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/child_process.h"
#include "support/row_name.h"
#include "support/temp_dir.h"

namespace {

// What posix_fallocate answers while the test says so: not every file system
// has it, but glibc hides that by writing zeros.
thread_local int fallocate_error = 0;
thread_local std::string file_to_lose;  // unlinked before that answer
thread_local int fallocate_calls = 0;

}  // namespace

// Clients' tests interpose these symbols by exactly these names. The library
// must call them so.
extern "C" int posix_fallocate(int fd, off_t offset, off_t len) {
  ++fallocate_calls;
  if (fallocate_error != 0) {
    if (!file_to_lose.empty()) {
      ::unlink(file_to_lose.c_str());
    }
    return fallocate_error;
  }
  using Function = int (*)(int, off_t, off_t);
  static const auto kOriginal =
      reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "posix_fallocate"));
  return kOriginal(fd, offset, len);
}

namespace {

using support::TempDir;

constexpr int kCreate = PMEM_FILE_CREATE;
constexpr int kExcl = PMEM_FILE_EXCL;
constexpr int kSparse = PMEM_FILE_SPARSE;
constexpr int kTmpfile = PMEM_FILE_TMPFILE;

constexpr std::size_t kMebibyte = std::size_t{1} << 20;
constexpr std::size_t kOldLength = 10000;
constexpr std::size_t kBeyondOffMax = std::size_t{1} << 63;
constexpr std::size_t kBeyondAddressSpace = std::size_t{1} << 60;

enum class Path {
  kNull,
  kEmpty,
  kMissing,
  kMissingParent,
  kRegular,  // of kOldLength bytes
  kEmptyFile,
  kDirectory,
  kMissingWithSlash,
  kRegularWithSlash,
  kBelowARegularFile,
  kLinkToRegular,
  kDanglingLink,
  kLoop,
  kLongName,
  kLongPath,
  kFifo,
  kSocket,
  kCharDevice,
  kBlockDevice,
  kRunningProgram,
  kProc,
  kSys,
  kReadOnlyFile,
  kMissingInReadOnlyDirectory,
};

// Where, and under what restrictions.
enum class Setting {
  kPlain,
  kAsNobody,
  kReadOnlyFileSystem,
  kSmallFileSystem,  // a tmpfs of 1 MiB
  kFileSizeLimit,    // of 1 MiB for the process
  kExt4,
  kNoFallocate,
  kNoFallocateAndNoFile,  // and the new file has lost its name meanwhile
};

constexpr std::int64_t kAsBefore = -1;

struct Row {
  const char* name;
  Path path;
  std::size_t length;
  int flags;
  int error;           // 0: it is mapped, whole
  std::int64_t after;  // kAsBefore, or the length of the file that is there
  Setting setting = Setting::kPlain;
};

std::ostream& operator<<(std::ostream& out, const Row& row) {
  return out << row.name;
}

void make_regular_file(const std::string& path) {
  std::ofstream(path) << std::string(kOldLength, 'x');
}

// A path of the kind, made in the directory; nothing where that is not
// permitted.
std::optional<std::string> make_path(Path path, const std::string& directory) {
  const std::string name = directory + "/name";
  const std::string other = directory + "/other";
  switch (path) {
    case Path::kNull:
    case Path::kEmpty:
      return "";
    case Path::kMissing:
      return name;
    case Path::kMissingParent:
      return name + "/name";
    case Path::kRegular:
    case Path::kReadOnlyFile:
      make_regular_file(name);
      ::chmod(name.c_str(), path == Path::kRegular ? 0644 : 0444);
      return name;
    case Path::kEmptyFile:
      std::ofstream(name).flush();
      return name;
    case Path::kDirectory:
      ::mkdir(name.c_str(), 0755);
      return name;
    case Path::kMissingWithSlash:
      return name + "/";
    case Path::kRegularWithSlash:
      make_regular_file(name);
      return name + "/";
    case Path::kBelowARegularFile:
      make_regular_file(name);
      return name + "/name";
    case Path::kLinkToRegular:
      make_regular_file(other);
      return ::symlink("other", name.c_str()) == 0 ? std::optional(name)
                                                   : std::nullopt;
    case Path::kDanglingLink:
      return ::symlink("other", name.c_str()) == 0 ? std::optional(name)
                                                   : std::nullopt;
    case Path::kLoop:
      return ::symlink("name", name.c_str()) == 0 ? std::optional(name)
                                                  : std::nullopt;
    case Path::kLongName:
      return directory + "/" + std::string(NAME_MAX + 1, 'n');
    case Path::kLongPath: {
      std::string path_text = directory;
      while (path_text.size() < PATH_MAX) {
        path_text += "/.";
      }
      return path_text + "/name";
    }
    case Path::kFifo:
      return ::mkfifo(name.c_str(), 0600) == 0 ? std::optional(name)
                                               : std::nullopt;
    case Path::kSocket: {
      const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
      sockaddr_un address = {};
      address.sun_family = AF_UNIX;
      name.copy(address.sun_path, sizeof(address.sun_path) - 1);
      const int bound =
          ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
      ::close(fd);
      return bound == 0 ? std::optional(name) : std::nullopt;
    }
    case Path::kCharDevice:
      return "/dev/null";
    case Path::kBlockDevice:
      // A number for local use, behind which nothing is.
      return ::mknod(name.c_str(), S_IFBLK | 0600, ::makedev(240, 77)) == 0
                 ? std::optional(name)
                 : std::nullopt;
    case Path::kRunningProgram:
      return std::filesystem::read_symlink("/proc/self/exe").string();
    case Path::kProc:
      return "/proc";
    case Path::kSys:
      return "/sys";
    case Path::kMissingInReadOnlyDirectory:
      ::mkdir(name.c_str(), 0755);
      ::chmod(name.c_str(), 0555);
      return name + "/name";
  }
  return std::nullopt;
}

// What a call may have changed: the thing at the path, and the directory.
struct Snapshot {
  int error = 0;
  struct stat status = {};
  std::set<std::string> entries;
  std::string content;

  bool operator==(const Snapshot& other) const {
    const auto facts = [](const Snapshot& shot) {
      const bool is_directory = S_ISDIR(shot.status.st_mode);
      return std::tuple(shot.error, shot.status.st_ino, shot.status.st_mode,
                        shot.status.st_uid,
                        is_directory ? 0 : shot.status.st_size,
                        is_directory ? 0 : shot.status.st_blocks,
                        is_directory ? 0 : shot.status.st_mtim.tv_sec,
                        is_directory ? 0 : shot.status.st_mtim.tv_nsec,
                        shot.entries, shot.content);
    };
    return facts(*this) == facts(other);
  }
};

std::ostream& operator<<(std::ostream& out, const Snapshot& shot) {
  out << "errno " << shot.error << ", inode " << shot.status.st_ino << ", mode "
      << std::oct << shot.status.st_mode << std::dec << ", "
      << shot.status.st_size << " bytes, " << shot.status.st_blocks
      << " blocks, beside";
  for (const std::string& entry : shot.entries) {
    out << " " << entry;
  }
  return out;
}

std::set<std::string> entries_below(const std::string& directory) {
  std::set<std::string> entries;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(directory)) {
    entries.insert(entry.path().string());
  }
  return entries;
}

Snapshot look(const std::string& path, const std::string& directory) {
  Snapshot shot;
  if (::stat(path.c_str(), &shot.status) != 0) {
    shot.error = errno;
  }
  shot.entries = entries_below(directory);
  if (S_ISREG(shot.status.st_mode) && shot.status.st_size <= 100000) {
    std::ifstream file(path, std::ios::binary);
    shot.content.assign(std::istreambuf_iterator<char>(file), {});
  }
  return shot;
}

constexpr std::size_t kUntouchedLength = 0x1234567;
constexpr int kUntouchedIsPmem = 77;

void expect_mapped(const Row& row, std::byte* address, std::size_t length,
                   const Snapshot& before) {
  const bool creates = (row.flags & kCreate) != 0;
  EXPECT_EQ(length, creates ? row.length
                            : static_cast<std::size_t>(before.status.st_size));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(address) % (2 * kMebibyte), 0U);
  address[0] = std::byte{'w'};
  address[length - 1] = std::byte{'w'};
  EXPECT_EQ(::pmem_msync(address, length), 0);
  EXPECT_EQ(::pmem_unmap(address, length), 0);
}

// One row, with everything prepared.
void check(const Row& row, const std::string& path,
           const std::string& directory) {
  const Snapshot before = look(path, directory);
  std::size_t length = kUntouchedLength;
  int is_pmem = kUntouchedIsPmem;
  errno = 0;
  void* address =
      ::pmem_map_file(row.path == Path::kNull ? nullptr : path.c_str(),
                      row.length, row.flags, 0644, &length, &is_pmem);
  const int error = errno;

  if (row.error == 0) {
    ASSERT_NE(address, nullptr) << ::pmem_errormsg();
    expect_mapped(row, static_cast<std::byte*>(address), length, before);
    EXPECT_EQ(is_pmem, 0);
  } else {
    EXPECT_EQ(address, nullptr);
    EXPECT_EQ(error, row.error)
        << std::strerror(error) << ": " << ::pmem_errormsg();
    EXPECT_EQ(length, kUntouchedLength);
    EXPECT_EQ(is_pmem, kUntouchedIsPmem);
  }
  const Snapshot after = look(path, directory);
  if (row.after == kAsBefore && row.error != 0) {
    EXPECT_EQ(after, before);
  } else if (row.after != kAsBefore) {
    EXPECT_EQ(after.error, 0) << "the file is missing";
    EXPECT_EQ(after.status.st_size, row.after);
  }
}

// Skips the test where the setting cannot be had.

void become_nobody(const std::string& path) {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0) {
    ASSERT_EQ(::setresgid(kNobody, kNobody, kNobody), 0);
    ASSERT_EQ(::setresuid(kNobody, kNobody, kNobody), 0);
  }
  const std::string parent = std::filesystem::path(path).parent_path();
  if (::access(parent.c_str(), X_OK) != 0) {
    GTEST_SKIP() << parent << " cannot be searched by nobody";
  }
}

void limit_file_size(std::size_t length) {
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {length, length};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
}

bool is_over() {
  return ::testing::Test::IsSkipped() || ::testing::Test::HasFatalFailure();
}

void check_in_mount(const Row& row, const std::string& mountpoint) {
  const std::string path = make_path(row.path, mountpoint).value();
  if (row.setting == Setting::kReadOnlyFileSystem) {
    ASSERT_EQ(::mount("none", mountpoint.c_str(), nullptr,
                      MS_REMOUNT | MS_RDONLY, nullptr),
              0)
        << std::strerror(errno);
  }
  check(row, path, mountpoint);
}

void check_on_own_file_system(const Row& row, const std::string& mountpoint) {
  support::enter_private_mounts();
  if (!is_over()) {
    support::mount_fresh("tmpfs", mountpoint, "size=1m");
  }
  if (!is_over()) {
    check_in_mount(row, mountpoint);
    ::umount(mountpoint.c_str());
  }
}

void check_without_fallocate(const Row& row, const std::string& path,
                             const std::string& directory) {
  fallocate_error = EOPNOTSUPP;
  file_to_lose = row.setting == Setting::kNoFallocateAndNoFile ? path : "";
  check(row, path, directory);
  fallocate_error = 0;
  file_to_lose.clear();
}

class MapFile : public ::testing::TestWithParam<Row> {};

TEST_P(MapFile, GivesErrnoAndLeavesState) {
  const Row& row = GetParam();
  const TempDir directory;
  ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
  if (row.setting == Setting::kReadOnlyFileSystem ||
      row.setting == Setting::kSmallFileSystem) {
    support::in_child([&] { check_on_own_file_system(row, directory.path()); });
    return;
  }
  struct statfs status = {};
  ASSERT_EQ(::statfs(directory.path().c_str(), &status), 0);
  if (row.setting == Setting::kExt4 && status.f_type != EXT4_SUPER_MAGIC) {
    GTEST_SKIP() << directory.path() << " is not on ext4";
  }
  const std::optional<std::string> path = make_path(row.path, directory.path());
  if (!path) {
    GTEST_SKIP() << "such a path cannot be made here: " << std::strerror(errno);
  }
  if (row.path == Path::kProc && ::geteuid() != 0) {
    GTEST_SKIP() << "for a user the kernel looks at the mode of /proc first";
  }
  switch (row.setting) {
    case Setting::kAsNobody:
      support::in_child([&] {
        become_nobody(*path);
        if (!is_over()) {
          check(row, *path, directory.path());
        }
      });
      return;
    case Setting::kFileSizeLimit:
      support::in_child([&] {
        limit_file_size(kMebibyte);
        check(row, *path, directory.path());
      });
      return;
    case Setting::kNoFallocate:
    case Setting::kNoFallocateAndNoFile:
      check_without_fallocate(row, *path, directory.path());
      return;
    default:
      check(row, *path, directory.path());
  }
}

// clang-format off
INSTANTIATE_TEST_SUITE_P(
    Arguments, MapFile,
    ::testing::Values(
        Row{"NullPath", Path::kNull, 0, 0, EINVAL, kAsBefore},
        Row{"NullPathWithCreate", Path::kNull, 4096, kCreate, EINVAL, kAsBefore},
        Row{"UnknownFlag", Path::kRegular, 0, 0x10, EINVAL, kAsBefore},
        Row{"UnknownFlagOfAMissingFile", Path::kMissing, 0, 0x10, EINVAL, kAsBefore},
        Row{"UnknownFlagWithCreate", Path::kMissing, 4096, kCreate | 0x10, EINVAL, kAsBefore},
        Row{"UnknownHighFlag", Path::kRegular, 0, 1 << 30, EINVAL, kAsBefore},
        Row{"AllFlags", Path::kRegular, 0, -1, EINVAL, kAsBefore},
        Row{"LengthWithoutCreate", Path::kRegular, 4096, 0, EINVAL, kAsBefore},
        Row{"ExactLengthWithoutCreate", Path::kRegular, kOldLength, 0, EINVAL, kAsBefore},
        Row{"LengthWithoutCreateOfAMissingFile", Path::kMissing, 4096, 0, EINVAL, kAsBefore},
        Row{"LengthOfADirectory", Path::kDirectory, 4096, 0, EINVAL, kAsBefore},
        Row{"LengthWithSparseAlone", Path::kRegular, 4096, kSparse, EINVAL, kAsBefore},
        Row{"LengthWithExclAlone", Path::kRegular, 4096, kExcl, EINVAL, kAsBefore},
        Row{"CreateLengthZero", Path::kMissing, 0, kCreate, EINVAL, kAsBefore},
        Row{"CreateLengthZeroOfAFile", Path::kRegular, 0, kCreate, EINVAL, kAsBefore},
        Row{"CreateLengthZeroOfADirectory", Path::kDirectory, 0, kCreate, EINVAL, kAsBefore},
        Row{"CreateExclLengthZero", Path::kMissing, 0, kCreate | kExcl, EINVAL, kAsBefore},
        Row{"CreateExclLengthZeroOfAFile", Path::kRegular, 0, kCreate | kExcl, EINVAL, kAsBefore},
        Row{"CreateSparseLengthZero", Path::kMissing, 0, kCreate | kSparse, EINVAL, kAsBefore},
        Row{"CreateTmpfileLengthZero", Path::kDirectory, 0, kCreate | kTmpfile, EINVAL, kAsBefore},
        Row{"CreateLengthMinusOne", Path::kMissing, SIZE_MAX, kCreate, EINVAL, kAsBefore},
        Row{"CreateLengthMinusOneOfAFile", Path::kRegular, SIZE_MAX, kCreate, EINVAL, kAsBefore},
        Row{"CreateLengthBeyondOffMax", Path::kMissing, kBeyondOffMax, kCreate, EINVAL, kAsBefore},
        Row{"CreateSparseLengthBeyondOffMax", Path::kRegular, kBeyondOffMax, kCreate | kSparse, EINVAL, kAsBefore},
        Row{"CreateExclLengthBeyondOffMax", Path::kMissing, kBeyondOffMax, kCreate | kExcl, EINVAL, kAsBefore},
        Row{"TmpfileWithoutCreate", Path::kDirectory, 0, kTmpfile, EINVAL, kAsBefore},
        Row{"TmpfileWithoutCreateOfAFile", Path::kRegular, 0, kTmpfile, EINVAL, kAsBefore},
        Row{"TmpfileExclWithoutCreate", Path::kDirectory, 0, kTmpfile | kExcl, EINVAL, kAsBefore},
        // The path is looked at before the flags.
        Row{"UnknownFlagOfALongName", Path::kLongName, 0, 0x10, ENAMETOOLONG, kAsBefore},
        Row{"LengthOfALoop", Path::kLoop, 4096, 0, ELOOP, kAsBefore}),
    support::RowName());

INSTANTIATE_TEST_SUITE_P(
    Paths, MapFile,
    ::testing::Values(
        Row{"Missing", Path::kMissing, 0, 0, ENOENT, kAsBefore},
        Row{"MissingWithExcl", Path::kMissing, 0, kExcl, ENOENT, kAsBefore},
        Row{"MissingWithSparse", Path::kMissing, 0, kSparse, ENOENT, kAsBefore},
        Row{"MissingParent", Path::kMissingParent, 4096, kCreate, ENOENT, kAsBefore},
        Row{"EmptyPath", Path::kEmpty, 0, 0, ENOENT, kAsBefore},
        Row{"EmptyPathWithCreate", Path::kEmpty, 4096, kCreate, ENOENT, kAsBefore},
        Row{"EmptyFile", Path::kEmptyFile, 0, 0, EINVAL, kAsBefore},
        Row{"EmptyFileWithSparse", Path::kEmptyFile, 0, kSparse, EINVAL, kAsBefore},
        Row{"ExistsExclusively", Path::kRegular, 4096, kCreate | kExcl, EEXIST, kAsBefore},
        Row{"ExistsExclusivelySparse", Path::kRegular, 4096, kCreate | kExcl | kSparse, EEXIST, kAsBefore},
        Row{"LinkExistsExclusively", Path::kLinkToRegular, 4096, kCreate | kExcl, EEXIST, kAsBefore},
        Row{"DanglingLinkExistsExclusively", Path::kDanglingLink, 4096, kCreate | kExcl, EEXIST, kAsBefore},
        Row{"DanglingLink", Path::kDanglingLink, 0, 0, ENOENT, kAsBefore},
        Row{"Directory", Path::kDirectory, 0, 0, EISDIR, kAsBefore},
        Row{"DirectoryWithCreate", Path::kDirectory, 4096, kCreate, EISDIR, kAsBefore},
        Row{"DirectoryExistsExclusively", Path::kDirectory, 4096, kCreate | kExcl, EEXIST, kAsBefore},
        Row{"MissingWithSlash", Path::kMissingWithSlash, 4096, kCreate, EISDIR, kAsBefore},
        Row{"MissingWithSlashSparse", Path::kMissingWithSlash, 4096, kCreate | kSparse, EISDIR, kAsBefore},
        Row{"MissingWithSlashWithoutCreate", Path::kMissingWithSlash, 0, 0, ENOENT, kAsBefore},
        Row{"FileWithSlash", Path::kRegularWithSlash, 4096, kCreate, ENOTDIR, kAsBefore},
        Row{"BelowAFile", Path::kBelowARegularFile, 0, 0, ENOTDIR, kAsBefore},
        Row{"BelowAFileWithCreate", Path::kBelowARegularFile, 4096, kCreate, ENOTDIR, kAsBefore},
        Row{"Loop", Path::kLoop, 0, 0, ELOOP, kAsBefore},
        Row{"LoopWithCreate", Path::kLoop, 4096, kCreate, ELOOP, kAsBefore},
        Row{"LongName", Path::kLongName, 0, 0, ENAMETOOLONG, kAsBefore},
        Row{"LongNameWithCreate", Path::kLongName, 4096, kCreate, ENAMETOOLONG, kAsBefore},
        Row{"LongPath", Path::kLongPath, 4096, kCreate, ENAMETOOLONG, kAsBefore},
        Row{"RunningProgram", Path::kRunningProgram, 0, 0, ETXTBSY, kAsBefore},
        Row{"RunningProgramWithCreate", Path::kRunningProgram, 4096, kCreate, ETXTBSY, kAsBefore},
        Row{"TmpfileInAFile", Path::kRegular, 4096, kCreate | kTmpfile, ENOTDIR, kAsBefore},
        Row{"TmpfileInAMissingDirectory", Path::kMissing, 4096, kCreate | kTmpfile, ENOENT, kAsBefore},
        Row{"TmpfileInProc", Path::kProc, 4096, kCreate | kTmpfile, ENOENT, kAsBefore},
        Row{"TmpfileInSys", Path::kSys, 4096, kCreate | kTmpfile, EACCES, kAsBefore}),
    support::RowName());

INSTANTIATE_TEST_SUITE_P(
    Devices, MapFile,
    ::testing::Values(
        Row{"CharDevice", Path::kCharDevice, 0, 0, EINVAL, kAsBefore},
        Row{"CharDeviceWithCreate", Path::kCharDevice, 4096, kCreate, EINVAL, kAsBefore},
        Row{"CharDeviceExclusively", Path::kCharDevice, 4096, kCreate | kExcl, EINVAL, kAsBefore},
        Row{"CharDeviceWithTmpfile", Path::kCharDevice, 4096, kCreate | kTmpfile, EINVAL, kAsBefore},
        Row{"BlockDevice", Path::kBlockDevice, 0, 0, EINVAL, kAsBefore},
        Row{"BlockDeviceWithCreate", Path::kBlockDevice, 4096, kCreate, EINVAL, kAsBefore},
        Row{"Fifo", Path::kFifo, 0, 0, EINVAL, kAsBefore},
        Row{"FifoWithCreate", Path::kFifo, 4096, kCreate, EINVAL, kAsBefore},
        Row{"FifoExclusively", Path::kFifo, 4096, kCreate | kExcl, EINVAL, kAsBefore},
        Row{"Socket", Path::kSocket, 0, 0, EINVAL, kAsBefore},
        Row{"SocketWithCreate", Path::kSocket, 4096, kCreate, EINVAL, kAsBefore}),
    support::RowName());

INSTANTIATE_TEST_SUITE_P(
    Permissions, MapFile,
    ::testing::Values(
        Row{"ReadOnlyFile", Path::kReadOnlyFile, 0, 0, EACCES, kAsBefore, Setting::kAsNobody},
        Row{"ReadOnlyFileWithCreate", Path::kReadOnlyFile, 4096, kCreate, EACCES, kAsBefore, Setting::kAsNobody},
        Row{"ReadOnlyFileExclusively", Path::kReadOnlyFile, 4096, kCreate | kExcl, EEXIST, kAsBefore, Setting::kAsNobody},
        Row{"ReadOnlyDirectory", Path::kMissingInReadOnlyDirectory, 4096, kCreate, EACCES, kAsBefore, Setting::kAsNobody},
        Row{"FileOfAReadOnlyFileSystem", Path::kRegular, 0, 0, EROFS, kAsBefore, Setting::kReadOnlyFileSystem},
        Row{"FileOfAReadOnlyFileSystemWithCreate", Path::kRegular, 4096, kCreate, EROFS, kAsBefore, Setting::kReadOnlyFileSystem},
        Row{"FileOfAReadOnlyFileSystemExclusively", Path::kRegular, 4096, kCreate | kExcl, EEXIST, kAsBefore, Setting::kReadOnlyFileSystem},
        Row{"MissingOnAReadOnlyFileSystem", Path::kMissing, 0, 0, ENOENT, kAsBefore, Setting::kReadOnlyFileSystem},
        Row{"CreateOnAReadOnlyFileSystem", Path::kMissing, 4096, kCreate, EROFS, kAsBefore, Setting::kReadOnlyFileSystem},
        Row{"CreateExclOnAReadOnlyFileSystem", Path::kMissing, 4096, kCreate | kExcl, EROFS, kAsBefore, Setting::kReadOnlyFileSystem},
        Row{"TmpfileOnAReadOnlyFileSystem", Path::kDirectory, 4096, kCreate | kTmpfile, EROFS, kAsBefore, Setting::kReadOnlyFileSystem}),
    support::RowName());

// A new file stays after plain CREATE and goes after CREATE|EXCL; an old one
// keeps the length it was given.
INSTANTIATE_TEST_SUITE_P(
    TooBig, MapFile,
    ::testing::Values(
        Row{"ForTheProcess", Path::kMissing, 2 * kMebibyte, kCreate, EFBIG, 0, Setting::kFileSizeLimit},
        Row{"ForTheProcessSparse", Path::kMissing, 2 * kMebibyte, kCreate | kSparse, EFBIG, 0, Setting::kFileSizeLimit},
        Row{"ForTheProcessExclusively", Path::kMissing, 2 * kMebibyte, kCreate | kExcl, EFBIG, kAsBefore, Setting::kFileSizeLimit},
        Row{"ForTheProcessOfAFile", Path::kRegular, 2 * kMebibyte, kCreate, EFBIG, kAsBefore, Setting::kFileSizeLimit},
        Row{"ForTheProcessTmpfile", Path::kDirectory, 2 * kMebibyte, kCreate | kTmpfile, EFBIG, kAsBefore, Setting::kFileSizeLimit},
        Row{"ForExt4", Path::kMissing, kBeyondAddressSpace, kCreate, EFBIG, 0, Setting::kExt4},
        Row{"ForExt4Exclusively", Path::kMissing, kBeyondAddressSpace, kCreate | kExcl, EFBIG, kAsBefore, Setting::kExt4},
        Row{"ForExt4OfAFile", Path::kRegular, kBeyondAddressSpace, kCreate | kSparse, EFBIG, kAsBefore, Setting::kExt4},
        Row{"ForItsSpace", Path::kMissing, 2 * kMebibyte, kCreate, ENOSPC, 2 * kMebibyte, Setting::kSmallFileSystem},
        Row{"ForItsSpaceExclusively", Path::kMissing, 2 * kMebibyte, kCreate | kExcl, ENOSPC, kAsBefore, Setting::kSmallFileSystem},
        Row{"ForItsSpaceOfAFile", Path::kRegular, 2 * kMebibyte, kCreate, ENOSPC, 2 * kMebibyte, Setting::kSmallFileSystem},
        Row{"ForItsSpaceTmpfile", Path::kDirectory, 2 * kMebibyte, kCreate | kTmpfile, ENOSPC, kAsBefore, Setting::kSmallFileSystem},
        Row{"ForItsSpaceButSparse", Path::kMissing, 2 * kMebibyte, kCreate | kSparse, 0, 2 * kMebibyte, Setting::kSmallFileSystem},
        Row{"ForTheAddressSpace", Path::kMissing, kBeyondAddressSpace, kCreate | kSparse, ENOMEM, kBeyondAddressSpace, Setting::kSmallFileSystem},
        Row{"ForTheAddressSpaceExclusively", Path::kMissing, kBeyondAddressSpace, kCreate | kSparse | kExcl, ENOMEM, kAsBefore, Setting::kSmallFileSystem},
        Row{"ForTheAddressSpaceOfAFile", Path::kRegular, kBeyondAddressSpace, kCreate | kSparse, ENOMEM, kBeyondAddressSpace, Setting::kSmallFileSystem}),
    support::RowName());

INSTANTIATE_TEST_SUITE_P(
    WithoutFallocate, MapFile,
    ::testing::Values(
        Row{"Create", Path::kMissing, 4096, kCreate, EOPNOTSUPP, 4096, Setting::kNoFallocate},
        Row{"CreateExclusively", Path::kMissing, 4096, kCreate | kExcl, EOPNOTSUPP, kAsBefore, Setting::kNoFallocate},
        Row{"CreateOfAFile", Path::kRegular, 4096, kCreate, EOPNOTSUPP, 4096, Setting::kNoFallocate},
        Row{"CreateSparse", Path::kMissing, 4096, kCreate | kSparse, 0, 4096, Setting::kNoFallocate},
        Row{"WholeFile", Path::kRegular, 0, 0, 0, kOldLength, Setting::kNoFallocate},
        // unlink fails with ENOENT, which nobody must see.
        Row{"ErrnoSurvivesCleanUp", Path::kMissing, 4096, kCreate | kExcl, EOPNOTSUPP, kAsBefore, Setting::kNoFallocateAndNoFile}),
    support::RowName());

INSTANTIATE_TEST_SUITE_P(
    Successes, MapFile,
    ::testing::Values(
        Row{"WholeFile", Path::kRegular, 0, 0, 0, kOldLength},
        Row{"WholeFileThroughALink", Path::kLinkToRegular, 0, 0, 0, kOldLength},
        Row{"ExclWithoutCreate", Path::kRegular, 0, kExcl, 0, kOldLength},
        Row{"SparseWithoutCreate", Path::kRegular, 0, kSparse, 0, kOldLength},
        Row{"SparseExclWithoutCreate", Path::kRegular, 0, kSparse | kExcl, 0, kOldLength},
        Row{"Create", Path::kMissing, 4096, kCreate, 0, 4096},
        Row{"CreateOneByte", Path::kMissing, 1, kCreate, 0, 1},
        Row{"CreateOddLength", Path::kMissing, 5000, kCreate, 0, 5000},
        Row{"CreateSparse", Path::kMissing, 5000, kCreate | kSparse, 0, 5000},
        Row{"CreateExclusively", Path::kMissing, 5000, kCreate | kExcl, 0, 5000},
        Row{"CreateExclusivelySparse", Path::kMissing, 5000, kCreate | kExcl | kSparse, 0, 5000},
        Row{"CreateFillsAnEmptyFile", Path::kEmptyFile, 5000, kCreate, 0, 5000},
        Row{"CreateGrowsAFile", Path::kRegular, 20000, kCreate, 0, 20000},
        Row{"CreateGrowsAFileSparsely", Path::kRegular, 20000, kCreate | kSparse, 0, 20000},
        Row{"CreateShrinksAFile", Path::kRegular, 5000, kCreate, 0, 5000},
        Row{"CreateShrinksAFileSparsely", Path::kRegular, 5000, kCreate | kSparse, 0, 5000},
        Row{"CreateKeepsALength", Path::kRegular, kOldLength, kCreate, 0, kOldLength},
        Row{"CreateThroughALink", Path::kLinkToRegular, 5000, kCreate, 0, 5000},
        Row{"CreateTheTargetOfALink", Path::kDanglingLink, 5000, kCreate, 0, 5000},
        Row{"Tmpfile", Path::kDirectory, 5000, kCreate | kTmpfile, 0, kAsBefore},
        Row{"TmpfileSparse", Path::kDirectory, 5000, kCreate | kTmpfile | kSparse, 0, kAsBefore},
        Row{"TmpfileExclusively", Path::kDirectory, 5000, kCreate | kTmpfile | kExcl, 0, kAsBefore},
        Row{"CreateThreeGibibytes", Path::kMissing, 3072 * kMebibyte, kCreate | kSparse, 0, 3072 * kMebibyte}),
    support::RowName());
// clang-format on

// What the table does not say.

class Mapped {
 public:
  Mapped(const std::string& path, std::size_t length, int flags,
         mode_t mode = 0644) {
    address_ = static_cast<std::byte*>(::pmem_map_file(
        path.c_str(), length, flags, mode, &length_, &is_pmem_));
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ~Mapped() {
    if (address_ != nullptr) {
      ::pmem_unmap(address_, length_);
    }
  }

  [[nodiscard]] std::byte* address() const { return address_; }
  [[nodiscard]] std::size_t length() const { return length_; }

 private:
  std::byte* address_ = nullptr;
  std::size_t length_ = 0;
  int is_pmem_ = 0;
};

struct stat status_of(const std::string& path) {
  struct stat status = {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << std::strerror(errno);
  return status;
}

class MapFileOnDisk : public ::testing::Test {
 protected:
  TempDir directory_;
  std::string path_ = directory_ / "file";
};

TEST_F(MapFileOnDisk, AllocatesTheBlocks) {
  const Mapped mapped(path_, kMebibyte, kCreate);
  ASSERT_NE(mapped.address(), nullptr) << ::pmem_errormsg();
  EXPECT_GE(status_of(path_).st_blocks * 512, std::int64_t{kMebibyte});
}

TEST_F(MapFileOnDisk, AllocatesTheHolesOfAnOldFile) {
  std::ofstream(path_).flush();
  ASSERT_EQ(::truncate(path_.c_str(), kMebibyte), 0);
  const Mapped mapped(path_, kMebibyte, kCreate);
  ASSERT_NE(mapped.address(), nullptr) << ::pmem_errormsg();
  EXPECT_GE(status_of(path_).st_blocks * 512, std::int64_t{kMebibyte});
}

TEST_F(MapFileOnDisk, AllocatesNothingForASparseFile) {
  const Mapped mapped(path_, kMebibyte, kCreate | kSparse);
  ASSERT_NE(mapped.address(), nullptr) << ::pmem_errormsg();
  EXPECT_EQ(status_of(path_).st_blocks, 0);
}

TEST_F(MapFileOnDisk, AllocatesByTheNameThatClientsInterpose) {
  const int before = fallocate_calls;
  const Mapped sparse(path_, 4096, kCreate | kSparse);
  EXPECT_EQ(fallocate_calls, before);
  const Mapped allocated(path_, 4096, kCreate);
  EXPECT_EQ(fallocate_calls, before + 1);
}

TEST_F(MapFileOnDisk, KeepsTheBytesOfAFileThatGrows) {
  std::ofstream(path_) << "old bytes";
  const Mapped mapped(path_, 8192, kCreate);
  ASSERT_NE(mapped.address(), nullptr) << ::pmem_errormsg();
  EXPECT_EQ(std::memcmp(mapped.address(), "old bytes\0\0\0", 12), 0);
}

TEST_F(MapFileOnDisk, SharesItsBytesWithTheFile) {
  const Mapped mapped(path_, 5000, kCreate);
  ASSERT_NE(mapped.address(), nullptr) << ::pmem_errormsg();
  mapped.address()[4999] = std::byte{'z'};
  std::ifstream file(path_, std::ios::binary);
  file.seekg(4999);
  EXPECT_EQ(file.get(), 'z');
}

TEST_F(MapFileOnDisk, LeavesNoDescriptorOpen) {
  const auto count = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         std::filesystem::directory_iterator());
  };
  const auto before = count();
  const Mapped created(path_, 5000, kCreate);
  const Mapped whole(path_, 0, 0);
  const Mapped refused(path_, 5000, kCreate | kExcl);
  EXPECT_NE(whole.address(), nullptr);
  EXPECT_EQ(refused.address(), nullptr);
  EXPECT_EQ(count(), before);
}

TEST_F(MapFileOnDisk, WantsNoOutputs) {
  void* address =
      ::pmem_map_file(path_.c_str(), 5000, kCreate, 0644, nullptr, nullptr);
  ASSERT_NE(address, nullptr) << ::pmem_errormsg();
  EXPECT_EQ(::pmem_unmap(address, 5000), 0);
  EXPECT_EQ(::pmem_map_file("", 0, 0, 0, nullptr, nullptr), nullptr);
}

struct ModeRow {
  const char* name;
  mode_t mode;
  mode_t umask;
  mode_t expected;
};

class NewFile : public ::testing::TestWithParam<ModeRow> {};

TEST_P(NewFile, HasTheModeWithoutTheUmask) {
  const TempDir directory;
  const std::string path = directory / "file";
  const mode_t old_mask = ::umask(GetParam().umask);
  const Mapped mapped(path, 4096, kCreate, GetParam().mode);
  const mode_t mask_after = ::umask(old_mask);
  ASSERT_NE(mapped.address(), nullptr) << ::pmem_errormsg();
  EXPECT_EQ(status_of(path).st_mode & 07777, GetParam().expected);
  EXPECT_EQ(mask_after, GetParam().umask);
}

INSTANTIATE_TEST_SUITE_P(All, NewFile,
                         ::testing::Values(ModeRow{"NoUmask", 0666, 0, 0666},
                                           ModeRow{"Umask022", 0666, 022, 0644},
                                           ModeRow{"Umask077", 0666, 077, 0600},
                                           ModeRow{"ReadOnly", 0444, 022, 0444},
                                           ModeRow{"None", 0, 022, 0}),
                         support::RowName());

TEST_F(MapFileOnDisk, LeavesTheModeOfAnOldFile) {
  std::ofstream(path_) << "x";
  ASSERT_EQ(::chmod(path_.c_str(), 0604), 0);
  const Mapped mapped(path_, 4096, kCreate, 0640);
  ASSERT_NE(mapped.address(), nullptr) << ::pmem_errormsg();
  EXPECT_EQ(status_of(path_).st_mode & 07777, 0604U);
}

TEST_F(MapFileOnDisk, GivesATmpfileItsOwnBytes) {
  const Mapped first(directory_.path(), 5000, kCreate | kTmpfile);
  const Mapped second(directory_.path(), 5000, kCreate | kTmpfile);
  ASSERT_NE(first.address(), nullptr) << ::pmem_errormsg();
  ASSERT_NE(second.address(), nullptr) << ::pmem_errormsg();
  std::memset(first.address(), 1, 5000);
  EXPECT_EQ(second.address()[4999], std::byte{0});
}

// The original makes a file with a name (under a umask that it changes for the
// whole process) and removes the name again.
TEST_F(MapFileOnDisk, BeatsTheOriginalByGivingATmpfileNoNameEver) {
  const int events = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  ASSERT_GE(events, 0);
  ASSERT_GE(::inotify_add_watch(events, directory_.path().c_str(),
                                IN_CREATE | IN_DELETE | IN_MOVE),
            0);
  const Mapped mapped(directory_.path(), 5000, kCreate | kTmpfile);
  ASSERT_NE(mapped.address(), nullptr) << ::pmem_errormsg();
  std::array<char, 4096> buffer = {};
  EXPECT_EQ(::read(events, buffer.data(), buffer.size()), -1);
  EXPECT_EQ(errno, EAGAIN);
  ::close(events);
}

TEST_F(MapFileOnDisk, BeatsTheOriginalByNamingThePathInEachError) {
  const std::string missing_parent = directory_ / "missing/name";
  const std::string device = "/dev/null";
  const std::string directory = directory_.path();
  for (const auto& [path, length, flags] :
       {std::tuple<std::string, std::size_t, int>{path_, 0, 0},
        {path_, 4096, 0},
        {path_, 0, 0x10},
        {path_, 0, kCreate},
        {path_, SIZE_MAX, kCreate},
        {missing_parent, 4096, kCreate},
        {device, 0, 0},
        {directory, 0, 0},
        {directory, 4096, kCreate},
        {directory, 0, kTmpfile}}) {
    ASSERT_EQ(
        ::pmem_map_file(path.c_str(), length, flags, 0644, nullptr, nullptr),
        nullptr);
    const int error = errno;
    const std::string message = ::pmem_errormsg();
    EXPECT_NE(message.find(path), std::string::npos) << message;
    EXPECT_NE(message.find(std::strerror(error)), std::string::npos) << message;
  }
}

}  // namespace
