#include "fs/xattr_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "pmem/unique_fd.h"
#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using pmem::Result;
using pmem::UniqueFd;

class XattrTable : public ::testing::Test {
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
        get_virtual_xattr(*facts, std::string(kXattrPrefix) + name);
    return value ? *value : "error " + std::to_string(value.error().code);
  }

  support::TempDir dir_;
};

TEST_F(XattrTable, EveryListedNameHasAValueOfOneLine) {
  const UniqueFd fd = make_file("file", 5000);
  const std::string names = list_virtual_xattrs();
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

TEST_F(XattrTable, AnUnknownNameHasNoValue) {
  const UniqueFd fd = make_file("file", 5000);
  EXPECT_EQ(get(fd.get(), "numa"), "error " + std::to_string(ENODATA));
  EXPECT_EQ(get(fd.get(), ""), "error " + std::to_string(ENODATA));
}

TEST_F(XattrTable, AnEmptyFileMapsNothing) {
  const UniqueFd fd = make_file("file", 0);
  EXPECT_EQ(get(fd.get(), "mapped_length"), "0");
  EXPECT_EQ(get(fd.get(), "is_pmem"), "0");
  EXPECT_EQ(get(fd.get(), "sparse"), "0");
  EXPECT_EQ(get(fd.get(), "granularity"), "page");
  EXPECT_EQ(get(fd.get(), "reason"), "the file is empty: nothing is mapped");
}

TEST_F(XattrTable, TheMappedLengthIsExact) {
  EXPECT_EQ(get(make_file("a", 5000).get(), "mapped_length"), "5000");
  EXPECT_EQ(get(make_file("b", off_t{3} << 30).get(), "mapped_length"),
            "3221225472");
}

TEST_F(XattrTable, AFileThatCannotBeMappedSaysWhy) {
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

TEST_F(XattrTable, APathWithANewlineStaysOneLine) {
  const UniqueFd fd = make_file("two\nlines", 1);
  EXPECT_EQ(get(fd.get(), "path"), dir_ / "two\\012lines");
}

TEST_F(XattrTable, ThePathOfADeletedFileIsItsLast) {
  const UniqueFd fd = make_file("gone", 1);
  ASSERT_EQ(::unlink((dir_ / "gone").c_str()), 0);
  EXPECT_EQ(get(fd.get(), "path"), dir_ / "gone");
}

}  // namespace
}  // namespace pmemfs
