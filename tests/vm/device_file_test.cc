// Device DAX as files: what `pmemfs mount dax MOUNTPOINT` shows of real ones,
// and what ordinary programs do with them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "support/child_process.h"
#include "support/command.h"
#include "support/files.h"
#include "support/mount_fixture.h"
#include "support/row_name.h"
#include "support/temp_dir.h"
#include "vm/device_mount.h"
#include "vm/guest.h"

namespace vm {
namespace {

using support::CommandResult;
using support::content_of;
using support::noise;
using support::open_file;
using support::read_at;
using support::run_command;
using support::write_file;

struct Device {
  std::string name;
  std::string variable;
};

void PrintTo(const Device& device, std::ostream* out) { *out << device.name; }

class DeviceFile : public ::testing::TestWithParam<Device> {
 protected:
  static void SetUpTestSuite() { shared_mount.emplace(); }
  static void TearDownTestSuite() { shared_mount.reset(); }

  [[nodiscard]] std::string node() const { return node_; }
  [[nodiscard]] const pmem::DaxDevice& facts() const { return facts_; }
  [[nodiscard]] std::size_t size() const { return facts_.size_bytes; }
  [[nodiscard]] off_t end() const { return static_cast<off_t>(size()); }
  [[nodiscard]] std::string file() const { return *shared_mount / facts_.name; }
  [[nodiscard]] std::string beside(const std::string& name) const {
    return *shared_mount / name;
  }
  [[nodiscard]] NativeMapping map_natively() const { return {node_, size()}; }
  [[nodiscard]] pmem::UniqueFd open(int flags) const {
    pmem::UniqueFd fd = open_file(file(), flags);
    EXPECT_TRUE(fd.valid()) << std::strerror(errno);
    return fd;
  }

  // What the daemon has agreed upon with the kernel.
  [[nodiscard]] static std::string start_line() {
    return shared_mount->start_line();
  }

  // For the content of ordinary files.
  [[nodiscard]] std::string scratch(const std::string& name) const {
    return scratch_ / name;
  }

  [[nodiscard]] std::string attribute(const std::string& name) const {
    return attribute_of(file(), name);
  }
  [[nodiscard]] bool is_held() const { return vm::is_held(node_); }

