// What saves the memory on power loss, by what the platform promises: its
// caches too (eADR), or what has left them (ADR); and by what its CPU can do to
// have them left.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "libpmem.h"
#include "pmem/mapping.h"
#include "pmem/persist.h"
#include "support/child_process.h"
#include "support/files.h"
#include "support/mount_fixture.h"
#include "support/row_name.h"
#include "support/temp_dir.h"
#include "vm/guest.h"

namespace vm {
namespace {

using support::noise;
using support::open_file;
using support::read_at;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr const char* kOriginalLibrary = "libpmem.so.1";

struct Platform {
  const char* name;
  int has_auto_flush;
  const char* granularity;
  const char* flush_instruction;
  const char* reason;
};

void PrintTo(const Platform& platform, std::ostream* out) {
  *out << platform.name;
}

constexpr const char* kFlushNeeded =
    "a flush of the cache lines makes stores durable";
constexpr Platform kEadr = {"SavesCaches", 1, "byte", "none",
                            "the platform saves its caches on power loss"};
constexpr Platform kAdr = {"SavesWhatLeftCaches", 0, "cacheline", "clwb",
                           kFlushNeeded};
// CPUs without what is better.
constexpr Platform kClflush = {"FlushesSlowly", 0, "cacheline", "clflush",
                               kFlushNeeded};
constexpr Platform kClflushopt = {"FlushesAndForgets", 0, "cacheline",
                                  "clflushopt", kFlushNeeded};

// --- the library ------------------------------------------------------------

class PlatformOf : public ::testing::TestWithParam<Platform> {};

TEST_P(PlatformOf, IsToldByTheLibrary) {
  EXPECT_EQ(::pmem_has_auto_flush(), GetParam().has_auto_flush);
  EXPECT_STREQ(pmem::flush_instruction(), GetParam().flush_instruction);
}

// In a process of its own, because it may crash.
TEST_P(PlatformOf, IsToldByTheOriginalLibraryToo) {
  support::in_child([] {
    void* original = ::dlopen(kOriginalLibrary, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(original, nullptr) << ::dlerror();
    auto* has_auto_flush =
        reinterpret_cast<int (*)()>(::dlsym(original, "pmem_has_auto_flush"));
    ASSERT_NE(has_auto_flush, nullptr) << ::dlerror();
    ASSERT_NE(has_auto_flush, &::pmem_has_auto_flush);
    EXPECT_EQ(has_auto_flush(), GetParam().has_auto_flush);
  });
}

INSTANTIATE_TEST_SUITE_P(Eadr, PlatformOf, ::testing::Values(kEadr),
                         support::RowName());
INSTANTIATE_TEST_SUITE_P(Adr, PlatformOf, ::testing::Values(kAdr),
                         support::RowName());
INSTANTIATE_TEST_SUITE_P(WithClflush, PlatformOf, ::testing::Values(kClflush),
                         support::RowName());
INSTANTIATE_TEST_SUITE_P(WithClflushopt, PlatformOf,
                         ::testing::Values(kClflushopt), support::RowName());

// --- what lies on the memory ------------------------------------------------

struct Row {
  std::string name;
  Platform platform;
  bool is_device;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

std::array<Row, 2> rows_of(const Platform& platform) {
  return {Row{"DeviceDax", platform, true},
          Row{"Ext4WithDax", platform, false}};
}

// A Device DAX, or a file on ext4 with DAX, and the same through a mount.
class MemoryOf : public ::testing::TestWithParam<Row> {
 protected:
  void SetUp() override {
    const std::string source =
        GetParam().is_device ? place("DEVDAX") : folder_.path();
    beneath_ = GetParam().is_device ? source : folder_ / "file";
    if (!GetParam().is_device) {
      support::write_file(beneath_, std::string(4 * kMiB, '\0'));
    }
    mount();
  }

  void mount() {
    mount_.reset();
    mount_.emplace(std::vector<std::string>{source()});
  }

  [[nodiscard]] std::string source() const {
    return GetParam().is_device ? beneath_ : folder_.path();
  }
  [[nodiscard]] std::string beneath() const { return beneath_; }
  [[nodiscard]] std::string mounted() const {
    return *mount_ / beneath_.substr(beneath_.rfind('/') + 1);
  }

  [[nodiscard]] std::string attribute(const std::string& name) const {
    std::array<char, 4096> value = {};
    const ssize_t length =
        ::lgetxattr(mounted().c_str(), ("user.pmem." + name).c_str(),
                    value.data(), value.size());
    EXPECT_GE(length, 0) << std::strerror(errno);
    return {value.data(),
            static_cast<std::size_t>(std::max(length, ssize_t{0}))};
  }

 private:
  support::TempDir folder_ = support::TempDir(place("EXT4"));
  std::string beneath_;
  std::optional<support::MountedPmemfs> mount_;
};

TEST_P(MemoryOf, TellsItInAttributesOfTheMount) {
  EXPECT_EQ(attribute("is_pmem"), "1");
  EXPECT_EQ(attribute("granularity"), GetParam().platform.granularity);
  EXPECT_NE(attribute("reason").find(GetParam().platform.reason),
            std::string::npos)
      << attribute("reason");
}

TEST_P(MemoryOf, TellsItInTheLibrary) {
  const auto source = pmem::Source::open(beneath(), pmem::Access::kReadWrite);
  ASSERT_TRUE(source) << source.error().message();
  const auto mapping = pmem::Mapping::create(*source);
  ASSERT_TRUE(mapping) << mapping.error().message();
  EXPECT_TRUE(mapping->is_pmem());
  EXPECT_STREQ(pmem::granularity_name(mapping->granularity()),
               GetParam().platform.granularity);
  EXPECT_NE(mapping->reason().find(GetParam().platform.reason),
            std::string::npos)
      << mapping->reason();
}

TEST_P(MemoryOf, HoldsWhatIsWrittenThroughTheMount) {
  const std::string bytes = noise(2 * kMiB + 3, 11);
  {
    const pmem::UniqueFd fd = open_file(mounted(), O_RDWR);
    ASSERT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), 4095),
              static_cast<ssize_t>(bytes.size()));
    EXPECT_TRUE(read_at(fd.get(), 4095, bytes.size()) == bytes);
  }
  mount();
  const pmem::UniqueFd fd = open_file(mounted(), O_RDONLY);
  EXPECT_TRUE(read_at(fd.get(), 4095, bytes.size()) == bytes);
}

TEST_P(MemoryOf, HoldsWhatTheLibraryPersists) {
  std::size_t length = 0;
  int is_pmem = -1;
  auto* address = static_cast<char*>(
      ::pmem_map_file(beneath().c_str(), 0, 0, 0, &length, &is_pmem));
  ASSERT_NE(address, nullptr) << ::pmem_errormsg();
  EXPECT_EQ(is_pmem, 1);
  const std::string bytes = noise(kMiB, 12);
  ::pmem_memcpy_persist(address + 77, bytes.data(), bytes.size());
  ::pmem_memset(address + 77 + bytes.size(), 'z', 100, 0);
  EXPECT_EQ(::pmem_unmap(address, length), 0);
  const pmem::UniqueFd fd = open_file(mounted(), O_RDONLY);
  EXPECT_TRUE(read_at(fd.get(), 77, bytes.size() + 100) ==
              bytes + std::string(100, 'z'));
}

INSTANTIATE_TEST_SUITE_P(Eadr, MemoryOf, ::testing::ValuesIn(rows_of(kEadr)),
                         support::RowName());
INSTANTIATE_TEST_SUITE_P(Adr, MemoryOf, ::testing::ValuesIn(rows_of(kAdr)),
                         support::RowName());
INSTANTIATE_TEST_SUITE_P(WithClflush, MemoryOf,
                         ::testing::ValuesIn(rows_of(kClflush)),
                         support::RowName());
INSTANTIATE_TEST_SUITE_P(WithClflushopt, MemoryOf,
                         ::testing::ValuesIn(rows_of(kClflushopt)),
                         support::RowName());

}  // namespace
}  // namespace vm
