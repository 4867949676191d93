// A mount of directories that lie on persistent memory, and of one that does
// not: what its files tell of themselves, and that what is done through the
// mount is what is done to the files beneath.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "libpmem.h"
#include "support/command.h"
#include "support/files.h"
#include "support/mount_fixture.h"
#include "support/row_name.h"
#include "support/temp_dir.h"
#include "vm/guest.h"

namespace vm {
namespace {

using support::content_of;
using support::noise;
using support::open_file;
using support::read_at;
using support::write_file;

constexpr std::size_t kMiB = std::size_t{1} << 20;

struct Kind {
  std::string name;
  std::string variable;  // "": an ext4 that is mounted without DAX
  bool is_pmem;
  std::string kind;
  std::string reason;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

// A file in the source, and the same one through the mount.
class FsDaxMount : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam().variable.empty()) {
      fresh_.emplace("dax=never");
    }
    source_.emplace(fresh_ ? fresh_->path() : place(GetParam().variable));
    mount_.emplace(std::vector<std::string>{source_->path()});
  }

  [[nodiscard]] std::string beneath() const { return *source_ / "file"; }
  [[nodiscard]] std::string mounted() const { return *mount_ / "file"; }
  [[nodiscard]] std::string log() const { return mount_->log(); }

  // The value, or the name of the errno in angle brackets.
  [[nodiscard]] std::string attribute(const std::string& name) const {
    std::array<char, 4096> value = {};
    const ssize_t length =
        ::lgetxattr(mounted().c_str(), ("user.pmem." + name).c_str(),
                    value.data(), value.size());
    if (length < 0) {
      return std::string("<") + ::strerrorname_np(errno) + ">";
    }
    return {value.data(), static_cast<std::size_t>(length)};
  }

  // Takes all the space of the file system but so much.
  void fill_but_for(std::uint64_t bytes) const {
    struct statvfs status = {};
    ASSERT_EQ(::statvfs(source_->path().c_str(), &status), 0);
    const std::uint64_t free = status.f_bavail * status.f_frsize;
    ASSERT_GT(free, bytes);
    const pmem::UniqueFd fd =
        open_file(*source_ / "filling", O_WRONLY | O_CREAT);
    ASSERT_EQ(::fallocate(fd.get(), 0, 0, static_cast<off_t>(free - bytes)), 0)
        << std::strerror(errno);
  }

 private:
  std::optional<FreshExt4> fresh_;
  std::optional<support::TempDir> source_;
  std::optional<support::MountedPmemfs> mount_;
};

TEST_P(FsDaxMount, FilesTellWhatTheyAre) {
  write_file(mounted(), noise(kMiB + 1));
  const std::string pmem = GetParam().is_pmem ? "1" : "0";
  EXPECT_EQ(attribute("is_pmem"), pmem);
  EXPECT_EQ(attribute("granularity"),
            GetParam().is_pmem ? "cacheline" : "page");
  EXPECT_EQ(attribute("kind"), GetParam().kind);
  EXPECT_EQ(attribute("align"), "4096");
  EXPECT_EQ(attribute("mapped_length"), std::to_string(kMiB + 1));
  EXPECT_EQ(attribute("sparse"), "0");
  EXPECT_EQ(attribute("path"), beneath());
  EXPECT_NE(attribute("reason").find(GetParam().reason), std::string::npos)
      << attribute("reason");
  EXPECT_EQ(attribute("nonsense"), "<ENODATA>");
  EXPECT_EQ(::setxattr(mounted().c_str(), "user.pmem.is_pmem", "1", 1, 0), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST_P(FsDaxMount, SparseFilesAreOfTheSameKind) {
  const pmem::UniqueFd fd = open_file(mounted(), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(fd.get(), 8 * kMiB), 0);
  EXPECT_EQ(attribute("sparse"), "1");
  EXPECT_EQ(attribute("allocated"), "0");
  EXPECT_EQ(attribute("is_pmem"), GetParam().is_pmem ? "1" : "0");
  ASSERT_EQ(::fallocate(fd.get(), 0, 0, 8 * kMiB), 0) << std::strerror(errno);
  EXPECT_EQ(attribute("sparse"), "0");
  EXPECT_EQ(attribute("allocated"), std::to_string(8 * kMiB));
}

TEST_P(FsDaxMount, WritesAreInTheFileBeneathAtOnce) {
  const std::string bytes = noise(3 * kMiB + 7, 2);
  write_file(mounted(), bytes);
  EXPECT_TRUE(content_of(beneath()) == bytes);
  const pmem::UniqueFd through = open_file(mounted(), O_RDWR);
  const pmem::UniqueFd natively = open_file(beneath(), O_RDWR);
  ASSERT_EQ(::pwrite(through.get(), "through the mount", 17, 4090), 17);
  EXPECT_EQ(read_at(natively.get(), 4090, 17), "through the mount");
  ASSERT_EQ(::pwrite(natively.get(), "beneath", 7, 2 * kMiB - 3), 7);
  EXPECT_EQ(read_at(through.get(), 2 * kMiB - 3, 7), "beneath");
}

TEST_P(FsDaxMount, AReadMovesTheTimeOfAccess) {
  write_file(mounted(), "content");
  const std::array<struct timespec, 2> long_ago = {};
  ASSERT_EQ(::utimensat(AT_FDCWD, beneath().c_str(), long_ago.data(), 0), 0);
  const pmem::UniqueFd fd = open_file(mounted(), O_RDONLY);
  EXPECT_EQ(read_at(fd.get(), 0, 7), "content");
  EXPECT_GT(support::status_of(beneath()).st_atim.tv_sec, 0);
}

TEST_P(FsDaxMount, FilesGrowByAppendsWithoutGapsOrOldBytes) {
  std::string expected;
  const pmem::UniqueFd fd = open_file(mounted(), O_WRONLY | O_CREAT | O_APPEND);
  for (unsigned i = 1; i <= 200; ++i) {
    const std::string piece = noise(i * 97, i);
    ASSERT_EQ(::write(fd.get(), piece.data(), piece.size()),
              static_cast<ssize_t>(piece.size()));
    expected += piece;
  }
  EXPECT_EQ(::fsync(fd.get()), 0);
  EXPECT_TRUE(content_of(mounted()) == expected);
  EXPECT_TRUE(content_of(beneath()) == expected);
}

TEST_P(FsDaxMount, AWriteIntoAHoleLeavesTheRestZero) {
  const pmem::UniqueFd fd = open_file(mounted(), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(fd.get(), 4 * kMiB), 0);
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, kMiB + 5), 1);
  std::string expected(4 * kMiB, '\0');
  expected[kMiB + 5] = 'x';
  EXPECT_TRUE(content_of(mounted()) == expected);
  EXPECT_TRUE(content_of(beneath()) == expected);
}

