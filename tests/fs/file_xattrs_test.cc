#include "fs/file_xattrs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "fs/extents.h"
#include "fs/xattr_table.h"
#include "pmem/unique_fd.h"
#include "support/fake_sysfs.h"
#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using pmem::Result;
using pmem::UniqueFd;

class FileXattrs : public ::testing::Test {
 protected:
  UniqueFd make_file(const std::string& name, off_t length) {
    UniqueFd fd(::open((dir_ / name).c_str(), O_RDWR | O_CREAT, 0600));
    EXPECT_EQ(::ftruncate(fd.get(), length), 0);
    return fd;
  }

  static std::string get(int fd, const std::string& name) {
    Result<FileFacts> facts = FileFacts::create(fd);
    EXPECT_TRUE(facts);
    const Result<std::string> value =
        get_file_xattr(*facts, std::string(kXattrPrefix) + name);
    return value ? *value : "error " + std::to_string(value.error().code);
  }

  support::TempDir dir_;
};

TEST_F(FileXattrs, EveryListedNameHasAValueOfOneLine) {
  const UniqueFd fd = make_file("file", 5000);
  Result<FileFacts> facts = FileFacts::create(fd.get());
  ASSERT_TRUE(facts);
  const std::string names = list_file_xattrs(*facts);
  std::size_t count = 0;
  for (std::size_t at = 0; at < names.size();) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    ++count;
    EXPECT_TRUE(is_virtual_xattr(name));
    const std::string value = get(fd.get(), name.substr(kXattrPrefix.size()));
    EXPECT_FALSE(value.empty()) << name;
    EXPECT_EQ(value.find('\n'), std::string::npos) << name;
    EXPECT_EQ(value.find("error"), std::string::npos) << name;
  }
  EXPECT_EQ(count, 9U);
}

// --- bad blocks -------------------------------------------------------------

