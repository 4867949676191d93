// Mappings: where they lie, how long they are, what they are worth.
#include "pmem/mapping.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pmem/fault_guard.h"
#include "support/child_process.h"
#include "support/fake_dax_node.h"
#include "support/row_name.h"
#include "support/temp_dir.h"

namespace pmem {
namespace {

using support::TempDir;

constexpr std::size_t kPage = 4096;
constexpr std::uintptr_t kHugePage = std::uintptr_t{2} << 20;
constexpr std::uintptr_t kGiantPage = std::uintptr_t{1} << 30;

std::uintptr_t number(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

std::byte byte_at(std::uint64_t offset) {
  return static_cast<std::byte>(offset / kPage + offset % 251);
}

// The line of /proc/self/maps whose range begins at the address; "" if none.
std::string map_line(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (std::stoull(line, nullptr, 16) == number(address)) {
      return line;
    }
  }
  return "";
}

// How many pieces of address space belong to the file.
int count_pieces(const std::string& file) {
  std::ifstream maps("/proc/self/maps");
  int count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(file) != std::string::npos) {
      ++count;
    }
  }
  return count;
}

// All address space of this process, reserved or used.
std::uint64_t address_space_bytes() {
  std::ifstream status("/proc/self/statm");
  std::uint64_t pages = 0;
  status >> pages;
  return pages * kPage;
}

// Whether repeating something left less than half a huge page behind each time.
// (Others in this process, as a sanitizer's run time, take a little as well.)
bool has_leaked(std::uint64_t bytes_before, std::uint64_t rounds) {
  return address_space_bytes() > bytes_before + rounds * kHugePage / 2;
}

class MappingTest : public ::testing::Test {
 protected:
  void make_file(std::uint64_t length) {
    std::ofstream file(file_, std::ios::binary);
    for (std::uint64_t offset = 0; offset < length; ++offset) {
      file.put(static_cast<char>(byte_at(offset)));
    }
  }

  void make_sparse_file(std::uint64_t length) {
    std::ofstream(file_).flush();
    ASSERT_EQ(::truncate(file_.c_str(), static_cast<off_t>(length)), 0);
  }

  Result<Mapping> map(const MappingOptions& options = {},
                      Access access = Access::kReadWrite) {
    Result<Source> source = Source::open(file_, access);
    if (!source) {
      return pass_on(source);
    }
    return Mapping::create(*source, options);
  }

  TempDir directory_;
  std::string file_ = directory_ / "mapped-file";
};

TEST_F(MappingTest, IsTheWholeFileByDefault) {
  make_file(10000);
  const Result<Mapping> mapping = map();
  ASSERT_TRUE(mapping) << mapping.error().message();
  ASSERT_EQ(mapping->length_bytes(), 10000U);
  ASSERT_EQ(mapping->bytes().size(), 10000U);
  for (std::uint64_t offset = 0; offset < 10000; ++offset) {
    ASSERT_EQ(mapping->bytes()[offset], byte_at(offset)) << offset;
  }
  EXPECT_TRUE(mapping->writable());
  EXPECT_FALSE(mapping->is_device_dax());
}

TEST_F(MappingTest, SharesItsBytesWithTheFile) {
  make_file(10000);
  const Result<Mapping> mapping = map();
  ASSERT_TRUE(mapping) << mapping.error().message();
  const UniqueFd fd(::open(file_.c_str(), O_RDWR | O_CLOEXEC));

  mapping->writable_bytes()[9999] = std::byte{'w'};
  char read = 0;
  ASSERT_EQ(::pread(fd.get(), &read, 1, 9999), 1);
  EXPECT_EQ(read, 'w');

  ASSERT_EQ(::pwrite(fd.get(), "r", 1, 0), 1);
  EXPECT_EQ(mapping->bytes()[0], std::byte{'r'});
}

