// A Device DAX that this machine need not have: a node with the number of
// /dev/zero, whose shared mappings work, and a fake sysfs that calls this
// number a Device DAX.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "support/fake_sysfs.h"
#include "support/temp_dir.h"

namespace support {

class FakeDaxNodeTest : public ::testing::Test {
 protected:
  static inline const dev_t kZero = ::makedev(1, 5);

  // Its name is not one of a Device DAX: the number alone counts.
  void SetUp() override {
    node_ = directory_ / "some-node";
    if (::mknod(node_.c_str(), S_IFCHR | 0600, kZero) != 0) {
      GTEST_SKIP() << "no device node can be made here: "
                   << std::strerror(errno);
    }
    const int fd = ::open(node_.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) {
      GTEST_SKIP() << "no device node can be opened in " << directory_.path()
                   << " (mounted nodev?): " << std::strerror(errno);
    }
    ::close(fd);
  }

  void add_dax(const FakeDax& dax = {}) { sysfs_.add_dax(kZero, dax); }

  TempDir directory_;
  FakeSysfs sysfs_;
  std::string node_;
};

}  // namespace support
