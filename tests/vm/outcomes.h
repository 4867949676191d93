// How the tests in the guest came out: a table that the guest writes and the
// host reads, so that ctest shows on the host each test of the guest as one of
// its own.
//
// One row a test, with tabs between the columns: passed, failed or skipped; its
// name; why, on one line. The last row is "ended". A table with the one row
// "unavailable" says why there was no guest. One thread.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace vm {

// Writes the table while the tests run. GoogleTest takes it over.
[[nodiscard]] ::testing::TestEventListener* make_table_writer(
    const std::string& table);

// Tells, as GoogleTest would, how that test came out in the guest. The exit
// code: 0 if it passed or was skipped, else 1.
[[nodiscard]] int report(const std::string& table, const std::string& test);

}  // namespace vm
