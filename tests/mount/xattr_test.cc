// Extended attributes: those of pmemfs, exactly, and those of the files
// themselves, which pass through.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

// The value, or the name of the errno in angle brackets.
std::string value_of(const std::string& path, const std::string& name) {
  std::array<char, 8192> value = {};
  const ssize_t length =
      ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  if (length < 0) {
    return std::string("<") + ::strerrorname_np(errno) + ">";
  }
  return {value.data(), static_cast<std::size_t>(length)};
}

std::string pmem_value_of(const std::string& path, const std::string& name) {
  return value_of(path, "user.pmem." + name);
}

std::set<std::string> names_of(const std::string& path) {
  std::array<char, 8192> list = {};
  const ssize_t length = ::llistxattr(path.c_str(), list.data(), list.size());
  EXPECT_GE(length, 0) << std::strerror(errno);
  std::set<std::string> names;
  for (const char* name = list.data(); name < list.data() + length;
       name += std::strlen(name) + 1) {
    EXPECT_TRUE(names.insert(name).second) << name << " is listed twice";
  }
  return names;
}

const std::set<std::string> kVirtualNames = {
    "user.pmem.align",   "user.pmem.allocated", "user.pmem.granularity",
    "user.pmem.is_pmem", "user.pmem.kind",      "user.pmem.mapped_length",
    "user.pmem.path",    "user.pmem.reason",    "user.pmem.sparse"};

std::set<std::string> without_security(std::set<std::string> names) {
  std::erase_if(names, [](const std::string& name) {
    return name.starts_with("security.");
  });
  return names;
}

// What the attributes of a file are to be.
struct Expected {
  std::int64_t size;
  bool sparse;
};

class Xattr : public OnEachBacking {
 protected:
  // All attributes of a file in the source that is not persistent memory. Asked
  // of a closed file and of an open one.
  void expect_facts(const std::string& name, const Expected& expected) {
    expect_facts_now(name, expected);
    const pmem::UniqueFd fd = open_file(mounted(name), O_RDONLY);
    expect_facts_now(name, expected);
    std::array<char, 10> value = {};
    EXPECT_EQ(
        ::fgetxattr(fd.get(), "user.pmem.sparse", value.data(), value.size()),
        1);
    EXPECT_EQ(value[0], expected.sparse ? '1' : '0');
  }

 private:
  void expect_facts_now(const std::string& name, const Expected& expected) {
    const std::string path = mounted(name);
    const struct stat beneath = status_of(source(name));
    ASSERT_EQ(beneath.st_size, expected.size);
    EXPECT_EQ(pmem_value_of(path, "is_pmem"), "0");
    EXPECT_EQ(pmem_value_of(path, "mapped_length"),
              std::to_string(expected.size));
    EXPECT_EQ(pmem_value_of(path, "sparse"), expected.sparse ? "1" : "0");
    EXPECT_EQ(pmem_value_of(path, "kind"), "file");
    EXPECT_EQ(pmem_value_of(path, "granularity"), "page");
    EXPECT_EQ(pmem_value_of(path, "path"), source(name));
    EXPECT_EQ(pmem_value_of(path, "align"),
              std::to_string(::sysconf(_SC_PAGESIZE)));
    EXPECT_EQ(pmem_value_of(path, "allocated"),
              std::to_string(beneath.st_blocks * 512));
    const std::string reason = pmem_value_of(path, "reason");
    const std::string words =
        expected.size == 0 ? "the file is empty" : "refuses MAP_SYNC";
    EXPECT_NE(reason.find(words), std::string::npos) << reason;
    // Having been asked has changed nothing.
    EXPECT_EQ(status_of(source(name)).st_blocks, beneath.st_blocks);
  }
};
PMEMFS_ON_EACH_BACKING(Xattr);

TEST_P(Xattr, OfAnEmptyFile) {
  write_file(mounted("f"), "");
  expect_facts("f", {.size = 0, .sparse = false});
}

TEST_P(Xattr, OfASparseFile) {
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(fd.get(), 1 << 20), 0);
  expect_facts("f", {.size = 1 << 20, .sparse = true});
}

TEST_P(Xattr, OfAnAllocatedFile) {
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  ASSERT_EQ(::fallocate(fd.get(), 0, 0, 1 << 20), 0);
  expect_facts("f", {.size = 1 << 20, .sparse = false});
}

