// The two kinds of file system that behave differently beneath a region: one on
// a disk, with FIEMAP, and tmpfs, without it. For INSTANTIATE_TEST_SUITE_P over
// folders, which are the parents of a TempDir.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace support {

inline auto two_file_systems() {
  return ::testing::Values("/var/tmp", "/dev/shm");
}

inline std::string file_system_of(
    const ::testing::TestParamInfo<const char*>& folder) {
  return std::string(folder.param) == "/dev/shm" ? "Tmpfs" : "DiskFileSystem";
}

}  // namespace support
