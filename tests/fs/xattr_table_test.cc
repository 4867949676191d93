#include "fs/xattr_table.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace pmemfs {
namespace {

using Value = pmem::Result<std::string>;

struct Numbers {
  int asked = 0;
};

using Row = VirtualXattr<Numbers>;

constexpr std::array kTable = {
    Row{"always",
        [](Numbers& numbers) -> Value {
          return std::to_string(++numbers.asked);
        }},
    Row{"missing", [](Numbers&) -> Value { return not_told(); }, true},
    Row{"unsupported",
        [](Numbers&) -> Value {
          return missing_if_unsupported({EOPNOTSUPP, "asking"});
        },
        true},
    Row{"failed",
        [](Numbers&) -> Value {
          return missing_if_unsupported({EACCES, "asking"});
        },
        true},
};

int error_of(const Value& value) { return value ? 0 : value.error().code; }

TEST(XattrTable, NamesHaveThePrefix) {
  Numbers numbers;
  EXPECT_EQ(get_from(kTable, numbers, "user.pmem.always").value_or("?"), "1");
  for (const char* name : {"always", "user.always", "pmem.always", "user.pmem.",
                           "user.pmem.nonsense", ""}) {
    EXPECT_EQ(error_of(get_from(kTable, numbers, name)), ENODATA) << name;
  }
}

TEST(XattrTable, WhatIsNotSupportedIsMissing) {
  Numbers numbers;
  EXPECT_EQ(error_of(get_from(kTable, numbers, "user.pmem.missing")), ENODATA);
  EXPECT_EQ(error_of(get_from(kTable, numbers, "user.pmem.unsupported")),
            ENODATA);
}

TEST(XattrTable, WhatHasFailedSaysSo) {
  Numbers numbers;
  EXPECT_EQ(error_of(get_from(kTable, numbers, "user.pmem.failed")), EACCES);
}

TEST(XattrTable, ListsAllThatIsNotMissing) {
  Numbers numbers;
  EXPECT_EQ(list_from(kTable, numbers),
            std::string("user.pmem.always\0user.pmem.failed\0", 34));
}

TEST(XattrTable, ListingDoesNotFindOutWhatIsAlwaysThere) {
  Numbers numbers;
  EXPECT_FALSE(list_from(kTable, numbers).empty());
  EXPECT_EQ(numbers.asked, 0);
}

}  // namespace
}  // namespace pmemfs
