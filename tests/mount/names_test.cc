// Names and directories: the same calls beside the mount and through it.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

using support::exists;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

Directory open_directory(const std::string& path) {
  return Directory(::opendir(path.c_str()));
}

// Everything that readdir(3) shows, but for "." and "..": name -> inode number.
std::map<std::string, ino_t> entries_of(const std::string& path) {
  std::map<std::string, ino_t> entries;
  const Directory directory = open_directory(path);
  EXPECT_NE(directory, nullptr) << std::strerror(errno);
  while (directory != nullptr) {
    const struct dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) {
      break;
    }
    const std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") {
      EXPECT_TRUE(entries.emplace(name, entry->d_ino).second)
          << name << " is listed twice";
    }
  }
  return entries;
}

void make_file(const std::string& path, const std::string& content = "x") {
  ASSERT_NO_FATAL_FAILURE(write_file(path, content));
}

std::string target_of(const std::string& path) {
  std::array<char, PATH_MAX> target = {};
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  return length < 0
             ? std::string("readlink: ") + ::strerrorname_np(errno)
             : std::string(target.data(), static_cast<std::size_t>(length));
}

// The parts of stat(2) that do not depend on which of two directories it is.
void tell_status(Account& account, const std::string& name) {
  struct stat status = {};
  if (account.call("lstat " + name,
                   ::lstat((account / name).c_str(), &status)) < 0) {
    return;
  }
  account.value("  mode", status.st_mode);
  account.value("  links", status.st_nlink);
  account.value("  owner", status.st_uid);
  account.value("  group", status.st_gid);
  account.value("  rdev", status.st_rdev);
  account.value("  blksize", status.st_blksize);
  if (!S_ISDIR(status.st_mode)) {
    account.value("  size", status.st_size);
    account.value("  blocks", status.st_blocks);
  }
}

class Names : public OnEachBacking {};
PMEMFS_ON_EACH_BACKING(Names);

TEST_P(Names, DirectoriesAreMadeAndRemovedAtDepth) {
  const std::string told = expect_same([](Account& account) {
    std::string path = "d";
    for (int depth = 0; depth < 40; ++depth) {
      account.call("mkdir", ::mkdir((account / path).c_str(), 0751));
      tell_status(account, path);
      path += "/d";
    }
    make_file(account / (path + "-file"), "at the bottom");
    account.content("content", content_of(account / (path + "-file")));
    account.call("rmdir of a full one", ::rmdir((account / "d/d").c_str()));
    account.call("unlink", ::unlink((account / (path + "-file")).c_str()));
    for (int depth = 0; depth < 40; ++depth) {
      path.resize(path.size() - 2);
      account.call("rmdir", ::rmdir((account / path).c_str()));
    }
    tell_status(account, "d");
  });
  EXPECT_NE(told.find("rmdir of a full one: ENOTEMPTY"), std::string::npos);
  EXPECT_NE(told.find("lstat d: ENOENT"), std::string::npos);
}

TEST_P(Names, CreatedFilesAreInTheBackingDirectory) {
  ASSERT_EQ(::mkdir(mounted("a").c_str(), 0755), 0);
  make_file(mounted("a/file"), "content");
  EXPECT_EQ(content_of(source("a/file")), "content");
  make_file(source("a/other"), "made beneath");
  EXPECT_EQ(content_of(mounted("a/other")), "made beneath");
}

TEST_P(Names, OpenFlagsOfCreationMeanTheSame) {
  expect_same([](Account& account) {
    const auto open_it = [&](const char* what, const char* name, int flags,
                             mode_t mode) {
      const int fd = ::open((account / name).c_str(), flags | O_CLOEXEC, mode);
      if (account.succeeds(what, fd) >= 0) {
        ::close(fd);
      }
      tell_status(account, name);
    };
    open_it("missing", "f", O_RDWR, 0);
    open_it("creat", "f", O_RDWR | O_CREAT, 0640);
    open_it("excl of an existing one", "f", O_RDWR | O_CREAT | O_EXCL, 0600);
    open_it("excl", "g", O_RDWR | O_CREAT | O_EXCL, 0);
    open_it("excl, read only", "h", O_RDONLY | O_CREAT | O_EXCL, 0444);
    make_file(account / "f", "something to cut");
    open_it("trunc", "f", O_WRONLY | O_TRUNC, 0);
    make_file(account / "f", "something to cut");
    open_it("creat and trunc", "f", O_RDWR | O_CREAT | O_TRUNC, 0777);
    open_it("directory", "f", O_RDONLY | O_DIRECTORY, 0);
    open_it("of a directory for writing", ".", O_RDWR, 0);
    open_it("creat of a directory", ".", O_RDONLY | O_CREAT, 0644);
    open_it("slash after a file", "f/", O_RDONLY, 0);
  });
}