TEST_P(Xattr, OfAFileWithAHolePunchedIntoIt) {
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  ASSERT_EQ(::fallocate(fd.get(), 0, 0, 1 << 20), 0);
  ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        1 << 19, 65536),
            0);
  expect_facts("f", {.size = 1 << 20, .sparse = true});
  // Filled again by a write, it has no hole.
  ASSERT_EQ(::pwrite(fd.get(), noise(65536).data(), 65536, 1 << 19), 65536);
  expect_facts("f", {.size = 1 << 20, .sparse = false});
}

TEST_P(Xattr, OfAFileThatOnlyHasAHoleAtItsEnd) {
  write_file(mounted("f"), noise(8192));
  ASSERT_EQ(::truncate(mounted("f").c_str(), 100000), 0);
  expect_facts("f", {.size = 100000, .sparse = true});
}

TEST_P(Xattr, OfAFileThatEndsWithinABlock) {
  write_file(mounted("f"), noise(5000));
  expect_facts("f", {.size = 5000, .sparse = false});
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  ASSERT_EQ(::fsync(fd.get()), 0);
  expect_facts("f", {.size = 5000, .sparse = false});
}

TEST_P(Xattr, OfASparseFileEndingWithinABlock) {
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(fd.get(), 5000), 0);
  expect_facts("f", {.size = 5000, .sparse = true});
}

TEST_P(Xattr, OfAWrittenFileBeforeAndAfterItIsSynced) {
  write_file(mounted("f"), noise(300000));
  expect_facts("f", {.size = 300000, .sparse = false});
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  ASSERT_EQ(::fsync(fd.get()), 0);
  expect_facts("f", {.size = 300000, .sparse = false});
}

TEST_P(Xattr, OfAFileWrittenBeneathBeforeItsBlocksAreChosen) {
  // ext4 chooses blocks when it writes back: until then there is only memory.
  write_file(source("f"), noise(300000));
  EXPECT_EQ(pmem_value_of(mounted("f"), "sparse"), "0");
  const pmem::UniqueFd fd = open_file(source("f"), O_RDWR);
  ASSERT_EQ(::fsync(fd.get()), 0);
  expect_facts("f", {.size = 300000, .sparse = false});
}

TEST_P(Xattr, OfASparseFileOf3GiB) {
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(fd.get(), 3 * kGiB), 0);
  expect_facts("f", {.size = 3 * kGiB, .sparse = true});
  EXPECT_EQ(status_of(source("f")).st_blocks, 0);
  ASSERT_EQ(::pwrite(fd.get(), "middle", 6, kGiB + 5), 6);
  expect_facts("f", {.size = 3 * kGiB, .sparse = true});
}

TEST_P(Xattr, ReadingHolesAllocatesNothing) {
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(fd.get(), 3 * kGiB), 0);
  const std::string zeros(1 << 20, '\0');
  for (const off_t offset :
       {std::int64_t{0}, std::int64_t{12345}, kGiB, 3 * kGiB - (1 << 20)}) {
    EXPECT_TRUE(read_at(fd.get(), offset, 1 << 20) == zeros) << offset;
  }
  EXPECT_EQ(status_of(source("f")).st_blocks, 0);
  // Nor when there is data beside them, but for what it takes itself.
  ASSERT_EQ(::pwrite(fd.get(), "data", 4, kGiB), 4);
  const blkcnt_t blocks = status_of(source("f")).st_blocks;
  EXPECT_LE(blocks * 512, 3 * 4096);
  const std::string around = read_at(fd.get(), kGiB - 500000, 1 << 20);
  EXPECT_EQ(around.substr(500000, 4), "data");
  EXPECT_EQ(std::count(around.begin(), around.end(), '\0'), (1 << 20) - 4);
  EXPECT_EQ(status_of(source("f")).st_blocks, blocks);
  // And after a descriptor for reading alone was used.
  const pmem::UniqueFd reader = open_file(mounted("f"), O_RDONLY);
  EXPECT_TRUE(read_at(reader.get(), 2 * kGiB, 1 << 20) == zeros);
  EXPECT_EQ(status_of(source("f")).st_blocks, blocks);
}