 private:
  const std::string node_ = place(GetParam().variable);
  const pmem::DaxDevice facts_ = facts_of(node_);
  const support::TempDir scratch_ = support::TempDir("/dev/shm");
  static inline std::optional<DeviceMount> shared_mount;
};

// --- what it looks like -----------------------------------------------------

TEST_P(DeviceFile, IsARegularFileOfTheDevicesSizeOwnerAndMode) {
  const struct stat shown = support::status_of(file());
  const struct stat device = support::status_of(node());
  EXPECT_TRUE(S_ISREG(shown.st_mode));
  EXPECT_EQ(shown.st_mode & 07777, device.st_mode & 07777);
  EXPECT_EQ(shown.st_uid, device.st_uid);
  EXPECT_EQ(shown.st_gid, device.st_gid);
  EXPECT_EQ(shown.st_size, end());
  EXPECT_EQ(shown.st_blocks, end() / 512);
  EXPECT_GE(shown.st_blksize, 4096);
}

TEST_P(DeviceFile, TellsWhatItIsInAttributes) {
  EXPECT_EQ(attribute("user.pmem.is_pmem"), "1");
  EXPECT_EQ(attribute("user.pmem.granularity"), "cacheline");
  EXPECT_EQ(attribute("user.pmem.kind"), "devdax");
  EXPECT_EQ(attribute("user.pmem.mode"), "devdax");
  EXPECT_EQ(attribute("user.pmem.align"), std::to_string(facts().align_bytes));
  EXPECT_EQ(attribute("user.pmem.mapped_length"), std::to_string(size()));
  EXPECT_EQ(attribute("user.pmem.allocated"), std::to_string(size()));
  EXPECT_EQ(attribute("user.pmem.sparse"), "0");
  EXPECT_EQ(attribute("user.pmem.path"), node());
  EXPECT_EQ(attribute("user.pmem.numa_node"),
            std::to_string(facts().numa_node.value_or(-2)));
  EXPECT_EQ(attribute("user.pmem.target_node"),
            std::to_string(facts().target_node.value_or(-2)));
  const std::string reason = attribute("user.pmem.reason");
  EXPECT_NE(reason.find(facts().name + " is mapped directly"),
            std::string::npos)
      << reason;
}

TEST_P(DeviceFile, HasNoAttributesButThose) {
  EXPECT_EQ(attribute("user.pmem.nonsense"), "<ENODATA>");
  EXPECT_EQ(attribute("user.other"), "<ENODATA>");
  for (const char* name : {"user.other", "user.pmem.is_pmem"}) {
    EXPECT_EQ(::setxattr(file().c_str(), name, "1", 1, 0), -1);
    EXPECT_EQ(errno, EOPNOTSUPP) << name;
  }
}

TEST_P(DeviceFile, IsOnlyForThoseWhomTheNodeLetsIn) {
  support::in_child([&] {
    ASSERT_EQ(::setegid(65534), 0);
    ASSERT_EQ(::seteuid(65534), 0);
    EXPECT_FALSE(open_file(file(), O_RDONLY).valid());
    EXPECT_EQ(errno, EACCES);
  });
}

TEST_P(DeviceFile, StandsInAFolderWhoseEntriesAreFixed) {
  EXPECT_FALSE(open_file(beside("new"), O_WRONLY | O_CREAT).valid());
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::mkdir(beside("new").c_str(), 0700), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::unlink(file().c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::rename(file().c_str(), beside("new").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::link(file().c_str(), beside("new").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(beside(""))) {
    names.insert(entry.path().filename().string());
  }
  EXPECT_EQ(names.count(facts().name), 1U);
  EXPECT_EQ(names.size(), 3U);
}

TEST_P(DeviceFile, IsNotHeldByTheMountWhenNobodyHasItOpen) {
  {
    const pmem::UniqueFd fd = open(O_RDWR);
    EXPECT_EQ(read_at(fd.get(), 0, 1).size(), 1U);
    EXPECT_TRUE(is_held());
  }
  EXPECT_EQ(attribute("user.pmem.is_pmem"), "1");
  EXPECT_TRUE(becomes_free(node()));
}

// --- reading and writing ----------------------------------------------------

TEST_P(DeviceFile, AnyByteRangeIsWrittenAndRead) {
  const NativeMapping device = map_natively();
  const pmem::UniqueFd fd = open(O_RDWR);
  const std::size_t align = facts().align_bytes;
  struct Range {
    std::size_t offset;
    std::size_t length;
  };
  const std::array ranges = {
      Range{0, 1},          Range{1, 1},
      Range{63, 2},         Range{4095, 2},
      Range{4096, 4096},    Range{align - 1, 2},
      Range{align - 3, 7},  Range{align - 5, align + 11},
      Range{12345, 999999}, Range{2 * kMiB - 1, 3 * kMiB + 2},
      Range{size() - 1, 1}, Range{size() - kMiB - 3, kMiB + 3}};
  for (const Range& range : ranges) {
    // With a byte on either side that must stay.
    const std::size_t before = range.offset == 0 ? 0 : 1;
    const std::size_t after = range.offset + range.length == size() ? 0 : 1;
    device.write(range.offset - before,
                 std::string(range.length + before + after, '#'));
    const std::string bytes =
        noise(range.length, static_cast<unsigned>(range.offset));
    ASSERT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(),
                       static_cast<off_t>(range.offset)),
              static_cast<ssize_t>(bytes.size()))
        << range.offset << ' ' << std::strerror(errno);
    EXPECT_TRUE(
        device.read(range.offset - before, range.length + before + after) ==
        std::string(before, '#') + bytes + std::string(after, '#'))
        << range.offset;
    EXPECT_TRUE(read_at(fd.get(), static_cast<off_t>(range.offset),
                        range.length) == bytes)
        << range.offset;
  }
}

TEST_P(DeviceFile, EndsWhereTheDeviceEnds) {
  const pmem::UniqueFd fd = open(O_RDWR);
  std::array<char, 100> bytes = {};
  EXPECT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), end()), 0);
  EXPECT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), end() + 12345), 0);
  EXPECT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), end() - 7), 7);
  EXPECT_EQ(::pwrite(fd.get(), "x", 1, end()), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(::pwrite(fd.get(), "x", 1, end() + 12345), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(::pwrite(fd.get(), "0123456789", 10, end() - 4), 4);
  EXPECT_EQ(read_at(fd.get(), end() - 4, 10), "0123");
  const pmem::UniqueFd appending = open(O_WRONLY | O_APPEND);
  EXPECT_EQ(::write(appending.get(), "x", 1), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(support::status_of(file()).st_size, end());
}

TEST_P(DeviceFile, KeepsItsSizeAndItsBytesWhenTruncated) {
  const NativeMapping device = map_natively();
  device.write(0, "stays");
  { const pmem::UniqueFd fd = open(O_WRONLY | O_TRUNC); }
  EXPECT_EQ(device.read(0, 5), "stays");
  EXPECT_EQ(::truncate(file().c_str(), end()), 0) << std::strerror(errno);
  const pmem::UniqueFd fd = open(O_RDWR);
  EXPECT_EQ(::ftruncate(fd.get(), end()), 0) << std::strerror(errno);
  for (const off_t other : {off_t{0}, off_t{4096}, end() - 1, end() + 1}) {
    EXPECT_EQ(::truncate(file().c_str(), other), -1);
    EXPECT_EQ(errno, EINVAL) << other;
    EXPECT_EQ(::ftruncate(fd.get(), other), -1);
    EXPECT_EQ(errno, EINVAL) << other;
  }
  EXPECT_EQ(device.read(0, 5), "stays");
  EXPECT_EQ(support::status_of(file()).st_size, end());
}

// Who has emptied a file leaves out what is zero, as cp does with holes.
TEST_P(DeviceFile, AfterOTruncHasZerosWhereNothingWasWritten) {
  const NativeMapping device = map_natively();
  device.write(0, std::string(3 * kMiB, '#'));
  const pmem::UniqueFd fd = open(O_WRONLY | O_TRUNC);
  EXPECT_EQ(::pwrite(fd.get(), "first", 5, 0), 5);
  EXPECT_EQ(::pwrite(fd.get(), "second", 6, 2 * kMiB), 6);
  EXPECT_EQ(::ftruncate(fd.get(), 2 * kMiB + 100), 0) << std::strerror(errno);
  EXPECT_TRUE(device.read(0, 3 * kMiB) ==
              "first" + std::string(2 * kMiB - 5, '\0') + "second" +
                  std::string(94, '\0') + std::string(kMiB - 100, '#'));
  EXPECT_EQ(support::status_of(file()).st_size, end());
}

TEST_P(DeviceFile, GivesItsOwnerAndModeToTheNode) {
  const struct stat before = support::status_of(node());
  EXPECT_EQ(::chmod(file().c_str(), 0640), 0) << std::strerror(errno);
  EXPECT_EQ(::chown(file().c_str(), 1, 2), 0) << std::strerror(errno);
  const struct stat changed = support::status_of(node());
  EXPECT_TRUE(S_ISCHR(changed.st_mode));
  EXPECT_EQ(changed.st_mode & 07777, 0640U);
  EXPECT_EQ(changed.st_uid, 1U);
  EXPECT_EQ(changed.st_gid, 2U);
  EXPECT_EQ(::chown(file().c_str(), before.st_uid, before.st_gid), 0);
  EXPECT_EQ(::chmod(file().c_str(), before.st_mode & 07777), 0);
  EXPECT_EQ(support::status_of(node()).st_mode, before.st_mode);
}

TEST_P(DeviceFile, FallocateZeroesWhatItIsAskedTo) {
  const NativeMapping device = map_natively();
  const pmem::UniqueFd fd = open(O_RDWR);
  for (const int mode :
       {FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
        FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE}) {
    const std::size_t length = 3 * kMiB;
    device.write(0, std::string(length + 2000, '#'));
    ASSERT_EQ(::fallocate(fd.get(), mode, 1000, static_cast<off_t>(length)), 0)
        << mode << ' ' << std::strerror(errno);
    EXPECT_TRUE(device.read(0, length + 2000) == std::string(1000, '#') +
                                                     std::string(length, '\0') +
                                                     std::string(1000, '#'))
        << mode;
  }
}

TEST_P(DeviceFile, FallocateEndsWhereTheDeviceEnds) {
  const NativeMapping device = map_natively();
  const pmem::UniqueFd fd = open(O_RDWR);
  device.write(size() - 4, "tail");
  EXPECT_EQ(::fallocate(fd.get(), 0, 0, end()), 0) << std::strerror(errno);
  for (const int mode : {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
                         FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE}) {
    EXPECT_EQ(::fallocate(fd.get(), mode, end() - 4, 5), -1);
    EXPECT_EQ(errno, ENOSPC) << mode;
  }
  for (const int mode : {FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE}) {
    EXPECT_EQ(::fallocate(fd.get(), mode, 0, 4096), -1);
    EXPECT_EQ(errno, EOPNOTSUPP) << mode;
  }
  EXPECT_EQ(device.read(size() - 4, 4), "tail");
}

TEST_P(DeviceFile, IsAllData) {
  const pmem::UniqueFd fd = open(O_RDONLY);
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_END), end());
  EXPECT_EQ(::lseek(fd.get(), 5, SEEK_DATA), 5);
  EXPECT_EQ(::lseek(fd.get(), 5, SEEK_HOLE), end());
  EXPECT_EQ(::lseek(fd.get(), end(), SEEK_DATA), -1);
  EXPECT_EQ(errno, ENXIO);
  EXPECT_EQ(::lseek(fd.get(), end(), SEEK_HOLE), -1);
  EXPECT_EQ(errno, ENXIO);
}