TEST_P(Names, RenameMovesReplacesAndExchanges) {
  const std::string told = expect_same([](Account& account) {
    const auto rename = [&](const char* what, const char* from, const char* to,
                            unsigned flags) {
      account.call(what, ::renameat2(AT_FDCWD, (account / from).c_str(),
                                     AT_FDCWD, (account / to).c_str(), flags));
      for (const char* name : {from, to}) {
        account.value(name, exists(account / name));
      }
    };
    ASSERT_EQ(::mkdir((account / "d").c_str(), 0755), 0);
    ASSERT_EQ(::mkdir((account / "e").c_str(), 0755), 0);
    ASSERT_EQ(::mkdir((account / "d/full").c_str(), 0755), 0);
    make_file(account / "a", "A");
    make_file(account / "b", "B");
    make_file(account / "d/full/c", "C");
    rename("onto a file", "a", "b", 0);
    account.content("b has", content_of(account / "b"));
    rename("into a directory", "b", "d/a", 0);
    rename("of a missing one", "b", "c", 0);
    rename("of a directory with what is in it", "d/full", "e/moved", 0);
    account.content("moved", content_of(account / "e/moved/c"));
    rename("onto an empty directory", "e/moved", "d/x", 0);
    rename("again", "d/x", "e/moved", 0);
    rename("onto a full directory", "d", "e", 0);
    rename("of a directory into itself", "e", "e/moved/e", 0);
    rename("of a file onto a directory", "d/a", "e", 0);
    rename("of a directory onto a file", "e", "d/a", 0);
    rename("noreplace onto one", "d/a", "e/moved/c", RENAME_NOREPLACE);
    rename("noreplace", "d/a", "a", RENAME_NOREPLACE);
    rename("exchange", "a", "e/moved/c", RENAME_EXCHANGE);
    account.content("a has", content_of(account / "a"));
    account.content("c has", content_of(account / "e/moved/c"));
    rename("exchange of a file and a directory", "a", "e/moved",
           RENAME_EXCHANGE);
    account.content("e/moved has", content_of(account / "e/moved"));
    rename("exchange with a missing one", "a", "nothing", RENAME_EXCHANGE);
    rename("contradictory flags", "a", "nothing",
           RENAME_EXCHANGE | RENAME_NOREPLACE);
  });
  EXPECT_NE(told.find("noreplace onto one: EEXIST"), std::string::npos);
  EXPECT_NE(told.find("onto a full directory: ENOTEMPTY"), std::string::npos);
}

TEST_P(Names, AnOpenFileFollowsItsNewName) {
  make_file(mounted("old"), "before");
  const pmem::UniqueFd fd = open_file(mounted("old"), O_RDWR);
  ASSERT_TRUE(fd.valid());
  ASSERT_EQ(::mkdir(mounted("d").c_str(), 0755), 0);
  ASSERT_EQ(::rename(mounted("old").c_str(), mounted("d/new").c_str()), 0);
  ASSERT_EQ(::pwrite(fd.get(), "after!", 6, 0), 6);
  EXPECT_EQ(content_of(source("d/new")), "after!");
  EXPECT_EQ(content_of(mounted("d/new")), "after!");
}

