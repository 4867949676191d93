#include "fs/file_system.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using pmem::Result;

class FileSystemTest : public ::testing::Test {
 protected:
  void make_file(const std::string& name) {
    std::filesystem::create_directories(
        std::filesystem::path(dir_ / name).parent_path());
    std::ofstream(dir_ / name) << name;
  }

  static std::unique_ptr<FileSystem> open(
      const std::vector<SourceSpec>& sources) {
    FileSystemOptions options;
    options.sources = sources;
    Result<std::unique_ptr<FileSystem>> made =
        FileSystem::create(std::move(options));
    EXPECT_TRUE(made) << made.error().message();
    return made ? std::move(*made) : nullptr;
  }

  static int error_of(Node& directory, const char* name) {
    const Result<Entry> entry = directory.lookup(name);
    return entry ? 0 : entry.error().code;
  }

  support::TempDir dir_;
};

TEST_F(FileSystemTest, ASingleUnnamedSourceIsTheRoot) {
  make_file("a/file");
  const auto file_system = open({{"", dir_ / "a"}});
  const Result<Entry> entry = file_system->root().lookup("file");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->attributes.st_size, 6);
}

TEST_F(FileSystemTest, NamedSourcesStandUnderTheRoot) {
  make_file("a/file");
  make_file("b/file");
  const auto file_system = open({{"one", dir_ / "a"}, {"two", dir_ / "b"}});
  Node& root = file_system->root();
  const Result<Entry> one = root.lookup("one");
  const Result<Entry> two = root.lookup("two");
  ASSERT_TRUE(one && two);
  EXPECT_NE(one->attributes.st_ino, two->attributes.st_ino);
  EXPECT_EQ(error_of(*one->node, "file"), 0);
  EXPECT_EQ(error_of(root, "three"), ENOENT);

  std::set<std::string> names;
  const auto stream = root.open_directory();
  ASSERT_TRUE(stream);
  const pmem::Lock lock((*stream)->mutex());
  std::uint64_t at = 0;
  for (;;) {
    const auto entry = (*stream)->entry_at(at);
    ASSERT_TRUE(entry);
    if (!*entry) {
      break;
    }
    names.insert((*entry)->name);
    at = (*entry)->offset;
  }
  EXPECT_EQ(names, (std::set<std::string>{".", "..", "one", "two"}));
}

TEST_F(FileSystemTest, TheTopDirectoryRefusesEveryChange) {
  make_file("a/file");
  const auto file_system = open({{"one", dir_ / "a"}});
  Node& root = file_system->root();
  const Caller caller = {};
  EXPECT_EQ(root.make_directory("d", 0755, caller).error().code, EPERM);
  EXPECT_EQ(root.create("f", 0644, 0, caller).error().code, EPERM);
  EXPECT_EQ(root.make_symlink("s", "t", caller).error().code, EPERM);
  EXPECT_EQ(root.remove_directory("one", caller).error().code, EPERM);
  EXPECT_EQ(root.rename("one", root, "two", 0, caller).error().code, EPERM);
  EXPECT_EQ(root.set_xattr("user.x", "1", 0, caller).error().code, EOPNOTSUPP);
}

TEST_F(FileSystemTest, NothingAboveTheSourceIsFound) {
  make_file("a/file");
  make_file("outside");
  const auto file_system = open({{"", dir_ / "a"}});
  EXPECT_NE(error_of(file_system->root(), ".."), 0);
  EXPECT_NE(error_of(file_system->root(), "../outside"), 0);
  EXPECT_NE(error_of(file_system->root(), "/etc"), 0);
}

TEST_F(FileSystemTest, ALinkIsShownAndNotFollowed) {
  make_file("a/file");
  std::filesystem::create_symlink("/etc", dir_ / "a/link");
  const auto file_system = open({{"", dir_ / "a"}});
  const Result<Entry> entry = file_system->root().lookup("link");
  ASSERT_TRUE(entry);
  EXPECT_TRUE(S_ISLNK(entry->attributes.st_mode));
  EXPECT_EQ(entry->node->read_link(), "/etc");
  EXPECT_EQ(error_of(*entry->node, "passwd"), ENOTDIR);
}

TEST_F(FileSystemTest, AMissingSourceIsNamed) {
  FileSystemOptions options;
  options.sources = {{"", dir_ / "missing"}};
  const auto made = FileSystem::create(options);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ENOENT);
  EXPECT_NE(made.error().message().find("missing"), std::string::npos);
}

TEST_F(FileSystemTest, WithoutASourceThereIsNothingToMount) {
  const auto made = FileSystem::create({});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, EINVAL);
}

TEST_F(FileSystemTest, ForgottenNodesAreGone) {
  make_file("a/file");
  const auto file_system = open({{"", dir_ / "a"}});
  const std::size_t before = file_system->nodes().size();
  const Result<Entry> entry = file_system->root().lookup("file");
  ASSERT_TRUE(entry);
  EXPECT_EQ(file_system->nodes().size(), before + 1);
  file_system->nodes().forget(*entry->node, 1);
  EXPECT_EQ(file_system->nodes().size(), before);
}

}  // namespace
}  // namespace pmemfs
