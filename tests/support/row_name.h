// Names the tests of a table by the `name` of each row:
//   INSTANTIATE_TEST_SUITE_P(All, Suite, Values(Row{"First", ...}), RowName());
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace support {

struct RowName {
  template <typename Row>
  std::string operator()(const ::testing::TestParamInfo<Row>& row) const {
    return row.param.name;
  }
};

}  // namespace support
