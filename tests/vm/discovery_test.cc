// A mount without a source: every Device DAX in dax/, every file system with
// DAX in fsdax/, while file systems come and go.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "support/command.h"
#include "support/files.h"
#include "support/mount_fixture.h"
#include "support/temp_dir.h"
#include "vm/guest.h"

namespace vm {
namespace {

using support::becomes_true;
using support::content_of;
using support::exists;
using support::open_file;
using support::run_command;
using support::status_of;
using support::write_file;

using Names = std::set<std::string>;

// A name is trusted for half a second. Here a second takes as long as the
// machine beneath the guest has other things to do.
constexpr std::chrono::seconds kSoon(5);

Names names_in(const std::string& directory) {
  Names names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path().filename());
  }
  return names;
}

// "pmem0" for a folder on it, or for its node.
std::string block_name(dev_t number) {
  return std::filesystem::canonical("/sys/dev/block/" +
                                    std::to_string(::major(number)) + ":" +
                                    std::to_string(::minor(number)))
      .filename();
}

std::string file_system_name(const std::string& variable) {
  return block_name(status_of(place(variable)).st_dev);
}

std::string block() { return std::filesystem::path(place("BLOCK")).filename(); }

std::string attribute(const std::string& path, const std::string& name) {
  std::array<char, 4096> value = {};
  const ssize_t length = ::lgetxattr(
      path.c_str(), ("user.pmem." + name).c_str(), value.data(), value.size());
  return length < 0
             ? std::string("<") + ::strerrorname_np(errno) + ">"
             : std::string(value.data(), static_cast<std::size_t>(length));
}

int umount_plainly(const std::string& path) {
  return ::umount2(path.c_str(), 0) == 0 ? 0 : errno;
}

// The daemon hears of the last close(2) of a file a moment after it.
bool can_be_unmounted(const std::string& path) {
  return becomes_true([&] { return umount_plainly(path) == 0; }, kSoon);
}

// The kernel refuses this while the device is in use by a file system.
bool is_in_use(const std::string& node) {
  return !open_file(node, O_RDONLY | O_EXCL).valid();
}

class Discovery : public ::testing::Test {
 protected:
  void SetUp() override {
    mount_.emplace(std::vector<std::string>{});
    fsdax_ = *mount_ / "fsdax";
  }

  [[nodiscard]] std::string on_block(const std::string& name = "") const {
    return fsdax_ + "/" + block() + (name.empty() ? "" : "/" + name);
  }

  std::optional<support::MountedPmemfs> mount_;
  std::string fsdax_;
};

TEST_F(Discovery, ShowsEveryDeviceAndEveryFileSystemWithDax) {
  EXPECT_EQ(names_in(mount_->path()), (Names{"dax", "fsdax"}));
  EXPECT_EQ(names_in(*mount_ / "dax"), names_in("/sys/bus/dax/devices"));
  EXPECT_GE(names_in(*mount_ / "dax").size(), 3U);
  EXPECT_EQ(names_in(fsdax_),
            (Names{file_system_name("EXT4"), file_system_name("XFS")}));
  const std::string log = mount_->log();
  EXPECT_NE(log.find("found dax"), std::string::npos) << log;
  EXPECT_NE(log.find(file_system_name("XFS")), std::string::npos) << log;
  EXPECT_FALSE(exists(fsdax_ + "/none"));
  EXPECT_FALSE(exists(*mount_ / "none"));
  EXPECT_FALSE(exists(on_block()));
}

TEST_F(Discovery, FilesAreThoseOfTheFileSystem) {
  for (const char* variable : {"EXT4", "XFS"}) {
    const support::TempDir folder(place(variable));
    const std::string name =
        std::filesystem::path(folder.path()).filename().string() + "/file";
    const std::string mounted =
        fsdax_ + "/" + file_system_name(variable) + "/" + name;
    write_file(mounted, support::noise(12345));
    EXPECT_TRUE(content_of(folder / "file") == support::noise(12345));
    EXPECT_EQ(attribute(mounted, "is_pmem"), "1") << variable;
    EXPECT_EQ(attribute(mounted, "kind"), "fsdax") << variable;
    EXPECT_EQ(attribute(mounted, "path"), folder / "file");
    EXPECT_EQ(status_of(mounted).st_ino & 0xFFFFFFFFFFFFU,
              status_of(folder / "file").st_ino);
  }
}

