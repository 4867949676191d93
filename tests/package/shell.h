// Shell scripts of the package tests. Variables of theirs:
//   T  a folder for the test          S  the folder of these tests' sources
//   L  our library folder             P  the prefix that it is installed in
//   C  the C compiler, with warnings as errors
// The caller's own LD_LIBRARY_PATH, PKG_CONFIG_PATH and CMAKE_PREFIX_PATH count
// nothing; scripts set what they want.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "support/command.h"
#include "support/temp_dir.h"

namespace package_tests {

inline const std::string kPrefix = PACKAGE_PREFIX;
inline const std::string kLibraries = PACKAGE_LIBRARIES;
inline const std::string kHeaders = PACKAGE_HEADERS;
inline const std::string kManuals = PACKAGE_MANUALS;
inline const std::string kSource = PROJECT_SOURCE;
inline const std::string kBuild = PROJECT_BUILD;
inline const std::string kDistributionLibrary = DISTRIBUTION_LIBPMEM;

class Shell {
 public:
  // Runs a script to its end; the test fails when one of its commands does.
  // Returns what it printed.
  // NOLINTNEXTLINE(modernize-use-nodiscard): that it succeeds may be the test.
  std::string run(const std::string& script) const {
    const support::CommandResult ran = support::run_command(
        {"bash", "-e", "-u", "-o", "pipefail", "-c",
         // What the caller's shell sets is not what is tested.
         "unset ${!PMEM_@}\n" + script},
        {"T=" + folder_.path(), "S=" + kSource + "/tests/package",
         "L=" + kLibraries, "P=" + kPrefix,
         std::string("C=") + C_COMPILER +
             " -std=c11 -Wall -Wextra -Wpedantic -Werror",
         std::string("CMAKE=") + CMAKE_PROGRAM, "LC_ALL=C", "LD_LIBRARY_PATH=",
         "PKG_CONFIG_PATH=", "CMAKE_PREFIX_PATH=", "DESTDIR="});
    EXPECT_EQ(ran.exit_status, 0) << script << "\n" << ran.output;
    return ran.output;
  }

  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

 private:
  support::TempDir folder_;
};

}  // namespace package_tests
