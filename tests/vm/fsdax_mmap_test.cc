// Files on persistent memory, mapped through the mount: where the kernel passes
// the mapping on to the file beneath, its pages are the memory itself.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <stdexcept>
#include <string>

#include "support/command.h"
#include "support/files.h"
#include "support/mount_fixture.h"
#include "support/row_name.h"
#include "support/temp_dir.h"
#include "vm/device_mount.h"
#include "vm/guest.h"

namespace vm {
namespace {

using support::content_of;
using support::open_file;
using support::read_at;
using support::write_file;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kLength = kMiB;

// A file mapped by this process, shared, for reading and writing; empty with
// its errno where that is refused.
class SharedMapping {
 public:
  explicit SharedMapping(const std::string& path) {
    const pmem::UniqueFd fd = open_file(path, O_RDWR);
    void* address = ::mmap(nullptr, kLength, PROT_READ | PROT_WRITE, MAP_SHARED,
                           fd.get(), 0);
    error_ = address == MAP_FAILED ? errno : 0;
    bytes_ = error_ == 0 ? static_cast<volatile char*>(address) : nullptr;
  }
  SharedMapping(const SharedMapping&) = delete;
  SharedMapping& operator=(const SharedMapping&) = delete;
  ~SharedMapping() {
    if (bytes_ != nullptr) {
      ::munmap(const_cast<char*>(bytes_), kLength);
    }
  }

  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] volatile char& operator[](std::size_t at) const {
    return bytes_[at];
  }

  void sync() const {
    EXPECT_EQ(::msync(const_cast<char*>(bytes_), kLength, MS_SYNC), 0)
        << std::strerror(errno);
  }

  // The physical address of a page that has been touched; 0 if it has none.
  // Source: Documentation/admin-guide/mm/pagemap.rst of Linux.
  [[nodiscard]] std::uint64_t physical(std::size_t offset) const {
    const pmem::UniqueFd fd = open_file("/proc/self/pagemap", O_RDONLY);
    std::uint64_t entry = 0;
    const auto page = reinterpret_cast<std::uintptr_t>(&bytes_[offset]) / kPage;
    EXPECT_EQ(::pread(fd.get(), &entry, sizeof(entry),
                      static_cast<off_t>(page * sizeof(entry))),
              static_cast<ssize_t>(sizeof(entry)));
    const bool is_present = (entry >> 63) != 0;
    const std::uint64_t frame = entry & ((std::uint64_t{1} << 55) - 1);
    return is_present ? frame * kPage : 0;
  }

 private:
  volatile char* bytes_ = nullptr;
  int error_ = 0;
};

struct AddressRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

std::uint64_t number_in(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string text;
  stream >> text;
  return std::stoull(text, nullptr, 0);
}

// Where the NVDIMM is on which the folder's file system lies.
AddressRange memory_beneath(const std::string& folder) {
  const dev_t device = support::status_of(folder).st_dev;
  std::filesystem::path at = std::filesystem::canonical(
      "/sys/dev/block/" + std::to_string(::major(device)) + ":" +
      std::to_string(::minor(device)));
  while (!at.filename().string().starts_with("region")) {
    if (at == at.root_path()) {
      throw std::runtime_error("no region is beneath " + folder);
    }
    at = at.parent_path();
  }
  const std::uint64_t begin = number_in(at / "resource");
  return {begin, begin + number_in(at / "size")};
}

struct Place {
  std::string name;
  std::string variable;
};

void PrintTo(const Place& row, std::ostream* out) { *out << row.name; }

class FsDaxMmap : public ::testing::TestWithParam<Place> {
 protected:
  void SetUp() override { write_file(beneath(), std::string(kLength, 'x')); }

  [[nodiscard]] std::string beneath() const { return source_ / "file"; }
  [[nodiscard]] std::string mounted() const { return mount_ / "file"; }
  [[nodiscard]] const std::string& source() const { return source_.path(); }
  [[nodiscard]] bool says(const std::string& words) const {
    return mount_.log().find(words) != std::string::npos;
  }
  // A kernel before 6.9 cannot pass a mapping on, and the start line says so.
  [[nodiscard]] bool is_passed_on() const {
    return says("mmap of the backing file (passthrough)");
  }

  // Then it works through the page cache: what is stored arrives with msync(2).
  void expect_copy(const SharedMapping& mapping) const {
    EXPECT_TRUE(says("through the page cache")) << mount_.log();
    ASSERT_EQ(mapping.error(), 0) << std::strerror(mapping.error());
    const AddressRange memory = memory_beneath(source());
    mapping[kPage] = 'c';
    const std::uint64_t found = mapping.physical(kPage);
    EXPECT_TRUE(found != 0 && (found < memory.begin || found >= memory.end))
        << std::hex << found;
    mapping.sync();
    EXPECT_EQ(content_of(beneath()).at(kPage), 'c');
  }