TEST_P(Xattr, PathFollowsTheFile) {
  ASSERT_EQ(::mkdir(mounted("d").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir(mounted("d/e").c_str(), 0755), 0);
  write_file(mounted("d/e/f"), "x");
  EXPECT_EQ(pmem_value_of(mounted("d/e/f"), "path"), source("d/e/f"));
  ASSERT_EQ(::rename(mounted("d/e/f").c_str(), mounted("d/g").c_str()), 0);
  EXPECT_EQ(pmem_value_of(mounted("d/g"), "path"), source("d/g"));
  ASSERT_EQ(::rename(mounted("d").c_str(), mounted("h").c_str()), 0);
  EXPECT_EQ(pmem_value_of(mounted("h/g"), "path"), source("h/g"));
}

TEST_P(Xattr, ValuesHaveNoNewline) {
  const std::string name = "two\nlines\nand an end\n";
  write_file(mounted(name), "x");
  for (const std::string& attribute : kVirtualNames) {
    const std::string value = value_of(mounted(name), attribute);
    EXPECT_FALSE(value.empty()) << attribute;
    EXPECT_EQ(value.find('\n'), std::string::npos) << attribute;
  }
  EXPECT_EQ(pmem_value_of(mounted(name), "path"),
            source("two\\012lines\\012and an end\\012"));
}

TEST_P(Xattr, AreListedByDefault) {
  write_file(mounted("f"), "x");
  EXPECT_EQ(without_security(names_of(mounted("f"))), kVirtualNames);
  // Not beneath, where they do not exist.
  EXPECT_EQ(without_security(names_of(source("f"))), std::set<std::string>());
}

TEST_P(Xattr, WhatIsListedCanBeGot) {
  write_file(mounted("f"), "x");
  ASSERT_EQ(::setxattr(mounted("f").c_str(), "user.own", "value", 5, 0), 0);
  for (const std::string& name : names_of(mounted("f"))) {
    EXPECT_NE(value_of(mounted("f"), name).substr(0, 1), "<") << name;
  }
}

TEST_P(Xattr, OthersOfTheNamespaceDoNotExist) {
  write_file(mounted("f"), "x");
  for (const char* name : {"mode", "unknown", "is_pmem.more", "is_pme", ""}) {
    EXPECT_EQ(pmem_value_of(mounted("f"), name), "<ENODATA>") << name;
  }
  // Of the table, those that only devices have, and those the kernel does not
  // tell of a file.
  for (const char* name : {"numa_node", "target_node", "bad_blocks"}) {
    EXPECT_EQ(pmem_value_of(mounted("f"), name), "<ENODATA>") << name;
  }
  EXPECT_EQ(value_of(mounted("f"), "user.pmemory"), "<ENODATA>");
  EXPECT_EQ(::setxattr(mounted("f").c_str(), "user.pmemory", "real", 4, 0), 0);
  EXPECT_EQ(value_of(source("f"), "user.pmemory"), "real");
}

TEST_P(Xattr, CannotBeSetOrRemoved) {
  write_file(mounted("f"), "x");
  const std::string path = mounted("f");
  for (const char* name : {"user.pmem.is_pmem", "user.pmem.unknown"}) {
    for (const int flags : {0, int{XATTR_CREATE}, int{XATTR_REPLACE}}) {
      EXPECT_EQ(::setxattr(path.c_str(), name, "1", 1, flags), -1);
      EXPECT_EQ(errno, EOPNOTSUPP);
    }
    EXPECT_EQ(::removexattr(path.c_str(), name), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
  }
  EXPECT_EQ(pmem_value_of(path, "is_pmem"), "0");
}

TEST_P(Xattr, AStaleCopyBeneathIsHidden) {
  // As a copy with `cp -a` to another file system, and back, leaves it.
  write_file(source("f"), "x");
  ASSERT_EQ(::setxattr(source("f").c_str(), "user.pmem.is_pmem", "1", 1, 0), 0);
  ASSERT_EQ(::setxattr(source("f").c_str(), "user.pmem.mode", "no", 2, 0), 0);
  EXPECT_EQ(pmem_value_of(mounted("f"), "is_pmem"), "0");
  EXPECT_EQ(pmem_value_of(mounted("f"), "mode"), "<ENODATA>");
  EXPECT_EQ(without_security(names_of(mounted("f"))), kVirtualNames);
}

TEST_P(Xattr, BuffersThatAreTooSmallAreTold) {
  write_file(mounted("f"), noise(5000));
  const std::string path = mounted("f");
  std::array<char, 8192> buffer = {};
  EXPECT_EQ(::getxattr(path.c_str(), "user.pmem.mapped_length", nullptr, 0), 4);
  EXPECT_EQ(
      ::getxattr(path.c_str(), "user.pmem.mapped_length", buffer.data(), 3),
      -1);
  EXPECT_EQ(errno, ERANGE);
  EXPECT_EQ(
      ::getxattr(path.c_str(), "user.pmem.mapped_length", buffer.data(), 4), 4);
  const ssize_t length = ::listxattr(path.c_str(), nullptr, 0);
  EXPECT_GT(length, 100);
  EXPECT_EQ(::listxattr(path.c_str(), buffer.data(),
                        static_cast<std::size_t>(length) - 1),
            -1);
  EXPECT_EQ(errno, ERANGE);
  EXPECT_EQ(::listxattr(path.c_str(), buffer.data(),
                        static_cast<std::size_t>(length)),
            length);
}

TEST_P(Xattr, DirectoriesAndLinksHaveNone) {
  ASSERT_EQ(::mkdir(mounted("d").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("d", mounted("s").c_str()), 0);
  ASSERT_EQ(::mkfifo(mounted("p").c_str(), 0600), 0);
  EXPECT_EQ(pmem_value_of(mounted("d"), "is_pmem"), "<ENODATA>");
  EXPECT_EQ(pmem_value_of(mounted(), "is_pmem"), "<ENODATA>");
  for (const char* name : {"d", "s", "p", ""}) {
    EXPECT_EQ(without_security(names_of(mounted(name))),
              std::set<std::string>())
        << name;
  }
}

TEST_P(Xattr, ThoseOfTheFileItselfPassThrough) {
  expect_same([](Account& account) {
    write_file(account / "f", "x");
    ASSERT_EQ(::mkdir((account / "d").c_str(), 0755), 0);
    const auto tell = [&](const char* file, const char* name) {
      account.value(name, value_of(account / file, name));
    };
    for (const char* file : {"f", "d"}) {
      const std::string path = account / file;
      account.call("set", ::setxattr(path.c_str(), "user.foo", "bar", 3, 0));
      tell(file, "user.foo");
      account.call("create onto it",
                   ::setxattr(path.c_str(), "user.foo", "x", 1, XATTR_CREATE));
      account.call("replace", ::setxattr(path.c_str(), "user.foo", "other", 5,
                                         XATTR_REPLACE));
      tell(file, "user.foo");
      account.call("empty", ::setxattr(path.c_str(), "user.empty", "", 0, 0));
      tell(file, "user.empty");
      const std::string bytes = noise(1000);
      account.call("binary", ::setxattr(path.c_str(), "user.bytes",
                                        bytes.data(), bytes.size(), 0));
      account.content("user.bytes", value_of(path, "user.bytes"));
      account.call("remove", ::removexattr(path.c_str(), "user.foo"));
      tell(file, "user.foo");
    }
  });
  EXPECT_EQ(value_of(source("f"), "user.empty"), "");
  EXPECT_EQ(value_of(source("d"), "user.bytes"), noise(1000));
  EXPECT_EQ(names_of(source("d")), names_of(mounted("d")));
  std::set<std::string> both = names_of(source("f"));
  both.insert(kVirtualNames.begin(), kVirtualNames.end());
  EXPECT_EQ(names_of(mounted("f")), both);
}

TEST_P(Xattr, TrustedAndSecurityOnesPassThroughForRoot) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root has trusted attributes";
  }
  expect_same([](Account& account) {
    write_file(account / "f", "x");
    ASSERT_EQ(::symlink("f", (account / "s").c_str()), 0);
    for (const char* file : {"f", "s"}) {
      for (const char* name : {"trusted.foo", "security.foo"}) {
        const std::string path = account / file;
        account.call("set", ::lsetxattr(path.c_str(), name, "bar", 3, 0));
        account.value(name, value_of(path, name));
        account.value("listed", names_of(path).count(name));
      }
    }
    account.call("a user attribute of a link",
                 ::lsetxattr((account / "s").c_str(), "user.foo", "x", 1, 0));
  });
  EXPECT_EQ(value_of(source("f"), "trusted.foo"), "bar");
  EXPECT_EQ(value_of(source("s"), "trusted.foo"), "bar");
  EXPECT_EQ(value_of(source("f"), "security.foo"), "bar");
}

TEST_P(Xattr, TrustedOnesAreListedToRootAlone) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root has trusted attributes";
  }
  let_others_in();
  expect_same([](Account& account) {
    write_file(account / "f", "x");
    const std::string path = account / "f";
    for (const char* name : {"trusted.foo", "user.foo"}) {
      ASSERT_EQ(::setxattr(path.c_str(), name, "bar", 3, 0), 0);
    }
    const auto tell = [&](const char* who) {
      const std::set<std::string> names = names_of(path);
      account.value(who,
                    names.count("trusted.foo") * 10 + names.count("user.foo"));
    };
    tell("root");
    ASSERT_EQ(::seteuid(12345), 0);
    tell("a user");
    ASSERT_EQ(::seteuid(0), 0);
    tell("root again");
  });
}

