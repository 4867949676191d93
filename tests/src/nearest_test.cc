#include "src/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace pmemfs {
namespace {

struct DistanceRow {
  const char* from;
  const char* to;
  std::size_t distance;
};

class EditDistance : public testing::TestWithParam<DistanceRow> {};

TEST_P(EditDistance, IsTheSameBothWays) {
  const DistanceRow& row = GetParam();
  EXPECT_EQ(edit_distance(row.from, row.to), row.distance);
  EXPECT_EQ(edit_distance(row.to, row.from), row.distance);
}

INSTANTIATE_TEST_SUITE_P(Words, EditDistance,
                         testing::Values(DistanceRow{"", "", 0},
                                         DistanceRow{"", "abc", 3},
                                         DistanceRow{"io", "io", 0},
                                         DistanceRow{"noatme", "noatime", 1},
                                         DistanceRow{"umuont", "umount", 1},
                                         DistanceRow{"fsnane", "fsname", 1},
                                         DistanceRow{"kitten", "sitting", 3},
                                         DistanceRow{"ab", "ba", 1},
                                         DistanceRow{"abc", "cab", 2}));

const std::vector<std::string> kKnown = {"ro", "rw", "noatime", "xattr_list",
                                         "allow_other"};

TEST(Nearest, FindsAMisspelledWord) {
  EXPECT_EQ(nearest("xattr_lst", kKnown), "xattr_list");
  EXPECT_EQ(nearest("xattrlist", kKnown), "xattr_list");
  EXPECT_EQ(nearest("allow_others", kKnown), "allow_other");
  EXPECT_EQ(nearest("noaitme", kKnown), "noatime");
}

TEST(Nearest, PrefersTheFirstOfEquallyNearOnes) {
  EXPECT_EQ(nearest("rx", kKnown), "ro");
}

TEST(Nearest, GuessesNothingForAWordThatIsFarFromAll) {
  EXPECT_EQ(nearest("compress", kKnown), "");
  EXPECT_EQ(nearest("abc", kKnown), "");
  EXPECT_EQ(nearest("ro", {}), "");
}

}  // namespace
}  // namespace pmemfs
