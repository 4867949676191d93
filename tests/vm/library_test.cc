// The library on real persistent memory, and on what is none: the C interface
// and what the C++ one tells of the same mappings.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "libpmem.h"
#include "pmem/mapping.h"
#include "support/command.h"
#include "support/files.h"
#include "support/row_name.h"
#include "support/temp_dir.h"
#include "vm/guest.h"

namespace vm {
namespace {

using support::open_file;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kHugePage = 2 * kMiB;
constexpr std::size_t kPage = 4096;

// What pmem_map_file made, until the end of the scope.
class Mapped {
 public:
  explicit Mapped(const std::string& path, std::size_t length = 0,
                  int flags = 0)
      : address_(static_cast<char*>(::pmem_map_file(
            path.c_str(), length, flags, 0644, &length_, &is_pmem_))) {
    EXPECT_NE(address_, nullptr) << ::pmem_errormsg();
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ~Mapped() {
    if (address_ != nullptr) {
      ::pmem_unmap(address_, length_);
    }
  }

  [[nodiscard]] char* address() const { return address_; }
  [[nodiscard]] std::size_t length() const { return length_; }
  [[nodiscard]] bool is_pmem() const { return is_pmem_ == 1; }

 private:
  std::size_t length_ = 0;
  int is_pmem_ = -1;
  char* address_;
};

// The errno of a refused pmem_map_file, 0 if it was not refused.
int refusal_of(const std::string& path, std::size_t length, int flags) {
  std::size_t mapped_length = 0;
  void* address = ::pmem_map_file(path.c_str(), length, flags, 0644,
                                  &mapped_length, nullptr);
  if (address == nullptr) {
    return errno;
  }
  ::pmem_unmap(address, mapped_length);
  return 0;
}

// --- what is persistent memory ----------------------------------------------

// Something to map, where it lies, for as long as the test wants it.
class Thing {
 public:
  Thing() = default;
  virtual ~Thing() = default;
  Thing(const Thing&) = delete;
  Thing& operator=(const Thing&) = delete;
  [[nodiscard]] virtual std::string path() const = 0;
};

class Node : public Thing {
 public:
  explicit Node(const std::string& name) : path_(place(name)) {}
  [[nodiscard]] std::string path() const override { return path_; }

 private:
  std::string path_;
};

// A file of 1 MiB in a new folder below another.
class File : public Thing {
 public:
  explicit File(const std::string& below) : folder_(below) {
    support::write_file(path(), support::noise(kMiB));
  }
  [[nodiscard]] std::string path() const override { return folder_ / "file"; }

 private:
  support::TempDir folder_;
};

// The same on a new ext4.
class FileOnFreshExt4 : public Thing {
 public:
  // `with_dax_flag`: files of the folder have FS_XFLAG_DAX from their birth on.
  explicit FileOnFreshExt4(const std::string& options,
                           bool with_dax_flag = false)
      : file_system_(options) {
    if (with_dax_flag) {
      set_dax_flag(file_system_.path());
    }
    file_.emplace(file_system_.path());
  }
  [[nodiscard]] std::string path() const override { return file_->path(); }

 private:
  static void set_dax_flag(const std::string& folder) {
    const pmem::UniqueFd fd = open_file(folder, O_RDONLY | O_DIRECTORY);
    struct fsxattr attributes = {};
    ASSERT_EQ(::ioctl(fd.get(), FS_IOC_FSGETXATTR, &attributes), 0)
        << std::strerror(errno);
    attributes.fsx_xflags |= FS_XFLAG_DAX;
    ASSERT_EQ(::ioctl(fd.get(), FS_IOC_FSSETXATTR, &attributes), 0)
        << std::strerror(errno);
  }

  FreshExt4 file_system_;
  std::optional<File> file_;
};

struct Kind {
  std::string name;
  std::unique_ptr<Thing> (*make)();
  bool is_pmem;
  std::string granularity;
  std::string reason;  // words of it
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

template <typename T>
std::unique_ptr<Thing> make(const std::string& where) {
  return std::make_unique<T>(where);
}

class WhatIsMapped : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override { thing_ = GetParam().make(); }
  [[nodiscard]] std::string path() const { return thing_->path(); }

