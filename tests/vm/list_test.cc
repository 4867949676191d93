// `pmemfs list` in a guest with two Device DAX on NVDIMMs, one on memory for
// special use, ext4 and xfs with DAX, and a pmem block device.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "support/command.h"
#include "support/files.h"
#include "support/mount_fixture.h"
#include "support/temp_dir.h"
#include "vm/guest.h"

namespace vm {
namespace {

using nlohmann::json;
using support::run_command;
using support::status_of;

std::string last_part(const std::string& path) {
  return std::filesystem::path(path).filename();
}

std::string block_name(const std::string& folder) {
  const dev_t number = status_of(folder).st_dev;
  return std::filesystem::canonical("/sys/dev/block/" +
                                    std::to_string(::major(number)) + ":" +
                                    std::to_string(::minor(number)))
      .filename();
}

std::uint64_t number_in(const std::string& file) {
  std::uint64_t number = 0;
  std::ifstream(file) >> number;
  return number;
}

json parsed(const support::CommandResult& listed) {
  EXPECT_EQ(listed.exit_status, 0) << listed.output;
  return json::parse(listed.output, nullptr, false);
}

json list() {
  return parsed(run_command({support::kPmemfs, "list", "--json"}));
}

json row_of(const json& rows, const std::string& name) {
  for (const json& row : rows) {
    if (row["name"] == name) {
      return row;
    }
  }
  ADD_FAILURE() << "there is no " << name << " in\n" << rows.dump(2);
  return json::object();
}

bool contains(const json& text, const std::string& words) {
  return text.is_string() &&
         text.get<std::string>().find(words) != std::string::npos;
}

// The words of each line of the table, up to the last column.
std::map<std::string, std::vector<std::string>> table() {
  const support::CommandResult listed = run_command({support::kPmemfs, "list"});
  EXPECT_EQ(listed.exit_status, 0) << listed.output;
  std::map<std::string, std::vector<std::string>> lines;
  std::istringstream text(listed.output);
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    for (std::string word; words >> word;) {
      lines[name].push_back(word);
    }
  }
  return lines;
}

TEST(List, HasARowForEachRegion) {
  const json rows = list();
  std::vector<std::string> names;
  for (const json& row : rows) {
    names.push_back(row["name"]);
  }
  std::vector<std::string> expected = {
      last_part(place("DEVDAX")), last_part(place("DEVDAX4K")),
      last_part(place("HMEM")),   block_name(place("EXT4")),
      block_name(place("XFS")),   last_part(place("BLOCK"))};
  std::sort(expected.begin(), expected.end());  // dax... before pmem...
  EXPECT_EQ(names, expected);
}

TEST(List, TellsOfEachDevice) {
  const json rows = list();
  for (const char* variable : {"DEVDAX", "DEVDAX4K", "HMEM"}) {
    const pmem::DaxDevice facts = facts_of(place(variable));
    const json row = row_of(rows, facts.name);
    EXPECT_EQ(row["kind"], "devdax");
    EXPECT_EQ(row["size_bytes"], facts.size_bytes);
    EXPECT_EQ(row["align_bytes"], facts.align_bytes);
    EXPECT_EQ(row["mode"], "devdax");
    EXPECT_EQ(row["is_pmem"], true);
    EXPECT_TRUE(contains(row["reason"], "Device DAX")) << row["reason"];
    EXPECT_EQ(row["mounted_on"], json::array());
    // No list is kept of memory without a region.
    EXPECT_EQ(row["bad_blocks"],
              std::string(variable) == "HMEM" ? json(nullptr) : json::array());
    EXPECT_FALSE(row.contains("bad_blocks_error"));
    EXPECT_TRUE(row.contains("numa_node"));
  }
}

TEST(List, TellsOfEachFileSystem) {
  const json rows = list();
  for (const char* variable : {"EXT4", "XFS"}) {
    const std::string name = block_name(place(variable));
    const json row = row_of(rows, name);
    EXPECT_EQ(row["kind"], "fsdax");
    EXPECT_EQ(row["mode"], "fsdax");
    EXPECT_EQ(row["size_bytes"],
              512 * number_in("/sys/class/block/" + name + "/size"));
    EXPECT_EQ(row["align_bytes"], 2U << 20);
    EXPECT_EQ(row["is_pmem"], true);
    EXPECT_TRUE(contains(row["reason"], "MAP_SYNC")) << row["reason"];
    EXPECT_EQ(row["bad_blocks"], json::array());
    EXPECT_EQ(row["mounted_on"], json::array({place(variable)}));
  }
}

TEST(List, LeavesNothingBehindAndNoTimeChanged) {
  const support::TempDir folder(place("EXT4"));
  const std::string file = place("EXT4") + "/asked";
  support::write_file(file, "bytes");
  const struct timespec old = {.tv_sec = 1000, .tv_nsec = 0};
  const std::vector<struct timespec> times = {old, old};
  for (const std::string& path : {file, place("EXT4")}) {
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times.data(), 0), 0);
  }
  EXPECT_EQ(row_of(list(), block_name(place("EXT4")))["is_pmem"], true);
  for (const std::string& path : {file, place("EXT4")}) {
    EXPECT_EQ(status_of(path).st_atim.tv_sec, 1000) << path;
    EXPECT_EQ(status_of(path).st_mtim.tv_sec, 1000) << path;
  }
  EXPECT_EQ(::unlink(file.c_str()), 0);
}