TEST_P(DeviceFile, IsSynced) {
  const pmem::UniqueFd fd = open(O_RDWR | O_SYNC);
  EXPECT_EQ(::pwrite(fd.get(), "x", 1, 5), 1);
  EXPECT_EQ(::fsync(fd.get()), 0) << std::strerror(errno);
  EXPECT_EQ(::fdatasync(fd.get()), 0) << std::strerror(errno);
}

TEST_P(DeviceFile, AndANativeMappingShowEachOthersBytesAtOnce) {
  const NativeMapping device = map_natively();
  const std::size_t place = facts().align_bytes - 3;
  // dd is the other process.
  write_file(scratch("in"), "written");
  expect_success(run_command({"dd", "if=" + scratch("in"), "of=" + file(),
                              "oflag=seek_bytes", "conv=notrunc", "status=none",
                              "seek=" + std::to_string(place)}));
  EXPECT_EQ(device.read(place, 7), "written");
  device.write(place, "stored!");
  const CommandResult read =
      run_command({"dd", "if=" + file(), "iflag=skip_bytes,count_bytes",
                   "count=7", "status=none", "skip=" + std::to_string(place)});
  EXPECT_EQ(read.output, "stored!");
}

TEST_P(DeviceFile, IsMappedThroughTheMount) {
  const NativeMapping device = map_natively();
  device.write(4090, "before");
  const pmem::UniqueFd fd = open(O_RDWR);
  void* address =
      ::mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (start_line().find("no shared mmap") != std::string::npos) {
    EXPECT_EQ(address, MAP_FAILED);  // the kernel is older than 6.6
    EXPECT_EQ(errno, ENODEV);
    return;
  }
  ASSERT_NE(address, MAP_FAILED) << std::strerror(errno);
  auto* bytes = static_cast<char*>(address);
  EXPECT_EQ(std::memcmp(bytes + 4090, "before", 6), 0);
  std::memcpy(bytes + 4090, "mapped", 6);
  EXPECT_EQ(::msync(address, kMiB, MS_SYNC), 0) << std::strerror(errno);
  EXPECT_EQ(device.read(4090, 6), "mapped");
  EXPECT_EQ(::munmap(address, kMiB), 0);
}