TEST_P(Names, SymbolicLinksKeepTheirTarget) {
  expect_same([](Account& account) {
    const std::string longest(4095, 't');
    for (const std::string& target :
         {std::string("file"), std::string("missing/one"), std::string("."),
          std::string("line\nfeed"), longest, longest + "t"}) {
      const std::string link = account / "link";
      account.call("symlink", ::symlink(target.c_str(), link.c_str()));
      account.value("target", target_of(link));
      tell_status(account, "link");
      ::unlink(link.c_str());
    }
    account.call("of an empty target",
                 ::symlink("", (account / "link").c_str()));
    make_file(account / "file", "reached");
    ASSERT_EQ(::symlink("file", (account / "link").c_str()), 0);
    account.content("through it", content_of(account / "link"));
    account.call("onto it", ::symlink("other", (account / "link").c_str()));
    account.value("readlink of a file", target_of(account / "file"));
    account.succeeds("nofollow", ::open((account / "link").c_str(),
                                        O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  });
}

TEST_P(Names, HardLinksShareTheirInode) {
  expect_same([](Account& account) {
    make_file(account / "a", "one");
    account.call("link",
                 ::link((account / "a").c_str(), (account / "b").c_str()));
    tell_status(account, "a");
    tell_status(account, "b");
    account.value("same inode", status_of(account / "a").st_ino ==
                                    status_of(account / "b").st_ino);
    make_file(account / "b", "two, longer");
    account.content("a has", content_of(account / "a"));
    account.value("size of a", status_of(account / "a").st_size);
    account.call("onto an existing one",
                 ::link((account / "a").c_str(), (account / "b").c_str()));
    account.call("of a directory",
                 ::link(account.directory().c_str(), (account / "c").c_str()));
    account.call("of a missing one",
                 ::link((account / "none").c_str(), (account / "c").c_str()));
    account.call("unlink", ::unlink((account / "a").c_str()));
    tell_status(account, "b");
    account.content("b has", content_of(account / "b"));
    ASSERT_EQ(::symlink("b", (account / "s").c_str()), 0);
    account.call("of a symbolic link",
                 ::linkat(AT_FDCWD, (account / "s").c_str(), AT_FDCWD,
                          (account / "t").c_str(), 0));
    account.value("which is one", target_of(account / "t"));
    account.call("of what it points to",
                 ::linkat(AT_FDCWD, (account / "s").c_str(), AT_FDCWD,
                          (account / "u").c_str(), AT_SYMLINK_FOLLOW));
    tell_status(account, "u");
  });
}

TEST_P(Names, AnUnlinkedFileIsThereWhileItIsOpen) {
  expect_same([](Account& account) {
    make_file(account / "f", "still here");
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR);
    ASSERT_TRUE(fd.valid());
    account.call("unlink", ::unlink((account / "f").c_str()));
    account.content("read", read_at(fd.get(), 0, 100));
    account.call("write", ::pwrite(fd.get(), "grown", 5, 1000));
    struct stat status = {};
    account.call("fstat", ::fstat(fd.get(), &status));
    account.value("links", status.st_nlink);
    account.value("size", status.st_size);
    account.call("truncate", ::ftruncate(fd.get(), 3));
    account.content("read", read_at(fd.get(), 0, 100));
    account.call("chmod", ::fchmod(fd.get(), 0600));
    account.call("fsync", ::fsync(fd.get()));
    // Another one of this name has nothing to do with it.
    make_file(account / "f", "new");
    account.content("read", read_at(fd.get(), 0, 100));
    account.content("the new one", content_of(account / "f"));
  });
}

TEST_P(Names, ANamelessFileGetsANameByLinkat) {
  expect_same([](Account& account) {
    const pmem::UniqueFd fd(::open(account.directory().c_str(),
                                   O_TMPFILE | O_RDWR | O_CLOEXEC, 0640));
    account.succeeds("tmpfile", fd.get());
    account.call("write", ::write(fd.get(), "nameless", 8));
    struct stat status = {};
    account.call("fstat", ::fstat(fd.get(), &status));
    account.value("links", status.st_nlink);
    account.value("mode", status.st_mode);
    const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
    account.call("linkat",
                 ::linkat(AT_FDCWD, path.c_str(), AT_FDCWD,
                          (account / "named").c_str(), AT_SYMLINK_FOLLOW));
    tell_status(account, "named");
    account.content("content", content_of(account / "named"));
    account.call("write", ::write(fd.get(), ", no more", 9));
    account.content("content", content_of(account / "named"));

    const pmem::UniqueFd exclusive(
        ::open(account.directory().c_str(),
               O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0640));
    account.succeeds("tmpfile, never to be named", exclusive.get());
    const std::string exclusive_path =
        "/proc/self/fd/" + std::to_string(exclusive.get());
    account.call("linkat",
                 ::linkat(AT_FDCWD, exclusive_path.c_str(), AT_FDCWD,
                          (account / "other").c_str(), AT_SYMLINK_FOLLOW));
  });
}

TEST_P(Names, NamesOf255BytesAreNamesAnd256AreNot) {
  const std::string told = expect_same([](Account& account) {
    for (const std::size_t length : {255U, 256U, 1000U, 1025U}) {
      const std::string name(length, 'n');
      account.call("mkdir", ::mkdir((account / name).c_str(), 0755));
      const pmem::UniqueFd fd =
          open_file(account / ("f" + name.substr(1)), O_RDWR | O_CREAT);
      account.succeeds("create", fd.get());
      account.call("access", ::access((account / name).c_str(), F_OK));
      account.call("rename",
                   ::rename((account / name).c_str(),
                            (account / ("r" + name.substr(1))).c_str()));
    }
  });
  EXPECT_NE(told.find("mkdir: 0"), std::string::npos);
  EXPECT_NE(told.find("mkdir: ENAMETOOLONG"), std::string::npos);
  EXPECT_TRUE(exists(source("r" + std::string(254, 'n'))));
}

TEST_P(Names, NamesHaveAnyBytes) {
  std::string name;
  for (int byte = 1; byte < 256; ++byte) {
    if (byte != '/') {
      name += static_cast<char>(byte);
    }
  }
  make_file(mounted(name), "odd");
  EXPECT_EQ(content_of(source(name)), "odd");
  EXPECT_EQ(entries_of(mounted()).count(name), 1U);
}

TEST_P(Names, SpecialFilesAreOfTheirKind) {
  expect_same([](Account& account) {
    account.call("mkfifo", ::mkfifo((account / "fifo").c_str(), 0620));
    tell_status(account, "fifo");
    account.call("a regular file by mknod",
                 ::mknod((account / "file").c_str(), S_IFREG | 0604, 0));
    tell_status(account, "file");
    account.call("a socket",
                 ::mknod((account / "socket").c_str(), S_IFSOCK | 0600, 0));
    tell_status(account, "socket");
    account.call("onto one",
                 ::mknod((account / "file").c_str(), S_IFREG | 0604, 0));
  });
}

TEST_P(Names, AFifoCarriesBytes) {
  ASSERT_EQ(::mkfifo(mounted("fifo").c_str(), 0600), 0);
  const pmem::UniqueFd reader =
      open_file(mounted("fifo"), O_RDONLY | O_NONBLOCK);
  const pmem::UniqueFd writer = open_file(mounted("fifo"), O_WRONLY);
  ASSERT_TRUE(reader.valid());
  ASSERT_TRUE(writer.valid());
  ASSERT_EQ(::write(writer.get(), "flows", 5), 5);
  std::array<char, 16> bytes = {};
  ASSERT_EQ(::read(reader.get(), bytes.data(), bytes.size()), 5);
  EXPECT_STREQ(bytes.data(), "flows");
}

TEST_P(Names, ADirectoryOf3000EntriesIsListedWhole) {
  std::set<std::string> made;
  for (int number = 0; number < 3000; ++number) {
    const std::string name = "entry-" + std::to_string(number) +
                             std::string(std::size_t(number % 120), '-');
    // Half of them the kernel knows already, half it must learn.
    const std::string path = number % 2 == 0 ? mounted(name) : source(name);
    ASSERT_EQ(::mknod(path.c_str(), S_IFREG | 0644, 0), 0);
    made.insert(name);
  }
  const std::map<std::string, ino_t> through_mount = entries_of(mounted());
  EXPECT_EQ(through_mount, entries_of(source()));
  std::set<std::string> listed;
  for (const auto& [name, inode] : through_mount) {
    listed.insert(name);
    EXPECT_EQ(status_of(mounted(name)).st_ino, inode) << name;
  }
  EXPECT_EQ(listed, made);
}

TEST_P(Names, SeekdirGoesBackToWhereTelldirWas) {
  for (int number = 0; number < 500; ++number) {
    ASSERT_EQ(::mknod(source("entry-" + std::to_string(number)).c_str(),
                      S_IFREG | 0644, 0),
              0);
  }
  const Directory directory = open_directory(mounted());
  ASSERT_NE(directory, nullptr);
  // Where each entry is, and then the entries in another order.
  std::vector<std::pair<long, std::string>> places;
  for (;;) {
    const long place = ::telldir(directory.get());
    const struct dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) {
      break;
    }
    places.emplace_back(place, static_cast<const char*>(entry->d_name));
  }
  ASSERT_EQ(places.size(), 502U);
  for (std::size_t step = 0; step < places.size(); ++step) {
    const auto& [place, name] = places[step * 211 % places.size()];
    ::seekdir(directory.get(), place);
    const struct dirent* entry = ::readdir(directory.get());
    ASSERT_NE(entry, nullptr);
    ASSERT_EQ(static_cast<const char*>(entry->d_name), name);
    // What follows it is the same, too.
    const std::size_t next = step * 211 % places.size() + 1;
    entry = ::readdir(directory.get());
    ASSERT_EQ(entry == nullptr, next == places.size());
    if (entry != nullptr) {
      ASSERT_EQ(static_cast<const char*>(entry->d_name), places[next].second);
    }
  }
}

