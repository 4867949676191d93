// That the tests of clients see on which library a client runs.
#include "clients/client.h"

#include <gtest/gtest.h>

#include <string>

namespace clients {
namespace {

class Bound : public ::testing::TestWithParam<Pair> {
 protected:
  void SetUp() override {
    need(libraries()[1]);
    if (!IsSkipped()) {
      need_program("pmempool");
    }
  }
};

TEST_P(Bound, ToOneLibraryIsToldFromTheOther) {
  const auto& [name, used, other] = GetParam();
  const Bindings bindings;
  const support::CommandResult ran = support::run_command(
      {"pmempool", "--version"}, bindings.environment(used, true));
  EXPECT_EQ(ran.exit_status, 0) << ran.output;

  EXPECT_EQ(bindings.fault(used, {"pmem_map_file"}), "");
  EXPECT_NE(bindings.fault(other, {"pmem_map_file"})
                .find("pmem_map_file comes from " + used.file + "\n"),
            std::string::npos);
  EXPECT_EQ(bindings.fault(used, {"pmem_none"}), "pmem_none is not used\n");
}

INSTANTIATE_TEST_SUITE_P(All, Bound, ::testing::ValuesIn(pairs()),
                         [](const auto& row) { return row.param.first.name; });

TEST(Bindings, OfAProgramWithoutLibpmemAreAFault) {
  const Bindings bindings;
  ASSERT_EQ(
      support::run_command({"true"}, bindings.environment(libraries()[0], true))
          .exit_status,
      0);
  EXPECT_EQ(bindings.fault(libraries()[0], {"pmem_persist"}),
            "pmem_persist is not used\n");
}

}  // namespace
}  // namespace clients
