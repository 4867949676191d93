// Files mapped by programs: what is stored is in the file, and the other way.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "mount/mount_test.h"
#include "support/child_process.h"

namespace mount_tests {
namespace {

// A mapping by mmap(2) for the length of a scope.
class Mapped {
 public:
  Mapped(int fd, std::size_t size, int flags,
         int protection = PROT_READ | PROT_WRITE)
      : size_(size),
        address_(::mmap(nullptr, size, protection, flags, fd, 0)) {}
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ~Mapped() {
    if (valid()) {
      ::munmap(address_, size_);
    }
  }
  [[nodiscard]] bool valid() const { return address_ != MAP_FAILED; }
  [[nodiscard]] char* bytes() const { return static_cast<char*>(address_); }
  [[nodiscard]] std::string text(std::size_t offset, std::size_t size) const {
    return {bytes() + offset, size};
  }
  void store(std::size_t offset, const std::string& text) const {
    std::memcpy(bytes() + offset, text.data(), text.size());
  }
  [[nodiscard]] int sync() const { return ::msync(address_, size_, MS_SYNC); }

 private:
  std::size_t size_;
  void* address_;
};

// With the default io and with the others, of which each has its own way to
// mmap.
struct MmapWay {
  BackingKind backing;
  const char* io;
};

std::string way_name(const ::testing::TestParamInfo<MmapWay>& info) {
  return support::name_of(info.param.backing) + "_" + info.param.io;
}

class Mmap : public MountTest, public ::testing::WithParamInterface<MmapWay> {
 protected:
  void SetUp() override {
    mount(support::make_directory_on(GetParam().backing),
          {.arguments = {"--io", GetParam().io}});
  }
};

INSTANTIATE_TEST_SUITE_P(
    Mounted, Mmap,
    ::testing::Values(MmapWay{BackingKind::kTmpfs, "mapped"},
                      MmapWay{BackingKind::kDisk, "mapped"},
                      MmapWay{BackingKind::kTmpfs, "passthrough"},
                      MmapWay{BackingKind::kDisk, "passthrough"},
                      MmapWay{BackingKind::kTmpfs, "cached"},
                      MmapWay{BackingKind::kDisk, "cached"}),
    way_name);

constexpr std::size_t kSize = 100000;

TEST_P(Mmap, SharedStoresReachTheFile) {
  write_file(mounted("f"), noise(kSize));
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  const Mapped mapped(fd.get(), kSize, MAP_SHARED);
  ASSERT_TRUE(mapped.valid()) << std::strerror(errno);
  EXPECT_TRUE(mapped.text(0, kSize) == noise(kSize));
  mapped.store(50000, "stored");
  ASSERT_EQ(mapped.sync(), 0) << std::strerror(errno);
  EXPECT_EQ(read_at(fd.get(), 50000, 6), "stored");
  EXPECT_EQ(content_of(source("f")).substr(50000, 6), "stored");
}

TEST_P(Mmap, StoresAndReadsAreCoherentBothWays) {
  write_file(mounted("f"), noise(kSize));
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  const Mapped mapped(fd.get(), kSize, MAP_SHARED);
  ASSERT_TRUE(mapped.valid()) << std::strerror(errno);
  for (std::size_t round = 0; round < 50; ++round) {
    const std::string text = "round " + std::to_string(round);
    const std::size_t at = round * 1999;
    if (round % 2 == 0) {
      mapped.store(at, text);
      ASSERT_EQ(read_at(fd.get(), static_cast<off_t>(at), text.size()), text);
    } else {
      ASSERT_EQ(
          ::pwrite(fd.get(), text.data(), text.size(), static_cast<off_t>(at)),
          static_cast<ssize_t>(text.size()));
      ASSERT_EQ(mapped.text(at, text.size()), text);
    }
  }
}

TEST_P(Mmap, TwoProcessesShareAMapping) {
  write_file(mounted("f"), std::string(8192, '.'));
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  const Mapped mapped(fd.get(), 8192, MAP_SHARED);
  ASSERT_TRUE(mapped.valid()) << std::strerror(errno);
  mapped.store(0, "parent");
  support::in_child([&] {
    const pmem::UniqueFd own = open_file(mounted("f"), O_RDWR);
    const Mapped own_mapping(own.get(), 8192, MAP_SHARED);
    ASSERT_TRUE(own_mapping.valid());
    EXPECT_EQ(own_mapping.text(0, 6), "parent");
    own_mapping.store(4096, "child");
  });
  EXPECT_EQ(mapped.text(4096, 5), "child");
}

TEST_P(Mmap, PrivateStoresStayPrivate) {
  write_file(mounted("f"), noise(kSize));
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDONLY);
  const Mapped mapped(fd.get(), kSize, MAP_PRIVATE);
  ASSERT_TRUE(mapped.valid()) << std::strerror(errno);
  EXPECT_TRUE(mapped.text(0, kSize) == noise(kSize));
  mapped.store(10, "private");
  EXPECT_EQ(mapped.text(10, 7), "private");
  EXPECT_TRUE(content_of(mounted("f")) == noise(kSize));
  EXPECT_TRUE(content_of(source("f")) == noise(kSize));
}

TEST_P(Mmap, StoresAreThereAfterCloseAndRemount) {
  {
    const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
    ASSERT_EQ(::ftruncate(fd.get(), 1 << 20), 0);
    const Mapped mapped(fd.get(), 1 << 20, MAP_SHARED);
    ASSERT_TRUE(mapped.valid()) << std::strerror(errno);
    mapped.store(0, "begin");
    mapped.store(700001, "hole filled");
  }
  remount();
  EXPECT_EQ(content_of(source("f")).substr(700001, 11), "hole filled");
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDONLY);
  EXPECT_EQ(read_at(fd.get(), 0, 5), "begin");
  EXPECT_EQ(read_at(fd.get(), 700001, 11), "hole filled");
  EXPECT_EQ(status_of(mounted("f")).st_size, 1 << 20);
}

