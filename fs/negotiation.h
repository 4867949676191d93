// What is asked of the kernel at INIT, what it grants, and the sentence about
// it. Pure functions on libfuse's connection record; no thread rule.
//
// One code path for all kernels: what a kernel lacks is left out and reported.
#pragma once

#include <string>

#include "fs/options.h"

struct fuse_conn_info;

namespace pmemfs {

struct KernelWishes {
  IoMode io = IoMode::kAutomatic;
  bool io_uring = false;
  bool may_use_io_uring = false;    // the system lets this process have rings
  bool may_pass_through = false;    // the process has CAP_SYS_ADMIN
  bool has_stacked_source = false;  // FileSystem::has_stacked_source()
};

struct Negotiated {
  bool passthrough = false;  // the kernel can open backing files itself
  bool mmap_under_direct_io = false;
  bool caches_files = false;  // their reads and writes use the page cache
  bool io_uring = false;
  bool acls = false;          // the kernel asks for POSIX ACLs, and heeds them
  bool kill_suidgid = false;  // set-id bits are ours to remove at a write
  std::string in_words;
};

[[nodiscard]] Negotiated negotiate(struct fuse_conn_info& connection,
                                   const KernelWishes& wishes);

// Whether this process may ask for kernel passthrough.
[[nodiscard]] bool has_cap_sys_admin();

// Whether this process may make a ring (sysctl kernel.io_uring_disabled, or a
// seccomp filter, can forbid it).
[[nodiscard]] bool can_make_io_uring();

}  // namespace pmemfs