TEST_P(Names, RewinddirShowsWhatCameMeanwhile) {
  make_file(mounted("first"));
  const Directory directory = open_directory(mounted());
  ASSERT_NE(directory, nullptr);
  while (::readdir(directory.get()) != nullptr) {
  }
  make_file(source("second"));
  ::rewinddir(directory.get());
  std::set<std::string> names;
  while (const struct dirent* entry = ::readdir(directory.get())) {
    names.insert(static_cast<const char*>(entry->d_name));
  }
  EXPECT_EQ(names, (std::set<std::string>{".", "..", "first", "second"}));
}

TEST_P(Names, EntriesThatStayAreListedWhileOthersGo) {
  std::set<std::string> kept;
  for (int number = 0; number < 1000; ++number) {
    const std::string name = std::to_string(number);
    ASSERT_EQ(::mknod(source(name).c_str(), S_IFREG | 0644, 0), 0);
    if (number % 2 == 0) {
      kept.insert(name);
    }
  }
  const Directory directory = open_directory(mounted());
  ASSERT_NE(directory, nullptr);
  std::multiset<std::string> listed;
  int removed = 1;
  while (const struct dirent* entry = ::readdir(directory.get())) {
    const std::string name = static_cast<const char*>(entry->d_name);
    if (kept.count(name) == 1) {
      listed.insert(name);
    }
    if (removed < 1000) {
      ::unlink(mounted(std::to_string(removed)).c_str());
      removed += 2;
    }
  }
  EXPECT_EQ(listed, std::multiset<std::string>(kept.begin(), kept.end()));
}