 private:
  const support::TempDir source_ = support::TempDir(place(GetParam().variable));
  const support::MountedPmemfs mount_ = support::MountedPmemfs({source()});
};

TEST_P(FsDaxMmap, PagesAreThePersistentMemoryItself) {
  const SharedMapping mapping(mounted());
  if (!is_passed_on()) {
    expect_copy(mapping);
    return;
  }
  ASSERT_EQ(mapping.error(), 0) << std::strerror(mapping.error());
  const SharedMapping natively(beneath());
  const AddressRange memory = memory_beneath(source());
  for (const std::size_t offset :
       {std::size_t{0}, 5 * kPage, kLength - kPage}) {
    mapping[offset] = 'm';
    EXPECT_EQ(natively[offset], 'm');
    const std::uint64_t found = mapping.physical(offset);
    EXPECT_GE(found, memory.begin) << std::hex << found;
    EXPECT_LT(found, memory.end) << std::hex << found;
    EXPECT_EQ(found, natively.physical(offset));
  }
}

TEST_P(FsDaxMmap, AProcessThatMapsNativelySeesEachStoreAtOnce) {
  const SharedMapping mapping(mounted());
  if (!is_passed_on()) {
    expect_copy(mapping);
    return;
  }
  ASSERT_EQ(mapping.error(), 0) << std::strerror(mapping.error());
  // The two take turns, by what they see in memory and nothing else.
  constexpr int kTurns = 50;
  constexpr std::size_t kOurs = 4097;
  constexpr std::size_t kTheirs = 8000;
  const auto wait_for = [](volatile char& byte, char value) {
    return support::becomes_true([&] { return byte == value; },
                                 std::chrono::seconds(10));
  };
  mapping[kOurs] = 0;
  mapping[kTheirs] = 0;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const SharedMapping natively(beneath());
    bool is_well = natively.error() == 0;
    for (char turn = 1; is_well && turn <= kTurns; ++turn) {
      is_well = wait_for(natively[kOurs], turn);
      natively[kTheirs] = turn;
    }
    ::_exit(is_well ? 0 : 1);
  }
  bool is_well = true;
  for (char turn = 1; is_well && turn <= kTurns; ++turn) {
    mapping[kOurs] = turn;
    is_well = wait_for(mapping[kTheirs], turn);
  }
  EXPECT_TRUE(is_well);
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_P(FsDaxMmap, ReadAndWriteThroughTheMountAreCoherentWithIt) {
  const SharedMapping mapping(mounted());
  if (!is_passed_on()) {
    expect_copy(mapping);
    return;
  }
  const pmem::UniqueFd fd = open_file(mounted(), O_RDWR);
  EXPECT_EQ(::pwrite(fd.get(), "written", 7, 4093), 7);
  EXPECT_EQ(mapping[4093], 'w');
  EXPECT_EQ(mapping[4099], 'n');
  mapping[4093] = 'W';
  EXPECT_EQ(read_at(fd.get(), 4093, 7), "Written");
  // A private mapping is its process's own from the first store on.
  auto* own = static_cast<char*>(::mmap(
      nullptr, kLength, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd.get(), 0));
  ASSERT_NE(own, MAP_FAILED);
  own[4093] = 'p';
  EXPECT_EQ(mapping[4093], 'W');
  EXPECT_EQ(::munmap(own, kLength), 0);
}

// A private mapping is to be had of every kernel.
TEST_P(FsDaxMmap, PrivateMappingsNeedNoPassthrough) {
  const pmem::UniqueFd fd = open_file(mounted(), O_RDONLY);
  auto* bytes = static_cast<char*>(::mmap(
      nullptr, kLength, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd.get(), 0));
  ASSERT_NE(bytes, MAP_FAILED) << std::strerror(errno);
  EXPECT_EQ(bytes[kLength - 1], 'x');
  bytes[0] = 'o';
  EXPECT_EQ(content_of(beneath()).front(), 'x');
  EXPECT_EQ(::munmap(bytes, kLength), 0);
}

INSTANTIATE_TEST_SUITE_P(On, FsDaxMmap,
                         ::testing::Values(Place{"Ext4WithDax", "EXT4"},
                                           Place{"XfsWithDax", "XFS"}),
                         support::RowName());

// Where there is no passthrough, a mapping is one of the kernel's page cache,
// and what is stored there arrives with msync(2).
TEST(FsDaxMmapThroughThePageCache, IsToBeHadOfEveryKernel) {
  const support::TempDir source(place("EXT4"));
  write_file(source / "file", std::string(kLength, 'x'));
  const support::MountedPmemfs mount({source.path()},
                                     {.arguments = {"-o", "io=cached"}});
  EXPECT_NE(mount.log().find("mmap through the page cache"), std::string::npos)
      << mount.log();
  const pmem::UniqueFd fd = open_file(mount / "file", O_RDWR);
  void* address =
      ::mmap(nullptr, kLength, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(address, MAP_FAILED) << std::strerror(errno);
  std::memcpy(address, "stored", 6);
  EXPECT_EQ(::msync(address, kLength, MS_SYNC), 0) << std::strerror(errno);
  EXPECT_EQ(content_of(source / "file").substr(0, 7), "storedx");
  EXPECT_EQ(::munmap(address, kLength), 0);
}

}  // namespace
}  // namespace vm