TEST_P(FsDaxMount, PunchedAndTruncatedAwayBytesAreGone) {
  write_file(mounted(), std::string(kMiB, 'x'));
  const pmem::UniqueFd fd = open_file(mounted(), O_RDWR);
  EXPECT_EQ(read_at(fd.get(), 8192, 1), "x");  // it is mapped now
  ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        4096, 3 * 4096),
            0);
  ASSERT_EQ(::ftruncate(fd.get(), 32768), 0);
  ASSERT_EQ(::ftruncate(fd.get(), 65536), 0);
  const std::string zeros(3 * 4096, '\0');
  EXPECT_TRUE(content_of(mounted()) == std::string(4096, 'x') + zeros +
                                           std::string(4 * 4096, 'x') +
                                           std::string(32768, '\0'));
  EXPECT_TRUE(content_of(mounted()) == content_of(beneath()));
}

TEST_P(FsDaxMount, AnotherProcessThatCutsTheFileShortHarmsNobody) {
  write_file(mounted(), std::string(kMiB, 'x'));
  const pmem::UniqueFd fd = open_file(mounted(), O_RDWR);
  EXPECT_EQ(read_at(fd.get(), kMiB - 1, 1), "x");
  ASSERT_EQ(::truncate(beneath().c_str(), 4096), 0);
  EXPECT_LE(read_at(fd.get(), 0, 8192).size(), 4096U);
  EXPECT_EQ(::pwrite(fd.get(), "y", 1, kMiB - 1), 1);
  EXPECT_EQ(content_of(beneath()).size(), kMiB);
  EXPECT_EQ(content_of(beneath()).back(), 'y');
}

TEST_P(FsDaxMount, MmapThroughTheMountStoresIntoTheFileBeneath) {
  write_file(mounted(), std::string(kMiB, 'x'));
  const pmem::UniqueFd fd = open_file(mounted(), O_RDWR);
  void* address =
      ::mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(address, MAP_FAILED) << std::strerror(errno) << '\n' << log();
  auto* bytes = static_cast<char*>(address);
  EXPECT_EQ(bytes[kMiB - 1], 'x');
  std::memcpy(bytes + 4090, "mapped", 6);
  const bool is_backing_file =
      log().find("mmap of the backing file") != std::string::npos;
  if (!is_backing_file) {
    EXPECT_EQ(::msync(address, kMiB, MS_SYNC), 0) << std::strerror(errno);
  }
  const pmem::UniqueFd natively = open_file(beneath(), O_RDWR);
  EXPECT_EQ(read_at(natively.get(), 4090, 6), "mapped");
  EXPECT_EQ(read_at(fd.get(), 4090, 6), "mapped");
  if (is_backing_file) {
    ASSERT_EQ(::pwrite(natively.get(), "beneath", 7, 100), 7);
    EXPECT_EQ(std::memcmp(bytes + 100, "beneath", 7), 0);
  }
  EXPECT_EQ(::munmap(address, kMiB), 0);
}