TEST_P(Names, ARemovedDirectoryThatIsOpenIsEmpty) {
  expect_same([](Account& account) {
    ASSERT_EQ(::mkdir((account / "d").c_str(), 0755), 0);
    const pmem::UniqueFd fd = open_file(account / "d", O_RDONLY | O_DIRECTORY);
    account.call("rmdir", ::rmdir((account / "d").c_str()));
    struct stat status = {};
    account.call("fstat", ::fstat(fd.get(), &status));
    account.value("links", status.st_nlink);
    account.call("mkdir in it", ::mkdirat(fd.get(), "e", 0755));
    account.succeeds("create in it",
                     ::openat(fd.get(), "f", O_RDWR | O_CREAT, 0644));
    account.call("lookup in it", ::faccessat(fd.get(), "f", F_OK, 0));
    account.call("fchmod", ::fchmod(fd.get(), 0700));
    DIR* directory = ::fdopendir(::dup(fd.get()));
    int entries = 0;
    while (directory != nullptr && ::readdir(directory) != nullptr) {
      ++entries;
    }
    ::closedir(directory);
    account.value("entries", entries);
  });
}

TEST_P(Names, ARunningProgramIsNotWritten) {
  expect_same([](Account& account) {
    const std::string program = account / "sleep";
    write_file(program, content_of("/bin/sleep"));
    ASSERT_EQ(::chmod(program.c_str(), 0755), 0);
    const support::BackgroundCommand running({program, "100"}, {}, "/dev/null");
    // From its exec on, the program is not the test's any more.
    const std::string executable =
        "/proc/" + std::to_string(running.pid()) + "/exe";
    ASSERT_TRUE(
        support::becomes_true([&] { return target_of(executable) == program; },
                              std::chrono::seconds(10)));
    account.succeeds("write", open_file(program, O_RDWR).get());
    account.call("truncate", ::truncate(program.c_str(), 0));
    account.succeeds("read", open_file(program, O_RDONLY).get());
    account.call("unlink", ::unlink(program.c_str()));
    running.send_signal(SIGKILL);
  });
}

