// For a child process: a fake sysfs in the place of the real one.
#pragma once

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>

#include "support/child_process.h"
#include "support/fake_sysfs.h"

namespace support {

// Everything that reads /sys sees the tree from here on. Skips the test where
// that is not permitted; the caller returns when the answer is false.
[[nodiscard]] inline bool mount_over_sys(const FakeSysfs& sysfs) {
  enter_private_mounts();
  if (::testing::Test::IsSkipped() || ::testing::Test::HasFatalFailure()) {
    return false;
  }
  const int status =
      ::mount(sysfs.root().c_str(), "/sys", nullptr, MS_BIND, nullptr);
  EXPECT_EQ(status, 0) << std::strerror(errno);
  return status == 0;
}

}  // namespace support
