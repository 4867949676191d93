// Nothing outside of the source is reached through the mount, neither by what
// leads out of it nor by what is exchanged for it at the wrong moment. The
// daemon may do more than its callers: they must not do it through it.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <set>
#include <string>

#include "mount/mount_test.h"
#include "support/child_process.h"
#include "support/disturber.h"

namespace mount_tests {
namespace {

constexpr uid_t kUser = 12345;
constexpr const char* kSecret = "secret";

class Escape : public OnEachBackingWithOthers {
 protected:
  void SetUp() override {
    OnEachBackingWithOthers::SetUp();
    if (IsSkipped()) {
      return;
    }
    // Root's, beside the source.
    ASSERT_EQ(::mkdir(outside().c_str(), 0700), 0);
    write_file(outside("f"), kSecret);
    ASSERT_EQ(::chmod(outside("f").c_str(), 0600), 0);
    before_ = facts_outside();
  }

  // Each name is looked up each time, and may be another thing each time.
  [[nodiscard]] support::MountSettings settings() const override {
    return {.arguments = {"-o", "entry_timeout=0,attr_timeout=0"}};
  }

  void TearDown() override {
    if (!IsSkipped()) {
      EXPECT_EQ(facts_outside(), before_);
    }
  }

  [[nodiscard]] std::string outside(const std::string& name = "") {
    return backing() / ("outside/" + name);
  }

  // What must stay as it is.
  std::string facts_outside() {
    Account account(outside());
    for (const auto& entry : std::filesystem::directory_iterator(outside())) {
      const std::string path = entry.path().string();
      const struct stat status = status_of(path);
      account.value("name", entry.path().filename().string());
      account.value("mode", status.st_mode);
      account.value("owner", status.st_uid);
      account.value("size", status.st_size);
      account.value("links", status.st_nlink);
      account.value("changed", status.st_ctim.tv_sec);
      account.value("changed, ns", status.st_ctim.tv_nsec);
      account.value("content", content_of(path));
    }
    return account.text();
  }

  // The user's own file or directory in the source.
  void give_away(const std::string& name) {
    ASSERT_EQ(::lchown(source(name).c_str(), kUser, kUser), 0);
  }

  template <typename Code>
  static void as_user(const Code& code) {
    support::in_child([&] {
      support::become_user(kUser, kUser);
      code();
    });
  }

  // Exchanges two names of the source, again and again, while the user does
  // something through the mount for a while, which tells whether it succeeded.
  template <typename Code>
  void while_exchanged(const std::string& one, const std::string& other,
                       const Code& code) {
    const std::string first = source(one);
    const std::string second = source(other);
    const support::Disturber exchanger([&](unsigned) {
      if (::renameat2(AT_FDCWD, first.c_str(), AT_FDCWD, second.c_str(),
                      RENAME_EXCHANGE) != 0) {
        ::_exit(1);  // there are no more rounds
      }
    });
    as_user([&] {
      const auto end =
          std::chrono::steady_clock::now() + std::chrono::seconds(1);
      unsigned successes = 0;
      while (std::chrono::steady_clock::now() < end) {
        successes += code() ? 1U : 0U;
      }
      EXPECT_GT(successes, 0U);
    });
    EXPECT_GT(exchanger.rounds(), 100U);
  }