// A file whose block device is a made-up one, with a list of its own.
class BadBlocksOfFile : public FileXattrs {
 protected:
  void SetUp() override {
    file_ = make_file("file", 0);
    const std::string bytes(kLength, '#');
    ASSERT_EQ(::pwrite(file_.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(kLength));
    ASSERT_EQ(::fsync(file_.get()), 0);
    struct stat status = {};
    ASSERT_EQ(::fstat(file_.get(), &status), 0);
    const auto extents = placed_extents(file_.get(), status);
    if (!extents || extents->size() != 1) {
      GTEST_SKIP() << dir_.path()
                   << " does not tell where its files lie (tmpfs?)";
    }
    place_ = extents->front().device_offset_bytes;
    device_ = "dev/block/" + std::to_string(::major(status.st_dev)) + ":" +
              std::to_string(::minor(status.st_dev));
    sysfs_.write(device_ + "/size", std::to_string(std::uint64_t{1} << 50));
  }

  // Given by where they lie in the file.
  void list(const std::vector<pmem::BadRange>& blocks) {
    std::string text;
    for (const pmem::BadRange& block : blocks) {
      text += std::to_string((place_ + block.offset_bytes) / 512) + " " +
              std::to_string(block.length_bytes / 512) + "\n";
    }
    sysfs_.write(device_ + "/badblocks", text);
  }

  [[nodiscard]] std::string found() {
    Result<FileFacts> facts = FileFacts::create(file_.get(), sysfs_.root());
    EXPECT_TRUE(facts);
    const Result<std::string> value =
        get_file_xattr(*facts, "user.pmem.bad_blocks");
    return value ? *value : ::strerrorname_np(value.error().code);
  }

  [[nodiscard]] bool is_listed() {
    Result<FileFacts> facts = FileFacts::create(file_.get(), sysfs_.root());
    EXPECT_TRUE(facts);
    return list_file_xattrs(*facts).find("user.pmem.bad_blocks") !=
           std::string::npos;
  }

  static constexpr std::uint64_t kLength = 65536;

  support::FakeSysfs sysfs_;
  UniqueFd file_;
  std::string device_;
  std::uint64_t place_ = 0;
};

TEST_F(BadBlocksOfFile, AreNoneWhereTheDeviceHasNone) {
  list({});
  EXPECT_EQ(found(), "none");
  EXPECT_TRUE(is_listed());
}

TEST_F(BadBlocksOfFile, AreNoneWhereOthersHaveThem) {
  list({{kLength, 4096}});
  EXPECT_EQ(found(), "none");
}

TEST_F(BadBlocksOfFile, AreCountedFromItsOwnBeginning) {
  list({{0, 512}, {8192, 1024}, {kLength - 512, 4096}});
  EXPECT_EQ(found(), "0+512 8192+1024 65024+512");
}

TEST_F(BadBlocksOfFile, AreMissingWhereNoListIsKept) {
  EXPECT_EQ(found(), "ENODATA");
  EXPECT_FALSE(is_listed());
}

TEST_F(BadBlocksOfFile, AreAFailureWhereTheListCannotBeRead) {
  sysfs_.write(device_ + "/badblocks", "one two");
  EXPECT_EQ(found(), "EIO");
  EXPECT_TRUE(is_listed());
}

// --- the others -------------------------------------------------------------

TEST_F(FileXattrs, AnUnknownNameHasNoValue) {
  const UniqueFd fd = make_file("file", 5000);
  EXPECT_EQ(get(fd.get(), "numa"), "error " + std::to_string(ENODATA));
  EXPECT_EQ(get(fd.get(), ""), "error " + std::to_string(ENODATA));
}

TEST_F(FileXattrs, AnEmptyFileMapsNothing) {
  const UniqueFd fd = make_file("file", 0);
  EXPECT_EQ(get(fd.get(), "mapped_length"), "0");
  EXPECT_EQ(get(fd.get(), "is_pmem"), "0");
  EXPECT_EQ(get(fd.get(), "sparse"), "0");
  EXPECT_EQ(get(fd.get(), "granularity"), "page");
  EXPECT_EQ(get(fd.get(), "reason"), "the file is empty: nothing is mapped");
}

TEST_F(FileXattrs, TheMappedLengthIsExact) {
  EXPECT_EQ(get(make_file("a", 5000).get(), "mapped_length"), "5000");
  EXPECT_EQ(get(make_file("b", off_t{3} << 30).get(), "mapped_length"),
            "3221225472");
}

TEST_F(FileXattrs, AFileThatCannotBeMappedSaysWhy) {
  const UniqueFd fd(::open((dir_ / "huge").c_str(), O_RDWR | O_CREAT, 0600));
  if (::ftruncate(fd.get(), off_t{1} << 62) != 0) {
    const UniqueFd shm(::open("/dev/shm", O_TMPFILE | O_RDWR, 0600));
    ASSERT_EQ(::ftruncate(shm.get(), off_t{1} << 62), 0);
    EXPECT_EQ(get(shm.get(), "mapped_length"), "0");
    EXPECT_EQ(get(shm.get(), "is_pmem"), "0");
    EXPECT_TRUE(get(shm.get(), "reason").starts_with("the file cannot be"));
    return;
  }
  EXPECT_EQ(get(fd.get(), "mapped_length"), "0");
  EXPECT_TRUE(get(fd.get(), "reason").starts_with("the file cannot be"));
}

TEST_F(FileXattrs, APathWithANewlineStaysOneLine) {
  const UniqueFd fd = make_file("two\nlines", 1);
  EXPECT_EQ(get(fd.get(), "path"), dir_ / "two\\012lines");
}

TEST_F(FileXattrs, ThePathOfADeletedFileIsItsLast) {
  const UniqueFd fd = make_file("gone", 1);
  ASSERT_EQ(::unlink((dir_ / "gone").c_str()), 0);
  EXPECT_EQ(get(fd.get(), "path"), dir_ / "gone");
}

}  // namespace
}  // namespace pmemfs
