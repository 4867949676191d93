// A mounted file system: mount, serve, unmount.
//
// The Session refers to its FileSystem, which must outlive it. create() makes
// no thread, so the program may fork before it; run() makes the worker threads
// and returns after they have ended.
#pragma once

#include <memory>
#include <string>

#include "fs/file_system.h"
#include "fs/options.h"
#include "pmem/result.h"

namespace pmemfs {

class Session {
 public:
  // Mounts. Errors: ENODEV (no /dev/fuse, or no fusermount3 where it is
  // needed), EPERM (not permitted), EINVAL (an option that libfuse refuses),
  // EIO (the mount failed; libfuse has logged why).
  [[nodiscard]] static pmem::Result<std::unique_ptr<Session>> create(
      FileSystem& file_system, const SessionOptions& options);

  // Serves requests until the mount is gone or SIGTERM, SIGINT or SIGHUP comes;
  // then unmounts. Errors: EIO (the loop failed).
  [[nodiscard]] pmem::Result<void> run(const SessionEvents& events);

  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  struct State;
  // Unmounts and gives the signals back. May be called again.
  void end();
  explicit Session(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace pmemfs
