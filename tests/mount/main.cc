// As root, the tests mount in a namespace of their own: whatever a test that
// crashed has left mounted ends with its processes.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (::geteuid() == 0 &&
      (::unshare(CLONE_NEWNS) != 0 ||
       ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)) {
    std::perror("mounts are seen by everybody: no namespace of our own");
  }
  return RUN_ALL_TESTS();
}
