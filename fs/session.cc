#include "fs/session.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "fs/fuse_ops.h"
#include "pmem/unique_fd.h"

namespace pmemfs {
namespace {

using pmem::fail;
using pmem::Result;

// libfuse's argument list, built from words of our own.
class FuseArguments {
 public:
  FuseArguments(const SessionOptions& options, bool io_uring) {
    ::fuse_opt_add_arg(&arguments_, "pmemfs");
    add_option("default_permissions");
    add_option("subtype=pmemfs");
    for (const std::string& option : options.mount_options) {
      add_option(option);
    }
    if (io_uring) {
      add_option("io_uring");
    }
    if (options.debug) {
      add_option("debug");
    }
  }
  ~FuseArguments() { ::fuse_opt_free_args(&arguments_); }
  FuseArguments(const FuseArguments&) = delete;
  FuseArguments& operator=(const FuseArguments&) = delete;

  struct fuse_args* get() {
    return &arguments_;
  }

 private:
  void add_option(const std::string& option) {
    ::fuse_opt_add_arg(&arguments_, "-o");
    ::fuse_opt_add_arg(&arguments_, option.c_str());
  }

  struct fuse_args arguments_ = {0, nullptr, 0};
};

struct SessionDeleter {
  void operator()(struct fuse_session* session) const {
    ::fuse_session_destroy(session);
  }
};

struct LoopConfigDeleter {
  void operator()(struct fuse_loop_config* config) const {
    ::fuse_loop_cfg_destroy(config);
  }
};

pmem::Error why_not_mounted(const std::string& mountpoint) {
  const std::string doing = "mounting at \"" + mountpoint + "\"";
  if (::access("/dev/fuse", F_OK) != 0) {
    return {ENODEV, doing};
  }
  if (::geteuid() == 0 && !has_cap_sys_admin()) {
    return {EPERM, doing};
  }
  return {EIO, doing};
}

// For what is mounted read-only: the file system is made writable, and the
// mount stays read-only. Then the kernel asks for the permission of whoever
// would write before it refuses (EACCES), as on a read-only mount of something
// writable. Where this is not permitted, EROFS stays the answer to all.
// Source: sb_permission() in fs/namei.c, fspick in fs/fsopen.c.
void make_file_system_writable(const std::string& mountpoint) {
  const pmem::UniqueFd context(static_cast<int>(
      ::syscall(SYS_fspick, AT_FDCWD, mountpoint.c_str(), FSPICK_CLOEXEC)));
  if (context.valid() && ::syscall(SYS_fsconfig, context.get(),
                                   FSCONFIG_SET_FLAG, "rw", nullptr, 0) == 0) {
    ::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr,
              nullptr, 0);
  }
}

}  // namespace

struct Session::State {
  State(FileSystem& file_system, const SessionOptions& options)
      : connection{file_system,
                   {.io = file_system.options().io,
                    .io_uring = options.io_uring,
                    .may_use_io_uring = options.io_uring && can_make_io_uring(),
                    .may_pass_through = has_cap_sys_admin(),
                    .has_stacked_source = file_system.has_stacked_source()},
                   {},
                   {}},
        max_threads(options.max_threads) {}

  Connection connection;
  unsigned max_threads;
  std::unique_ptr<struct fuse_session, SessionDeleter> session;
  bool handles_signals = false;
  bool is_mounted = false;
};

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}

Session::~Session() { end(); }

void Session::end() {
  struct fuse_session* session = state_->session.get();
  if (std::exchange(state_->is_mounted, false)) {
    ::fuse_session_unmount(session);
  }
  if (std::exchange(state_->handles_signals, false)) {
    ::fuse_remove_signal_handlers(session);
  }
}

Result<std::unique_ptr<Session>> Session::create(
    FileSystem& file_system, const SessionOptions& options) {
  auto state = std::make_unique<State>(file_system, options);
  FuseArguments arguments(options, state->connection.wishes.may_use_io_uring);
  state->session.reset(::fuse_session_new(arguments.get(), &fuse_operations(),
                                          sizeof(struct fuse_lowlevel_ops),
                                          &state->connection));
  if (state->session == nullptr) {
    return fail(EINVAL, "starting libfuse with these options");
  }
  state->connection.session = state->session.get();
  std::unique_ptr<Session> made(new Session(std::move(state)));
  struct fuse_session* session = made->state_->session.get();
  // Before the mount: a signal in between must not leave it behind.
  if (::fuse_set_signal_handlers(session) != 0) {
    return fail(EIO, "setting signal handlers");
  }
  made->state_->handles_signals = true;
  if (::fuse_session_mount(session, options.mountpoint.c_str()) != 0) {
    return tl::unexpected(why_not_mounted(options.mountpoint));
  }
  made->state_->is_mounted = true;
  if (options.read_only_by_mount_alone) {
    make_file_system_writable(options.mountpoint);
  }
  return made;
}

Result<void> Session::run(const SessionEvents& events) {
  struct fuse_session* session = state_->session.get();
  state_->connection.events = events;
  const std::unique_ptr<struct fuse_loop_config, LoopConfigDeleter> config(
      ::fuse_loop_cfg_create());
  ::fuse_loop_cfg_set_max_threads(config.get(), state_->max_threads);
  const int ended = ::fuse_session_loop_mt(session, config.get());
  end();
  // Positive: the number of the signal that asked for the end.
  if (ended < 0) {
    return fail(-ended, "serving requests");
  }
  return {};
}

}  // namespace pmemfs
