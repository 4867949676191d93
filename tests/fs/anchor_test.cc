#include "fs/anchor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using pmem::UniqueFd;

class OpenDirectory : public HandleMount {
 public:
  explicit OpenDirectory(const std::string& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
  [[nodiscard]] int fd() const { return fd_.get(); }
  pmem::Result<PathFd> mount_fd() const override { return PathFd(fd()); }
  [[nodiscard]] bool must_not_be_held() const override { return not_held; }

  bool not_held = false;

 private:
  UniqueFd fd_;
};

class AnchorTest : public ::testing::Test {
 protected:
  UniqueFd make_file(const std::string& name) {
    return UniqueFd(
        ::open((dir_ / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  }
  UniqueFd path_fd(const std::string& name) {
    return UniqueFd(::open((dir_ / name).c_str(), O_PATH | O_CLOEXEC));
  }
  static ino_t inode_of(int fd) {
    struct stat status = {};
    EXPECT_EQ(::fstat(fd, &status), 0);
    return status.st_ino;
  }

  support::TempDir dir_{"/var/tmp"};
  OpenDirectory mount_{dir_.path()};
};

TEST_F(AnchorTest, HoldsADescriptorWhileThereIsRoom) {
  make_file("file");
  AnchorPool pool(1);
  {
    const Anchor anchor(path_fd("file"), pool, &mount_);
    EXPECT_TRUE(pool.is_full());
    const pmem::Result<PathFd> first = anchor.open();
    const pmem::Result<PathFd> second = anchor.open();
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->get(), second->get());
  }
  EXPECT_FALSE(pool.is_full());
}

TEST_F(AnchorTest, RemembersAHandleWhenDescriptorsRunShort) {
  if (!can_open_by_handle(mount_.fd())) {
    GTEST_SKIP() << "opening by handle is not permitted, or not known here";
  }
  const UniqueFd file = make_file("file");
  AnchorPool pool(0);
  const Anchor anchor(path_fd("file"), pool, &mount_);
  const pmem::Result<PathFd> opened = anchor.open();
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(inode_of(opened->get()), inode_of(file.get()));
  EXPECT_TRUE(anchor.is_same_inode(file.get()));
}

TEST_F(AnchorTest, HoldsNothingOfWhatMustNotBeHeld) {
  if (!can_open_by_handle(mount_.fd())) {
    GTEST_SKIP() << "opening by handle is not permitted, or not known here";
  }
  const UniqueFd file = make_file("file");
  AnchorPool pool(1);
  mount_.not_held = true;
  const Anchor anchor(path_fd("file"), pool, &mount_);
  EXPECT_FALSE(pool.is_full());
  const pmem::Result<PathFd> opened = anchor.open();
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(inode_of(opened->get()), inode_of(file.get()));
}

TEST_F(AnchorTest, AHandleOfADeletedFileIsStale) {
  if (!can_open_by_handle(mount_.fd())) {
    GTEST_SKIP() << "opening by handle is not permitted, or not known here";
  }
  make_file("file");
  AnchorPool pool(0);
  const Anchor anchor(path_fd("file"), pool, &mount_);
  ASSERT_EQ(::unlink((dir_ / "file").c_str()), 0);
  const pmem::Result<PathFd> opened = anchor.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ESTALE);
}

TEST_F(AnchorTest, TellsAYoungerInodeOfTheSameNumberApart) {
  if (!can_open_by_handle(mount_.fd())) {
    GTEST_SKIP() << "opening by handle is not permitted, or not known here";
  }
  make_file("old");
  AnchorPool pool(0);
  const Anchor anchor(path_fd("old"), pool, &mount_);
  const UniqueFd other = make_file("young");
  EXPECT_FALSE(anchor.is_same_inode(other.get()));
}

TEST_F(AnchorTest, WithoutHandlesKeepsTheDescriptorBeyondTheBudget) {
  make_file("file");
  AnchorPool pool(0);
  const Anchor anchor(path_fd("file"), pool, nullptr);
  EXPECT_TRUE(anchor.open());
}

}  // namespace
}  // namespace pmemfs
