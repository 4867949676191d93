// Bad blocks of real devices, as the kernel comes to know of them: those of a
// Device DAX by a machine check that is only reported (mce-inject), those of a
// file system by the list of its block device. They stay until the guest ends,
// so each test has places of its own.
#include "pmem/bad_blocks.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

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
using support::run_command;
using support::write_file;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kPage = 4096;

std::string text_of(const std::string& attribute) {
  std::string text;
  std::getline(std::ifstream(attribute), text, '\0');
  return text;
}

std::string attribute(const std::string& file, const char* name) {
  std::array<char, 4096> value = {};
  const ssize_t length =
      ::getxattr(file.c_str(), name, value.data(), value.size());
  return length < 0
             ? ::strerrorname_np(errno)
             : std::string(value.data(), static_cast<std::size_t>(length));
}

// The answer of pread or pwrite: the count, or the name of the errno.
std::string answer(ssize_t count) {
  return count < 0 ? ::strerrorname_np(errno) : std::to_string(count);
}

std::string try_read(int fd, std::size_t offset, std::size_t length) {
  std::string bytes(length, '\0');
  return answer(::pread(fd, bytes.data(), length, static_cast<off_t>(offset)));
}

std::string try_write(int fd, std::size_t offset, const std::string& bytes) {
  return answer(
      ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)));
}

// --- Device DAX -------------------------------------------------------------

struct Device {
  std::string name;
  std::string variable;
};

void PrintTo(const Device& device, std::ostream* out) { *out << device.name; }

class BadBlocksOfDevice : public ::testing::TestWithParam<Device> {
 protected:
  [[nodiscard]] const std::string& node() const { return node_; }
  [[nodiscard]] std::string file() const { return mount_ / facts_.name; }
  [[nodiscard]] bool daemon_is_alive() { return mount_.daemon_is_alive(); }
  [[nodiscard]] pmem::BadBlocks known() const {
    const auto blocks = pmem::bad_blocks_of(facts_, pmem::kSysfsRoot);
    return blocks.value_or(pmem::BadBlocks());
  }

  // Lets the memory controller report the page at this offset.
  void report_page(std::size_t offset) const {
    const std::string resource =
        text_of("/sys/dev/char/" + std::to_string(::major(facts_.number)) +
                ":" + std::to_string(::minor(facts_.number)) + "/resource");
    const std::uint64_t address = std::stoull(resource, nullptr, 16) + offset;
    const std::string folder = "/sys/kernel/debug/mce-inject/";
    write_file(folder + "flags", "sw\n");
    write_file(folder + "addr", std::to_string(address));
    write_file(folder + "misc", "0x8c");  // a physical address, of a page
    write_file(folder + "status", "0xbe00000000080136");
    write_file(folder + "cpu", "0");
    write_file(folder + "bank", "4");  // lets it happen
    ASSERT_TRUE(support::becomes_true(
        [&] {
          for (const pmem::BadRange& bad : known()) {
            if (bad.offset_bytes <= offset && offset < bad.end_bytes()) {
              return true;
            }
          }
          return false;
        },
        std::chrono::seconds(10)))
        << "the kernel has not taken the report";
  }

 private:
  const std::string node_ = place(GetParam().variable);
  const pmem::DaxDevice facts_ = facts_of(node_);
  support::MountedPmemfs mount_ =
      support::MountedPmemfs(std::vector<std::string>{"dax"});
};

TEST_P(BadBlocksOfDevice, AreTold) {
  constexpr std::size_t kBad = 5 * kMiB;
  report_page(kBad + 512);
  const std::string told = attribute(file(), "user.pmem.bad_blocks");
  EXPECT_NE(told.find(std::to_string(kBad) + "+4096"), std::string::npos)
      << told;
  EXPECT_EQ(told, pmem::in_words(known()));
}