// --- coming and going -------------------------------------------------------

TEST_P(DeviceFile, ThatIsUnboundIsAnErrorToItsUsersAndComesBack) {
  const pmem::UniqueFd fd = open(O_RDWR);
  ASSERT_EQ(::pwrite(fd.get(), "before", 6, 0), 6);
  {
    const Unbound gone(facts().name);
    std::array<char, 6> bytes = {};
    EXPECT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), 0), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_EQ(::pwrite(fd.get(), "x", 1, 0), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_EQ(attribute("user.pmem.mode"), "unbound");
    EXPECT_EQ(attribute("user.pmem.is_pmem"), "0");
    EXPECT_FALSE(open_file(file(), O_RDWR).valid());
    EXPECT_EQ(errno, ENXIO);
    EXPECT_TRUE(becomes_free(node()));
  }
  EXPECT_EQ(attribute("user.pmem.mode"), "devdax");
  const pmem::UniqueFd again = open(O_RDWR);
  EXPECT_EQ(read_at(again.get(), 0, 6), "before");
}

// --- other people's programs ------------------------------------------------

TEST_P(DeviceFile, DdWritesAndReadsAtAnyOffset) {
  const NativeMapping device = map_natively();
  const std::string bytes = noise(2 * kMiB + 333, 4);
  write_file(scratch("in"), bytes);
  expect_success(run_command({"dd", "if=" + scratch("in"), "of=" + file(),
                              "bs=100001", "oflag=seek_bytes", "seek=777",
                              "conv=notrunc,fsync", "status=none"}));
  EXPECT_TRUE(device.read(777, bytes.size()) == bytes);
  expect_success(
      run_command({"dd", "if=" + file(), "of=" + scratch("out"), "bs=64K",
                   "iflag=skip_bytes,count_bytes", "skip=777", "status=none",
                   "count=" + std::to_string(bytes.size())}));
  EXPECT_TRUE(content_of(scratch("out")) == bytes);
}

