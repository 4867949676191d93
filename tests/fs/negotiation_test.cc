#include "fs/negotiation.h"

#include <fuse_lowlevel.h>
#include <gtest/gtest.h>

#include <array>
#include <cstddef>

namespace pmemfs {
namespace {

constexpr std::uint64_t kModernKernel =
    FUSE_CAP_PASSTHROUGH | FUSE_CAP_DIRECT_IO_ALLOW_MMAP |
    FUSE_CAP_HANDLE_KILLPRIV_V2 | FUSE_CAP_DONT_MASK |
    FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_OVER_IO_URING;

// libfuse keeps the connection inside its session, and fuse_set_feature_flag
// also writes to what lies behind it there.
struct Connection {
  struct fuse_conn_info info = {};
  std::array<std::byte, 4096> rest_of_the_session = {};
};

Connection connection_with(std::uint64_t capabilities) {
  Connection connection;
  connection.info.proto_major = 7;
  connection.info.proto_minor = 45;
  connection.info.max_write = 1 << 20;
  connection.info.capable_ext = capabilities;
  return connection;
}

// Of a process that may do all.
KernelWishes wishes(IoMode io, bool io_uring = false) {
  return {.io = io,
          .io_uring = io_uring,
          .may_use_io_uring = true,
          .may_pass_through = true};
}

bool wants(const struct fuse_conn_info& connection, std::uint64_t feature) {
  return (connection.want_ext & feature) != 0;
}

bool says(const Negotiated& granted, const char* words) {
  return granted.in_words.find(words) != std::string::npos;
}

TEST(Negotiation, TakesPassthroughWhereKernelAndProcessMay) {
  Connection connection = connection_with(kModernKernel);
  const Negotiated granted =
      negotiate(connection.info, wishes(IoMode::kMapped));
  EXPECT_TRUE(granted.passthrough);
  EXPECT_TRUE(wants(connection.info, FUSE_CAP_PASSTHROUGH));
  EXPECT_TRUE(says(granted, "mmap of the backing file (passthrough)"));
}

// libfuse adds one to it, for the mount itself.
TEST(Negotiation, LeavesRoomForAFileSystemOnTheMount) {
  for (const IoMode io :
       {IoMode::kAutomatic, IoMode::kMapped, IoMode::kPassthrough}) {
    Connection connection = connection_with(kModernKernel);
    EXPECT_TRUE(negotiate(connection.info, wishes(io)).passthrough);
    EXPECT_EQ(connection.info.max_backing_stack_depth,
              FUSE_BACKING_STACKED_UNDER);
  }
}

TEST(Negotiation, OpensBackingFilesOfAStackedSource) {
  for (const IoMode io :
       {IoMode::kAutomatic, IoMode::kMapped, IoMode::kPassthrough}) {
    Connection connection = connection_with(kModernKernel);
    KernelWishes stacked = wishes(io);
    stacked.has_stacked_source = true;
    EXPECT_TRUE(negotiate(connection.info, stacked).passthrough);
    EXPECT_EQ(connection.info.max_backing_stack_depth,
              FUSE_BACKING_STACKED_OVER);
  }
}

TEST(Negotiation, SaysThatPassthroughNeedsAPrivilege) {
  Connection connection = connection_with(kModernKernel);
  KernelWishes unprivileged = wishes(IoMode::kMapped);
  unprivileged.may_pass_through = false;
  const Negotiated granted = negotiate(connection.info, unprivileged);
  EXPECT_FALSE(granted.passthrough);
  EXPECT_FALSE(wants(connection.info, FUSE_CAP_PASSTHROUGH));
  EXPECT_TRUE(granted.mmap_under_direct_io);
  EXPECT_TRUE(says(granted, "passthrough needs CAP_SYS_ADMIN"));
}

TEST(Negotiation, AsksAnOldKernelForNothingItLacks) {
  Connection connection = connection_with(0);
  const Negotiated granted =
      negotiate(connection.info, wishes(IoMode::kMapped, true));
  EXPECT_EQ(connection.info.want_ext, 0U);
  EXPECT_FALSE(granted.passthrough);
  EXPECT_FALSE(granted.io_uring);
  EXPECT_TRUE(says(granted, "no shared mmap"));
  EXPECT_TRUE(says(granted, "set-id bits removed by the kernel"));
  EXPECT_TRUE(says(granted, "the kernel does not offer io_uring"));
}

TEST(Negotiation, CachesFilesByDefaultWhereMmapWouldNotWorkOtherwise) {
  Connection old_one = connection_with(0);
  const Negotiated granted =
      negotiate(old_one.info, wishes(IoMode::kAutomatic));
  EXPECT_TRUE(granted.caches_files);
  EXPECT_TRUE(says(granted, "of files through the page cache, because"));
  EXPECT_TRUE(says(granted, "no shared mmap of devices"));

  Connection modern = connection_with(kModernKernel);
  EXPECT_FALSE(negotiate(modern.info, wishes(IoMode::kAutomatic)).caches_files);
  Connection asked = connection_with(0);
  EXPECT_FALSE(negotiate(asked.info, wishes(IoMode::kMapped)).caches_files);
}

TEST(Negotiation, UsesIoUringOnlyWhenAsked) {
  Connection connection = connection_with(kModernKernel);
  EXPECT_FALSE(negotiate(connection.info, wishes(IoMode::kMapped)).io_uring);
  EXPECT_TRUE(
      negotiate(connection.info, wishes(IoMode::kMapped, true)).io_uring);
}

TEST(Negotiation, SaysThatIoUringIsSwitchedOff) {
  Connection connection = connection_with(kModernKernel);
  KernelWishes forbidden = wishes(IoMode::kMapped, true);
  forbidden.may_use_io_uring = false;
  const Negotiated granted = negotiate(connection.info, forbidden);
  EXPECT_FALSE(granted.io_uring);
  EXPECT_TRUE(says(granted, "io_uring is switched off here"));
}

TEST(Negotiation, LeavesPassthroughAloneInCachedMode) {
  Connection connection = connection_with(kModernKernel);
  const Negotiated granted =
      negotiate(connection.info, wishes(IoMode::kCached));
  EXPECT_FALSE(granted.passthrough);
  EXPECT_TRUE(says(granted, "through the page cache"));
}

TEST(Negotiation, NeverWantsTheWritebackCache) {
  Connection connection =
      connection_with(kModernKernel | FUSE_CAP_WRITEBACK_CACHE);
  const Negotiated granted =
      negotiate(connection.info, wishes(IoMode::kCached));
  EXPECT_FALSE(wants(connection.info, FUSE_CAP_WRITEBACK_CACHE));
  EXPECT_TRUE(says(granted, "no writeback cache"));
}

}  // namespace
}  // namespace pmemfs