TEST_F(MappingTest, OutlivesItsSource) {
  make_file(kPage);
  Result<Mapping> mapping = map();
  ASSERT_TRUE(mapping) << mapping.error().message();
  ASSERT_EQ(::unlink(file_.c_str()), 0);
  EXPECT_EQ(mapping->bytes()[100], byte_at(100));
}

TEST_F(MappingTest, IsReadOnlyOfAReadOnlySource) {
  make_file(kPage);
  ASSERT_EQ(::chmod(file_.c_str(), 0444), 0);
  const Result<Mapping> mapping = map({}, Access::kRead);
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_FALSE(mapping->writable());
  EXPECT_EQ(mapping->bytes()[7], byte_at(7));
  EXPECT_NE(map_line(mapping->address()).find(" r--s "), std::string::npos)
      << map_line(mapping->address());
}

TEST_F(MappingTest, IsSharedAndWritableOtherwise) {
  make_file(kPage);
  const Result<Mapping> mapping = map();
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_NE(map_line(mapping->address()).find(" rw-s "), std::string::npos)
      << map_line(mapping->address());
}

TEST_F(MappingTest, IsAlignedForHugePages) {
  make_file(10000);
  std::vector<Mapping> mappings;
  for (int i = 0; i < 5; ++i) {
    Result<Mapping> mapping = map();
    ASSERT_TRUE(mapping) << mapping.error().message();
    EXPECT_EQ(number(mapping->address()) % kHugePage, 0U);
    mappings.push_back(std::move(*mapping));
  }
}

TEST_F(MappingTest, IsAlignedForGiantPagesFromTwoGibibytesOn) {
  make_sparse_file(2 * kGiantPage);
  const Result<Mapping> mapping = map();
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_EQ(mapping->length_bytes(), 2 * kGiantPage);
  EXPECT_EQ(number(mapping->address()) % kGiantPage, 0U);
  mapping->writable_bytes()[2 * kGiantPage - 1] = std::byte{1};
  EXPECT_EQ(mapping->bytes()[2 * kGiantPage - 1], std::byte{1});
}

struct Part {
  const char* name;
  std::uint64_t offset;
  std::uint64_t length;
  std::size_t expected_length;
};

class PartOfAFile : public MappingTest,
                    public ::testing::WithParamInterface<Part> {};