TEST(List, FollowsTheMountsOfABlockDevice) {
  const std::string name = last_part(place("BLOCK"));
  json row = row_of(list(), name);
  EXPECT_EQ(row["kind"], "block");
  EXPECT_EQ(row["mode"], "fsdax");
  EXPECT_EQ(row["is_pmem"], nullptr);
  EXPECT_FALSE(row.contains("is_pmem_error"));
  EXPECT_EQ(row["mounted_on"], json::array());
  EXPECT_TRUE(contains(row["reason"], "mounted"));
  {
    const FreshExt4 fresh("dax");
    row = row_of(list(), name);
    EXPECT_EQ(row["kind"], "fsdax");
    EXPECT_EQ(row["is_pmem"], true) << row;  // of a file that is gone
    EXPECT_EQ(row["mounted_on"], json::array({fresh.path()}));
    EXPECT_EQ(run_command({"ls", "-A", fresh.path()}).output, "lost+found\n");
    const support::TempDir second;
    ASSERT_EQ(::mount((fresh.path() + "/lost+found").c_str(),
                      second.path().c_str(), nullptr, MS_BIND, nullptr),
              0);
    EXPECT_EQ(row_of(list(), name)["mounted_on"],
              json::array({fresh.path(), second.path()}));
    EXPECT_EQ(::umount2(second.path().c_str(), 0), 0);
  }
  {
    const FreshExt4 without("dax=never");
    row = row_of(list(), name);
    EXPECT_EQ(row["kind"], "block");
    EXPECT_EQ(row["is_pmem"], false);
    EXPECT_TRUE(contains(row["reason"], "page cache")) << row["reason"];
    EXPECT_EQ(row["mounted_on"], json::array({without.path()}));
  }
  {
    const FreshExt4 by_file("dax=inode");
    row = row_of(list(), name);
    EXPECT_EQ(row["kind"], "fsdax");
    EXPECT_EQ(row["is_pmem"], nullptr);
    EXPECT_TRUE(contains(row["reason"], "dax=inode")) << row["reason"];
  }
  const FreshExt4 read_only("dax");
  ASSERT_EQ(::mount(nullptr, read_only.path().c_str(), nullptr,
                    MS_REMOUNT | MS_RDONLY, "dax"),
            0)
      << std::strerror(errno);
  row = row_of(list(), name);
  EXPECT_EQ(row["is_pmem"], nullptr);  // no file, and none can be made
  EXPECT_TRUE(contains(row["reason"], "Read-only file system"))
      << row["reason"];
}

TEST(List, TellsWherePmemfsShowsADevice) {
  const std::string name = last_part(place("DEVDAX"));
  const support::MountedPmemfs all({});
  const support::MountedPmemfs dax({"dax"});
  const json places = row_of(list(), name)["mounted_on"];
  EXPECT_EQ(places, json::array({all / "dax/" + name, dax / name}));
  for (const json& one : places) {
    EXPECT_TRUE(support::exists(one.get<std::string>())) << one;
  }
}

TEST(List, TellsOfADeviceWithoutADriver) {
  const std::string name = last_part(place("DEVDAX4K"));
  const std::string driver = "/sys/bus/dax/drivers/device_dax/";
  std::ofstream(driver + "unbind") << name;
  const json row = row_of(list(), name);
  std::ofstream(driver + "bind") << name;
  EXPECT_EQ(row["mode"], "unbound");
  EXPECT_EQ(row["is_pmem"], false);
  EXPECT_TRUE(contains(row["reason"], "unbound")) << row["reason"];
  EXPECT_EQ(row_of(list(), name)["mode"], "devdax");
}

TEST(List, AsATableHasTheSameForPeople) {
  const auto lines = table();
  const std::string device = last_part(place("DEVDAX"));
  ASSERT_TRUE(lines.contains("NAME"));
  EXPECT_EQ(lines.at("NAME"),
            (std::vector<std::string>{"KIND", "SIZE", "MODE", "PMEM", "ALIGN",
                                      "NUMA", "BAD", "MOUNTED", "WHY"}));
  ASSERT_TRUE(lines.contains(device));
  const std::vector<std::string>& words = lines.at(device);
  EXPECT_EQ(words.at(0), "devdax");
  EXPECT_TRUE(words.at(1).ends_with("MiB")) << words.at(1);
  EXPECT_EQ(words.at(2), "devdax");
  EXPECT_EQ(words.at(3), "1");
  EXPECT_EQ(words.at(4), "2MiB");
  EXPECT_EQ(words.at(6), "0");
  EXPECT_EQ(words.at(7), "-");
  const std::string ext4 = block_name(place("EXT4"));
  ASSERT_TRUE(lines.contains(ext4));
  EXPECT_EQ(lines.at(ext4).at(7), place("EXT4"));
  EXPECT_EQ(lines.at(last_part(place("HMEM"))).at(6), "-");
}

// The node may be read by root alone.
TEST(List, TellsAnOrdinaryUserWhatItMay) {
  const json rows = parsed(
      run_command({"setpriv", "--reuid", "65534", "--regid", "65534",
                   "--clear-groups", support::kPmemfs, "list", "--json"}));
  const json device = row_of(rows, last_part(place("DEVDAX")));
  EXPECT_EQ(device["size_bytes"], facts_of(place("DEVDAX")).size_bytes);
  EXPECT_EQ(device["mode"], "devdax");
  EXPECT_EQ(device["is_pmem"], nullptr);
  EXPECT_TRUE(contains(device["is_pmem_error"], "Permission denied")) << device;
  const json ext4 = row_of(rows, block_name(place("EXT4")));
  EXPECT_EQ(ext4["kind"], "fsdax");
  EXPECT_EQ(ext4["mounted_on"], json::array({place("EXT4")}));
}

}  // namespace
}  // namespace vm
