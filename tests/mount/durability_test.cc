// What is asked to be durable when it is acknowledged lies on the device by
// then: in the file that holds an ext4, as a loss of power would leave it.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "mount/mount_test.h"
#include "support/row_name.h"

namespace mount_tests {
namespace {

constexpr std::uint64_t kSpace = std::uint64_t{24} << 20;
constexpr std::size_t kBlock = 4096;

// A way to ask for durability.
struct Row {
  const char* name;
  int open_flags;
  int write_flags = 0;  // of pwritev2(2)
  int inode_flags = 0;  // of chattr(1)
  unsigned long source_flags = 0;
  std::vector<std::string> arguments = {};
};

class Durability : public MountTest, public ::testing::WithParamInterface<Row> {
 protected:
  void SetUp() override {
    if (!support::cannot_make_file_systems().empty()) {
      GTEST_SKIP() << support::cannot_make_file_systems();
    }
    mount(support::make_ext4(kSpace, {.mount_flags = GetParam().source_flags}),
          {.arguments = GetParam().arguments});
  }

  bool is_on_device(const std::string& text) {
    return content_of(support::image_of_ext4(backing())).find(text) !=
           std::string::npos;
  }

  // A file of two blocks that nobody has to write back, with its flags.
  std::string old_file(const std::string& name) {
    write_file(source(name), std::string(2 * kBlock, 'o'));
    const pmem::UniqueFd fd = open_file(source(name), O_RDWR);
    EXPECT_EQ(::fsync(fd.get()), 0);
    const int flags = GetParam().inode_flags | FS_EXTENT_FL;
    EXPECT_EQ(::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags), 0);
    return mounted(name);
  }

  static int flags() { return GetParam().open_flags; }

  static ssize_t write_at(int fd, const std::string& text, off_t offset) {
    const struct iovec part = {const_cast<char*>(text.data()), text.size()};
    return ::pwritev2(fd, &part, 1, offset, GetParam().write_flags);
  }
};

// Found nowhere else on the device.
std::string new_text(const std::string& what) {
  std::string text = "durability of " + what + " ";
  while (text.size() < kBlock) {
    text += text;
  }
  return text.substr(0, kBlock);
}

TEST_P(Durability, OfAWriteInsideTheFile) {
  const pmem::UniqueFd fd = open_file(old_file("f"), flags());
  const std::string text = new_text("a write inside");
  ASSERT_EQ(write_at(fd.get(), text, 0), static_cast<ssize_t>(kBlock));
  EXPECT_TRUE(is_on_device(text));
}

TEST_P(Durability, OfAWriteBehindTheEnd) {
  const pmem::UniqueFd fd = open_file(old_file("f"), flags());
  const std::string text = new_text("a write behind the end");
  ASSERT_EQ(write_at(fd.get(), text, 2 * kBlock), static_cast<ssize_t>(kBlock));
  EXPECT_TRUE(is_on_device(text));
}

TEST_P(Durability, OfAWriteIntoAHole) {
  const std::string path = old_file("f");
  ASSERT_EQ(::truncate(source("f").c_str(), 1 << 20), 0);
  const pmem::UniqueFd fd = open_file(path, flags());
  const std::string text = new_text("a write into a hole");
  ASSERT_EQ(write_at(fd.get(), text, 1 << 19), static_cast<ssize_t>(kBlock));
  EXPECT_TRUE(is_on_device(text));
}

INSTANTIATE_TEST_SUITE_P(
    Ext4, Durability,
    ::testing::Values(
        Row{"o_dsync", O_RDWR | O_DSYNC}, Row{"o_sync", O_RDWR | O_SYNC},
        Row{"write_only", O_WRONLY | O_DSYNC},
        Row{"direct", O_RDWR | O_DIRECT | O_DSYNC},
        Row{"append", O_RDWR | O_APPEND | O_DSYNC},
        Row{"rwf_dsync", O_RDWR, RWF_DSYNC}, Row{"rwf_sync", O_RDWR, RWF_SYNC},
        Row{"synchronous_file", O_RDWR, 0, FS_SYNC_FL},
        Row{"synchronous_source", O_RDWR, 0, 0, MS_SYNCHRONOUS},
        Row{"synchronous_mount", O_RDWR, 0, 0, 0, {"-o", "sync"}},
        Row{"passthrough", O_RDWR | O_DSYNC, 0, 0, 0, {"--io", "passthrough"}},
        Row{"cached", O_RDWR | O_DSYNC, 0, 0, 0, {"--io", "cached"}}),
    support::RowName());

// By what is no write(2).
class DurabilityOfADescriptor : public Durability {};

TEST_P(DurabilityOfADescriptor, HoldsForWhatIsCopiedToIt) {
  const std::string text = new_text("a copy");
  write_file(mounted("original"), text);
  const pmem::UniqueFd from = open_file(mounted("original"), O_RDONLY);
  const pmem::UniqueFd to = open_file(old_file("f"), flags());
  ASSERT_EQ(
      ::copy_file_range(from.get(), nullptr, to.get(), nullptr, kBlock, 0),
      static_cast<ssize_t>(kBlock));
  EXPECT_TRUE(is_on_device(text));
}

TEST_P(DurabilityOfADescriptor, BeginsWithChattr) {
  const std::string path = old_file("f");
  const pmem::UniqueFd fd = open_file(path, O_RDWR);
  ASSERT_EQ(write_at(fd.get(), "earlier", 0), 7);
  const int wanted = FS_SYNC_FL | FS_EXTENT_FL;
  ASSERT_EQ(::ioctl(open_file(path, O_RDONLY).get(), FS_IOC_SETFLAGS, &wanted),
            0);
  const std::string text = new_text("what became synchronous");
  ASSERT_EQ(write_at(fd.get(), text, 0), static_cast<ssize_t>(kBlock));
  EXPECT_TRUE(is_on_device(text));
}

INSTANTIATE_TEST_SUITE_P(Ext4, DurabilityOfADescriptor,
                         ::testing::Values(Row{"o_dsync", O_RDWR | O_DSYNC},
                                           Row{"o_sync", O_RDWR | O_SYNC}),
                         support::RowName());

}  // namespace
}  // namespace mount_tests
