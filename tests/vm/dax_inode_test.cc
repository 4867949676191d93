// File systems that decide for each file whether it is mapped with DAX: the
// flag of the file (chattr +x) under the mount option dax=inode, and those that
// never do. What the mount and the library say is what the kernel does.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "libpmem.h"
#include "support/command.h"
#include "support/files.h"
#include "support/mount_fixture.h"
#include "support/row_name.h"
#include "vm/device_mount.h"
#include "vm/guest.h"

namespace vm {
namespace {

using support::run_command;
using support::write_file;

struct Type {
  std::string name;
  std::string type;
  std::string in_words;
};

void PrintTo(const Type& row, std::ostream* out) { *out << row.name; }

class DaxOfEachFile : public ::testing::TestWithParam<Type> {
 protected:
  // A file under a folder, whose flag new files take over.
  void make_file(const std::string& path, bool has_flag) const {
    const std::string folder = std::filesystem::path(path).parent_path();
    if (folder != source()) {
      std::filesystem::create_directory(folder);
      set_flag(folder, has_flag);
    }
    write_file(path, support::noise(100001));
  }

  static void set_flag(const std::string& path, bool has_flag) {
    expect_success(run_command(
        {"xfs_io", "-c", has_flag ? "chattr +x" : "chattr -x", path}));
  }

  // What the kernel itself says of it.
  static bool is_dax(const std::string& path) {
    struct statx facts = {};
    EXPECT_EQ(::statx(AT_FDCWD, path.c_str(), 0, STATX_TYPE, &facts), 0);
    return (facts.stx_attributes & STATX_ATTR_DAX) != 0;
  }

  void expect_told(const std::string& name, bool dax) const {
    SCOPED_TRACE(name);
    EXPECT_EQ(is_dax(beneath(name)), dax);
    EXPECT_EQ(told(name, "is_pmem"), dax ? "1" : "0");
    EXPECT_EQ(told(name, "granularity"), dax ? "cacheline" : "page");
    EXPECT_EQ(told(name, "kind"), dax ? "fsdax" : "file");
    const std::string reason = "the file system (" + GetParam().in_words +
                               (dax ? ") maps the file with MAP_SYNC"
                                    : ") maps the file through the page cache");
    EXPECT_NE(told(name, "reason").find(reason), std::string::npos)
        << told(name, "reason");
    std::size_t length = 0;
    int is_pmem = -1;
    void* address =
        ::pmem_map_file(beneath(name).c_str(), 0, 0, 0, &length, &is_pmem);
    ASSERT_NE(address, nullptr) << ::pmem_errormsg();
    EXPECT_EQ(is_pmem, dax ? 1 : 0);
    EXPECT_EQ(::pmem_is_pmem(address, length), dax ? 1 : 0);
    EXPECT_EQ(::pmem_unmap(address, length), 0);
  }

  [[nodiscard]] std::string beneath(const std::string& name) const {
    return source() + "/" + name;
  }
  [[nodiscard]] std::string mounted(const std::string& name) const {
    return *mount_ / name;
  }
  [[nodiscard]] std::string source() const { return file_system_->path(); }
  [[nodiscard]] std::string told(const std::string& name,
                                 const std::string& attribute) const {
    return attribute_of(mounted(name), "user.pmem." + attribute);
  }

  void mount_with(const std::string& options) {
    file_system_.emplace(GetParam().type, options);
    mount_.emplace(std::vector<std::string>{source()});
  }

 private:
  std::optional<FreshFileSystem> file_system_;
  std::optional<support::MountedPmemfs> mount_;
};

TEST_P(DaxOfEachFile, FollowsTheFlagUnderDaxInode) {
  mount_with("dax=inode");
  make_file(beneath("plain"), false);
  make_file(beneath("with/file"), true);
  make_file(beneath("without/file"), false);
  expect_told("plain", false);
  expect_told("with/file", true);
  expect_told("without/file", false);
  // Made through the mount, in a folder with the flag.
  write_file(mounted("with/new"), support::noise(5000));
  expect_told("with/new", true);
  write_file(mounted("without/new"), support::noise(5000));
  expect_told("without/new", false);
}

TEST_P(DaxOfEachFile, IsUsedWhileItIsReadAndWritten) {
  mount_with("dax=inode");
  make_file(beneath("with/file"), true);
  make_file(beneath("without/file"), false);
  for (const char* name : {"with/file", "without/file"}) {
    const pmem::UniqueFd fd = support::open_file(mounted(name), O_RDWR);
    EXPECT_EQ(::pwrite(fd.get(), "written", 7, 4093), 7);
    EXPECT_EQ(support::read_at(fd.get(), 4093, 7), "written");
    EXPECT_EQ(support::content_of(beneath(name)).substr(4093, 7), "written");
  }
}

TEST_P(DaxOfEachFile, IsNoneUnderDaxNever) {
  mount_with("dax=never");
  make_file(beneath("plain"), false);
  make_file(beneath("with/file"), true);
  expect_told("plain", false);
  expect_told("with/file", false);
}

TEST_P(DaxOfEachFile, IsAllUnderDaxAlways) {
  mount_with("dax=always");
  make_file(beneath("plain"), false);
  make_file(beneath("without/file"), false);
  expect_told("plain", true);
  expect_told("without/file", true);
}

INSTANTIATE_TEST_SUITE_P(On, DaxOfEachFile,
                         ::testing::Values(Type{"Ext4", "ext4", "ext2/3/4"},
                                           Type{"Xfs", "xfs", "xfs"}),
                         support::RowName());

}  // namespace
}  // namespace vm
