#include "fs/anchor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "fs/node.h"
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

// A directory that an inode is seen in.
class DirectoryNode : public Node {
 public:
  explicit DirectoryNode(const std::string& path)
      : fd_(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}
  pmem::Result<PathFd> path_fd() const override { return PathFd(fd_.get()); }
  pmem::Result<struct stat> attributes() override {
    return pmem::fail(ENOSYS, "");
  }
  pmem::Result<struct statvfs> file_system_status() override {
    return pmem::fail(ENOSYS, "");
  }

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
  // As for a daemon that may not open by handle.
  std::shared_ptr<DirectoryNode> directory_ =
      std::make_shared<DirectoryNode>(dir_.path());
  AnchorPool empty_pool_{0};

  std::unique_ptr<Anchor> seen_at(const char* name) {
    return std::make_unique<Anchor>(path_fd(name), S_IFREG, empty_pool_,
                                    nullptr, SeenAt{*directory_, name});
  }
  static int error_of(const Anchor& anchor) {
    const pmem::Result<PathFd> opened = anchor.open();
    return opened ? 0 : opened.error().code;
  }
  int rename(const char* from, const char* to) {
    return ::rename((dir_ / from).c_str(), (dir_ / to).c_str());
  }
};

TEST_F(AnchorTest, HoldsADescriptorWhileThereIsRoom) {
  make_file("file");
  AnchorPool pool(1);
  {
    const Anchor anchor(path_fd("file"), S_IFREG, pool, &mount_);
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
  const Anchor anchor(path_fd("file"), S_IFREG, pool, &mount_);
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
  const Anchor anchor(path_fd("file"), S_IFREG, pool, &mount_);
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
  const Anchor anchor(path_fd("file"), S_IFREG, pool, &mount_);
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
  const Anchor anchor(path_fd("old"), S_IFREG, pool, &mount_);
  const UniqueFd other = make_file("young");
  EXPECT_FALSE(anchor.is_same_inode(other.get()));
}

TEST_F(AnchorTest, WithoutHandlesKeepsTheDescriptorBeyondTheBudget) {
  make_file("file");
  AnchorPool pool(0);
  const Anchor anchor(path_fd("file"), S_IFREG, pool, nullptr);
  EXPECT_TRUE(anchor.open());
}

TEST_F(AnchorTest, WithoutHandlesRemembersWhereTheInodeWasSeen) {
  const UniqueFd file = make_file("file");
  const auto anchor = seen_at("file");
  EXPECT_TRUE(empty_pool_.has_places());
  const pmem::Result<PathFd> opened = anchor->open();
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(inode_of(opened->get()), inode_of(file.get()));
  EXPECT_TRUE(anchor->is_same_inode(file.get()));
  EXPECT_FALSE(anchor->is_same_inode(make_file("other").get()));
}

TEST_F(AnchorTest, APlaceWhereAnotherIsNowIsStale) {
  make_file("file");
  make_file("other");
  const auto anchor = seen_at("file");
  ASSERT_EQ(rename("other", "file"), 0);
  EXPECT_EQ(error_of(*anchor), ESTALE);
}

TEST_F(AnchorTest, APlaceWhereAYoungerInodeOfTheSameNumberIsNowIsStale) {
  // The file system gives the number again, sooner or later.
  make_file("file");
  const auto anchor = seen_at("file");
  ASSERT_EQ(::unlink((dir_ / "file").c_str()), 0);
  const UniqueFd young = make_file("file");
  EXPECT_EQ(error_of(*anchor), ESTALE);
  EXPECT_FALSE(anchor->is_same_inode(young.get()));
}

TEST_F(AnchorTest, AnInodeThatMovedIsFoundWhereItIsSeenNext) {
  const UniqueFd file = make_file("file");
  const auto anchor = seen_at("file");
  ASSERT_EQ(rename("file", "moved"), 0);
  EXPECT_EQ(error_of(*anchor), ESTALE);
  anchor->move_to({*directory_, "moved"});
  EXPECT_EQ(error_of(*anchor), 0);
}

TEST_F(AnchorTest, APlaceKeepsItsDirectory) {
  make_file("file");
  const auto anchor = seen_at("file");
  const std::weak_ptr<DirectoryNode> directory = directory_;
  directory_.reset();
  EXPECT_EQ(error_of(*anchor), 0);
  EXPECT_FALSE(directory.expired());
}

TEST_F(AnchorTest, TheLastQuarterOfTheDescriptorsIsForDirectories) {
  AnchorPool pool(4);
  for (int held = 0; held < 3; ++held) {
    EXPECT_FALSE(pool.is_full_for(S_IFREG));
    pool.add();
  }
  EXPECT_TRUE(pool.is_full_for(S_IFREG));
  EXPECT_FALSE(pool.is_full_for(S_IFDIR));
  pool.add();
  EXPECT_TRUE(pool.is_full_for(S_IFDIR));
}

}  // namespace
}  // namespace pmemfs