TEST_P(Names, TheKindsOfEntriesAreTold) {
  make_file(source("file"));
  ASSERT_EQ(::mkdir(source("directory").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("file", source("link").c_str()), 0);
  ASSERT_EQ(::mkfifo(source("fifo").c_str(), 0600), 0);
  const Directory directory = open_directory(mounted());
  std::map<std::string, int> kinds;
  while (const struct dirent* entry = ::readdir(directory.get())) {
    kinds[static_cast<const char*>(entry->d_name)] = entry->d_type;
  }
  EXPECT_EQ(kinds, (std::map<std::string, int>{{".", DT_DIR},
                                               {"..", DT_DIR},
                                               {"file", DT_REG},
                                               {"directory", DT_DIR},
                                               {"link", DT_LNK},
                                               {"fifo", DT_FIFO}}));
}

TEST_P(Names, ADirectoryCanBeSynced) {
  expect_same([](Account& account) {
    make_file(account / "f");
    const pmem::UniqueFd fd =
        open_file(account.directory(), O_RDONLY | O_DIRECTORY);
    account.call("fsync", ::fsync(fd.get()));
    account.call("fdatasync", ::fdatasync(fd.get()));
  });
}

TEST_P(Names, WhatIsMadeBeneathShowsUpAndWhatGoesDisappears) {
  EXPECT_FALSE(exists(mounted("f")));
  make_file(source("f"));
  EXPECT_TRUE(exists(mounted("f")));
  ASSERT_EQ(::unlink(source("f").c_str()), 0);
  // For as long as the kernel may trust a name.
  EXPECT_TRUE(support::becomes_true([&] { return !exists(mounted("f")); },
                                    std::chrono::seconds(3)));
  EXPECT_FALSE(open_file(mounted("f"), O_RDONLY).valid());
}

class FewDescriptors : public MountTest,
                       public ::testing::WithParamInterface<BackingKind> {
 protected:
  void SetUp() override {
    mount(support::make_directory_on(GetParam()),
          {.wrapper = {"prlimit", "--nofile=300:300"}});
  }
};
PMEMFS_ON_EACH_BACKING(FewDescriptors);

TEST_P(FewDescriptors, DoNotLimitHowManyFilesAreKnown) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root can open files by handle";
  }
  constexpr int kFiles = 2000;
  for (int number = 0; number < kFiles; ++number) {
    ASSERT_NO_FATAL_FAILURE(
        make_file(source(std::to_string(number)), std::to_string(number)));
  }
  EXPECT_EQ(entries_of(mounted()).size(), std::size_t{kFiles});
  for (int round = 0; round < 2; ++round) {
    for (int number = 0; number < kFiles; ++number) {
      const std::string name = std::to_string(number);
      ASSERT_EQ(status_of(mounted(name)).st_ino,
                status_of(source(name)).st_ino);
      ASSERT_EQ(content_of(mounted(name)), name);
    }
  }
  make_file(mounted("one more"), "fits");
  EXPECT_EQ(content_of(source("one more")), "fits");
  EXPECT_EQ(::rename(mounted("1999").c_str(), mounted("0").c_str()), 0);
  EXPECT_EQ(content_of(mounted("0")), "1999");
}

// Also when the daemon does not hear of that it is open.
TEST_P(FewDescriptors, WhatIsOpenOutlivesItsLastName) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root can open files by handle";
  }
  constexpr int kFiles = 300;
  for (int number = 0; number < kFiles; ++number) {
    ASSERT_NO_FATAL_FAILURE(make_file(source(std::to_string(number))));
  }
  ASSERT_EQ(entries_of(mounted()).size(), std::size_t{kFiles});
  make_file(mounted("unlinked"));
  make_file(mounted("replaced"));
  ASSERT_EQ(::mkdir(mounted("removed").c_str(), 0755), 0);
  ASSERT_EQ(::mkfifo(mounted("fifo").c_str(), 0644), 0);
  std::vector<pmem::UniqueFd> open;
  for (const char* name : {"unlinked", "replaced", "removed"}) {
    open.push_back(open_file(mounted(name), O_PATH));
  }
  open.push_back(open_file(mounted("fifo"), O_RDWR));
  ASSERT_EQ(::unlink(mounted("unlinked").c_str()), 0);
  ASSERT_EQ(::rename(mounted("0").c_str(), mounted("replaced").c_str()), 0);
  ASSERT_EQ(::rmdir(mounted("removed").c_str()), 0);
  ASSERT_EQ(::unlink(mounted("fifo").c_str()), 0);
  for (const pmem::UniqueFd& fd : open) {
    struct stat status = {};
    EXPECT_EQ(::fstat(fd.get(), &status), 0) << std::strerror(errno);
    EXPECT_EQ(status.st_nlink, 0U);
  }
}