TEST_F(Discovery, ListingsTellFoldersAndTheirNumbers) {
  for (const auto& entry : std::filesystem::directory_iterator(fsdax_)) {
    EXPECT_TRUE(entry.is_directory());
  }
  for (const std::string& folder : {mount_->path(), fsdax_}) {
    const support::CommandResult listed =
        run_command({"ls", "--inode", "-1", folder});
    for (const std::string& name : names_in(folder)) {
      const std::string line =
          std::to_string(status_of(folder + "/" + name).st_ino) + " " + name;
      EXPECT_NE(listed.output.find(line + "\n"), std::string::npos)
          << line << " in:\n"
          << listed.output;
    }
  }
}

TEST_F(Discovery, InodeNumbersDifferAndStay) {
  const std::string ext4 = "fsdax/" + file_system_name("EXT4");
  const std::string xfs = "fsdax/" + file_system_name("XFS");
  const ino_t ext4_inode = status_of(*mount_ / ext4).st_ino;
  const ino_t xfs_inode = status_of(*mount_ / xfs).st_ino;
  EXPECT_NE(ext4_inode >> 48, xfs_inode >> 48);
  mount_->end();
  const support::MountedPmemfs another({"all"});
  EXPECT_EQ(status_of(another / xfs).st_ino, xfs_inode);
  EXPECT_EQ(status_of(another / ext4).st_ino, ext4_inode);
}

TEST_F(Discovery, FileSystemsAppearAndDisappearWithinASecond) {
  EXPECT_FALSE(exists(on_block()));
  {
    const FreshExt4 fresh("dax");
    EXPECT_TRUE(becomes_true([&] { return exists(on_block()); }, kSoon));
    EXPECT_TRUE(names_in(fsdax_).contains(block()));
    write_file(on_block("file"), "bytes");
    EXPECT_EQ(content_of(fresh.path() + "/file"), "bytes");
    EXPECT_EQ(attribute(on_block("file"), "is_pmem"), "1");
    EXPECT_TRUE(can_be_unmounted(fresh.path()));
    EXPECT_TRUE(becomes_true([&] { return !exists(on_block()); }, kSoon));
    EXPECT_FALSE(names_in(fsdax_).contains(block()));
    EXPECT_FALSE(exists(on_block("file")));
    EXPECT_FALSE(is_in_use(place("BLOCK")));
  }
  {
    const FreshExt4 without("dax=never");
    EXPECT_FALSE(names_in(fsdax_).contains(block()));
    EXPECT_FALSE(exists(on_block()));
  }
  const FreshExt4 again("dax");
  EXPECT_TRUE(becomes_true([&] { return exists(on_block()); }, kSoon));
  EXPECT_FALSE(exists(on_block("file")));  // it is another one
}

TEST_F(Discovery, APlainUmountWorksUnlessAFileIsOpen) {
  const FreshExt4 fresh("dax");
  std::filesystem::create_directories(on_block("a/b/c"));
  write_file(on_block("a/b/c/file"), "bytes");
  EXPECT_EQ(run_command({"find", on_block()}).exit_status, 0);
  {
    const pmem::UniqueFd fd = open_file(on_block("a/b/c/file"), O_RDWR);
    EXPECT_EQ(umount_plainly(fresh.path()), EBUSY);
    EXPECT_EQ(support::read_at(fd.get(), 0, 9), "bytes");
  }
  EXPECT_TRUE(can_be_unmounted(fresh.path()));
  EXPECT_FALSE(is_in_use(place("BLOCK")));
}

TEST_F(Discovery, AfterALazyUmountOpenFilesWorkAndThenNothingIsHeld) {
  const FreshExt4 fresh("dax");
  write_file(on_block("file"), "bytes");
  {
    const pmem::UniqueFd fd = open_file(on_block("file"), O_RDWR);
    ASSERT_EQ(::umount2(fresh.path().c_str(), MNT_DETACH), 0);
    EXPECT_TRUE(becomes_true([&] { return !exists(on_block()); }, kSoon));
    EXPECT_EQ(support::read_at(fd.get(), 0, 9), "bytes");
    EXPECT_EQ(::pwrite(fd.get(), "BYTES", 5, 0), 5);
    struct stat status = {};
    EXPECT_EQ(::fstat(fd.get(), &status), 0) << std::strerror(errno);
    EXPECT_EQ(status.st_size, 5);
    EXPECT_TRUE(is_in_use(place("BLOCK")));
  }
  EXPECT_TRUE(becomes_true([] { return !is_in_use(place("BLOCK")); }, kSoon));
}

