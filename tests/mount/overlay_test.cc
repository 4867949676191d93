// Overlayfs on a mount, and a mount of what lies on an overlay.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "mount/mount_test.h"
#include "support/child_process.h"

namespace mount_tests {
namespace {

// The directories that an overlay is made of.
struct OverlayPlace {
  std::string lower;
  std::string upper;
  std::string work;
};

OverlayPlace make_place(const std::string& directory) {
  OverlayPlace place = {directory + "/lower", directory + "/upper",
                        directory + "/work"};
  for (const std::string& path : {place.lower, place.upper, place.work}) {
    std::filesystem::create_directories(path);
  }
  return place;
}

int mount_overlay(const OverlayPlace& place, const std::string& at) {
  std::filesystem::create_directories(at);
  const std::string options = "lowerdir=" + place.lower +
                              ",upperdir=" + place.upper +
                              ",workdir=" + place.work;
  return ::mount("overlay", at.c_str(), "overlay", 0, options.c_str());
}

// For a child, whose overlay ends with it. Skips the test where none can be
// mounted; the caller returns when IsSkipped().
void mount_native_overlay(const OverlayPlace& place, const std::string& at) {
  support::enter_private_mounts();
  if (::testing::Test::IsSkipped() || ::testing::Test::HasFatalFailure()) {
    return;
  }
  if (mount_overlay(place, at) != 0) {
    GTEST_SKIP() << "overlayfs cannot be mounted natively: "
                 << std::strerror(errno);
  }
}

struct OverlayWay {
  BackingKind backing;
  const char* io;
};

std::string way_name(const ::testing::TestParamInfo<OverlayWay>& info) {
  return support::name_of(info.param.backing) + "_" + info.param.io;
}

auto all_ways() {
  return ::testing::Values(OverlayWay{BackingKind::kTmpfs, "mapped"},
                           OverlayWay{BackingKind::kDisk, "mapped"},
                           OverlayWay{BackingKind::kTmpfs, "passthrough"},
                           OverlayWay{BackingKind::kDisk, "passthrough"},
                           OverlayWay{BackingKind::kTmpfs, "cached"},
                           OverlayWay{BackingKind::kDisk, "cached"});
}

std::string mapped_text(int fd, std::size_t size) {
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) {
    return std::string("mmap: ") + std::strerror(errno);
  }
  std::string text(static_cast<const char*>(address), size);
  ::munmap(address, size);
  return text;
}

// What programs do in the overlay: what is below is read, copied up, hidden.
void use(Account& account, const std::string& overlay) {
  const auto at = [&](const char* name) { return overlay + "/" + name; };
  account.content("below", content_of(at("below")));
  {
    const pmem::UniqueFd fd = open_file(at("below"), O_RDONLY);
    account.content("mapped", mapped_text(fd.get(), 5));
  }
  const pmem::UniqueFd fd = open_file(at("below"), O_RDWR | O_APPEND);
  account.call("append", ::write(fd.get(), " more", 5));
  account.content("copied up", content_of(at("below")));
  write_file(at("new"), noise(100000));
  account.content("new", content_of(at("new")));
  account.call("unlink", ::unlink(at("hidden").c_str()));
  account.call("open", ::open(at("hidden").c_str(), O_RDONLY));
  account.call("rename", ::rename(at("new").c_str(), at("moved").c_str()));
  account.call("mkdir", ::mkdir(at("directory").c_str(), 0755));
  account.call("rmdir", ::rmdir(at("directory").c_str()));
  account.call("symlink", ::symlink("moved", at("link").c_str()));
  account.content("link", content_of(at("link")));
  account.call("rename of a directory below",
               ::rename(at("folder").c_str(), at("renamed").c_str()));
  account.call("chmod", ::chmod(at("folder/file").c_str(), 0600));
  account.value("mode", status_of(at("folder/file")).st_mode);
}

class Overlay : public MountTest,
                public ::testing::WithParamInterface<OverlayWay> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "only root mounts overlays";
    }
    mount(support::make_directory_on(GetParam().backing),
          {.arguments = {"--io", GetParam().io}});
  }

  static void fill(const OverlayPlace& place) {
    write_file(place.lower + "/below", "below");
    write_file(place.lower + "/hidden", "hidden");
    std::filesystem::create_directory(place.lower + "/folder");
    write_file(place.lower + "/folder/file", "file");
  }

  // Both are used, and the results compared; `through_mount` is in a mount of
  // its own for its lower or its upper directory.
  void expect_same_in(const OverlayPlace& natively,
                      const OverlayPlace& through_mount) {
    fill(natively);
    fill(through_mount);
    support::in_child([&] {
      const std::string native_overlay = backing() / "native-overlay";
      mount_native_overlay(natively, native_overlay);
      if (IsSkipped() || HasFatalFailure()) {
        return;
      }
      const std::string overlay = backing() / "overlay";
      ASSERT_EQ(mount_overlay(through_mount, overlay), 0)
          << std::strerror(errno);
      Account one(native_overlay);
      Account other(overlay);
      use(one, native_overlay);
      use(other, overlay);
      EXPECT_EQ(one.text(), other.text()) << "(- natively, + on the mount)";
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Mounted, Overlay, all_ways(), way_name);

TEST_P(Overlay, HasItsLowerDirectoryOnTheMount) {
  const OverlayPlace natively = make_place(backing() / "native");
  OverlayPlace place = make_place(backing() / "beside");
  place.lower = make_place(mounted("a")).lower;
  expect_same_in(natively, place);
  EXPECT_EQ(content_of(source("a/lower/below")), "below");
}

TEST_P(Overlay, HasItsUpperDirectoryOnTheMount) {
  const OverlayPlace natively = make_place(backing() / "native");
  OverlayPlace place = make_place(mounted("a"));
  place.lower = make_place(backing() / "beside").lower;
  expect_same_in(natively, place);
  if (!IsSkipped()) {
    EXPECT_EQ(content_of(source("a/upper/below")), "below more");
    EXPECT_TRUE(S_ISCHR(status_of(source("a/upper/hidden")).st_mode));
  }
}

TEST_P(Overlay, LiesOnTheMountAlone) {
  expect_same_in(make_place(backing() / "native"), make_place(mounted("a")));
}

// A file of an overlay is a backing file as any other.
class OnAnOverlay : public ::testing::TestWithParam<OverlayWay> {
 protected:
  // Runs the code in a child, with a mount of an overlay.
  template <typename Code>
  void with_mount(const Code& code) {
    const std::string reason = cannot_mount();
    if (!reason.empty()) {
      GTEST_SKIP() << reason;
    }
    if (::geteuid() != 0) {
      GTEST_SKIP() << "only root mounts overlays";
    }
    backing_ = support::make_directory_on(GetParam().backing);
    const OverlayPlace place = make_place(*backing_ / "place");
    write_file(place.lower + "/below", "below");
    support::in_child([&] {
      mount_native_overlay(place, source());
      if (IsSkipped() || HasFatalFailure()) {
        return;
      }
      const support::MountedPmemfs mounted(
          {source()}, {.arguments = {"--io", GetParam().io}});
      code(mounted);
    });
  }

  [[nodiscard]] std::string source(const std::string& name = "") const {
    return *backing_ / ("overlay/" + name);
  }

 private:
  std::unique_ptr<support::Backing> backing_;
};
INSTANTIATE_TEST_SUITE_P(Mounted, OnAnOverlay, all_ways(), way_name);

TEST_P(OnAnOverlay, MappingsAreThoseOfTheBackingFile) {
  with_mount([&](const support::MountedPmemfs& mounted) {
    constexpr std::size_t kSize = 8192;
    write_file(mounted / "f", std::string(kSize, '.'));
    const pmem::UniqueFd fd = open_file(mounted / "f", O_RDWR);
    void* address =
        ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    ASSERT_NE(address, MAP_FAILED) << std::strerror(errno);
    char* const bytes = static_cast<char*>(address);
    const pmem::UniqueFd beneath = open_file(source("f"), O_RDWR);
    const std::string stored = "stored";
    stored.copy(bytes, stored.size());
    const bool passes_through = std::string(GetParam().io) != "cached";
    if (passes_through) {
      EXPECT_EQ(read_at(beneath.get(), 0, 6), "stored") << "before any msync";
      ASSERT_EQ(::pwrite(beneath.get(), "beneath", 7, 4096), 7);
      EXPECT_EQ(std::string(bytes + 4096, 7), "beneath");
    }
    EXPECT_EQ(::msync(address, kSize, MS_SYNC), 0);
    EXPECT_EQ(read_at(beneath.get(), 0, 6), "stored");
    ::munmap(address, kSize);
  });
}

TEST_P(OnAnOverlay, WhatIsBelowIsReadAndCopiedUp) {
  with_mount([&](const support::MountedPmemfs& mounted) {
    EXPECT_EQ(content_of(mounted / "below"), "below");
    const pmem::UniqueFd fd = open_file(mounted / "below", O_RDWR | O_APPEND);
    ASSERT_EQ(::write(fd.get(), " more", 5), 5);
    EXPECT_EQ(content_of(mounted / "below"), "below more");
    EXPECT_EQ(content_of(source("below")), "below more");
  });
}

// A reader's descriptor is of the file as it was below; what it reads is not.
TEST_P(OnAnOverlay, AReaderSeesWhatIsWrittenAfterTheCopy) {
  with_mount([&](const support::MountedPmemfs& mounted) {
    const pmem::UniqueFd reader = open_file(mounted / "below", O_RDONLY);
    EXPECT_EQ(read_at(reader.get(), 0, 100), "below");
    // A page cache does not hear of it.
    if (std::string(GetParam().io) != "cached") {
      const pmem::UniqueFd fd = open_file(source("below"), O_RDWR);
      ASSERT_EQ(::pwrite(fd.get(), "BELOW", 5, 0), 5);
      EXPECT_EQ(read_at(reader.get(), 0, 100), "BELOW");
    }
    const pmem::UniqueFd fd = open_file(mounted / "below", O_RDWR);
    ASSERT_EQ(::pwrite(fd.get(), "by mount", 8, 0), 8);
    EXPECT_EQ(read_at(reader.get(), 0, 100), "by mount");
    EXPECT_EQ(read_at(fd.get(), 0, 100), "by mount");
  });
}

}  // namespace
}  // namespace mount_tests
