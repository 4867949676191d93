#include "src/source_restrictions.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using Words = std::vector<std::string>;

Words common_words(const std::vector<SourceSpec>& sources) {
  return mount_options_of(
      common_restrictions(sources, read_mountinfo(kMountinfoPath)));
}

// For a child: a directory becomes a mount with these flags.
void mount_with(const std::string& path, unsigned long flags) {
  ASSERT_EQ(::mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr), 0)
      << std::strerror(errno);
  ASSERT_EQ(::mount(nullptr, path.c_str(), nullptr,
                    MS_REMOUNT | MS_BIND | flags, nullptr),
            0)
      << std::strerror(errno);
}

TEST(SourceRestrictions, AreNoneOfAnOrdinaryDirectory) {
  const support::TempDir directory("/var/tmp");
  EXPECT_EQ(common_words({{"", directory.path()}}), Words());
  EXPECT_EQ(common_words({}), Words());
  EXPECT_EQ(common_words({{"", "/missing"}}), Words());
}

TEST(SourceRestrictions, AreNoneOfDevices) {
  support::in_child([] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped() || testing::Test::HasFatalFailure()) {
      return;
    }
    const support::TempDir directory("/var/tmp");
    mount_with(directory.path(), MS_RDONLY);
    const SourceSpec source = {"a", directory.path(), SourceKind::kDirectory};
    EXPECT_EQ(common_words({source}), Words{"ro"});
    for (const SourceKind kind : {SourceKind::kAllDevices, SourceKind::kDevice,
                                  SourceKind::kEverything}) {
      EXPECT_EQ(common_words({source, {"b", directory.path(), kind}}), Words());
      EXPECT_EQ(common_words({{"b", directory.path(), kind}}), Words());
    }
    ::umount2(directory.path().c_str(), MNT_DETACH);
  });
}

TEST(SourceRestrictions, TellsTheMountFromTheFileSystem) {
  support::in_child([] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped() || testing::Test::HasFatalFailure()) {
      return;
    }
    const support::TempDir directory("/var/tmp");
    const std::string& path = directory.path();
    const auto read_only = [&] {
      return common_restrictions({{"", path}}, read_mountinfo(kMountinfoPath))
          .read_only;
    };
    EXPECT_EQ(read_only(), ReadOnly::kNo);
    mount_with(path, MS_RDONLY);
    EXPECT_EQ(read_only(), ReadOnly::kByMount);
    EXPECT_EQ(common_restrictions({{"", path}}, {}).read_only,
              ReadOnly::kByFileSystem)
        << "where there is no mount table";
    support::mount_fresh("tmpfs", path);
    EXPECT_EQ(read_only(), ReadOnly::kNo);
    ASSERT_EQ(::mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_RDONLY,
                      nullptr),
              0);
    EXPECT_EQ(read_only(), ReadOnly::kByFileSystem);
    while (::umount2(path.c_str(), MNT_DETACH) == 0) {
    }
  });
}

TEST(SourceRestrictions, HaveWordsForTheKernelAndForPeople) {
  const SourceRestrictions none;
  EXPECT_EQ(mount_options_of(none), Words());
  EXPECT_EQ(in_words(none), "");
  const SourceRestrictions all = {ReadOnly::kByMount, true, true};
  EXPECT_EQ(mount_options_of(all), (Words{"ro", "noexec", "nosymfollow"}));
  EXPECT_EQ(in_words(all), "read-only and noexec and nosymfollow");
  const SourceRestrictions one = {.read_only = ReadOnly::kByFileSystem};
  EXPECT_EQ(in_words(one), "read-only");
}

}  // namespace
}  // namespace pmemfs
