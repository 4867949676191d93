// As many files open at once as a machine allows whose limits one may raise:
// tests on the host have to do with those that they are given.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/files.h"
#include "support/mount_fixture.h"
#include "support/temp_dir.h"

namespace vm {
namespace {

TEST(OpenFiles, AreFiftyThousandAtOnce) {
  constexpr std::size_t kFiles = 50'000;
  constexpr std::size_t kBetweenContents = 100;
  support::in_child([] {
    const struct rlimit plenty = {.rlim_cur = 2 * kFiles,
                                  .rlim_max = 2 * kFiles};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &plenty), 0) << std::strerror(errno);
    const support::TempDir source;
    support::MountedPmemfs mount({source.path()});
    std::vector<pmem::UniqueFd> files;
    for (std::size_t number = 0; number < kFiles; ++number) {
      files.push_back(
          support::open_file(mount / std::to_string(number), O_RDWR | O_CREAT));
      ASSERT_TRUE(files.back().valid())
          << number << ": " << std::strerror(errno);
    }
    for (std::size_t number = 0; number < kFiles; number += kBetweenContents) {
      const std::string content = std::to_string(number);
      ASSERT_EQ(
          ::pwrite(files[number].get(), content.data(), content.size(), 0),
          static_cast<ssize_t>(content.size()));
      ASSERT_EQ(support::read_at(files[number].get(), 0, 100), content);
      ASSERT_EQ(support::content_of(source / content), content);
    }
    files.clear();
    EXPECT_EQ(support::content_of(mount / "100"), "100");
  });
}

}  // namespace
}  // namespace vm
