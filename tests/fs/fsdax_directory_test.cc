// What discovery shows, from a mount table of the test's own: folders of this
// machine's file systems stand for file systems that are mounted with DAX.
#include "fs/fsdax_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "fs/discovery.h"
#include "fs/entries_of.h"
#include "fs/file_system.h"
#include "support/fake_sysfs.h"
#include "support/files.h"
#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using pmem::Result;
using support::FakeSysfs;
using support::status_of;
using support::TempDir;
using support::write_file;

template <typename Value>
int error_of(const Result<Value>& result) {
  return result ? 0 : result.error().code;
}

using Names = std::set<std::string>;

class FsdaxDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    make_mount_table({});
    FileSystemOptions options;
    options.sources = {{"", "all", SourceKind::kEverything}};
    options.sysfs_root = sysfs_.root();
    options.dev_root = work_ / "dev";
    options.mountinfo_path = work_ / "mountinfo";
    Result<std::unique_ptr<FileSystem>> made =
        FileSystem::create(std::move(options));
    ASSERT_TRUE(made) << made.error().message();
    file_system_ = std::move(*made);
  }

  // A line of the table for the file system that the folder lies in.
  static std::string line(const std::string& folder, const std::string& source,
                          const std::string& options = "rw,dax=always") {
    const dev_t device = status_of(folder).st_dev;
    return "1 0 " + std::to_string(::major(device)) + ":" +
           std::to_string(::minor(device)) + " / " + folder +
           " rw - virtiofs " + source + " " + options + "\n";
  }

  void make_mount_table(const std::vector<std::string>& lines) {
    std::ofstream table(work_ / "mountinfo");
    for (const std::string& one : lines) {
      table << one;
    }
  }

  Node& root() { return file_system_->root(); }

  Node& fsdax() {
    Result<Entry> entry = root().lookup("fsdax");
    EXPECT_TRUE(entry);
    return *entry->node;
  }

  static std::map<std::string, ListedEntry> list(Node& directory) {
    std::map<std::string, ListedEntry> listed;
    for (const ListedEntry& entry : entries_of(directory)) {
      listed[entry.name] = entry;
    }
    return listed;
  }

  static Names names_in(Node& directory) {
    Names names;
    for (const auto& [name, entry] : list(directory)) {
      names.insert(name);
    }
    return names;
  }

  // How many descriptors of this process lead into a folder.
  static std::size_t holds(const std::string& folder) {
    std::size_t count = 0;
    for (const auto& fd :
         std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code ignored;
      const std::string target =
          std::filesystem::read_symlink(fd, ignored).string();
      count += target.starts_with(folder) ? 1U : 0U;
    }
    return count;
  }

  TempDir work_;
  TempDir disk_{"/var/tmp"};
  TempDir memory_{"/dev/shm"};
  FakeSysfs sysfs_;
  std::unique_ptr<FileSystem> file_system_;
};

TEST_F(FsdaxDirectoryTest, StandsBesideTheDevices) {
  const auto listed = list(root());
  ASSERT_EQ(names_in(root()), (Names{".", "..", "dax", "fsdax"}));
  for (const char* name : {"dax", "fsdax"}) {
    const Result<Entry> entry = root().lookup(name);
    ASSERT_TRUE(entry);
    EXPECT_TRUE(S_ISDIR(entry->attributes.st_mode));
    EXPECT_EQ(listed.at(name).type, DT_DIR);
    EXPECT_EQ(listed.at(name).inode, entry->attributes.st_ino);
  }
  EXPECT_EQ(error_of(root().lookup("none")), ENOENT);
  EXPECT_EQ(error_of(root().lookup("pmem0")), ENOENT);
}

TEST_F(FsdaxDirectoryTest, IsEmptyWithoutFileSystems) {
  EXPECT_EQ(names_in(fsdax()), (Names{".", ".."}));
  const Result<struct statvfs> status = root().file_system_status();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->f_blocks, 0U);
  EXPECT_GT(status->f_bsize, 0U);
  EXPECT_EQ(discovered_in_words(work_ / "mountinfo", sysfs_.root()), "");
}