TEST_P(FewDescriptors, AUserCutsAFileByItsName) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root can open files by handle";
  }
  let_others_in();
  constexpr int kFiles = 500;
  for (int number = 0; number < kFiles; ++number) {
    ASSERT_NO_FATAL_FAILURE(
        make_file(source(std::to_string(number)), std::to_string(number)));
  }
  EXPECT_EQ(entries_of(mounted()).size(), std::size_t{kFiles});
  for (int number = 0; number < kFiles; ++number) {
    ASSERT_EQ(::chmod(mounted(std::to_string(number)).c_str(), 0666), 0);
  }
  ASSERT_EQ(::seteuid(12345), 0);
  for (int number = 0; number < kFiles; ++number) {
    EXPECT_EQ(::truncate(mounted(std::to_string(number)).c_str(), 1), 0)
        << number << ": " << std::strerror(errno);
  }
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(content_of(source("499")), "4");
}

// --- inode numbers ---

TEST_P(Names, InodeNumbersAreTheBackingOnesAndStay) {
  ASSERT_EQ(::mkdir(mounted("d").c_str(), 0755), 0);
  make_file(mounted("d/f"));
  ASSERT_EQ(::symlink("f", mounted("d/s").c_str()), 0);
  for (int mount_number = 0; mount_number < 2; ++mount_number) {
    for (const char* name : {"", "d", "d/f", "d/s"}) {
      EXPECT_EQ(status_of(mounted(name)).st_ino, status_of(source(name)).st_ino)
          << name;
    }
    remount();
  }
}

// --- many at once ---

// What several threads do to a handful of names in a few directories.
class Scuffle {
 public:
  Scuffle(std::string root, unsigned seed)
      : root_(std::move(root)), random_(seed) {}

  // One random thing. Its errno, unless it is one that others' doings explain.
  int act() {
    const std::string from = some_name();
    const std::string to = some_name();
    errno = 0;
    switch (pick(10)) {
      case 0:
        return explain(::mkdir(from.c_str(), 0755));
      case 1:
        return explain(::rmdir(from.c_str()));
      case 2:
        return explain(::unlink(from.c_str()));
      case 3:
        return explain(::rename(from.c_str(), to.c_str()));
      case 4:
        return explain(::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(),
                                   RENAME_EXCHANGE));
      case 5:
        return explain(::link(from.c_str(), to.c_str()));
      case 6:
        return explain(::symlink("target", from.c_str()));
      case 7: {
        struct stat status = {};
        return explain(::lstat(from.c_str(), &status));
      }
      case 8:
        return list(from);
      default:
        return write_and_read(from);
    }
  }

 private:
  std::size_t pick(std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
  }

  std::string some_name() {
    return root_ + "/" + std::to_string(pick(3)) + "/" +
           std::to_string(pick(6));
  }

  static int explain(long answer) {
    constexpr std::array kExplained = {ENOENT, EEXIST, ENOTEMPTY, ENOTDIR,
                                       EISDIR, EPERM,  EINVAL,    ELOOP,
                                       ESTALE, EBUSY};
    const int error = answer < 0 ? errno : 0;
    return std::find(kExplained.begin(), kExplained.end(), error) ==
                   kExplained.end()
               ? error
               : 0;
  }

  static int list(const std::string& name) {
    const Directory directory = open_directory(name);
    if (directory == nullptr) {
      return explain(-1);
    }
    errno = 0;
    while (::readdir(directory.get()) != nullptr) {
    }
    return explain(errno == 0 ? 0 : -1);
  }

  static int write_and_read(const std::string& name) {
    const pmem::UniqueFd fd =
        open_file(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK);
    if (!fd.valid()) {
      return explain(-1);
    }
    char byte = 0;
    if (::pwrite(fd.get(), "x", 1, 5000) != 1 ||
        ::pread(fd.get(), &byte, 1, 5000) != 1) {
      return errno;
    }
    return byte == 'x' ? 0 : EILSEQ;
  }

  std::string root_;
  std::mt19937 random_;
};