TEST_P(BadBlocksOfDevice, AreErrorsToReadersAndNothingElseIs) {
  constexpr std::size_t kBad = 9 * kMiB;
  const pmem::UniqueFd fd = open_file(file(), O_RDWR);
  ASSERT_TRUE(fd.valid()) << std::strerror(errno);
  const std::string bytes = noise(2 * kMiB, 9);
  ASSERT_EQ(try_write(fd.get(), kBad - kMiB, bytes), std::to_string(2 * kMiB));
  report_page(kBad);
  // Known to a new opening at once, to an old one within a second.
  const pmem::UniqueFd again = open_file(file(), O_RDONLY);
  EXPECT_EQ(try_read(again.get(), kBad, 1), "EIO");
  EXPECT_TRUE(support::becomes_true(
      [&] { return try_read(fd.get(), kBad, 1) == "EIO"; },
      std::chrono::seconds(5)));

  EXPECT_EQ(try_read(fd.get(), kBad + kPage - 1, 100), "EIO");
  EXPECT_TRUE(read_at(fd.get(), kBad - kMiB / 2, kMiB) ==
              bytes.substr(kMiB / 2, kMiB / 2));
  EXPECT_TRUE(read_at(fd.get(), kBad - 1, 1) == bytes.substr(kMiB - 1, 1));
  EXPECT_TRUE(read_at(fd.get(), kBad + kPage, kMiB - kPage) ==
              bytes.substr(kMiB + kPage));
}