TEST_F(FsdaxDirectoryTest, ShowsFileSystemsAsTheyComeAndGo) {
  write_file(memory_ / "file", "bytes");
  EXPECT_EQ(error_of(fsdax().lookup("one")), ENOENT);
  make_mount_table({line(memory_.path(), "one"), line(disk_.path(), "two")});
  EXPECT_EQ(names_in(fsdax()), (Names{".", "..", "one", "two"}));
  const Result<Entry> one = fsdax().lookup("one");
  ASSERT_TRUE(one) << one.error().message();
  EXPECT_TRUE(one->may_vanish);
  const Result<Entry> file = one->node->lookup("file");
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->attributes.st_size, 5);
  EXPECT_EQ(discovered_in_words(work_ / "mountinfo", sysfs_.root()),
            "the file systems one, two");
  make_mount_table({line(disk_.path(), "two")});
  EXPECT_EQ(names_in(fsdax()), (Names{".", "..", "two"}));
  EXPECT_EQ(error_of(fsdax().lookup("one")), ENOENT);
  make_mount_table({line(disk_.path(), "two", "rw,dax=never")});
  EXPECT_EQ(names_in(fsdax()), (Names{".", ".."}));
}

TEST_F(FsdaxDirectoryTest, WordsTellOfDevicesAndFileSystems) {
  sysfs_.add_dax(::makedev(252, 7), {.name = "dax1.0"});
  EXPECT_EQ(discovered_in_words(work_ / "mountinfo", sysfs_.root()), "dax1.0");
  make_mount_table({line(memory_.path(), "one")});
  EXPECT_EQ(discovered_in_words(work_ / "mountinfo", sysfs_.root()),
            "dax1.0 and the file system one");
}

TEST_F(FsdaxDirectoryTest, InodeNumbersAreUniqueAndStay) {
  make_mount_table({line(memory_.path(), "one"), line(disk_.path(), "two")});
  const Result<Entry> one = fsdax().lookup("one");
  const Result<Entry> two = fsdax().lookup("two");
  ASSERT_TRUE(one && two);
  EXPECT_NE(one->attributes.st_ino >> 48, two->attributes.st_ino >> 48);
  EXPECT_EQ(list(fsdax()).at("one").inode, one->attributes.st_ino);
  EXPECT_EQ(list(fsdax()).at("two").inode, two->attributes.st_ino);
  // Another mount of pmemfs, which meets them in the other order.
  const ino_t one_inode = one->attributes.st_ino;
  const ino_t two_inode = two->attributes.st_ino;
  FileSystemOptions options = file_system_->options();
  Result<std::unique_ptr<FileSystem>> another =
      FileSystem::create(std::move(options));
  ASSERT_TRUE(another);
  Result<Entry> folder = (*another)->root().lookup("fsdax");
  ASSERT_TRUE(folder);
  EXPECT_EQ(list(*folder->node).at("one").inode, one_inode);
  EXPECT_EQ(folder->node->lookup("two")->attributes.st_ino, two_inode);
  EXPECT_EQ(folder->node->lookup("one")->attributes.st_ino, one_inode);
}

TEST_F(FsdaxDirectoryTest, StatusIsTheSumOfTheFileSystems) {
  struct statvfs disk = {};
  ASSERT_EQ(::statvfs(disk_.path().c_str(), &disk), 0);
  sysfs_.add_dax(::makedev(252, 7), {.name = "dax1.0", .size = "4194304"});
  make_mount_table({line(disk_.path(), "two")});
  const Result<struct statvfs> folder = fsdax().file_system_status();
  const Result<struct statvfs> all = root().file_system_status();
  ASSERT_TRUE(folder && all);
  EXPECT_EQ(folder->f_blocks * folder->f_frsize, disk.f_blocks * disk.f_frsize);
  EXPECT_EQ(folder->f_files, disk.f_files);
  EXPECT_EQ(all->f_blocks, folder->f_blocks + 1024);
}