TEST_P(FsDaxMount, WhatTheLibraryStoredIsReadThroughTheMount) {
  std::size_t length = 0;
  int is_pmem = -1;
  auto* address = static_cast<char*>(::pmem_map_file(
      beneath().c_str(), 2 * kMiB, PMEM_FILE_CREATE, 0644, &length, &is_pmem));
  ASSERT_NE(address, nullptr) << ::pmem_errormsg();
  EXPECT_EQ(is_pmem, GetParam().is_pmem ? 1 : 0);
  const pmem::UniqueFd fd = open_file(mounted(), O_RDWR);
  ::pmem_memcpy_persist(address + kMiB - 2, "stored", 6);
  EXPECT_EQ(read_at(fd.get(), kMiB - 2, 6), "stored");
  ASSERT_EQ(::pwrite(fd.get(), "written", 7, 11), 7);
  EXPECT_EQ(std::memcmp(address + 11, "written", 7), 0);
  EXPECT_EQ(::pmem_unmap(address, length), 0);
}

// Whatever a file through the mount is made of, its mapping is FUSE's: nobody
// may be told that stores there need no msync.
TEST_P(FsDaxMount, TheLibraryFindsNoPmemThroughTheMount) {
  write_file(mounted(), std::string(kMiB, 'x'));
  std::size_t length = 0;
  int is_pmem = -1;
  void* address =
      ::pmem_map_file(mounted().c_str(), 0, 0, 0, &length, &is_pmem);
  ASSERT_NE(address, nullptr) << ::pmem_errormsg();
  EXPECT_EQ(length, kMiB);
  EXPECT_EQ(is_pmem, 0);
  EXPECT_EQ(::pmem_msync(address, length), 0);
  EXPECT_EQ(::pmem_unmap(address, length), 0);
}

TEST_P(FsDaxMount, AFullFileSystemIsNoSpace) {
  fill_but_for(8 * kMiB);
  const pmem::UniqueFd fd = open_file(mounted(), O_WRONLY | O_CREAT);
  const std::string bytes = noise(3 * kMiB);
  int error = 0;
  std::size_t written = 0;
  while (error == 0 && written < 40 * kMiB) {
    const ssize_t count = ::write(fd.get(), bytes.data(), bytes.size());
    error = count < 0 ? errno : 0;
    written += count < 0 ? 0 : static_cast<std::size_t>(count);
  }
  EXPECT_EQ(error, ENOSPC);
  EXPECT_GT(written, 4 * kMiB);
  EXPECT_EQ(support::status_of(beneath()).st_size, static_cast<off_t>(written));
}

TEST_P(FsDaxMount, TarAndSqliteWorkOnIt) {
  const support::CommandResult archived = support::run_command(
      {"tar", "-C", "/", "-cf", mounted(), "etc/passwd", "etc/group"});
  ASSERT_EQ(archived.exit_status, 0) << archived.output;
  EXPECT_EQ(support::run_command({"tar", "-tf", mounted()}).output,
            "etc/passwd\netc/group\n");
  const std::string database = mounted() + ".db";
  const support::CommandResult made =
      support::run_command({"sqlite3", database,
                            "create table t(n); insert into t values(40),(2); "
                            "select sum(n) from t; pragma integrity_check;"});
  EXPECT_EQ(made.output, "42\nok\n");
}

// The kernel's page cache has what was read; what is stored beneath shows in
// the same moment only where reads do without it.
TEST(FsDaxMountMapped, ShowsStoresBeneathAtOnce) {
  const support::TempDir source(place("EXT4"));
  const support::MountedPmemfs mount({source.path()},
                                     {.arguments = {"-o", "io=mapped"}});
  write_file(source / "file", std::string(kMiB, 'x'));
  std::size_t length = 0;
  auto* address = static_cast<char*>(
      ::pmem_map_file((source / "file").c_str(), 0, 0, 0, &length, nullptr));
  ASSERT_NE(address, nullptr) << ::pmem_errormsg();
  const pmem::UniqueFd fd = open_file(mount / "file", O_RDONLY);
  EXPECT_EQ(read_at(fd.get(), 4090, 6), "xxxxxx");
  ::pmem_memcpy_persist(address + 4090, "stored", 6);
  EXPECT_EQ(read_at(fd.get(), 4090, 6), "stored");
  EXPECT_EQ(::pmem_unmap(address, length), 0);
}

INSTANTIATE_TEST_SUITE_P(
    On, FsDaxMount,
    ::testing::Values(Kind{"Ext4WithDax", "EXT4", true, "fsdax",
                           "(ext2/3/4) maps the file with MAP_SYNC"},
                      Kind{"XfsWithDax", "XFS", true, "fsdax",
                           "(xfs) maps the file with MAP_SYNC"},
                      Kind{"Ext4WithoutDax", "", false, "file",
                           "(ext2/3/4) maps the file through the page cache"}),
    support::RowName());

// DAX on memory of the host, which only a flush command makes durable.
INSTANTIATE_TEST_SUITE_P(
    VirtioPmem, FsDaxMount,
    ::testing::Values(Kind{
        "Ext4WithDax", "VIRTIO", false, "fsdax",
        "(ext2/3/4) maps the file with DAX but refuses MAP_SYNC"}),
    support::RowName());

}  // namespace
}  // namespace vm