TEST_P(BadBlocksOfDevice, AreErrorsToWritersWhereThePlatformCannotClearThem) {
  constexpr std::size_t kBad = 13 * kMiB;
  report_page(kBad);
  const pmem::UniqueFd fd = open_file(file(), O_RDWR);
  ASSERT_TRUE(fd.valid()) << std::strerror(errno);
  EXPECT_EQ(try_write(fd.get(), kBad, noise(kPage)), "EIO");
  EXPECT_EQ(try_write(fd.get(), kBad + 100, "a part"), "EIO");
  EXPECT_EQ(try_write(fd.get(), kBad - kPage, noise(3 * kPage)), "4096");
  EXPECT_TRUE(read_at(fd.get(), kBad - kPage, kPage) ==
              noise(3 * kPage).substr(0, kPage));
  EXPECT_EQ(::fallocate(fd.get(), FALLOC_FL_ZERO_RANGE, kBad, kPage), -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_EQ(try_write(fd.get(), kBad + kPage, "beside it"), "9");
}

TEST_P(BadBlocksOfDevice, AreInTheListOfRegions) {
  constexpr std::size_t kBad = 21 * kMiB;
  report_page(kBad);
  const support::CommandResult listed =
      run_command({support::kPmemfs, "list", "--json"});
  ASSERT_EQ(listed.exit_status, 0) << listed.output;
  pmem::BadBlocks told;
  for (const nlohmann::json& row : nlohmann::json::parse(listed.output)) {
    if (row["name"] == facts_of(node()).name) {
      for (const nlohmann::json& range : row["bad_blocks"]) {
        told.push_back({range["offset_bytes"], range["length_bytes"]});
      }
    }
  }
  EXPECT_EQ(told, known());
  EXPECT_NE(pmem::in_words(told).find(std::to_string(kBad) + "+4096"),
            std::string::npos);
}

// For the page cache a short answer would be the end of the file, and zeros.
TEST_P(BadBlocksOfDevice, AreSigbusToWhoMapsTheFileAndNothingElseIs) {
  constexpr std::size_t kBad = 25 * kMiB;
  const std::string bytes = noise(2 * kMiB, 25);
  {
    const pmem::UniqueFd fd = open_file(file(), O_RDWR);
    ASSERT_EQ(try_write(fd.get(), kBad - kMiB, bytes),
              std::to_string(2 * kMiB));
  }
  report_page(kBad);
  const pmem::UniqueFd fd = open_file(file(), O_RDWR);
  const off_t size = support::status_of(file()).st_size;
  void* const address =
      ::mmap(nullptr, 2 * kMiB, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(),
             static_cast<off_t>(kBad - kMiB));
  if (address == MAP_FAILED) {
    EXPECT_EQ(errno, ENODEV);  // before Linux 6.6, as the start line says
    return;
  }
  const auto* const mapped = static_cast<const char*>(address);
  EXPECT_TRUE(std::string(mapped, kMiB) == bytes.substr(0, kMiB));
  const pid_t child = ::fork();
  if (child == 0) {
    const volatile char* const bad = mapped + kMiB;
    ::_exit(*bad == 0 ? 1 : 2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) << status;
  EXPECT_TRUE(std::string(mapped + kMiB + kPage, kMiB - kPage) ==
              bytes.substr(kMiB + kPage));
  EXPECT_EQ(support::status_of(file()).st_size, size);
  EXPECT_EQ(::munmap(address, 2 * kMiB), 0);
}

TEST_P(BadBlocksOfDevice, AreTheSameErrorsThroughThePageCache) {
  constexpr std::size_t kBad = 29 * kMiB;
  const std::string bytes = noise(2 * kMiB, 29);
  const support::MountedPmemfs cached({"dax"},
                                      {.arguments = {"-o", "io=cached"}});
  const std::string name = cached / facts_of(node()).name;
  {
    const pmem::UniqueFd fd = open_file(name, O_RDWR);
    ASSERT_EQ(try_write(fd.get(), kBad - kMiB, bytes),
              std::to_string(2 * kMiB));
  }
  report_page(kBad);
  const pmem::UniqueFd fd = open_file(name, O_RDWR);
  EXPECT_TRUE(read_at(fd.get(), kBad - kMiB / 2, kMiB) ==
              bytes.substr(kMiB / 2, kMiB / 2));
  EXPECT_EQ(try_read(fd.get(), kBad, 1), "EIO");
  EXPECT_TRUE(read_at(fd.get(), kBad + kPage, kMiB - kPage) ==
              bytes.substr(kMiB + kPage));
  EXPECT_EQ(support::status_of(name).st_size,
            static_cast<off_t>(facts_of(node()).size_bytes));
}

// Its bus knows no such command, which is not the same as a failure.
TEST_P(BadBlocksOfDevice, CannotBeClearedByAnEmulatedPlatform) {
  const pmem::Result<void> cleared = pmem::clear_bad_blocks(
      facts_of(node()), {0, kPage}, {0, kPage}, pmem::kSysfsRoot, "/dev");
  ASSERT_FALSE(cleared);
  EXPECT_EQ(cleared.error().code, EOPNOTSUPP) << cleared.error().message();
}

TEST_P(BadBlocksOfDevice, AreWhatDdSkipsWithNoerror) {
  constexpr std::size_t kBad = 17 * kMiB;
  {
    const pmem::UniqueFd fd = open_file(file(), O_RDWR);
    ASSERT_EQ(try_write(fd.get(), kBad - kPage, std::string(3 * kPage, 'x')),
              std::to_string(3 * kPage));
  }
  report_page(kBad);
  const support::TempDir scratch("/dev/shm");
  const support::CommandResult plain = run_command(
      {"dd", "if=" + file(), "of=" + (scratch / "plain"), "bs=4096", "count=3",
       "iflag=skip_bytes", "skip=" + std::to_string(kBad - kPage)});
  EXPECT_EQ(plain.exit_status, 1);
  EXPECT_NE(plain.output.find("Input/output error"), std::string::npos)
      << plain.output;
  const support::CommandResult skipping =
      run_command({"dd", "if=" + file(), "of=" + (scratch / "out"), "bs=4096",
                   "count=3", "iflag=skip_bytes", "conv=noerror,sync",
                   "skip=" + std::to_string(kBad - kPage)});
  EXPECT_NE(skipping.output.find("2+1 records in"), std::string::npos)
      << skipping.output;
  EXPECT_TRUE(content_of(scratch / "out") == std::string(kPage, 'x') +
                                                 std::string(kPage, '\0') +
                                                 std::string(kPage, 'x'));
  EXPECT_TRUE(daemon_is_alive());
}

INSTANTIATE_TEST_SUITE_P(On, BadBlocksOfDevice,
                         ::testing::Values(Device{"Aligned2M", "DEVDAX"},
                                           Device{"Aligned4K", "DEVDAX4K"}),
                         support::RowName());

// Nobody keeps a list for it: that is not the same as a failure.
TEST(BadBlocksOfDeviceWithoutRegion, AreNotSupported) {
  const pmem::DaxDevice facts = facts_of(place("HMEM"));
  const support::MountedPmemfs mount({"dax"});
  EXPECT_EQ(attribute(mount / facts.name, "user.pmem.bad_blocks"), "ENODATA");
  const support::CommandResult listed =
      run_command({"getfattr", "-d", "--absolute-names", mount / facts.name});
  EXPECT_EQ(listed.exit_status, 0) << listed.output;
  EXPECT_EQ(listed.output.find("bad_blocks"), std::string::npos)
      << listed.output;
}

// --- files ------------------------------------------------------------------

// A file of 1 MiB on ext4 with DAX, one page of which is on the device's list
// from then on: one file for all tests, since the list cannot be emptied.
class BadBlocksOfFile : public ::testing::Test {
 protected:
  static constexpr std::size_t kBad = 64 * kPage;

  static void SetUpTestSuite() {
    disk_ = std::make_unique<FreshExt4>("dax");
    write_file(native(), bytes());
    const pmem::UniqueFd fd = open_file(native(), O_RDONLY);
    ASSERT_EQ(::fsync(fd.get()), 0);
    int block = kBad / kPage;
    ASSERT_EQ(::ioctl(fd.get(), FIBMAP, &block), 0) << std::strerror(errno);
    ASSERT_GT(block, 0);
    const std::string disk = place("BLOCK").substr(sizeof("/dev/") - 1);
    write_file(
        "/sys/block/" + disk + "/badblocks",
        std::to_string(static_cast<std::uint64_t>(block) * kPage / 512) + " 8");
  }
  static void TearDownTestSuite() { disk_.reset(); }

  [[nodiscard]] static std::string bytes() { return noise(kMiB, 11); }
  [[nodiscard]] static std::string native() { return disk_->path() + "/file"; }
  [[nodiscard]] std::string file() const { return mount_ / "file"; }

 private:
  static inline std::unique_ptr<FreshExt4> disk_;
  support::MountedPmemfs mount_{{disk_->path()}};
};

TEST_F(BadBlocksOfFile, AreTold) {
  EXPECT_EQ(attribute(file(), "user.pmem.bad_blocks"),
            std::to_string(kBad) + "+4096");
  write_file(file() + "2", "another");
  EXPECT_EQ(attribute(file() + "2", "user.pmem.bad_blocks"), "none");
}

// More than beneath, where a read that reaches into a bad block gets nothing.
TEST_F(BadBlocksOfFile, AreErrorsToReadersAndNothingElseIs) {
  const pmem::UniqueFd fd = open_file(file(), O_RDONLY);
  ASSERT_TRUE(fd.valid()) << std::strerror(errno);
  EXPECT_EQ(try_read(fd.get(), kBad, 1), "EIO");
  EXPECT_EQ(try_read(fd.get(), kBad + 100, kPage), "EIO");
  EXPECT_TRUE(read_at(fd.get(), 0, kMiB) == bytes().substr(0, kBad));
  EXPECT_TRUE(read_at(fd.get(), kBad - 10, 20) ==
              bytes().substr(kBad - 10, 10));
  EXPECT_TRUE(read_at(fd.get(), kBad + kPage, kMiB) ==
              bytes().substr(kBad + kPage));
}

TEST_F(BadBlocksOfFile, AreToWritersWhatTheyAreBeneath) {
  const pmem::UniqueFd fd = open_file(file(), O_RDWR);
  const pmem::UniqueFd beneath = open_file(native(), O_RDWR);
  ASSERT_TRUE(fd.valid()) << std::strerror(errno);
  for (const std::size_t offset : {kBad, kBad + 5}) {
    const std::string new_bytes = noise(kBad + kPage - offset, 12);
    EXPECT_EQ(try_write(fd.get(), offset, new_bytes),
              try_write(beneath.get(), offset, new_bytes))
        << offset;
  }
  EXPECT_EQ(try_write(fd.get(), kBad - 9, "beside it"), "9");
  EXPECT_EQ(try_write(fd.get(), kBad + kPage, "beside it"), "9");
}

}  // namespace
}  // namespace vm
