// Errors as values.
#include "pmem/result.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace pmem {
namespace {

TEST(Error, SaysWhatFailedAndWhy) {
  const Error error = {ENOENT, "opening \"x\""};
  EXPECT_EQ(error.message(), "opening \"x\": No such file or directory");
}

// A file system in user space may answer with any number.
TEST(Error, HasAMessageForANumberThatLibcDoesNotKnow) {
  const Error error = {511, "opening \"x\""};
  EXPECT_EQ(error.message(), "opening \"x\": error 511");
}

TEST(FailErrno, TakesTheErrnoOfTheCallBefore) {
  errno = ENOSPC;
  const Result<int> result = fail_errno("writing");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ENOSPC);
  EXPECT_EQ(result.error().doing, "writing");
}

TEST(PassOn, KeepsTheError) {
  Result<int> failed = fail(EFBIG, "growing");
  const Result<void> passed = pass_on(failed);
  ASSERT_FALSE(passed);
  EXPECT_EQ(passed.error().code, EFBIG);
  EXPECT_EQ(passed.error().doing, "growing");
}

}  // namespace
}  // namespace pmem