// All that is there, with its inode numbers.
std::map<std::string, ino_t> tree_of(const std::string& root) {
  std::map<std::string, ino_t> tree;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(root)) {
    tree[entry.path().string().substr(root.size())] =
        status_of(entry.path().string()).st_ino;
  }
  return tree;
}

class NamesAtOnce : public MountTest,
                    public ::testing::WithParamInterface<BackingKind> {
 protected:
  void scuffle_through(const std::vector<std::string>& roots) {
    for (const char* directory : {"0", "1", "2"}) {
      ASSERT_EQ(::mkdir(source(directory).c_str(), 0755), 0);
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    std::atomic<int> unexplained = 0;
    std::atomic<unsigned> done = 0;
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 4; ++seed) {
      threads.emplace_back([&, seed] {
        Scuffle scuffle(roots[seed % roots.size()], seed);
        while (std::chrono::steady_clock::now() < end) {
          const int error = scuffle.act();
          if (error != 0) {
            unexplained = error;
          }
          ++done;
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_EQ(unexplained, 0) << std::strerror(unexplained);
    EXPECT_GT(done, 100U);
    ASSERT_TRUE(daemon().daemon_is_alive());
    // As soon as the kernel asks anew, it sees what is beneath.
    EXPECT_TRUE(support::becomes_true(
        [&] { return tree_of(mounted()) == tree_of(source()); },
        std::chrono::seconds(5)));
  }
};
PMEMFS_ON_EACH_BACKING(NamesAtOnce);

TEST_P(NamesAtOnce, StayWhatTheyAreBeneath) {
  mount(support::make_directory_on(GetParam()));
  if (!IsSkipped()) {
    scuffle_through({mounted()});
  }
}

TEST_P(NamesAtOnce, WithOthersAtWorkBeneath) {
  mount(support::make_directory_on(GetParam()));
  if (!IsSkipped()) {
    scuffle_through({mounted(), source()});
  }
}

TEST_P(NamesAtOnce, WithFewDescriptors) {
  mount(support::make_directory_on(GetParam()),
        {.wrapper = {"prlimit", "--nofile=64:64"}});
  if (!IsSkipped()) {
    scuffle_through({mounted()});
  }
}

// --- the file system's own status ---

class Statfs : public MountTest,
               public ::testing::WithParamInterface<BackingKind> {
 protected:
  // Of its own, because others write to what is shared.
  void SetUp() override {
    if (!support::cannot_make_file_systems().empty()) {
      GTEST_SKIP() << support::cannot_make_file_systems();
    }
    constexpr std::uint64_t kSize = std::uint64_t{64} << 20;
    mount(GetParam() == BackingKind::kTmpfs ? support::make_tmpfs(kSize)
                                            : support::make_ext4(kSize));
  }
};
PMEMFS_ON_EACH_BACKING(Statfs);

TEST_P(Statfs, IsThatOfTheBackingFileSystem) {
  const auto tell = [](const std::string& path) {
    struct statvfs status = {};
    EXPECT_EQ(::statvfs(path.c_str(), &status), 0) << std::strerror(errno);
    std::ostringstream text;
    text << "bsize " << status.f_bsize << "\nfrsize " << status.f_frsize
         << "\nblocks " << status.f_blocks << "\nfree " << status.f_bfree
         << "\navailable " << status.f_bavail << "\nfiles " << status.f_files
         << "\nfree files " << status.f_ffree << "\nlongest name "
         << status.f_namemax << '\n';
    return text.str();
  };
  EXPECT_EQ(tell(mounted()), tell(source()));
  const std::string before = tell(mounted());
  make_file(mounted("f"), noise(1 << 20));
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
  ASSERT_EQ(::fsync(fd.get()), 0);
  EXPECT_EQ(tell(mounted("f")), tell(source("f")));
  EXPECT_NE(tell(mounted()), before);
}

}  // namespace
}  // namespace mount_tests
