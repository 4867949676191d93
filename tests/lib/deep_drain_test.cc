// Deep flush and deep drain: which region is asked, and how a range is cut
// where mappings of Device DAX begin and end.
//
// msync(2) shows itself by refusing what is not mapped. What is registered as a
// Device DAX has invented addresses, which msync would refuse: so a range that
// succeeds has had those parts left out. A flush of a region shows itself by
// the time of its attribute, whose text it need not change.
#include "deep_drain.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "pmem/dax_device.h"
#include "pmem/mapping_registry.h"
#include "support/child_process.h"
#include "support/fake_sysfs.h"
#include "support/row_name.h"

namespace pmem {
namespace {

using support::FakeSysfs;

const dev_t kFirst = ::makedev(252, 7);
const dev_t kSecond = ::makedev(252, 8);
constexpr std::size_t kPage = 4096;

// A tree of regions whose flushes can be seen.
class Regions {
 public:
  void add(const std::string& name, const std::optional<std::string>& text) {
    sysfs_.add_region(name, "memory_controller");
    if (text) {
      sysfs_.write(relative_path(name), *text);
      forget_flushes(name);
    }
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return root() + "/" + relative_path(name);
  }

  void forget_flushes(const std::string& name) const {
    const std::array<timespec, 2> times = {timespec{kLongAgo, 0},
                                           timespec{kLongAgo, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path(name).c_str(), times.data(), 0), 0);
  }

  [[nodiscard]] bool was_written(const std::string& name) const {
    struct stat status = {};
    EXPECT_EQ(::stat(path(name).c_str(), &status), 0);
    return status.st_mtim.tv_sec != kLongAgo;
  }

  [[nodiscard]] std::string text(const std::string& name) const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  [[nodiscard]] FakeSysfs& sysfs() { return sysfs_; }
  [[nodiscard]] const std::string& root() const { return sysfs_.root(); }

 private:
  static constexpr time_t kLongAgo = 1000;

  static std::string relative_path(const std::string& name) {
    return FakeSysfs::region_directory(name) + "/deep_flush";
  }

