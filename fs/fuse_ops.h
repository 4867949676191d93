// The operation table of the low-level FUSE interface: decode a request, call
// one function of the model, reply. Requests come from several threads.
#pragma once

#include <fuse_lowlevel.h>

#include <chrono>

#include "fs/file_system.h"
#include "fs/negotiation.h"
#include "fs/now_and_then.h"
#include "fs/options.h"

namespace pmemfs {

// The userdata of a session. `negotiated` is written at INIT, before any other
// request, and only read afterwards.
struct Connection {
  FileSystem& file_system;
  KernelWishes wishes;
  SessionEvents events;
  Negotiated negotiated;
  struct fuse_session* session = nullptr;  // once there is one
  NowAndThen shortage_reports{std::chrono::minutes(1)};
};

[[nodiscard]] const struct fuse_lowlevel_ops& fuse_operations();

}  // namespace pmemfs