TEST_F(FsdaxDirectoryTest, RefusesEveryChange) {
  make_mount_table({line(memory_.path(), "one"), line(disk_.path(), "two")});
  const Result<Entry> one = fsdax().lookup("one");
  const Result<Entry> dax = root().lookup("dax");
  ASSERT_TRUE(one && dax);
  const Caller caller = {};
  for (Node* directory : {&root(), &fsdax(), dax->node}) {
    EXPECT_EQ(error_of(directory->make_directory("d", 0755, caller)), EPERM);
    EXPECT_EQ(error_of(directory->make_node("n", S_IFREG, 0, caller)), EPERM);
    EXPECT_EQ(error_of(directory->make_symlink("s", "t", caller)), EPERM);
    EXPECT_EQ(error_of(directory->create("f", 0644, 0, caller)), EPERM);
    EXPECT_EQ(error_of(directory->remove_file("one", caller)), EPERM);
    EXPECT_EQ(error_of(directory->remove_directory("one", caller)), EPERM);
    EXPECT_EQ(error_of(directory->rename("one", *directory, "x", 0, caller)),
              EPERM);
    EXPECT_EQ(error_of(directory->rename("one", *one->node, "x", 0, caller)),
              EPERM);
    EXPECT_EQ(error_of(directory->link(*one->node, "x", caller)), EPERM);
    EXPECT_EQ(error_of(directory->set_xattr("user.x", "1", 0, caller)),
              EOPNOTSUPP);
  }
  // Out of a file system into what is none.
  write_file(memory_ / "file", "x");
  EXPECT_EQ(error_of(one->node->rename("file", fsdax(), "x", 0, caller)),
            EXDEV);
  EXPECT_EQ(error_of(one->node->rename("file", *dax->node, "x", 0, caller)),
            EXDEV);
  const Result<Entry> two = fsdax().lookup("two");
  ASSERT_TRUE(two);
  EXPECT_EQ(error_of(one->node->rename("file", *two->node, "x", 0, caller)),
            EXDEV);
  EXPECT_TRUE(support::exists(memory_ / "file"));
}

TEST_F(FsdaxDirectoryTest, HoldsNothingOfWhatNobodyHasOpen) {
  make_mount_table({line(memory_.path(), "one")});
  write_file(memory_ / "file", "bytes");
  const Result<Entry> one = fsdax().lookup("one");
  ASSERT_TRUE(one);
  const pmem::UniqueFd mount(
      ::open(memory_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!can_open_by_handle(mount.get())) {
    GTEST_SKIP() << "opening by handle is not permitted, or not known here";
  }
  const std::size_t ours = holds(memory_.path());
  const Result<Entry> file = one->node->lookup("file");
  ASSERT_TRUE(file);
  EXPECT_EQ(holds(memory_.path()), ours);
  Result<std::unique_ptr<OpenFile>> open = file->node->open(O_RDWR, {});
  ASSERT_TRUE(open) << open.error().message();
  EXPECT_GT(holds(memory_.path()), ours);
  // As after umount --lazy: what is open works on.
  make_mount_table({});
  std::filesystem::rename(memory_.path(), memory_.path() + ".gone");
  const Result<struct stat> status = file->node->attributes();
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_EQ(status->st_size, 5);
  open->reset();
  EXPECT_EQ(error_of(file->node->attributes()), ESTALE);
  EXPECT_EQ(holds(memory_.path() + ".gone"), ours);
  std::filesystem::rename(memory_.path() + ".gone", memory_.path());
}

TEST_F(FsdaxDirectoryTest, FindsAFileSystemThatIsMountedElsewhereNow) {
  make_mount_table({line(memory_.path(), "one")});
  write_file(memory_ / "file", "bytes");
  const Result<Entry> one = fsdax().lookup("one");
  ASSERT_TRUE(one);
  const std::string elsewhere = memory_.path() + ".elsewhere";
  std::filesystem::rename(memory_.path(), elsewhere);
  make_mount_table({line(elsewhere, "one")});
  const Result<Entry> file = one->node->lookup("file");
  EXPECT_TRUE(file) << file.error().message();
  std::filesystem::rename(elsewhere, memory_.path());
}

TEST_F(FsdaxDirectoryTest, ForgottenFileSystemsLeaveNothing) {
  make_mount_table({line(memory_.path(), "one")});
  Node& folder = fsdax();
  const std::size_t before = file_system_->nodes().size();
  const std::size_t ours = holds(memory_.path());
  const Result<Entry> one = folder.lookup("one");
  ASSERT_TRUE(one);
  const ino_t inode = one->attributes.st_ino;
  file_system_->nodes().forget(*one->node, 1);
  EXPECT_EQ(file_system_->nodes().size(), before);
  EXPECT_EQ(holds(memory_.path()), ours);
  const Result<Entry> again = folder.lookup("one");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->attributes.st_ino, inode);
}