 private:
  std::unique_ptr<Thing> thing_;
};

TEST_P(WhatIsMapped, IsPmemOrIsNot) {
  const Mapped mapped(path());
  EXPECT_EQ(mapped.is_pmem(), GetParam().is_pmem);
  EXPECT_EQ(::pmem_is_pmem(mapped.address(), mapped.length()),
            GetParam().is_pmem ? 1 : 0);
  EXPECT_EQ(::pmem_is_pmem(mapped.address() + mapped.length() - 1, 1),
            GetParam().is_pmem ? 1 : 0);
  EXPECT_EQ(::pmem_is_pmem(mapped.address(), mapped.length() + 1), 0);
}

TEST_P(WhatIsMapped, HasAGranularityAndAReason) {
  const auto source = pmem::Source::open(path(), pmem::Access::kReadWrite);
  ASSERT_TRUE(source) << source.error().message();
  const auto mapping = pmem::Mapping::create(*source);
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_STREQ(pmem::granularity_name(mapping->granularity()),
               GetParam().granularity.c_str());
  EXPECT_NE(mapping->reason().find(GetParam().reason), std::string::npos)
      << mapping->reason();
}

TEST_P(WhatIsMapped, TakesMapSyncFromTheKernelIfItIsPmem) {
  const pmem::UniqueFd fd = open_file(path(), O_RDWR);
  ASSERT_TRUE(fd.valid());
  void* address = ::mmap(nullptr, kHugePage, PROT_READ | PROT_WRITE,
                         MAP_SHARED_VALIDATE | MAP_SYNC, fd.get(), 0);
  if (GetParam().is_pmem) {
    ASSERT_NE(address, MAP_FAILED) << std::strerror(errno);
    EXPECT_EQ(::munmap(address, kHugePage), 0);
  } else {
    ASSERT_EQ(address, MAP_FAILED);
    EXPECT_EQ(errno, EOPNOTSUPP);
  }
}

TEST_P(WhatIsMapped, KeepsWhatIsStored) {
  const std::string bytes = support::noise(kPage + 1, 7);
  {
    const Mapped mapped(path());
    if (mapped.is_pmem()) {
      ::pmem_memcpy_persist(mapped.address() + 77, bytes.data(), bytes.size());
    } else {
      std::memcpy(mapped.address() + 77, bytes.data(), bytes.size());
      EXPECT_EQ(::pmem_msync(mapped.address() + 77, bytes.size()), 0);
    }
  }
  const Mapped again(path());
  EXPECT_EQ(std::memcmp(again.address() + 77, bytes.data(), bytes.size()), 0);
}

TEST_P(WhatIsMapped, IsSyncedAndDeeplyPersisted) {
  const Mapped mapped(path());
  mapped.address()[5] = 'x';
  EXPECT_EQ(::pmem_msync(mapped.address() + 5, 1), 0) << ::pmem_errormsg();
  EXPECT_EQ(::pmem_deep_persist(mapped.address() + 5, 1), 0)
      << ::pmem_errormsg();
  EXPECT_EQ(::pmem_deep_persist(mapped.address(), mapped.length()), 0)
      << ::pmem_errormsg();
}

INSTANTIATE_TEST_SUITE_P(
    On, WhatIsMapped,
    ::testing::Values(
        Kind{"DeviceDax2M", [] { return make<Node>("DEVDAX"); }, true,
             "cacheline", "is mapped directly"},
        Kind{"DeviceDax4K", [] { return make<Node>("DEVDAX4K"); }, true,
             "cacheline", "is mapped directly"},
        Kind{"DeviceDaxWithoutRegion", [] { return make<Node>("HMEM"); }, true,
             "cacheline", "is mapped directly"},
        Kind{"Ext4WithDax", [] { return make<File>(place("EXT4")); }, true,
             "cacheline", "(ext2/3/4) maps the file with MAP_SYNC"},
        Kind{"XfsWithDax", [] { return make<File>(place("XFS")); }, true,
             "cacheline", "(xfs) maps the file with MAP_SYNC"},
        Kind{"Ext4WithoutDax",
             [] { return make<FileOnFreshExt4>("dax=never"); }, false, "page",
             "(ext2/3/4) maps the file through the page cache"},
        Kind{"Ext4DaxInodeFlagOff",
             [] { return make<FileOnFreshExt4>("dax=inode"); }, false, "page",
             "(ext2/3/4) maps the file through the page cache"},
        Kind{"Ext4DaxInodeFlagOn",
             []() -> std::unique_ptr<Thing> {
               return std::make_unique<FileOnFreshExt4>("dax=inode", true);
             },
             true, "cacheline", "(ext2/3/4) maps the file with MAP_SYNC"},
        Kind{"Tmpfs", [] { return make<File>("/dev/shm"); }, false, "page",
             "(tmpfs) maps the file through the page cache"}),
    support::RowName());

INSTANTIATE_TEST_SUITE_P(
    VirtioPmem, WhatIsMapped,
    ::testing::Values(Kind{
        "Ext4WithDax", [] { return make<File>(place("VIRTIO")); }, false,
        "page", "(ext2/3/4) maps the file with DAX but refuses MAP_SYNC"}),
    support::RowName());

// --- Device DAX -------------------------------------------------------------

struct Device {
  std::string name;
  std::string variable;
  std::size_t align;
};

void PrintTo(const Device& device, std::ostream* out) { *out << device.name; }

class DeviceDax : public ::testing::TestWithParam<Device> {
 protected:
  [[nodiscard]] static std::string node() { return place(GetParam().variable); }
  [[nodiscard]] static std::size_t size() {
    return facts_of(node()).size_bytes;
  }
};

TEST_P(DeviceDax, TellsItsFactsInSysfs) {
  const pmem::DaxDevice facts = facts_of(node());
  EXPECT_EQ("/dev/" + facts.name, node());
  EXPECT_EQ(facts.mode(), "devdax");
  EXPECT_EQ(facts.align_bytes, GetParam().align);
  EXPECT_EQ(facts.size_bytes % GetParam().align, 0U);
  EXPECT_GE(facts.size_bytes, 32 * kMiB);
}

// Why a mount is of use at all.
TEST_P(DeviceDax, ItselfKnowsNothingButMmap) {
  const pmem::UniqueFd fd = open_file(node(), O_RDWR);
  ASSERT_TRUE(fd.valid()) << std::strerror(errno);
  char byte = 0;
  EXPECT_EQ(::pread(fd.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::pwrite(fd.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::fsync(fd.get()), -1);
  EXPECT_EQ(errno, EINVAL);
  struct stat status = {};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, 0);
}

TEST_P(DeviceDax, IsMappedAsAWhole) {
  const Mapped mapped(node());
  EXPECT_EQ(mapped.length(), size());
  const auto address = reinterpret_cast<std::uintptr_t>(mapped.address());
  EXPECT_EQ(address % kHugePage, 0U);
  mapped.address()[mapped.length() - 1] = 'z';
  EXPECT_EQ(mapped.address()[mapped.length() - 1], 'z');
}

TEST_P(DeviceDax, TakesNoLengthButItsOwn) {
  EXPECT_EQ(refusal_of(node(), size(), 0), 0);
  EXPECT_EQ(refusal_of(node(), 0, PMEM_FILE_CREATE), 0);
  EXPECT_EQ(refusal_of(node(), size(), PMEM_FILE_CREATE | PMEM_FILE_SPARSE), 0);
  EXPECT_EQ(refusal_of(node(), size() - 1, 0), EINVAL);
  EXPECT_EQ(refusal_of(node(), size() + 1, 0), EINVAL);
  EXPECT_EQ(refusal_of(node(), GetParam().align, PMEM_FILE_CREATE), EINVAL);
  EXPECT_EQ(refusal_of(node(), std::numeric_limits<std::size_t>::max(),
                       PMEM_FILE_CREATE),
            EINVAL);
}

TEST_P(DeviceDax, RefusesToBeMade) {
  EXPECT_EQ(refusal_of(node(), 0, PMEM_FILE_CREATE | PMEM_FILE_EXCL), EINVAL);
  EXPECT_EQ(refusal_of(node(), 0, PMEM_FILE_CREATE | PMEM_FILE_TMPFILE),
            EINVAL);
}

// The kernel refuses to unmap what is not aligned as the device is; the
// original forgets the range all the same.
TEST_P(DeviceDax, MisalignedUnmapKeepsTheRange) {
  const std::size_t part =
      GetParam().align == kPage ? kPage / 2 : GetParam().align / 2;
  const Mapped mapped(node());
  if (GetParam().align == kPage) {  // lengths round up, addresses do not
    EXPECT_EQ(::pmem_unmap(mapped.address() + part, kPage), -1);
  } else {
    EXPECT_EQ(::pmem_unmap(mapped.address(), part), -1);
  }
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::pmem_is_pmem(mapped.address(), mapped.length()), 1);
  mapped.address()[0] = 'a';
  EXPECT_EQ(mapped.address()[0], 'a');
}

TEST_P(DeviceDax, PartOfARangeIsUnmapped) {
  const std::size_t part = GetParam().align;
  const Mapped mapped(node());
  ASSERT_EQ(::pmem_unmap(mapped.address() + part, part), 0)
      << ::pmem_errormsg();
  EXPECT_EQ(::pmem_is_pmem(mapped.address(), part), 1);
  EXPECT_EQ(::pmem_is_pmem(mapped.address() + part, 1), 0);
  EXPECT_EQ(::pmem_is_pmem(mapped.address() + 2 * part - 1, 1), 0);
  EXPECT_EQ(
      ::pmem_is_pmem(mapped.address() + 2 * part, mapped.length() - 2 * part),
      1);
  EXPECT_EQ(::pmem_is_pmem(mapped.address(), mapped.length()), 0);
}

TEST_P(DeviceDax, MunmapBehindTheBackIsSeen) {
  std::size_t length = 0;
  auto* address = static_cast<char*>(
      ::pmem_map_file(node().c_str(), 0, 0, 0, &length, nullptr));
  ASSERT_NE(address, nullptr) << ::pmem_errormsg();
  ASSERT_EQ(::pmem_is_pmem(address, length), 1);
  ASSERT_EQ(::munmap(address, length), 0);
  EXPECT_EQ(::pmem_is_pmem(address, length), 0);
  EXPECT_EQ(::pmem_is_pmem(address, 1), 0);
  const Mapped again(node());
  EXPECT_TRUE(again.is_pmem());
}

TEST_P(DeviceDax, MmapPastThePmemCallsIsNotKnown) {
  const pmem::UniqueFd fd = open_file(node(), O_RDWR);
  ASSERT_TRUE(fd.valid());
  void* address = ::mmap(nullptr, kHugePage, PROT_READ | PROT_WRITE, MAP_SHARED,
                         fd.get(), 0);
  ASSERT_NE(address, MAP_FAILED) << std::strerror(errno);
  EXPECT_EQ(::pmem_is_pmem(address, kHugePage), 0);
  EXPECT_EQ(::munmap(address, kHugePage), 0);
}

// pmem_msync has no effect there; the kernel's msync is refused.
TEST_P(DeviceDax, SyncsWhereTheKernelRefuses) {
  const Mapped mapped(node());
  EXPECT_EQ(::msync(mapped.address(), kPage, MS_SYNC), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::pmem_msync(mapped.address(), kPage), 0) << ::pmem_errormsg();
}

TEST_P(DeviceDax, HoldsTheSameBytesForTwoMappings) {
  const Mapped one(node());
  const Mapped other(node());
  ASSERT_NE(one.address(), other.address());
  const std::string bytes = support::noise(300, 9);
  ::pmem_memcpy_persist(one.address() + kHugePage - 100, bytes.data(),
                        bytes.size());
  EXPECT_EQ(std::memcmp(other.address() + kHugePage - 100, bytes.data(),
                        bytes.size()),
            0);
}

TEST_P(DeviceDax, HoldsWhatDaxioWritesAndGivesItWhatIsStored) {
  const support::TempDir folder;
  const std::string in = support::noise(3 * kMiB + 17, 3);
  support::write_file(folder / "in", in);
  const support::CommandResult written =
      support::run_command({"daxio", "-i", folder / "in", "-o", node()});
  ASSERT_EQ(written.exit_status, 0) << written.output;
  const Mapped mapped(node());
  EXPECT_EQ(std::memcmp(mapped.address(), in.data(), in.size()), 0);
  ::pmem_memset_persist(mapped.address() + 5, 'q', 1000);
  const support::CommandResult read =
      support::run_command({"daxio", "-i", node(), "-o", folder / "out", "-l",
                            std::to_string(in.size())});
  ASSERT_EQ(read.exit_status, 0) << read.output;
  std::string expected = in;
  expected.replace(5, 1000, std::string(1000, 'q'));
  EXPECT_TRUE(support::content_of(folder / "out") == expected);
}

INSTANTIATE_TEST_SUITE_P(
    On, DeviceDax,
    ::testing::Values(Device{"Aligned2M", "DEVDAX", kHugePage},
                      Device{"Aligned4K", "DEVDAX4K", kPage},
                      Device{"WithoutRegion", "HMEM", kHugePage}),
    support::RowName());

// --- files on file systems with DAX -----------------------------------------

struct FileSystem {
  std::string name;
  std::string variable;
};

void PrintTo(const FileSystem& system, std::ostream* out) {
  *out << system.name;
}

class FsDax : public ::testing::TestWithParam<FileSystem> {
 protected:
  [[nodiscard]] std::string file() const { return folder_ / "file"; }