TEST_P(Xattr, AccessControlListsPassThrough) {
  // Version 2: owner rw, user 1234 r, group r, mask r, others nothing.
  struct Acl {
    std::uint32_t version;
    struct {
      std::uint16_t tag;
      std::uint16_t permissions;
      std::uint32_t id;
    } entries[5];
  };
  constexpr auto kNobody = std::uint32_t(-1);
  const Acl acl = {2,
                   {{0x01, 6, kNobody},
                    {0x02, 4, 1234},
                    {0x04, 4, kNobody},
                    {0x10, 4, kNobody},
                    {0x20, 0, kNobody}}};
  expect_same([&](Account& account) {
    write_file(account / "f", "x");
    account.call("set",
                 ::setxattr((account / "f").c_str(), "system.posix_acl_access",
                            &acl, sizeof(acl), 0));
    account.content("get", value_of(account / "f", "system.posix_acl_access"));
    account.value("mode", status_of(account / "f").st_mode);
  });
}

class XattrOption : public MountTest {};

TEST_F(XattrOption, UnlistedOnesCanBeGot) {
  mount(support::make_directory_on(BackingKind::kTmpfs),
        {.arguments = {"-o", "xattr_list=none"}});
  if (IsSkipped()) {
    return;
  }
  write_file(mounted("f"), "x");
  ASSERT_EQ(::setxattr(mounted("f").c_str(), "user.own", "value", 5, 0), 0);
  EXPECT_EQ(without_security(names_of(mounted("f"))),
            std::set<std::string>{"user.own"});
  EXPECT_EQ(pmem_value_of(mounted("f"), "mapped_length"), "1");
  EXPECT_EQ(pmem_value_of(mounted("f"), "path"), source("f"));
}