TEST_P(Mmap, AMappingOutlivesItsDescriptorAndItsName) {
  write_file(mounted("f"), noise(kSize));
  pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  const Mapped mapped(fd.get(), kSize, MAP_SHARED);
  ASSERT_TRUE(mapped.valid()) << std::strerror(errno);
  fd = pmem::UniqueFd();
  ASSERT_EQ(::unlink(mounted("f").c_str()), 0);
  EXPECT_TRUE(mapped.text(0, kSize) == noise(kSize));
  mapped.store(kSize - 3, "end");
  EXPECT_EQ(mapped.sync(), 0);
  EXPECT_EQ(mapped.text(kSize - 3, 3), "end");
}

TEST_P(Mmap, TheRestOfTheLastPageIsZero) {
  write_file(mounted("f"), "short");
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDONLY);
  const Mapped mapped(fd.get(), 4096, MAP_SHARED, PROT_READ);
  ASSERT_TRUE(mapped.valid()) << std::strerror(errno);
  EXPECT_EQ(mapped.text(0, 5), "short");
  EXPECT_EQ(mapped.text(5, 4091), std::string(4091, '\0'));
}

TEST_P(Mmap, ProgramsRunFromTheMount) {
  struct statvfs backing_status = {};
  ASSERT_EQ(::statvfs(backing().path().c_str(), &backing_status), 0);
  if ((backing_status.f_flag & ST_NOEXEC) != 0) {
    GTEST_SKIP() << "nor do they natively: " << backing().path()
                 << " is mounted noexec";
  }
  std::string program = content_of("/bin/true");
  write_file(mounted("true"), program);
  ASSERT_EQ(::chmod(mounted("true").c_str(), 0755), 0);
  const support::CommandResult ran = support::run_command({mounted("true")});
  EXPECT_EQ(ran.exit_status, 0) << ran.output;
}

TEST_P(Mmap, AWriterCannotBeMappedForReading) {
  write_file(mounted("f"), "content");
  const pmem::UniqueFd writer = open_file(mounted("f"), O_WRONLY);
  const Mapped refused(writer.get(), 4096, MAP_SHARED, PROT_READ);
  EXPECT_FALSE(refused.valid());
  EXPECT_EQ(errno, EACCES);
  const pmem::UniqueFd reader = open_file(mounted("f"), O_RDONLY);
  const Mapped also_refused(reader.get(), 4096, MAP_SHARED);
  EXPECT_FALSE(also_refused.valid());
  EXPECT_EQ(errno, EACCES);
}

}  // namespace
}  // namespace mount_tests
