#include "src/mountpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/files.h"
#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using support::TempDir;
using support::write_file;

TEST(MountpointOutsideSources, IsRefusedInAnyOfThem) {
  const std::vector<SourceSpec> sources = {{"a", "/srv/a"}, {"b", "/srv/b"}};
  EXPECT_TRUE(check_outside_sources("/mnt", sources));
  EXPECT_TRUE(check_outside_sources("/srv", sources));
  const Outcome<void> inside = check_outside_sources("/srv/b/m", sources);
  ASSERT_FALSE(inside);
  EXPECT_EQ(inside.error().code, ExitCode::kMountpointRefused);
  EXPECT_NE(inside.error().message.find("/srv/b"), std::string::npos);
  EXPECT_FALSE(check_outside_sources("/srv/a", sources));
}

TEST(MountpointOfEverything, IsRefusedWhereItHidesAFileSystemWithDax) {
  const std::vector<SourceSpec> all = {{"", "all", SourceKind::kEverything}};
  const std::vector<SourceSpec> other = {{"", "/srv"}};
  const std::vector<Mount> mounts = parse_mountinfo(
      "1 0 259:0 / /nv/a rw - ext4 /dev/pmem0 rw,dax=always\n"
      "2 0 259:1 / /plain rw - ext4 /dev/pmem1 rw\n");
  EXPECT_TRUE(check_hides_no_source("/mnt", all, mounts));
  EXPECT_TRUE(check_hides_no_source("/nv/a/inside", all, mounts));
  EXPECT_TRUE(check_hides_no_source("/plain", all, mounts));
  EXPECT_TRUE(check_hides_no_source("/nv", other, mounts));
  for (const char* mountpoint : {"/nv/a", "/nv", "/"}) {
    const Outcome<void> checked =
        check_hides_no_source(mountpoint, all, mounts);
    ASSERT_FALSE(checked) << mountpoint;
    EXPECT_EQ(checked.error().code, ExitCode::kMountpointRefused);
    EXPECT_NE(checked.error().message.find("/dev/pmem0"), std::string::npos);
  }
}

TEST(Mountpoint, MayBeADirectoryThatIsNotEmpty) {
  const TempDir directory;
  write_file(directory / "file", "x");
  const Outcome<Mountpoint> mountpoint = inspect_mountpoint(directory.path());
  ASSERT_TRUE(mountpoint) << mountpoint.error().message;
  EXPECT_EQ(mountpoint->path, directory.path());
  EXPECT_FALSE(mountpoint->has_dead_mount);
}

TEST(Mountpoint, IsRefusedWhenMissingOrNoDirectory) {
  const TempDir directory;
  write_file(directory / "file", "x");
  const Outcome<Mountpoint> missing = inspect_mountpoint(directory / "none");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ExitCode::kMountpointRefused);
  EXPECT_NE(missing.error().message.find("mkdir -p " + directory.path()),
            std::string::npos);
  const Outcome<Mountpoint> file = inspect_mountpoint(directory / "file");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ExitCode::kMountpointRefused);
  EXPECT_NE(file.error().message.find("is not a directory"), std::string::npos);
}

TEST(AskStatus, TellsModeAndOwner) {
  const TempDir directory;
  ASSERT_EQ(::chmod(directory.path().c_str(), 01750), 0);
  const pmem::Result<FileStatus> status = ask_status(directory.path());
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_EQ(status->mode, S_IFDIR | 01750);
  EXPECT_EQ(status->owner, ::geteuid());
  EXPECT_EQ(ask_status(directory / "none").error().code, ENOENT);
}

}  // namespace
}  // namespace pmemfs