TEST_F(XattrOption, AForcedYesSaysThatItWasForced) {
  mount(support::make_directory_on(BackingKind::kTmpfs),
        {.environment = {"PMEM_IS_PMEM_FORCE=1"}});
  if (IsSkipped()) {
    return;
  }
  write_file(mounted("f"), noise(5000));
  EXPECT_EQ(pmem_value_of(mounted("f"), "is_pmem"), "1");
  const std::string reason = pmem_value_of(mounted("f"), "reason");
  EXPECT_NE(reason.find("forced"), std::string::npos) << reason;
  EXPECT_NE(reason.find("PMEM_IS_PMEM_FORCE=1"), std::string::npos) << reason;
  // What it is remains what it is.
  EXPECT_NE(reason.find("tmpfs"), std::string::npos) << reason;
  EXPECT_EQ(pmem_value_of(mounted("f"), "granularity"), "page");
  EXPECT_EQ(pmem_value_of(mounted("f"), "kind"), "file");
}

TEST_F(XattrOption, AForcedNoSaysSoToo) {
  mount(support::make_directory_on(BackingKind::kDisk),
        {.environment = {"PMEM_IS_PMEM_FORCE=0"}});
  if (IsSkipped()) {
    return;
  }
  write_file(mounted("f"), noise(5000));
  EXPECT_EQ(pmem_value_of(mounted("f"), "is_pmem"), "0");
  const std::string reason = pmem_value_of(mounted("f"), "reason");
  EXPECT_NE(reason.find("PMEM_IS_PMEM_FORCE=0"), std::string::npos) << reason;
}

TEST_F(XattrOption, AForceThatIsNeitherIsNoForce) {
  mount(support::make_directory_on(BackingKind::kTmpfs),
        {.environment = {"PMEM_IS_PMEM_FORCE=2"}});
  if (IsSkipped()) {
    return;
  }
  write_file(mounted("f"), noise(5000));
  EXPECT_EQ(pmem_value_of(mounted("f"), "is_pmem"), "0");
  const std::string reason = pmem_value_of(mounted("f"), "reason");
  EXPECT_EQ(reason.find("forced"), std::string::npos) << reason;
}

}  // namespace
}  // namespace mount_tests
