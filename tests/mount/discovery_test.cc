// A mount without a source and `pmemfs list` on this machine, which need not
// have persistent memory. (What they show of it is tested in a guest.)
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <string>

#include "support/command.h"
#include "support/files.h"
#include "support/mount_fixture.h"

namespace {

using support::run_command;

using Names = std::set<std::string>;

Names names_in(const std::string& directory) {
  Names names;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory, ignored)) {
    EXPECT_TRUE(entry.is_directory() || directory.ends_with("dax")) << entry;
    names.insert(entry.path().filename());
  }
  return names;
}

// What is mounted with DAX, by number: each file system once.
Names dax_file_systems() {
  const support::CommandResult found =
      run_command({"sh", "-c",
                   "awk '$4 ~ /(^|,)dax(=always|=inode)?(,|$)/ || "
                   "$NF ~ /(^|,)dax(=always|=inode)?(,|$)/ { print $3 }' "
                   "/proc/self/mountinfo | sort -u"});
  Names numbers;
  std::string line;
  for (const char letter : found.output) {
    if (letter == '\n') {
      numbers.insert(line);
      line.clear();
    } else {
      line += letter;
    }
  }
  return numbers;
}

bool has_persistent_memory() {
  return !names_in("/sys/bus/dax/devices").empty() ||
         !names_in("/sys/bus/nd/devices").empty() ||
         !dax_file_systems().empty();
}

TEST(Discovery, ShowsWhatTheMachineHas) {
  for (const std::vector<std::string>& sources :
       {std::vector<std::string>{}, std::vector<std::string>{"all"}}) {
    const support::MountedPmemfs mounted(sources);
    EXPECT_EQ(names_in(mounted.path()), (Names{"dax", "fsdax"}));
    EXPECT_EQ(names_in(mounted / "dax"), names_in("/sys/bus/dax/devices"));
    EXPECT_EQ(names_in(mounted / "fsdax").size(), dax_file_systems().size());
    EXPECT_EQ(run_command({"findmnt", "-no", "SOURCE", mounted.path()}).output,
              "all\n");
    const bool says_nothing =
        mounted.log().find("no persistent memory found") != std::string::npos;
    EXPECT_EQ(says_nothing, names_in(mounted / "dax").empty() &&
                                names_in(mounted / "fsdax").empty())
        << mounted.log();
  }
}

TEST(Discovery, TheUpperFoldersAreFixed) {
  const support::MountedPmemfs mounted({});
  for (const char* folder : {"", "/dax", "/fsdax"}) {
    const std::string name = mounted.path() + folder + "/new";
    EXPECT_EQ(::mkdir(name.c_str(), 0700), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::mknod(name.c_str(), S_IFREG | 0600, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_FALSE(support::open_file(name, O_RDWR | O_CREAT).valid());
    EXPECT_EQ(errno, EPERM);
    EXPECT_FALSE(support::exists(name));
    struct statvfs status = {};
    EXPECT_EQ(::statvfs((mounted.path() + folder).c_str(), &status), 0);
    EXPECT_GT(status.f_bsize, 0U);
  }
  EXPECT_EQ(::rmdir((mounted / "dax").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(
      ::rename((mounted / "dax").c_str(), (mounted / "fsdax/dax").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(Discovery, StandsBesideDirectories) {
  const support::TempDir directory;
  support::write_file(directory / "file", "bytes");
  const support::MountedPmemfs mounted(
      {"all", "pmem=all", "files=" + directory.path()});
  EXPECT_EQ(names_in(mounted.path()), (Names{"all", "pmem", "files"}));
  EXPECT_EQ(names_in(mounted / "all"), (Names{"dax", "fsdax"}));
  EXPECT_EQ(names_in(mounted / "pmem"), (Names{"dax", "fsdax"}));
  EXPECT_EQ(support::content_of(mounted / "files/file"), "bytes");
}

TEST(List, TellsWhenThereIsNothing) {
  const auto run = [](const std::string& words) {
    return run_command({"sh", "-c", std::string(support::kPmemfs) + words});
  };
  const support::CommandResult json = run(" list --json 2>/dev/null");
  const support::CommandResult table = run(" list 2>/dev/null");
  const support::CommandResult error = run(" list 2>&1 >/dev/null");
  if (has_persistent_memory()) {
    EXPECT_EQ(json.exit_status, 0);
    EXPECT_EQ(json.output.front(), '[');
    EXPECT_EQ(table.output.substr(0, 4), "NAME");
    EXPECT_EQ(error.output, "");
    return;
  }
  for (const support::CommandResult& result : {json, table, error}) {
    EXPECT_EQ(result.exit_status, 9) << result.output;
  }
  EXPECT_EQ(json.output, "[]\n");
  EXPECT_EQ(table.output, "");
  EXPECT_EQ(error.output.find("pmemfs: no persistent memory found"), 0U)
      << error.output;
}

}  // namespace