 private:
  support::TempDir folder_ = support::TempDir(place(GetParam().variable));
};

TEST_P(FsDax, CreatesAFileThatIsPmemToItsLastByte) {
  const Mapped mapped(file(), 5000, PMEM_FILE_CREATE);
  EXPECT_TRUE(mapped.is_pmem());
  EXPECT_EQ(mapped.length(), 5000U);
  EXPECT_EQ(::pmem_is_pmem(mapped.address(), 5000), 1);
  EXPECT_EQ(::pmem_is_pmem(mapped.address(), 5001), 0);
  EXPECT_EQ(support::status_of(file()).st_size, 5000);
}

TEST_P(FsDax, SparseIsPmemAndGetsBlocksByStores) {
  const Mapped mapped(file(), 8 * kMiB, PMEM_FILE_CREATE | PMEM_FILE_SPARSE);
  EXPECT_TRUE(mapped.is_pmem());
  EXPECT_EQ(support::status_of(file()).st_blocks, 0);
  ::pmem_memset_persist(mapped.address() + 4 * kMiB, 'x', 1);
  EXPECT_GT(support::status_of(file()).st_blocks, 0);
  EXPECT_EQ(support::content_of(file()).at(4 * kMiB), 'x');
}

TEST_P(FsDax, StoresShowToReadersAtOnce) {
  const Mapped mapped(file(), kMiB, PMEM_FILE_CREATE);
  const pmem::UniqueFd fd = open_file(file(), O_RDWR);
  std::memcpy(mapped.address() + 4090, "across a page", 13);
  EXPECT_EQ(support::read_at(fd.get(), 4090, 13), "across a page");
  ASSERT_EQ(::pwrite(fd.get(), "written", 7, 100), 7);
  EXPECT_EQ(std::memcmp(mapped.address() + 100, "written", 7), 0);
}

TEST_P(FsDax, PartOfARangeIsUnmapped) {
  const Mapped mapped(file(), 4 * kPage, PMEM_FILE_CREATE);
  ASSERT_EQ(::pmem_unmap(mapped.address() + kPage, kPage), 0);
  EXPECT_EQ(::pmem_is_pmem(mapped.address(), kPage), 1);
  EXPECT_EQ(::pmem_is_pmem(mapped.address() + kPage, 1), 0);
  EXPECT_EQ(::pmem_is_pmem(mapped.address() + 2 * kPage, 2 * kPage), 1);
}

TEST_P(FsDax, MunmapBehindTheBackIsSeen) {
  std::size_t length = 0;
  void* address = ::pmem_map_file(file().c_str(), kMiB, PMEM_FILE_CREATE, 0600,
                                  &length, nullptr);
  ASSERT_NE(address, nullptr) << ::pmem_errormsg();
  ASSERT_EQ(::munmap(address, length), 0);
  EXPECT_EQ(::pmem_is_pmem(address, length), 0);
}

TEST_P(FsDax, NamelessFileIsPmem) {
  const std::string folder =
      std::filesystem::path(file()).parent_path().string();
  const Mapped mapped(folder, kMiB, PMEM_FILE_CREATE | PMEM_FILE_TMPFILE);
  EXPECT_TRUE(mapped.is_pmem());
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

INSTANTIATE_TEST_SUITE_P(On, FsDax,
                         ::testing::Values(FileSystem{"Ext4", "EXT4"},
                                           FileSystem{"Xfs", "XFS"}),
                         support::RowName());

}  // namespace
}  // namespace vm