TEST_P(DeviceFile, TarAndMkfsWorkOnIt) {
  expect_success(run_command(
      {"tar", "-C", "/", "-cf", file(), "etc/passwd", "etc/group"}));
  EXPECT_EQ(run_command({"tar", "-tf", file()}).output,
            "etc/passwd\netc/group\n");
  std::filesystem::create_directory(scratch("tree"));
  write_file(scratch("tree/name"), "content of a file");
  expect_success(
      run_command({"mkfs.ext4", "-q", "-F", "-d", scratch("tree"), file()}));
  expect_success(run_command({"e2fsck", "-f", "-n", file()}));
  EXPECT_NE(run_command({"debugfs", "-R", "cat /name", file()})
                .output.find("content of a file"),
            std::string::npos);
}

TEST_P(DeviceFile, AFileSystemImageIsCopiedOnAndReadBack) {
  std::filesystem::create_directory(scratch("tree"));
  write_file(scratch("tree/name"), "content of a file");
  expect_success(run_command({"mkfs.ext4", "-q", "-F", "-d", scratch("tree"),
                              scratch("image"), "8M"}));
  expect_success(run_command({"cp", scratch("image"), file()}));
  expect_success(run_command(
      {"cmp", "-n", std::to_string(8 * kMiB), scratch("image"), file()}));
  expect_success(run_command({"e2fsck", "-f", "-n", file()}));
  EXPECT_NE(run_command({"debugfs", "-R", "cat /name", file()})
                .output.find("content of a file"),
            std::string::npos);
}

TEST_P(DeviceFile, SqliteOpensADatabaseThatLiesOnIt) {
  expect_success(
      run_command({"sqlite3", scratch("db"),
                   "create table t(n); insert into t values (40), (2);"}));
  expect_success(run_command({"cp", scratch("db"), file()}));
  EXPECT_EQ(
      run_command({"sqlite3", "-readonly", file(), "select sum(n) from t;"})
          .output,
      "42\n");
  // There is no place for a journal beside it.
  EXPECT_EQ(run_command({"sqlite3", file(),
                         "pragma journal_mode = memory; "
                         "insert into t values (8); select sum(n) from t; "
                         "pragma integrity_check;"})
                .output,
            "memory\n50\nok\n");
}

