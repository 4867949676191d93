// The two forms of `pmemfs list`, from rows of the test's own.
#include <gtest/gtest.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "src/list_json.h"
#include "src/list_table.h"

namespace pmemfs {
namespace {

InventoryRow device() {
  InventoryRow row;
  row.name = "dax0.0";
  row.kind = "devdax";
  row.size_bytes = 65011712;
  row.mode = "devdax";
  row.is_pmem = true;
  row.align_bytes = 2097152;
  row.numa_node = 0;
  row.bad_blocks = pmem::BadBlocks{{4096, 512}, {8192, 1024}};
  row.mounted_on = {"/mnt/a b", "/mnt/c\nd"};
  row.reason = "a Device DAX";
  return row;
}

InventoryRow unknown() {
  InventoryRow row;
  row.name = "pmem0";
  row.kind = "block";
  row.is_pmem = pmem::fail(EACCES, "opening a file");
  row.bad_blocks = pmem::fail(EACCES, "reading a list");
  return row;
}

TEST(SizeInWords, IsShort) {
  EXPECT_EQ(size_in_words(0), "0B");
  EXPECT_EQ(size_in_words(512), "512B");
  EXPECT_EQ(size_in_words(1023), "1023B");
  EXPECT_EQ(size_in_words(1024), "1KiB");
  EXPECT_EQ(size_in_words(1536), "1.5KiB");
  EXPECT_EQ(size_in_words(65011712), "62MiB");
  EXPECT_EQ(size_in_words((1ULL << 30) - 1), "1GiB");
  EXPECT_EQ(size_in_words(3ULL << 40), "3TiB");
  EXPECT_EQ(size_in_words(~0ULL), "16EiB");
}

TEST(ListTable, HasAColumnForEachFact) {
  EXPECT_EQ(
      list_as_table({device(), unknown()}),
      "NAME    KIND    SIZE   MODE    PMEM  ALIGN  NUMA  BAD         "
      "MOUNTED               WHY\n"
      "dax0.0  devdax  62MiB  devdax  1     2MiB   0     2 (1.5KiB)  "
      "/mnt/a b,/mnt/c\\012d  a Device DAX\n"
      "pmem0   block   -      -       ?     -      -     ?           "
      "-                     bad blocks: reading a list: Permission denied\n");
}

TEST(ListTable, TellsNoBadBlocksAsZero) {
  InventoryRow row = device();
  row.bad_blocks = pmem::BadBlocks{};
  EXPECT_NE(list_as_table({row}).find("  0     0    "), std::string::npos)
      << list_as_table({row});
}

TEST(ListJson, HasEveryMemberInOrder) {
  const auto list =
      nlohmann::ordered_json::parse(list_as_json({device(), unknown()}));
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].dump(),
            R"({"name":"dax0.0","kind":"devdax","size_bytes":65011712,)"
            R"("mode":"devdax","is_pmem":true,"align_bytes":2097152,)"
            R"("numa_node":0,"bad_blocks":[{"offset_bytes":4096,)"
            R"("length_bytes":512},{"offset_bytes":8192,)"
            R"("length_bytes":1024}],"mounted_on":["/mnt/a b",)"
            R"("/mnt/c\nd"],"reason":"a Device DAX"})");
  EXPECT_EQ(list[1].dump(),
            R"({"name":"pmem0","kind":"block","size_bytes":null,)"
            R"("mode":null,"is_pmem":null,)"
            R"("is_pmem_error":"opening a file: Permission denied",)"
            R"("align_bytes":null,"numa_node":null,"bad_blocks":null,)"
            R"("bad_blocks_error":"reading a list: Permission denied",)"
            R"("mounted_on":[],"reason":""})");
}

TEST(ListJson, OfNothingIsAnEmptyArray) { EXPECT_EQ(list_as_json({}), "[]\n"); }

TEST(ListJson, TakesNamesThatAreNoUtf8) {
  InventoryRow row = device();
  row.mounted_on = {"/mnt/\xff"};
  const auto list = nlohmann::json::parse(list_as_json({row}));
  EXPECT_EQ(list[0]["mounted_on"][0], "/mnt/\xef\xbf\xbd");
}

}  // namespace
}  // namespace pmemfs
