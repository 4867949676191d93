// The directory of all Device DAX and the files in it, on a fake sysfs.
#include "fs/dax_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "fs/entries_of.h"
#include "fs/file_system.h"
#include "support/fake_dax_node.h"

namespace pmemfs {
namespace {

using pmem::Result;
using support::FakeDax;

const Caller kRoot = {};

template <typename Value>
int error_of(const Result<Value>& result) {
  return result ? 0 : result.error().code;
}

class DaxDirectoryTest : public support::FakeDaxNodeTest {
 protected:
  void SetUp() override {
    FakeDaxNodeTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    std::filesystem::rename(node_, directory_ / "dax0.0");
    add_dax({.name = "dax0.0", .numa_node = "1"});
  }

  std::unique_ptr<FileSystem> file_system(
      const std::vector<SourceSpec>& sources) {
    FileSystemOptions options;
    options.sources = sources;
    options.sysfs_root = sysfs_.root();
    options.dev_root = directory_.path();
    Result<std::unique_ptr<FileSystem>> made =
        FileSystem::create(std::move(options));
    EXPECT_TRUE(made) << made.error().message();
    return made ? std::move(*made) : nullptr;
  }

  static std::vector<std::string> names_in(Node& directory) {
    std::vector<std::string> names;
    for (const ListedEntry& entry : entries_of(directory)) {
      names.push_back(entry.name);
    }
    return names;
  }

  // How often this process has the node open or mapped.
  [[nodiscard]] std::size_t holds() const {
    std::size_t count = 0;
    for (const auto& fd :
         std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code ignored;
      count += std::filesystem::read_symlink(fd, ignored)
                       .string()
                       .starts_with(directory_.path())
                   ? 1U
                   : 0U;
    }
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      count += line.find(directory_.path()) != std::string::npos ? 1U : 0U;
    }
    return count;
  }