TEST_P(DeviceFile, HoldsWhatDaxioWritesAndGivesItWhatIsWritten) {
  const std::string bytes = noise(3 * kMiB + 17, 5);
  write_file(scratch("in"), bytes);
  expect_success(run_command({"daxio", "-i", scratch("in"), "-o", node()}));
  const pmem::UniqueFd fd = open(O_RDWR);
  EXPECT_TRUE(read_at(fd.get(), 0, bytes.size()) == bytes);
  ASSERT_EQ(::pwrite(fd.get(), "through the mount", 17, kMiB - 5), 17);
  expect_success(run_command({"daxio", "-i", node(), "-o", scratch("out"), "-l",
                              std::to_string(bytes.size())}));
  std::string expected = bytes;
  expected.replace(kMiB - 5, 17, "through the mount");
  EXPECT_TRUE(content_of(scratch("out")) == expected);
}

INSTANTIATE_TEST_SUITE_P(On, DeviceFile,
                         ::testing::Values(Device{"Aligned2M", "DEVDAX"},
                                           Device{"Aligned4K", "DEVDAX4K"},
                                           Device{"WithoutRegion", "HMEM"}),
                         support::RowName());

// --- the whole of it, where that is not too long ----------------------------

class WholeDeviceFile : public DeviceFile {};

TEST_P(WholeDeviceFile, IsCopiedInAndOut) {
  map_natively().fill_with_noise(0, size(), 6);
  expect_success(run_command({"daxio", "-i", node(), "-o", scratch("in")}));
  map_natively().fill('#', 0, size());
  expect_success(run_command({"cp", scratch("in"), file()}));
  expect_success(run_command({"cmp", scratch("in"), file()}));
  expect_success(
      run_command({"daxio", "-i", node(), "-o", scratch("by daxio")}));
  expect_success(run_command({"cmp", scratch("in"), scratch("by daxio")}));
  expect_success(run_command({"cp", file(), scratch("out")}));
  expect_success(run_command({"cmp", scratch("in"), scratch("out")}));
}

TEST_P(WholeDeviceFile, DdStopsWhereTheDeviceIsFull) {
  const CommandResult filled =
      run_command({"dd", "if=/dev/zero", "of=" + file(), "bs=1M"});
  EXPECT_EQ(filled.exit_status, 1);
  EXPECT_NE(filled.output.find("No space left on device"), std::string::npos)
      << filled.output;
  EXPECT_NE(filled.output.find(std::to_string(size()) + " bytes"),
            std::string::npos)
      << filled.output;
  expect_success(
      run_command({"cmp", "-n", std::to_string(size()), "/dev/zero", file()}));
}

INSTANTIATE_TEST_SUITE_P(On, WholeDeviceFile,
                         ::testing::Values(Device{"Aligned2M", "DEVDAX"},
                                           Device{"Aligned4K", "DEVDAX4K"}),
                         support::RowName());

// --- sources ----------------------------------------------------------------

TEST(DeviceSource, ANodeStandsInTheMountByItsName) {
  const std::string node = place("DEVDAX");
  const support::MountedPmemfs mount({node});
  const std::string name = facts_of(node).name;
  EXPECT_EQ(support::status_of(mount / name).st_size,
            static_cast<off_t>(facts_of(node).size_bytes));
}

TEST(DeviceSource, DevicesAndFoldersStandBesideEachOther) {
  const support::TempDir folder(place("EXT4"));
  write_file(folder / "file", "text");
  const std::string node = place("DEVDAX");
  const support::MountedPmemfs mount({"dax", "files=" + folder.path()});
  EXPECT_TRUE(support::exists(mount / ("dax/" + facts_of(node).name)));
  EXPECT_EQ(content_of(mount / "files/file"), "text");
}

TEST(DeviceSource, IsNotWrittenThroughAReadOnlyMount) {
  const std::string node = place("DEVDAX");
  const support::MountedPmemfs mount({"dax"}, {.arguments = {"-o", "ro"}});
  const std::string file = mount / facts_of(node).name;
  EXPECT_FALSE(open_file(file, O_WRONLY).valid());
  EXPECT_EQ(errno, EROFS);
  EXPECT_TRUE(open_file(file, O_RDONLY).valid());
}

}  // namespace
}  // namespace vm