TEST_F(Discovery, AFileSystemMountedTwiceIsShownOnceAndWhole) {
  const FreshExt4 fresh("dax");
  const support::TempDir second;
  std::filesystem::create_directory(fresh.path() + "/folder");
  write_file(fresh.path() + "/file", "bytes");
  ASSERT_EQ(::mount((fresh.path() + "/folder").c_str(), second.path().c_str(),
                    nullptr, MS_BIND, nullptr),
            0)
      << std::strerror(errno);
  EXPECT_EQ(names_in(fsdax_), (Names{block(), file_system_name("EXT4"),
                                     file_system_name("XFS")}));
  EXPECT_EQ(content_of(on_block("file")), "bytes");
  EXPECT_TRUE(can_be_unmounted(fresh.path()));
  // What is still mounted is the folder.
  EXPECT_TRUE(
      becomes_true([&] { return !exists(on_block("file")); }, 2 * kSoon));
  EXPECT_TRUE(exists(on_block()));
  EXPECT_TRUE(can_be_unmounted(second.path()));
  EXPECT_TRUE(becomes_true([&] { return !exists(on_block()); }, kSoon));
}

TEST_F(Discovery, WhatIsMountedOverAFileSystemHidesIt) {
  const FreshExt4 fresh("dax");
  EXPECT_TRUE(becomes_true([&] { return exists(on_block()); }, kSoon));
  ASSERT_EQ(::mount("tmpfs", fresh.path().c_str(), "tmpfs", 0, nullptr), 0);
  write_file(fresh.path() + "/above", "x");
  EXPECT_TRUE(becomes_true([&] { return !exists(on_block()); }, kSoon));
  EXPECT_FALSE(names_in(fsdax_).contains(block()));
  EXPECT_EQ(umount_plainly(fresh.path()), 0);
  EXPECT_TRUE(becomes_true([&] { return exists(on_block()); }, kSoon));
}

TEST_F(Discovery, TheUpperFoldersRefuseEveryChange) {
  const std::string ext4 = fsdax_ + "/" + file_system_name("EXT4");
  const std::string xfs = fsdax_ + "/" + file_system_name("XFS");
  const std::string device =
      *mount_ / "dax" / std::filesystem::path(place("DEVDAX")).filename();
  const auto error = [](int status) { return status == 0 ? 0 : errno; };
  for (const std::string& folder : {mount_->path(), fsdax_, *mount_ / "dax"}) {
    const std::string name = folder + "/new";
    EXPECT_EQ(error(::mkdir(name.c_str(), 0700)), EPERM);
    EXPECT_EQ(error(::mknod(name.c_str(), S_IFREG | 0600, 0)), EPERM);
    EXPECT_EQ(error(::symlink("x", name.c_str())), EPERM);
    EXPECT_FALSE(open_file(name, O_RDWR | O_CREAT).valid());
    EXPECT_EQ(errno, EPERM);
    EXPECT_FALSE(exists(name));
  }
  EXPECT_EQ(error(::rmdir(ext4.c_str())), EPERM);
  EXPECT_EQ(error(::rename(ext4.c_str(), (fsdax_ + "/new").c_str())), EPERM);
  EXPECT_EQ(error(::unlink(device.c_str())), EPERM);
  EXPECT_EQ(error(::rename(device.c_str(), (ext4 + "/new").c_str())), EPERM);
  EXPECT_EQ(error(::link(device.c_str(), (ext4 + "/new").c_str())), EXDEV);
  write_file(ext4 + "/file", "x");
  EXPECT_EQ(error(::rename((ext4 + "/file").c_str(), (xfs + "/file").c_str())),
            EXDEV);
  EXPECT_EQ(
      error(::rename((ext4 + "/file").c_str(), (*mount_ / "dax/file").c_str())),
      EXDEV);
  EXPECT_EQ(::unlink((ext4 + "/file").c_str()), 0);
}

TEST_F(Discovery, StatusIsThatOfWhatIsShown) {
  struct statvfs ext4 = {};
  struct statvfs through = {};
  struct statvfs all = {};
  ASSERT_EQ(::statvfs(place("EXT4").c_str(), &ext4), 0);
  ASSERT_EQ(
      ::statvfs((fsdax_ + "/" + file_system_name("EXT4")).c_str(), &through),
      0);
  EXPECT_EQ(through.f_blocks * through.f_frsize, ext4.f_blocks * ext4.f_frsize);
  ASSERT_EQ(::statvfs(mount_->path().c_str(), &all), 0);
  EXPECT_GT(
      all.f_blocks * all.f_frsize,
      ext4.f_blocks * ext4.f_frsize + facts_of(place("DEVDAX")).size_bytes);
}

// As for ordinary users, and where a file system has no handles.
class DiscoveryWithoutHandles : public Discovery {
 protected:
  void SetUp() override {
    support::MountSettings settings;
    settings.wrapper = {"setpriv", "--bounding-set", "-dac_read_search"};
    mount_.emplace(std::vector<std::string>{}, settings);
    fsdax_ = *mount_ / "fsdax";
  }