  FakeSysfs sysfs_;
};

struct TextRow {
  const char* name;
  const char* text;
  bool is_written;
  const char* text_after;
};

std::ostream& operator<<(std::ostream& out, const TextRow& row) {
  return out << row.name;
}

class FlushRegion : public ::testing::TestWithParam<TextRow> {};

TEST_P(FlushRegion, WritesOneUnlessItReadsZero) {
  const TextRow& row = GetParam();
  Regions regions;
  regions.add("region0", row.text);
  regions.sysfs().add_dax_of_region(kFirst, "region0", {});
  const Result<void> flushed = flush_region(kFirst, regions.root());
  EXPECT_TRUE(flushed) << flushed.error().message();
  EXPECT_EQ(regions.was_written("region0"), row.is_written);
  EXPECT_EQ(regions.text("region0"), row.text_after);
}

INSTANTIATE_TEST_SUITE_P(
    All, FlushRegion,
    ::testing::Values(TextRow{"One", "1\n", true, "1\n"},
                      TextRow{"Zero", "0\n", false, "0\n"},
                      TextRow{"ZeroWithoutALineEnd", "0", false, "0"},
                      TextRow{"OneWithoutALineEnd", "1", true, "1"},
                      TextRow{"Two", "2\n", true, "1\n"},
                      TextRow{"Ten", "10\n", true, "10\n"}),
    support::RowName());

TEST(FlushRegion, OfADeviceOfTheClass) {
  Regions regions;
  regions.add("region0", "1\n");
  regions.add("region1", "1\n");
  regions.sysfs().add_dax_of_class(kFirst, {}, "region1");
  EXPECT_TRUE(flush_region(kFirst, regions.root()));
  EXPECT_FALSE(regions.was_written("region0"));
  EXPECT_TRUE(regions.was_written("region1"));
}

TEST(FlushRegion, IsTheOneOfTheDevice) {
  Regions regions;
  regions.add("region0", "1\n");
  regions.add("region1", "1\n");
  regions.sysfs().add_dax_of_region(kFirst, "region0", {.name = "dax0.0"});
  regions.sysfs().add_dax_of_region(kSecond, "region1", {.name = "dax1.0"});
  EXPECT_TRUE(flush_region(kSecond, regions.root()));
  EXPECT_FALSE(regions.was_written("region0"));
  EXPECT_TRUE(regions.was_written("region1"));
  regions.forget_flushes("region1");
  EXPECT_TRUE(flush_region(kFirst, regions.root()));
  EXPECT_TRUE(regions.was_written("region0"));
  EXPECT_FALSE(regions.was_written("region1"));
}

// CXL and hmem: the memory has no nd region.
TEST(FlushRegion, IsNotNeededWithoutARegion) {
  Regions regions;
  regions.add("region0", "1\n");
  regions.sysfs().add_dax(kFirst, {});
  EXPECT_TRUE(flush_region(kFirst, regions.root()));
  EXPECT_FALSE(regions.was_written("region0"));
}

TEST(FlushRegion, IsNotNeededWithoutTheAttribute) {
  Regions regions;
  regions.add("region0", std::nullopt);
  regions.sysfs().add_dax_of_region(kFirst, "region0", {});
  EXPECT_TRUE(flush_region(kFirst, regions.root()));
}

TEST(FlushRegion, FailsWhereTheAttributeIsUnreadable) {
  Regions regions;
  regions.add("region0", std::nullopt);
  regions.sysfs().add_dax_of_region(kFirst, "region0", {});
  regions.sysfs().make_directory(FakeSysfs::region_directory("region0") +
                                 "/deep_flush");
  const Result<void> flushed = flush_region(kFirst, regions.root());
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().code, EISDIR);
  EXPECT_NE(flushed.error().message().find(regions.path("region0")),
            std::string::npos)
      << flushed.error().message();
}

struct ModeRow {
  const char* name;
  const char* text;
  mode_t mode;
  int error;
};

class FlushRegionAsNobody : public ::testing::TestWithParam<ModeRow> {};

TEST_P(FlushRegionAsNobody, GoesByTheMode) {
  Regions regions;
  regions.add("region0", GetParam().text);
  regions.sysfs().add_dax_of_region(kFirst, "region0", {});
  ASSERT_EQ(::chmod(regions.root().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(regions.path("region0").c_str(), GetParam().mode), 0);
  support::in_child([&] {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0) {
      ASSERT_EQ(::setresuid(kNobody, kNobody, kNobody), 0);
    }
    const Result<void> flushed = flush_region(kFirst, regions.root());
    EXPECT_EQ(flushed ? 0 : flushed.error().code, GetParam().error);
    EXPECT_FALSE(regions.was_written("region0"));
  });
}

INSTANTIATE_TEST_SUITE_P(
    All, FlushRegionAsNobody,
    ::testing::Values(ModeRow{"MayNotWrite", "1\n", 0444, EACCES},
                      ModeRow{"NeedNotWrite", "0\n", 0444, 0},
                      ModeRow{"MayNotRead", "1\n", 0000, EACCES}),
    support::RowName());

// Ranges.

// One unit of memory, in the notation of the tests below.
enum class Kind : char {
  kDax = 'D',     // registered as the first device, at an invented address
  kOther = 'E',   // as the second device
  kFile = 'F',    // registered as a file, and mapped
  kMemory = 'M',  // mapped, and unknown to the registry
  kNothing = '-',
};

// Pages as a text says: "DF-" is a page of a device, one of a file, one that is
// not mapped. Neighbours of one kind belong to one range, unless a '|' parts
// them.
class Pages {
 public:
  explicit Pages(const std::string& layout) {
    std::size_t pages = 0;
    for (const char kind : layout) {
      pages += kind == '|' ? 0 : 1;
    }
    length_ = pages * kPage;
    // With a page on either side that stays unmapped.
    reserved_ = static_cast<std::byte*>(
        ::mmap(nullptr, length_ + 2 * kPage, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    begin_ = reserved_ + kPage;
    ::munmap(reserved_, kPage);
    ::munmap(begin_ + length_, kPage);
    fill(layout);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(begin_, length_); }

  [[nodiscard]] std::byte* begin() const { return begin_; }
  [[nodiscard]] const MappingRegistry& registry() const { return registry_; }

 private:
  void fill(const std::string& layout) {
    std::size_t page = 0;
    for (std::size_t i = 0; i < layout.size();) {
      std::size_t end = i;
      while (end < layout.size() && layout[end] == layout[i]) {
        ++end;
      }
      if (layout[i] == '|') {
        ++i;
        continue;
      }
      add(static_cast<Kind>(layout[i]), begin_ + page * kPage,
          (end - i) * kPage);
      page += end - i;
      i = end;
    }
  }

  // What is not mapped now is not compared later: an invented range.
  void add(Kind kind, std::byte* address, std::size_t length) {
    if (kind == Kind::kDax || kind == Kind::kOther || kind == Kind::kNothing) {
      ASSERT_EQ(::munmap(address, length), 0);
    }
    if (kind == Kind::kDax || kind == Kind::kOther) {
      registry_.add(address, length, true,
                    kind == Kind::kDax ? kFirst : kSecond);
    }
    if (kind == Kind::kFile) {
      registry_.add(address, length, true, std::nullopt);
    }
  }

  std::size_t length_ = 0;
  std::byte* reserved_ = nullptr;
  std::byte* begin_ = nullptr;
  MappingRegistry registry_;
};

struct RangeRow {
  const char* name;
  const char* layout;
  std::size_t offset;
  std::size_t length;
  int error;
  const char* flushed;  // of "DE": the devices whose regions are flushed
};

std::ostream& operator<<(std::ostream& out, const RangeRow& row) {
  return out << row.name;
}

class Ranges : public ::testing::TestWithParam<RangeRow> {
 protected:
  void SetUp() override {
    regions_.add("region0", "1\n");
    regions_.add("region1", "1\n");
    regions_.sysfs().add_dax_of_region(kFirst, "region0", {.name = "dax0.0"});
    regions_.sysfs().add_dax_of_region(kSecond, "region1", {.name = "dax1.0"});
  }

  [[nodiscard]] std::string flushed() const {
    return std::string(regions_.was_written("region0") ? "D" : "") +
           (regions_.was_written("region1") ? "E" : "");
  }

  Regions regions_;
};

TEST_P(Ranges, AreDrainedPieceByPiece) {
  const RangeRow& row = GetParam();
  const Pages pages(row.layout);
  const Result<void> drained =
      deep_drain(pages.registry(), pages.begin() + row.offset, row.length,
                 regions_.root());
  EXPECT_EQ(drained ? 0 : drained.error().code, row.error);
  EXPECT_EQ(flushed(), row.flushed);
}

TEST_P(Ranges, AreSynchronisedPieceByPiece) {
  const RangeRow& row = GetParam();
  const Pages pages(row.layout);
  const Result<void> synced =
      sync_range(pages.registry(), pages.begin() + row.offset, row.length);
  EXPECT_EQ(synced ? 0 : synced.error().code, row.error);
  EXPECT_EQ(flushed(), "") << "msync has no effect on a Device DAX";
}

// clang-format off
INSTANTIATE_TEST_SUITE_P(
    All, Ranges,
    ::testing::Values(
        RangeRow{"LengthZero", "D", 0, 0, 0, ""},
        RangeRow{"LengthZeroWhereNothingIs", "-", 5, 0, 0, ""},
        RangeRow{"LengthZeroBehindADevice", "D", kPage, 0, 0, ""},
        RangeRow{"WholeDevice", "DDD", 0, 3 * kPage, 0, "D"},
        RangeRow{"FirstByteOfADevice", "DDD", 0, 1, 0, "D"},
        RangeRow{"LastByteOfADevice", "DDD", 3 * kPage - 1, 1, 0, "D"},
        RangeRow{"MiddleOfADevice", "DDD", kPage, kPage, 0, "D"},
        RangeRow{"UnalignedMiddleOfADevice", "DDD", 4097, 100, 0, "D"},
        RangeRow{"FromTheMiddleToTheEndOfADevice", "DDD", 5000, 3 * kPage - 5000, 0, "D"},
        RangeRow{"OneByteBeyondADevice", "DD", 0, 2 * kPage + 1, ENOMEM, "D"},
        RangeRow{"OneByteBeyondADeviceFromItsMiddle", "DD", 5000, 2 * kPage + 1 - 5000, ENOMEM, "D"},
        RangeRow{"FromBeforeADevice", "-D", kPage - 1, 2, ENOMEM, ""},
        RangeRow{"DeviceBehindAFile", "FD", 0, 2 * kPage, 0, "D"},
        RangeRow{"DeviceBeforeAFile", "DF", 0, 2 * kPage, 0, "D"},
        RangeRow{"DeviceBetweenFiles", "FDF", 100, 3 * kPage - 200, 0, "D"},
        RangeRow{"FileBetweenDevices", "DFE", 100, 3 * kPage - 200, 0, "DE"},
        RangeRow{"DeviceBetweenUnknownMemory", "MDM", 0, 3 * kPage, 0, "D"},
        RangeRow{"OnlyTheFile", "DFE", kPage, kPage, 0, ""},
        RangeRow{"OnlyTheFileUnaligned", "DFE", kPage + 7, kPage - 7, 0, ""},
        RangeRow{"OnlyUnknownMemory", "DME", kPage + 1, kPage - 1, 0, ""},
        RangeRow{"OneByteOfTheNextDevice", "DFE", kPage, kPage + 1, 0, "E"},
        RangeRow{"LastByteOfThePreviousDevice", "DFE", kPage - 1, 2, 0, "D"},
        RangeRow{"TouchingDevices", "DE", kPage - 1, 2, 0, "DE"},
        RangeRow{"SecondOfTouchingDevices", "DE", kPage, 1, 0, "E"},
        RangeRow{"FirstOfTouchingDevices", "DE", 0, kPage, 0, "D"},
        RangeRow{"TouchingMappingsOfOneDevice", "D|D|D", 100, 2 * kPage, 0, "D"},
        RangeRow{"TouchingFiles", "F|F|F", 100, 2 * kPage, 0, ""},
        RangeRow{"FileThenTouchingDevices", "F|FDE", 1, 4 * kPage - 2, 0, "DE"},
        RangeRow{"NothingAtAll", "-", 0, 1, ENOMEM, ""},
        RangeRow{"NothingBetween", "D-E", 0, 3 * kPage, ENOMEM, "D"},
        RangeRow{"NothingBetweenFiles", "F-F", 0, 3 * kPage, ENOMEM, ""},
        RangeRow{"NothingAtFirst", "-DE", 0, 3 * kPage, ENOMEM, ""},
        RangeRow{"NothingAtLast", "DE-", 0, 3 * kPage, ENOMEM, "DE"},
        RangeRow{"NothingBehindAFile", "DF-", 0, 2 * kPage + 1, ENOMEM, "D"},
        RangeRow{"EveryKind", "MFDDFEEM", 10, 8 * kPage - 20, 0, "DE"},
        RangeRow{"LengthThatWraps", "D", 1, std::numeric_limits<std::size_t>::max(), ENOMEM, ""},
        RangeRow{"LengthThatWrapsOfAFile", "F", 1, std::numeric_limits<std::size_t>::max(), ENOMEM, ""},
        RangeRow{"LengthThatNearlyWraps", "D", 0, std::numeric_limits<std::size_t>::max() / 2, ENOMEM, "D"}),
    support::RowName());
// clang-format on

// Every offset and length around the edges of pages, against the layout.
TEST_F(Ranges, SucceedWhereEveryPageIsThere) {
  const std::string layout = "FFDD-MEF";
  const Pages pages(layout);
  std::vector<std::size_t> edges;
  for (std::size_t page = 0; page <= layout.size(); ++page) {
    for (const std::size_t offset :
         {page * kPage - 1, page * kPage, page * kPage + 1}) {
      if (offset <= layout.size() * kPage) {  // also: no wrap below 0
        edges.push_back(offset);
      }
    }
  }
  for (const std::size_t begin : edges) {
    for (const std::size_t end : edges) {
      if (begin >= end) {
        continue;
      }
      const std::string touched =
          layout.substr(begin / kPage, (end - 1) / kPage - begin / kPage + 1);
      const bool is_whole = touched.find('-') == std::string::npos;
      EXPECT_EQ(sync_range(pages.registry(), pages.begin() + begin, end - begin)
                    .has_value(),
                is_whole)
          << begin << " to " << end;
      EXPECT_EQ(deep_drain(pages.registry(), pages.begin() + begin, end - begin,
                           regions_.root())
                    .has_value(),
                is_whole)
          << begin << " to " << end;
    }
  }
}

TEST_F(Ranges, StopAtTheFirstFailure) {
  const Pages pages("DE");
  ASSERT_EQ(::unlink(regions_.path("region0").c_str()), 0);
  regions_.sysfs().make_directory(FakeSysfs::region_directory("region0") +
                                  "/deep_flush");
  const Result<void> drained =
      deep_drain(pages.registry(), pages.begin(), 2 * kPage, regions_.root());
  ASSERT_FALSE(drained);
  EXPECT_EQ(drained.error().code, EISDIR);
  EXPECT_FALSE(regions_.was_written("region1"));
}

// What the registry remembers of addresses that have gone to something else
// does not count.
TEST_F(Ranges, AreThoseOfWhatIsMappedNow) {
  auto* const address =
      static_cast<std::byte*>(::mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(address, MAP_FAILED);
  MappingRegistry registry;
  registry.add(address, 2 * kPage, true, kFirst);
  ASSERT_TRUE(deep_drain(registry, address, kPage, regions_.root()));
  EXPECT_EQ(flushed(), "D");
  regions_.forget_flushes("region0");

  ASSERT_EQ(::munmap(address, kPage), 0);
  const Result<void> drained =
      deep_drain(registry, address, kPage, regions_.root());
  EXPECT_EQ(drained ? 0 : drained.error().code, ENOMEM);
  const Result<void> synced = sync_range(registry, address, kPage);
  EXPECT_EQ(synced ? 0 : synced.error().code, ENOMEM);
  EXPECT_EQ(flushed(), "");

  EXPECT_TRUE(deep_drain(registry, address + kPage, kPage, regions_.root()));
  EXPECT_EQ(flushed(), "D");
  EXPECT_TRUE(registry.unmap(address, 2 * kPage));
}

}  // namespace
}  // namespace pmem
