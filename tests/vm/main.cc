// In the guest the tests run, and write down how they came out where
// $PMEMFS_VM_TABLE says. On the host, with $PMEMFS_VM_REPORT, the program reads
// there how the one test of --gtest_filter came out.
#include <gtest/gtest.h>

#include <cstdlib>

#include "vm/outcomes.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const char* report = std::getenv("PMEMFS_VM_REPORT");
  if (report != nullptr && !GTEST_FLAG_GET(list_tests)) {
    return vm::report(report, GTEST_FLAG_GET(filter));
  }
  const char* table = std::getenv("PMEMFS_VM_TABLE");
  if (table != nullptr) {
    ::testing::UnitTest::GetInstance()->listeners().Append(
        vm::make_table_writer(table));
  }
  return RUN_ALL_TESTS();
}