 private:
  std::string before_;
};
PMEMFS_ON_EACH_BACKING(Escape);

TEST_P(Escape, ALinkOutOfTheSourceGivesNobodyMoreThanHeHas) {
  for (const std::string& directory : {source(), native()}) {
    std::filesystem::create_symlink(outside("f"), directory + "absolute");
    std::filesystem::create_symlink("../outside/f", directory + "relative");
    std::filesystem::create_symlink(outside(), directory + "directory");
  }
  const auto tell = [](Account& account) {
    for (const char* name : {"absolute", "directory/f", "directory/new"}) {
      const std::string path = account / name;
      account.succeeds("read", ::open(path.c_str(), O_RDONLY));
      account.succeeds("make", ::open(path.c_str(), O_WRONLY | O_CREAT, 0666));
      account.call("chmod", ::chmod(path.c_str(), 0666));
      account.call("truncate", ::truncate(path.c_str(), 0));
      account.call("attribute", ::getxattr(path.c_str(), "user.x", nullptr, 0));
    }
  };
  as_user([&] {
    Account natively(native());
    Account through_mount(mounted());
    tell(natively);
    tell(through_mount);
    EXPECT_EQ(natively.text(), through_mount.text());
    // Beside the mount there is no "outside".
    EXPECT_FALSE(open_file(mounted("relative"), O_RDONLY).valid());
    EXPECT_EQ(errno, ENOENT);
  });
}

TEST_P(Escape, WhoOpensAFileThatBecomesALinkNeverHasWhatItLeadsTo) {
  write_file(source("file"), "inside");
  give_away("file");
  std::filesystem::create_symlink(outside("f"), source("link"));
  while_exchanged("file", "link", [&] {
    const pmem::UniqueFd fd = open_file(mounted("file"), O_RDWR | O_CREAT);
    if (fd.valid()) {
      EXPECT_EQ(read_at(fd.get(), 0, 100), "inside");
    }
    return fd.valid();
  });
}

TEST_P(Escape, WhoChangesAFileThatBecomesALinkNeverChangesWhatItLeadsTo) {
  write_file(source("file"), "inside");
  give_away("file");
  std::filesystem::create_symlink(outside("f"), source("link"));
  while_exchanged("file", "link", [&] {
    const std::string path = mounted("file");
    const bool changed = ::chmod(path.c_str(), 0666) == 0;
    [[maybe_unused]] int ignored = ::truncate(path.c_str(), 3);
    ignored = ::chown(path.c_str(), kUser, kUser);
    ignored = ::setxattr(path.c_str(), "user.x", "y", 1, 0);
    ignored = ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
    ignored = ::link(path.c_str(), mounted("second").c_str());
    ignored = ::unlink(mounted("second").c_str());
    return changed;
  });
}

TEST_P(Escape, WhoWorksInADirectoryThatBecomesALinkNeverIsWhereItLeadsTo) {
  ASSERT_EQ(::mkdir(source("d").c_str(), 0755), 0);
  write_file(source("d/f"), "inside");
  give_away("d");
  give_away("d/f");
  std::filesystem::create_symlink(outside(), source("link"));
  while_exchanged("d", "link", [&] {
    const std::string path = mounted("d/f");
    const pmem::UniqueFd fd = open_file(path, O_RDWR);
    if (fd.valid()) {
      EXPECT_EQ(read_at(fd.get(), 0, 100), "inside");
    }
    [[maybe_unused]] int ignored =
        ::rename(path.c_str(), mounted("d/g").c_str());
    ignored = ::rename(mounted("d/g").c_str(), path.c_str());
    ignored = ::mkdir(mounted("d/new").c_str(), 0755);
    ignored = ::rmdir(mounted("d/new").c_str());
    ignored = ::chmod(path.c_str(), 0644);
    return fd.valid();
  });
}

TEST_P(Escape, ADirectoryThatIsMovedOutIsGone) {
  ASSERT_EQ(::mkdir(source("d").c_str(), 0755), 0);
  write_file(source("d/f"), "inside");
  EXPECT_EQ(content_of(mounted("d/f")), "inside");
  const std::string away = backing() / "away";
  ASSERT_EQ(::rename(source("d").c_str(), away.c_str()), 0);
  EXPECT_TRUE(
      support::becomes_true([&] { return !support::exists(mounted("d/f")); },
                            std::chrono::seconds(5)));
}

TEST_P(Escape, DotDotOfTheMountIsWhereItIsMounted) {
  EXPECT_EQ(
      status_of(mounted("..")).st_ino,
      status_of(std::filesystem::path(daemon().path()).parent_path().string())
          .st_ino);
  ASSERT_EQ(::mkdir(mounted("d").c_str(), 0755), 0);
  EXPECT_EQ(status_of(mounted("d/..")).st_ino, status_of(source()).st_ino);
  EXPECT_FALSE(support::exists(mounted("d/../../outside")));
}

// Links of /proc are texts here: followed by the kernel of the caller, in what
// the caller sees. The daemon does not follow them into its own.
TEST(EscapeByMagic, LinksOfProcessesAreTexts) {
  const std::string reason = cannot_mount();
  if (!reason.empty()) {
    GTEST_SKIP() << reason;
  }
  support::MountedPmemfs mounted({"/proc"});
  const std::string daemon = mounted / std::to_string(mounted.daemon_pid());
  for (const char* name : {"root", "cwd", "exe", "fd/0"}) {
    struct stat status = {};
    ASSERT_EQ(::lstat((daemon + "/" + name).c_str(), &status), 0)
        << name << ": " << std::strerror(errno);
    EXPECT_TRUE(S_ISLNK(status.st_mode)) << name;
  }
  std::array<char, 100> target = {};
  ASSERT_GT(
      ::readlink((daemon + "/root").c_str(), target.data(), target.size() - 1),
      0);
  EXPECT_STREQ(target.data(), "/");
  // An anonymous file has no name that could be followed.
  EXPECT_FALSE(open_file(daemon + "/ns/mnt", O_RDONLY).valid());
}

}  // namespace
}  // namespace mount_tests
