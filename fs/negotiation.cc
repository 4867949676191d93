#include "fs/negotiation.h"

#include <fuse_lowlevel.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "pmem/unique_fd.h"

namespace pmemfs {
namespace {

// Requests that the kernel may keep under way; its default of 12 starves
// readers.
constexpr unsigned kMaxBackground = 64;

// How many file systems may lie beneath a backing file's. The kernel allows two
// in a stack, this mount is one of them, and it counts the mount as lying on as
// many as were asked for: with one, none can be stacked on the mount.
// Source: process_init_reply() and fuse_backing_open() in fs/fuse,
// FILESYSTEM_MAX_STACK_DEPTH; fuse_common.h.
unsigned backing_stack_depth(const KernelWishes& wishes) {
  return wishes.has_stacked_source ? FUSE_BACKING_STACKED_OVER
                                   : FUSE_BACKING_STACKED_UNDER;
}

std::string transport(const KernelWishes& wishes, bool granted) {
  if (granted) {
    return "io_uring";
  }
  if (wishes.io_uring && !wishes.may_use_io_uring) {
    return "/dev/fuse (io_uring is switched off here; see the sysctl "
           "kernel.io_uring_disabled)";
  }
  return wishes.io_uring ? "/dev/fuse (the kernel does not offer io_uring; see "
                           "/sys/module/fuse/parameters/enable_uring)"
                         : "/dev/fuse";
}

std::string data_path(const KernelWishes& wishes, const Negotiated& granted) {
  switch (wishes.io) {
    case IoMode::kAutomatic:
      return granted.caches_files
                 ? "reads and writes of files through the page cache, because "
                   "this kernel has no mmap under direct I/O (io=mapped does "
                   "without mmap), of devices through mappings"
                 : "reads and writes through mappings";
    case IoMode::kMapped:
      return "reads and writes through mappings";
    case IoMode::kPassthrough:
      return granted.passthrough
                 ? "reads and writes by the kernel (passthrough)"
                 : "reads and writes through mappings, because the kernel "
                   "grants no passthrough";
    case IoMode::kCached:
      return "reads and writes through the page cache";
  }
  return "";
}

std::string mmap_path(const KernelWishes& wishes, const Negotiated& granted,
                      bool kernel_offers_passthrough) {
  if (wishes.io == IoMode::kCached) {
    return "mmap through the page cache";
  }
  if (granted.caches_files) {
    return "mmap of files through the page cache, no shared mmap of devices";
  }
  if (granted.passthrough) {
    return "mmap of the backing file (passthrough)";
  }
  const std::string why = kernel_offers_passthrough
                              ? "passthrough needs CAP_SYS_ADMIN"
                              : "the kernel offers no passthrough";
  return granted.mmap_under_direct_io
             ? "mmap through the page cache (" + why + ")"
             : "no shared mmap (" + why +
                   " and no mmap under direct I/O; io=cached has it)";
}

}  // namespace

bool has_cap_sys_admin() {
  struct __user_cap_header_struct header = {
      .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<struct __user_cap_data_struct, 2> data = {};
  return ::syscall(SYS_capget, &header, data.data()) == 0 &&
         (data[0].effective & (1U << CAP_SYS_ADMIN)) != 0;
}

bool can_make_io_uring() {
  struct io_uring_params parameters = {};
  const pmem::UniqueFd ring(
      static_cast<int>(::syscall(SYS_io_uring_setup, 1, &parameters)));
  return ring.valid();
}

Negotiated negotiate(struct fuse_conn_info& connection,
                     const KernelWishes& wishes) {
  const auto want = [&](std::uint64_t feature) {
    return ::fuse_set_feature_flag(&connection, feature);
  };
  const auto offers = [&](std::uint64_t feature) {
    return (connection.capable_ext & feature) != 0;
  };
  Negotiated granted;
  const bool offers_passthrough = offers(FUSE_CAP_PASSTHROUGH);
  if (wishes.io != IoMode::kCached && wishes.may_pass_through &&
      offers_passthrough) {
    granted.passthrough = want(FUSE_CAP_PASSTHROUGH);
    connection.max_backing_stack_depth = backing_stack_depth(wishes);
  }
  if (offers(FUSE_CAP_DIRECT_IO_ALLOW_MMAP)) {
    granted.mmap_under_direct_io = want(FUSE_CAP_DIRECT_IO_ALLOW_MMAP);
  }
  granted.caches_files =
      wishes.io == IoMode::kCached ||
      (wishes.io == IoMode::kAutomatic && !granted.mmap_under_direct_io &&
       !granted.passthrough);
  if (offers(FUSE_CAP_HANDLE_KILLPRIV_V2)) {
    granted.kill_suidgid = want(FUSE_CAP_HANDLE_KILLPRIV_V2);
  }
  // The umask is applied here, where default ACLs can override it.
  if (offers(FUSE_CAP_DONT_MASK)) {
    want(FUSE_CAP_DONT_MASK);
  }
  if (offers(FUSE_CAP_POSIX_ACL)) {
    granted.acls = want(FUSE_CAP_POSIX_ACL);
  }
  if (offers(FUSE_CAP_PARALLEL_DIROPS)) {
    want(FUSE_CAP_PARALLEL_DIROPS);
  }
  // A file handle would lead nowhere once the kernel has forgotten the inode,
  // so nobody gets one (name_to_handle_at(2): EOPNOTSUPP).
  if (offers(FUSE_CAP_NO_EXPORT_SUPPORT)) {
    want(FUSE_CAP_NO_EXPORT_SUPPORT);
  }
  // libfuse wants it by itself; without the option it is not used.
  granted.io_uring = wishes.io_uring && wishes.may_use_io_uring &&
                     offers(FUSE_CAP_OVER_IO_URING);
  connection.max_background = kMaxBackground;
  granted.in_words =
      "FUSE " + std::to_string(connection.proto_major) + "." +
      std::to_string(connection.proto_minor) + " over " +
      transport(wishes, granted.io_uring) + "; " + data_path(wishes, granted) +
      "; " + mmap_path(wishes, granted, offers_passthrough) +
      "; no writeback cache (an acknowledged write is in the region); set-id "
      "bits removed " +
      (granted.kill_suidgid ? "here" : "by the kernel") +
      "; requests of up to " + std::to_string(connection.max_write >> 10) +
      " KiB";
  return granted;
}

}  // namespace pmemfs