TEST_P(PartOfAFile, IsMapped) {
  make_file(20000);
  const Part& part = GetParam();
  const Result<Mapping> mapping =
      map({.offset_bytes = part.offset, .length_bytes = part.length});
  ASSERT_TRUE(mapping) << mapping.error().message();
  ASSERT_EQ(mapping->length_bytes(), part.expected_length);
  EXPECT_EQ(number(mapping->address()) % kHugePage, 0U);
  const std::size_t in_file =
      std::min<std::size_t>(part.expected_length, 20000 - part.offset);
  for (std::size_t i = 0; i < in_file; ++i) {
    ASSERT_EQ(mapping->bytes()[i], byte_at(part.offset + i)) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Mapping, PartOfAFile,
    ::testing::Values(Part{"FromTheBeginning", 0, 100, 100},
                      Part{"OnePage", kPage, kPage, kPage},
                      Part{"UpToTheEnd", 2 * kPage, 0, 20000 - 2 * kPage},
                      Part{"OddLength", kPage, 5000, 5000},
                      Part{"LastByte", 4 * kPage, 20000 - 4 * kPage,
                           20000 - 4 * kPage},
                      Part{"BeyondTheEnd", kPage, 50 * kPage, 50 * kPage}),
    support::RowName());

struct Refusal {
  const char* name;
  std::uint64_t file_length;
  std::uint64_t offset;
  std::uint64_t length;
  int code;
};

class MappingRefusals : public MappingTest,
                        public ::testing::WithParamInterface<Refusal> {};

TEST_P(MappingRefusals, LeaveNoAddressSpaceBehind) {
  const Refusal& row = GetParam();
  make_sparse_file(row.file_length);
  const std::uint64_t before = address_space_bytes();
  constexpr int kRounds = 100;
  for (int round = 0; round < kRounds; ++round) {
    const Result<Mapping> mapping =
        map({.offset_bytes = row.offset, .length_bytes = row.length});
    ASSERT_FALSE(mapping);
    ASSERT_EQ(mapping.error().code, row.code) << mapping.error().message();
  }
  EXPECT_EQ(count_pieces(file_), 0);
  EXPECT_FALSE(has_leaked(before, kRounds));
}

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

INSTANTIATE_TEST_SUITE_P(
    Mapping, MappingRefusals,
    ::testing::Values(
        Refusal{"EmptyFile", 0, 0, 0, EINVAL},
        Refusal{"UnalignedOffset", 20000, 1, 100, EINVAL},
        Refusal{"HalfAPageOfOffset", 20000, kPage / 2, 0, EINVAL},
        Refusal{"UpToTheEndFromTheEnd", 2 * kPage, 2 * kPage, 0, EINVAL},
        Refusal{"UpToTheEndFromBeyondIt", 5000, 2 * kPage, 0, EINVAL},
        Refusal{"MoreThanTheAddressSpace", 5000, 0, std::uint64_t{1} << 60,
                ENOMEM},
        Refusal{"LengthThatWraps", 5000, 0, kMax, ENOMEM},
        Refusal{"LengthThatWrapsByAlignment", 5000, 0, kMax - kGiantPage,
                ENOMEM},
        Refusal{"OffsetBeyondTheLargestFile", 5000, std::uint64_t{1} << 63,
                2 * kHugePage, EOVERFLOW}),
    support::RowName());

TEST_F(MappingTest, BeyondTheEndBecomesAccessibleAsTheFileGrows) {
  make_file(kPage);
  const Result<Mapping> mapping = map({.length_bytes = 8 * kPage});
  ASSERT_TRUE(mapping) << mapping.error().message();
  std::byte read{1};
  EXPECT_TRUE(guarded_read({&read, 1}, mapping->bytes().subspan(4 * kPage, 1)));
  ASSERT_EQ(::truncate(file_.c_str(), 8 * kPage), 0);
  EXPECT_FALSE(
      guarded_read({&read, 1}, mapping->bytes().subspan(4 * kPage, 1)));
  EXPECT_EQ(read, std::byte{0});
}

TEST_F(MappingTest, MovesWithItsAddress) {
  make_file(10000);
  Result<Mapping> first = map();
  ASSERT_TRUE(first) << first.error().message();
  const std::byte* address = first->address();
  {
    const Mapping second = std::move(*first);
    EXPECT_EQ(first->address(), nullptr);
    EXPECT_EQ(second.address(), address);
    EXPECT_EQ(second.length_bytes(), 10000U);
    EXPECT_TRUE(second.writable());
    EXPECT_EQ(second.granularity(), Granularity::kPage);
    EXPECT_FALSE(second.reason().empty());
    EXPECT_EQ(second.bytes()[9999], byte_at(9999));
  }
  EXPECT_EQ(count_pieces(file_), 0);
}

TEST_F(MappingTest, IsReplacedByMoveAssignment) {
  make_file(10000);
  {
    Result<Mapping> first = map();
    Result<Mapping> second = map({.length_bytes = 77});
    ASSERT_TRUE(first && second);
    const std::byte* address = second->address();
    *first = std::move(*second);
    EXPECT_EQ(first->address(), address);
    EXPECT_EQ(first->length_bytes(), 77U);
    EXPECT_EQ(first->bytes()[76], byte_at(76));
  }
  EXPECT_EQ(count_pieces(file_), 0);
}

TEST_F(MappingTest, IsLeftToTheCallerByRelease) {
  make_file(10000);
  std::byte* address = nullptr;
  {
    Result<Mapping> mapping = map();
    ASSERT_TRUE(mapping) << mapping.error().message();
    address = mapping->release();
    EXPECT_EQ(mapping->address(), nullptr);
  }
  EXPECT_EQ(address[9999], byte_at(9999));
  EXPECT_EQ(::munmap(address, 10000), 0);
  EXPECT_EQ(count_pieces(file_), 0);
}

TEST_F(MappingTest, LeavesNoAddressSpaceBehind) {
  make_file(10000);
  const std::uint64_t before = address_space_bytes();
  constexpr int kRounds = 1000;
  for (int round = 0; round < kRounds; ++round) {
    const Result<Mapping> mapping = map();
    ASSERT_TRUE(mapping) << mapping.error().message();
  }
  EXPECT_EQ(count_pieces(file_), 0);
  EXPECT_FALSE(has_leaked(before, kRounds));
}

TEST_F(MappingTest, TakesNoMoreThanItsPages) {
  make_file(3 * kPage);
  const Result<Mapping> mapping = map({.length_bytes = 5000});
  ASSERT_TRUE(mapping) << mapping.error().message();
  const std::string line = map_line(mapping->address());
  const std::uintptr_t end =
      std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
  EXPECT_EQ(end - number(mapping->address()), 2 * kPage) << line;
}

// Memory that another thread asks for of the size that a mapping reserves, so
// that the kernel offers it the same places.
class Neighbour {
 public:
  explicit Neighbour(std::size_t length) : length_(length) {}

  // Until told to stop: fills memory and looks whether it stays so.
  void run(const std::atomic<bool>& stop) const {
    for (int round = 1; !stop; ++round) {
      void* address = ::mmap(nullptr, length_, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      ASSERT_NE(address, MAP_FAILED);
      auto* words = static_cast<volatile int*>(address);
      const std::size_t count = length_ / sizeof(int);
      for (std::size_t i = 0; i < count; i += kStep) {
        words[i] = round;
      }
      std::this_thread::yield();
      for (std::size_t i = 0; i < count; i += kStep) {
        ASSERT_EQ(words[i], round) << "another's mapping landed on it";
      }
      ASSERT_EQ(::munmap(address, length_), 0);
    }
  }

 private:
  static constexpr std::size_t kStep = (256 << 10) / sizeof(int);

  std::size_t length_;
};

TEST_F(MappingTest, NeverTakesTheAddressesOfAnother) {
  constexpr std::size_t kLength = 3 * kHugePage / 2;
  make_file(kLength);
  const Result<Source> source = Source::open(file_, Access::kReadWrite);
  ASSERT_TRUE(source) << source.error().message();

  std::atomic<bool> done = false;
  std::vector<std::thread> neighbours(3);
  for (std::thread& neighbour : neighbours) {
    neighbour = std::thread([&] { Neighbour(kLength + kHugePage).run(done); });
  }
  std::vector<std::thread> mappers(8);
  for (std::thread& mapper : mappers) {
    mapper = std::thread([&] {
      for (int round = 0; round < 1500; ++round) {
        const Result<Mapping> mapping = Mapping::create(*source);
        ASSERT_TRUE(mapping) << mapping.error().message();
        ASSERT_EQ(mapping->bytes()[kPage], byte_at(kPage));
        ASSERT_EQ(mapping->bytes()[kLength - 1], byte_at(kLength - 1));
      }
    });
  }
  for (std::thread& mapper : mappers) {
    mapper.join();
  }
  done = true;
  for (std::thread& neighbour : neighbours) {
    neighbour.join();
  }
  EXPECT_EQ(count_pieces(file_), 0);
}

TEST(GranularityName, IsOneWord) {
  EXPECT_STREQ(granularity_name(Granularity::kByte), "byte");
  EXPECT_STREQ(granularity_name(Granularity::kCacheLine), "cacheline");
  EXPECT_STREQ(granularity_name(Granularity::kPage), "page");
}

void expect_page_granularity(const Mapping& mapping, const std::string& name) {
  EXPECT_EQ(mapping.granularity(), Granularity::kPage);
  EXPECT_FALSE(mapping.is_pmem());
  for (const std::string& word :
       {name, std::string("MAP_SYNC"), std::string("msync")}) {
    EXPECT_NE(mapping.reason().find(word), std::string::npos)
        << mapping.reason();
  }
  EXPECT_EQ(mapping.reason().find('\n'), std::string::npos);
}

TEST_F(MappingTest, HasPageGranularityOnTmpfs) {
  const UniqueFd memory(::memfd_create("granularity", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(memory.get(), kPage), 0);
  const Result<Source> source =
      Source::adopt(UniqueFd(::dup(memory.get())), Access::kReadWrite);
  ASSERT_TRUE(source) << source.error().message();
  const Result<Mapping> mapping = Mapping::create(*source);
  ASSERT_TRUE(mapping) << mapping.error().message();
  expect_page_granularity(*mapping, "(tmpfs)");
}

TEST_F(MappingTest, HasPageGranularityOnExt4WithoutDax) {
  struct statfs status = {};
  ASSERT_EQ(::statfs(directory_.path().c_str(), &status), 0);
  if (status.f_type != EXT4_SUPER_MAGIC) {
    GTEST_SKIP() << directory_.path() << " is not on ext4";
  }
  make_file(kPage);
  const Result<Mapping> mapping = map();
  ASSERT_TRUE(mapping) << mapping.error().message();
  if (mapping->is_pmem()) {
    GTEST_SKIP() << directory_.path() << " is mounted with DAX";
  }
  expect_page_granularity(*mapping, "ext");
}

TEST_F(MappingTest, HasPageGranularityOnRamfs) {
  support::in_child([] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped() || testing::Test::HasFatalFailure()) {
      return;
    }
    const TempDir mountpoint;
    support::mount_fresh("ramfs", mountpoint.path());
    {
      const std::string file = mountpoint / "file";
      std::ofstream(file) << "text";
      const Result<Source> source = Source::open(file, Access::kReadWrite);
      ASSERT_TRUE(source) << source.error().message();
      const Result<Mapping> mapping = Mapping::create(*source);
      ASSERT_TRUE(mapping) << mapping.error().message();
      expect_page_granularity(*mapping, "(ramfs)");
    }
    ::umount(mountpoint.path().c_str());
  });
}

class MappingOfDeviceDax : public support::FakeDaxNodeTest {
 protected:
  Result<Mapping> map(std::uint64_t offset = 0, std::uint64_t length = 0,
                      Access access = Access::kReadWrite) {
    Result<Source> source = Source::open(node_, access, sysfs_.root());
    if (!source) {
      return pass_on(source);
    }
    return Mapping::create(*source, {.offset_bytes = offset,
                                     .length_bytes = length,
                                     .sysfs_root = sysfs_.root()});
  }
};

TEST_F(MappingOfDeviceDax, IsTheWholeDevice) {
  add_dax({.size = "8388608"});
  const Result<Mapping> mapping = map();
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_EQ(mapping->length_bytes(), 8388608U);
  EXPECT_TRUE(mapping->is_device_dax());
  EXPECT_TRUE(mapping->is_pmem());
  mapping->writable_bytes().back() = std::byte{9};
  EXPECT_EQ(mapping->bytes().back(), std::byte{9});
}

TEST_F(MappingOfDeviceDax, CanBeReadOnly) {
  add_dax();
  const Result<Mapping> mapping = map(0, 0, Access::kRead);
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_FALSE(mapping->writable());
  EXPECT_EQ(mapping->bytes().back(), std::byte{0});
}

TEST_F(MappingOfDeviceDax, HasTheAlignmentOfTheDevice) {
  add_dax({.size = "33554432", .align = "16777216"});
  for (int i = 0; i < 3; ++i) {
    const Result<Mapping> mapping = map();
    ASSERT_TRUE(mapping) << mapping.error().message();
    EXPECT_EQ(number(mapping->address()) % 16777216, 0U);
  }
}

TEST_F(MappingOfDeviceDax, IsAlignedForHugePagesAtLeast) {
  add_dax({.align = "4096"});
  const Result<Mapping> mapping = map();
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_EQ(number(mapping->address()) % kHugePage, 0U);
}

TEST_F(MappingOfDeviceDax, CanBeAPart) {
  add_dax({.size = "8388608"});
  const Result<Mapping> mapping = map(2 * kHugePage, 5000);
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_EQ(mapping->length_bytes(), 5000U);
  const Result<Mapping> rest = map(3 * kHugePage);
  ASSERT_TRUE(rest) << rest.error().message();
  EXPECT_EQ(rest->length_bytes(), kHugePage);
}

TEST_F(MappingOfDeviceDax, RefusesAnOffsetThatIsNotAligned) {
  add_dax();
  const Result<Mapping> mapping = map(kPage, kPage);
  ASSERT_FALSE(mapping);
  EXPECT_EQ(mapping.error().code, EINVAL);
}

TEST_F(MappingOfDeviceDax, RefusesWhatIsBeyondTheEnd) {
  add_dax({.size = "4194304"});
  for (const auto& [offset, length] :
       {std::pair<std::uint64_t, std::uint64_t>{0, 4194305},
        {kHugePage, kHugePage + 1},
        {2 * kHugePage, 1},
        {2 * kHugePage, 0},
        {100 * kHugePage, kPage},
        {kHugePage, kMax}}) {
    const Result<Mapping> mapping = map(offset, length);
    ASSERT_FALSE(mapping) << offset << " " << length;
    EXPECT_EQ(mapping.error().code, EINVAL) << mapping.error().message();
  }
}

TEST_F(MappingOfDeviceDax, HasCacheLineGranularity) {
  add_dax({.name = "dax5.1"});
  sysfs_.add_region("region0", "memory_controller");
  const Result<Mapping> mapping = map();
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_EQ(mapping->granularity(), Granularity::kCacheLine);
  EXPECT_NE(mapping->reason().find("Device DAX dax5.1"), std::string::npos)
      << mapping->reason();
  EXPECT_NE(mapping->reason().find("cache lines"), std::string::npos)
      << mapping->reason();
}

TEST_F(MappingOfDeviceDax, HasByteGranularityWhereCachesAreSaved) {
  add_dax();
  sysfs_.add_region("region0", "cpu_cache");
  const Result<Mapping> mapping = map();
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_EQ(mapping->granularity(), Granularity::kByte);
  EXPECT_TRUE(mapping->is_pmem());
  EXPECT_NE(mapping->reason().find("saves its caches"), std::string::npos)
      << mapping->reason();
}

TEST_F(MappingOfDeviceDax, HasCacheLineGranularityWhereTheKernelDoesNotTell) {
  add_dax();
  sysfs_.add_region("region0", "");
  const Result<Mapping> mapping = map();
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_EQ(mapping->granularity(), Granularity::kCacheLine);
}

TEST_F(MappingOfDeviceDax, LetsGoOfTheDeviceButNotOfItsAddresses) {
  add_dax();
  const Result<Source> source =
      Source::open(node_, Access::kReadWrite, sysfs_.root());
  ASSERT_TRUE(source) << source.error().message();
  Result<Mapping> mapping = Mapping::create(*source);
  ASSERT_TRUE(mapping) << mapping.error().message();
  std::byte one = std::byte{1};
  EXPECT_FALSE(guarded_write(mapping->writable_bytes().first(1), {&one, 1}));
  EXPECT_NE(map_line(mapping->address()).find("/zero"), std::string::npos);
  ASSERT_TRUE(mapping->disconnect());
  EXPECT_EQ(map_line(mapping->address()).find("/zero"), std::string::npos);
  EXPECT_NE(map_line(mapping->address()), "");
  for (const std::size_t at : {std::size_t{0}, mapping->length_bytes() - 1}) {
    EXPECT_TRUE(guarded_read({&one, 1}, mapping->bytes().subspan(at, 1)));
    EXPECT_TRUE(
        guarded_write(mapping->writable_bytes().subspan(at, 1), {&one, 1}));
  }
}

}  // namespace
}  // namespace pmem