  const SourceSpec all_ = {"", "dax", SourceKind::kAllDevices};
};

using Names = std::vector<std::string>;

TEST_F(DaxDirectoryTest, ListsTheDevicesInOrder) {
  sysfs_.add_dax(::makedev(252, 7), {.name = "dax1.0"});
  sysfs_.add_dax(::makedev(252, 8), {.name = "dax0.1"});
  const auto mounted = file_system({all_});
  EXPECT_EQ(names_in(mounted->root()),
            (Names{".", "..", "dax0.0", "dax0.1", "dax1.0"}));
}

TEST_F(DaxDirectoryTest, IsEmptyWithoutDevices) {
  sysfs_.remove_dax("dax0.0");
  const auto mounted = file_system({all_});
  EXPECT_EQ(names_in(mounted->root()), (Names{".", ".."}));
}

TEST_F(DaxDirectoryTest, FollowsTheDevices) {
  const auto mounted = file_system({all_});
  EXPECT_EQ(error_of(mounted->root().lookup("dax1.0")), ENOENT);
  sysfs_.add_dax(::makedev(252, 7), {.name = "dax1.0"});
  EXPECT_EQ(error_of(mounted->root().lookup("dax1.0")), 0);
  sysfs_.remove_dax("dax1.0");
  EXPECT_EQ(error_of(mounted->root().lookup("dax1.0")), ENOENT);
  EXPECT_EQ(names_in(mounted->root()), (Names{".", "..", "dax0.0"}));
}

TEST_F(DaxDirectoryTest, ShowsADeviceAsARegularFileOfItsSize) {
  ASSERT_EQ(::chmod((directory_ / "dax0.0").c_str(), 0640), 0);
  const auto mounted = file_system({all_});
  const Result<Entry> entry = mounted->root().lookup("dax0.0");
  ASSERT_TRUE(entry);
  const struct stat& status = entry->attributes;
  EXPECT_EQ(status.st_mode, S_IFREG | 0640U);
  EXPECT_EQ(status.st_size, 4194304);
  EXPECT_EQ(status.st_blocks, 4194304 / 512);
  EXPECT_GE(status.st_blksize, 4096);
  EXPECT_EQ(status.st_nlink, 1U);
  EXPECT_EQ(status.st_uid, ::geteuid());
}

TEST_F(DaxDirectoryTest, HasNoOtherNames) {
  const auto mounted = file_system({all_});
  for (const char* name : {"dax", "dax0.00", "..", "dax0.0/size", "", "x"}) {
    EXPECT_EQ(error_of(mounted->root().lookup(name)), ENOENT) << name;
  }
}

TEST_F(DaxDirectoryTest, KeepsItsEntriesAsTheyAre) {
  const auto mounted = file_system({all_});
  Node& root = mounted->root();
  const Result<Entry> entry = root.lookup("dax0.0");
  ASSERT_TRUE(entry);
  EXPECT_EQ(error_of(root.create("new", 0600, O_RDWR, kRoot)), EPERM);
  EXPECT_EQ(error_of(root.make_node("new", S_IFREG, 0, kRoot)), EPERM);
  EXPECT_EQ(error_of(root.make_directory("new", 0700, kRoot)), EPERM);
  EXPECT_EQ(error_of(root.make_symlink("new", "x", kRoot)), EPERM);
  EXPECT_EQ(error_of(root.link(*entry->node, "new", kRoot)), EPERM);
  EXPECT_EQ(error_of(root.remove_file("dax0.0", kRoot)), EPERM);
  EXPECT_EQ(error_of(root.remove_directory("dax0.0", kRoot)), EPERM);
  EXPECT_EQ(error_of(root.rename("dax0.0", root, "new", 0, kRoot)), EPERM);
}

TEST_F(DaxDirectoryTest, HoldsADeviceOnlyWhileItIsOpen) {
  const auto mounted = file_system({all_});
  const Result<Entry> entry = mounted->root().lookup("dax0.0");
  ASSERT_TRUE(entry);
  EXPECT_TRUE(entry->node->get_xattr("user.pmem.is_pmem"));
  EXPECT_EQ(holds(), 0U);
  {
    const auto reader = entry->node->open(O_RDONLY, kRoot);
    ASSERT_TRUE(reader);
    EXPECT_EQ(holds(), 1U);
  }
  EXPECT_EQ(holds(), 0U);
}

TEST_F(DaxDirectoryTest, SharesTheMemoryAmongThoseWhoHaveItOpen) {
  const auto mounted = file_system({all_});
  const Result<Entry> entry = mounted->root().lookup("dax0.0");
  ASSERT_TRUE(entry);
  const auto writer = entry->node->open(O_RDWR | O_TRUNC, kRoot);
  const auto reader = entry->node->open(O_RDONLY, kRoot);
  ASSERT_TRUE(writer && reader);
  const std::array bytes = {std::byte{1}, std::byte{2}, std::byte{3}};
  WriteRequest request;
  request.offset_bytes = 4095;
  request.bytes = bytes;
  EXPECT_EQ((*writer)->data->write(request).value_or(0), 3U);
  std::array<std::byte, 3> got = {};
  EXPECT_EQ((*reader)->data->read(4095, got).value_or(0), 3U);
  EXPECT_EQ(got, bytes);
}

TEST_F(DaxDirectoryTest, RefusesANodeThatIsAnothers) {
  const std::string node = directory_ / "dax3.0";
  ASSERT_EQ(::mknod(node.c_str(), S_IFCHR | 0600, kZero), 0);
  sysfs_.add_dax(::makedev(252, 9), {.name = "dax3.0"});
  const auto mounted = file_system({all_});
  const Result<Entry> entry = mounted->root().lookup("dax3.0");
  ASSERT_TRUE(entry);
  // As for a device without a node, the mode is root's alone.
  EXPECT_EQ(entry->attributes.st_mode, S_IFREG | 0600U);
  EXPECT_EQ(error_of(entry->node->open(O_RDONLY, kRoot)), ENXIO);
}

TEST_F(DaxDirectoryTest, SaysThatADeviceIsGone) {
  const auto mounted = file_system({all_});
  const Result<Entry> entry = mounted->root().lookup("dax0.0");
  ASSERT_TRUE(entry);
  sysfs_.remove_dax("dax0.0");
  EXPECT_EQ(error_of(entry->node->attributes()), ENXIO);
  EXPECT_EQ(error_of(entry->node->get_xattr("user.pmem.kind")), ENXIO);
}

TEST_F(DaxDirectoryTest, ChangesTheNodeInDev) {
  const auto mounted = file_system({all_});
  const Result<Entry> entry = mounted->root().lookup("dax0.0");
  ASSERT_TRUE(entry);
  const Caller caller = {::getuid(), ::getgid(), ::getpid(), 022};
  AttributeChange change;
  change.mode = 0604;
  change.mtime = timespec{.tv_sec = 1000, .tv_nsec = 5};
  change.size_bytes = 4194304;
  const Result<struct stat> changed =
      entry->node->change_attributes(change, nullptr, caller);
  ASSERT_TRUE(changed) << changed.error().message();
  EXPECT_EQ(changed->st_mode, S_IFREG | 0604U);
  EXPECT_EQ(changed->st_mtim.tv_sec, 1000);
  struct stat node = {};
  ASSERT_EQ(::stat((directory_ / "dax0.0").c_str(), &node), 0);
  EXPECT_EQ(node.st_mode & 07777, 0604U);
  EXPECT_TRUE(S_ISCHR(node.st_mode));
  change = {};
  change.size_bytes = 0;
  EXPECT_EQ(error_of(entry->node->change_attributes(change, nullptr, caller)),
            EINVAL);
}

TEST_F(DaxDirectoryTest, OpensAnewAfterItWasBoundAnew) {
  const auto mounted = file_system({all_});
  const Result<Entry> entry = mounted->root().lookup("dax0.0");
  ASSERT_TRUE(entry);
  const Result<std::unique_ptr<OpenFile>> before =
      entry->node->open(O_RDWR, kRoot);
  ASSERT_TRUE(before);
  sysfs_.unbind_dax("dax0.0");
  EXPECT_EQ(error_of(entry->node->open(O_RDWR, kRoot)), ENXIO);
  sysfs_.bind_dax("dax0.0", "kmem");
  EXPECT_EQ(error_of(entry->node->open(O_RDWR, kRoot)), ENXIO);
  sysfs_.unbind_dax("dax0.0");
  sysfs_.bind_dax("dax0.0");
  const Result<std::unique_ptr<OpenFile>> after =
      entry->node->open(O_RDWR, kRoot);
  ASSERT_TRUE(after);
  std::vector<std::byte> byte(1);
  EXPECT_EQ(error_of((*before)->data->read(0, byte)), EIO);
  EXPECT_EQ(error_of((*after)->data->read(0, byte)), 0);
}

// --- attributes under user.pmem. --------------------------------------------

TEST_F(DaxDirectoryTest, TellsWhatItKnowsInAttributes) {
  ::unsetenv("PMEM_IS_PMEM_FORCE");
  const auto mounted = file_system({all_});
  const Result<Entry> entry = mounted->root().lookup("dax0.0");
  ASSERT_TRUE(entry);
  const std::map<std::string, std::string> expected = {
      {"align", "2097152"},
      {"allocated", "4194304"},
      {"granularity", "cacheline"},
      {"is_pmem", "1"},
      {"kind", "devdax"},
      {"mapped_length", "4194304"},
      {"mode", "devdax"},
      {"numa_node", "1"},
      {"path", directory_ / "dax0.0"},
      {"reason",
       "Device DAX dax0.0 is mapped directly; a flush of the cache lines makes "
       "stores durable"},
      {"sparse", "0"}};
  std::string names;
  for (const auto& [name, value] : expected) {
    const std::string full = "user.pmem." + name;
    EXPECT_EQ(entry->node->get_xattr(full.c_str()).value_or("?"), value)
        << name;
    names += full + '\0';
  }
  EXPECT_EQ(entry->node->list_xattrs({}).value_or("?"), names);
}

TEST_F(DaxDirectoryTest, TellsOfBadBlocksWhereAListIsKept) {
  sysfs_.remove_dax("dax0.0");
  std::filesystem::remove(sysfs_.root() + "/dev/char/1:5");
  sysfs_.add_region("region0", std::nullopt);
  sysfs_.add_dax_of_region(kZero, "region0", {.name = "dax0.0"});
  const std::string region = support::FakeSysfs::region_directory("region0");
  sysfs_.write(region + "/badblocks", "");
  const auto mounted = file_system({all_});
  const Result<Entry> entry = mounted->root().lookup("dax0.0");
  ASSERT_TRUE(entry);
  Node& node = *entry->node;
  const char* const name = "user.pmem.bad_blocks";
  EXPECT_EQ(node.get_xattr(name).value_or("?"), "none");
  EXPECT_NE(node.list_xattrs({}).value_or("?").find(name), std::string::npos);

  sysfs_.write(region + "/badblocks", "4104 8");
  EXPECT_EQ(error_of(node.get_xattr(name)), ENOENT);  // no addresses yet
  sysfs_.write(region + "/resource", "0x100000000");
  sysfs_.write("dev/char/1:5/resource", "0x100200000");
  EXPECT_EQ(node.get_xattr(name).value_or("?"), "4096+4096");
}

TEST_F(DaxDirectoryTest, KnowsNoOtherAttributes) {
  const auto mounted = file_system({all_});
  const Result<Entry> entry = mounted->root().lookup("dax0.0");
  ASSERT_TRUE(entry);
  Node& node = *entry->node;
  EXPECT_EQ(error_of(node.get_xattr("user.pmem.target_node")), ENODATA);
  EXPECT_EQ(error_of(node.get_xattr("user.pmem.")), ENODATA);
  EXPECT_EQ(error_of(node.get_xattr("user.other")), ENODATA);
  EXPECT_EQ(error_of(node.get_xattr("security.capability")), ENODATA);
  EXPECT_EQ(error_of(node.set_xattr("user.pmem.kind", "x", 0, kRoot)),
            EOPNOTSUPP);
  EXPECT_EQ(error_of(node.set_xattr("user.other", "x", 0, kRoot)), EOPNOTSUPP);
  EXPECT_EQ(error_of(node.remove_xattr("user.other", kRoot)), EOPNOTSUPP);
}

TEST_F(DaxDirectoryTest, TellsTheModeOfADeviceThatCannotBeMapped) {
  // Nothing is behind the number, as nothing can be opened of such a device.
  const std::string node = directory_ / "dax2.0";
  ASSERT_EQ(::mknod(node.c_str(), S_IFCHR | 0600, ::makedev(511, 4095)), 0);
  sysfs_.add_dax(::makedev(511, 4095), {.name = "dax2.0", .driver = "kmem"});
  const auto mounted = file_system({all_});
  const Result<Entry> entry = mounted->root().lookup("dax2.0");
  ASSERT_TRUE(entry);
  Node& device = *entry->node;
  EXPECT_EQ(device.get_xattr("user.pmem.mode").value_or("?"), "system-ram");
  EXPECT_EQ(device.get_xattr("user.pmem.is_pmem").value_or("?"), "0");
  EXPECT_EQ(device.get_xattr("user.pmem.mapped_length").value_or("?"), "0");
  const std::string reason = device.get_xattr("user.pmem.reason").value_or("?");
  EXPECT_NE(reason.find("system-ram"), std::string::npos) << reason;
  EXPECT_EQ(error_of(device.open(O_RDONLY, kRoot)), ENXIO);
}

// --- among other sources ----------------------------------------------------

TEST_F(DaxDirectoryTest, StandsUnderItsNameBesideOthers) {
  std::filesystem::create_directory(directory_ / "files");
  const auto mounted = file_system({{"dax", "dax", SourceKind::kAllDevices},
                                    {"one", "dax0.0", SourceKind::kDevice},
                                    {"files", directory_ / "files"}});
  Node& root = mounted->root();
  EXPECT_EQ(names_in(root), (Names{".", "..", "dax", "one", "files"}));
  const Result<Entry> devices = root.lookup("dax");
  ASSERT_TRUE(devices);
  EXPECT_TRUE(S_ISDIR(devices->attributes.st_mode));
  const Result<Entry> inside = devices->node->lookup("dax0.0");
  const Result<Entry> one = root.lookup("one");
  ASSERT_TRUE(inside && one);
  EXPECT_TRUE(S_ISREG(one->attributes.st_mode));
  EXPECT_EQ(inside->attributes.st_ino, one->attributes.st_ino);
  const Result<struct statvfs> status = devices->node->file_system_status();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->f_blocks * status->f_frsize, 4194304U);
  EXPECT_EQ(status->f_bavail, 0U);
}