  // Files that nobody has open, that is.
  static void make_kernel_forget() {
    std::ofstream("/proc/sys/vm/drop_caches") << "2\n";
  }
};

TEST_F(DiscoveryWithoutHandles, AFileSystemIsBusyUntilTheKernelForgetsIt) {
  const FreshExt4 fresh("dax");
  write_file(on_block("file"), "bytes");
  EXPECT_EQ(umount_plainly(fresh.path()), EBUSY);
  make_kernel_forget();
  EXPECT_TRUE(can_be_unmounted(fresh.path()));
  EXPECT_FALSE(is_in_use(place("BLOCK")));
}

TEST_F(DiscoveryWithoutHandles, AfterALazyUmountALookReleasesIt) {
  const FreshExt4 fresh("dax");
  write_file(on_block("file"), "bytes");
  ASSERT_EQ(::umount2(fresh.path().c_str(), MNT_DETACH), 0);
  EXPECT_TRUE(becomes_true([&] { return !exists(on_block()); }, kSoon));
  EXPECT_TRUE(becomes_true([] { return !is_in_use(place("BLOCK")); }, kSoon));
}

TEST_F(Discovery, AFileIsStillItselfWhenTheFileSystemHasForgottenItsName) {
  const std::string file = fsdax_ + "/" + file_system_name("EXT4") + "/known";
  write_file(file, "bytes");
  const pmem::UniqueFd known = open_file(file, O_PATH);
  std::ofstream("/proc/sys/vm/drop_caches") << "2\n";
  const std::string path = "/proc/self/fd/" + std::to_string(known.get());
  std::array<char, 4096> value = {};
  const ssize_t length =
      ::getxattr(path.c_str(), "user.pmem.path", value.data(), value.size());
  if (length < 0) {
    EXPECT_EQ(errno, ENODATA);
  } else {
    EXPECT_EQ(std::string(value.data(), static_cast<std::size_t>(length)),
              place("EXT4") + "/known");
  }
  // Once it has been looked up, it is known again.
  EXPECT_TRUE(becomes_true(
      [&] { return attribute(file, "path") == place("EXT4") + "/known"; },
      2 * kSoon));
  EXPECT_EQ(content_of(path), "bytes");
  EXPECT_EQ(::unlink(file.c_str()), 0);
}

// A mount on a folder in what it shows, which must not lead into itself.
TEST(DiscoveryInside, OfAFileSystemThatItShowsIsAnEmptyFolder) {
  const support::TempDir folder(place("EXT4"));
  const std::string mountpoint = folder / "mount";
  std::filesystem::create_directory(mountpoint);
  const support::CommandResult mounted = run_command(
      {support::kPmemfs, "mount", "--max-threads", "1", mountpoint});
  ASSERT_EQ(mounted.exit_status, 0) << mounted.output;
  const std::string inside =
      mountpoint + "/fsdax/" + file_system_name("EXT4") + "/" +
      std::filesystem::path(folder.path()).filename().string();
  EXPECT_EQ(names_in(inside), Names{"mount"});
  EXPECT_EQ(names_in(inside + "/mount"), Names{});
  EXPECT_EQ(run_command({"timeout", "20", "find", mountpoint}).exit_status, 0);
  const support::CommandResult unmounted =
      run_command({support::kPmemfs, "umount", mountpoint});
  EXPECT_EQ(unmounted.exit_status, 0) << unmounted.output;
}

TEST(DiscoveryRefuses, AMountpointThatHidesWhatItWouldShow) {
  for (const std::string& mountpoint :
       {place("EXT4"),
        std::filesystem::path(place("EXT4")).parent_path().string()}) {
    const support::CommandResult refused =
        run_command({support::kPmemfs, "mount", mountpoint});
    EXPECT_EQ(refused.exit_status, 4) << refused.output;
    EXPECT_NE(refused.output.find("would hide"), std::string::npos)
        << refused.output;
  }
}

TEST(DiscoveryByMount, TakesTheWordAll) {
  const support::TempDir folder;
  const std::string helper =
      std::filesystem::path(support::kPmemfs).parent_path() /
      "mount.fuse.pmemfs";
  const support::CommandResult mounted =
      run_command({helper, "all", folder.path(), "-o", "ro"});
  ASSERT_EQ(mounted.exit_status, 0) << mounted.output;
  EXPECT_EQ(names_in(folder.path()), (Names{"dax", "fsdax"}));
  EXPECT_TRUE(exists(folder / "fsdax/" + file_system_name("EXT4")));
  EXPECT_EQ(
      run_command({support::kPmemfs, "umount", folder.path()}).exit_status, 0);
}

}  // namespace
}  // namespace vm