// With mounts of its own.
class VisitedFileSystem : public FsdaxDirectoryTest {
 protected:
  void SetUp() override {
    FsdaxDirectoryTest::SetUp();
    if (::mount("tmpfs", work_.path().c_str(), "tmpfs", 0, nullptr) != 0) {
      GTEST_SKIP() << "mounting is not permitted here: "
                   << std::strerror(errno);
    }
    is_mounted_ = true;
    write_file(work_ / "file", "bytes");
    std::filesystem::create_directory(work_ / "inner");
    inner_inode_ = status_of(work_ / "inner").st_ino;
    table_ = disk_ / "mountinfo";
    std::ofstream(table_) << line(work_.path(), "one");
    FileSystemOptions options = file_system_->options();
    options.mountinfo_path = table_;
    Result<std::unique_ptr<FileSystem>> made =
        FileSystem::create(std::move(options));
    ASSERT_TRUE(made) << made.error().message();
    file_system_ = std::move(*made);
  }
  void TearDown() override {
    file_system_.reset();
    ::umount2((work_ / "inner").c_str(), MNT_DETACH);
    ::umount2((work_ / "file").c_str(), MNT_DETACH);
    if (is_mounted_) {
      ::umount2(work_.path().c_str(), MNT_DETACH);
    }
  }

  ino_t inner_inode_ = 0;
  std::string table_;
  bool is_mounted_ = false;
};

TEST_F(VisitedFileSystem, CanBeUnmountedWhenNobodyHasAFileOpen) {
  const Result<Entry> one = fsdax().lookup("one");
  ASSERT_TRUE(one);
  const Result<Entry> file = one->node->lookup("file");
  const Result<Entry> inner = one->node->lookup("inner");
  ASSERT_TRUE(file && inner);
  Result<std::unique_ptr<OpenFile>> open = file->node->open(O_RDONLY, {});
  ASSERT_TRUE(open);
  EXPECT_EQ(::umount2(work_.path().c_str(), 0), -1);
  EXPECT_EQ(errno, EBUSY);
  open->reset();
  EXPECT_EQ(::umount2(work_.path().c_str(), 0), 0) << std::strerror(errno);
  is_mounted_ = false;
  EXPECT_EQ(error_of(one->node->attributes()), ESTALE);
  EXPECT_EQ(error_of(one->node->lookup("file")), ESTALE);
  EXPECT_EQ(error_of(fsdax().lookup("one")), ENOENT);
  EXPECT_EQ(names_in(fsdax()), (Names{".", ".."}));
}

TEST_F(VisitedFileSystem, DoesNotShowWhatIsMountedInIt) {
  ASSERT_EQ(::mount("proc", (work_ / "inner").c_str(), "proc", 0, nullptr), 0)
      << std::strerror(errno);
  ASSERT_EQ(::mount((disk_ / "mountinfo").c_str(), (work_ / "file").c_str(),
                    nullptr, MS_BIND, nullptr),
            0)
      << std::strerror(errno);
  const Result<Entry> one = fsdax().lookup("one");
  ASSERT_TRUE(one);
  EXPECT_EQ(names_in(*one->node), (Names{".", "..", "file", "inner"}));
  const Result<Entry> inner = one->node->lookup("inner");
  ASSERT_TRUE(inner) << inner.error().message();
  EXPECT_TRUE(inner->may_vanish);
  EXPECT_EQ(inner->attributes.st_mode, S_IFDIR | 0555U);
  EXPECT_EQ(inner->attributes.st_ino & 0xFFFFFFFFFFFFU, inner_inode_);
  EXPECT_EQ(inner->attributes.st_ino, list(*one->node).at("inner").inode);
  EXPECT_EQ(names_in(*inner->node), (Names{".", ".."}));
  EXPECT_EQ(error_of(inner->node->lookup("self")), ENOENT);
  EXPECT_EQ(error_of(inner->node->make_directory("d", 0755, {})), EPERM);
  EXPECT_EQ(error_of(one->node->lookup("file")), EXDEV);
  EXPECT_EQ(error_of(one->node->lookup("none")), ENOENT);
  ASSERT_EQ(::umount2((work_ / "inner").c_str(), 0), 0) << std::strerror(errno);
  const Result<Entry> uncovered = one->node->lookup("inner");
  ASSERT_TRUE(uncovered);
  EXPECT_EQ(uncovered->attributes.st_ino, inner->attributes.st_ino);
  EXPECT_FALSE(uncovered->may_vanish);
}

}  // namespace
}  // namespace pmemfs