TEST_F(DaxDirectoryTest, ASourceThatIsGoneIsNotListedUntilItIsBack) {
  const auto mounted = file_system({{"one", "dax0.0", SourceKind::kDevice},
                                    {"all", "dax", SourceKind::kAllDevices}});
  Node& root = mounted->root();
  sysfs_.remove_dax("dax0.0");
  EXPECT_EQ(names_in(root), (Names{".", "..", "all"}));
  EXPECT_EQ(error_of(root.lookup("one")), ENOENT);
  sysfs_.link("bus/dax/devices/dax0.0", "devices/platform/hmem.0/dax0.0");
  EXPECT_EQ(names_in(root), (Names{".", "..", "one", "all"}));
}

TEST_F(DaxDirectoryTest, EachDeviceIsCounted) {
  sysfs_.add_dax(::makedev(252, 7), {.name = "dax1.0", .size = "8388608"});
  const auto mounted = file_system({{"a", "dax0.0", SourceKind::kDevice},
                                    {"b", "dax1.0", SourceKind::kDevice}});
  const Result<struct statvfs> status = mounted->root().file_system_status();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->f_blocks * status->f_frsize, 4194304U + 8388608U);
  EXPECT_EQ(status->f_files, 2U);
}

}  // namespace
}  // namespace pmemfs
