#include "src/mount_command.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fs/discovery.h"
#include "fs/file_system.h"
#include "fs/mountinfo.h"
#include "fs/negotiation.h"
#include "fs/options.h"
#include "fs/session.h"
#include "src/daemon.h"
#include "src/fuse_access.h"
#include "src/mount_options.h"
#include "src/mountpoint.h"
#include "src/pid_file.h"
#include "src/source_restrictions.h"
#include "src/sources.h"
#include "src/tell.h"

namespace pmemfs {
namespace {

// A request that has been held against the machine: paths are absolute.
struct MountPlan {
  FileSystemOptions file_system;
  SessionOptions session;
  Mountpoint mountpoint;
  std::string sources;       // for people
  std::string restrictions;  // for people, too: ", read-only, as its source is"
  std::string pid_file;
  LogOptions log;
  bool foreground = false;
};

// The daemon works in "/", so every path must be absolute before it starts.
std::string absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).string();
}

bool wants_allow_other(const MountRequest& request) {
  return request.allow_other.value_or(::geteuid() == 0);
}

// For libfuse and fusermount3. (The session adds what is no choice:
// default_permissions and the type.)
std::vector<std::string> session_mount_options(
    const MountRequest& request, const std::string& sources,
    const SourceRestrictions& restrictions) {
  const std::string& fsname = request.fsname.empty() ? sources : request.fsname;
  std::vector<std::string> options = request.kernel_options;
  // After what was given, of which mount(8) says "rw" whenever nobody says
  // "ro".
  std::ranges::move(mount_options_of(restrictions),
                    std::back_inserter(options));
  options.push_back("fsname=" + escape_option_value(fsname));
  if (wants_allow_other(request)) {
    options.emplace_back("allow_other");
  }
  return options;
}

// Those of the sources that the mount can have.
SourceRestrictions restrictions_to_take_over(
    const std::vector<SourceSpec>& sources, const std::vector<Mount>& mounts) {
  SourceRestrictions restrictions = common_restrictions(sources, mounts);
  // Not every fusermount3 knows it (3.14 does not): the mount would be refused.
  restrictions.no_symfollow = restrictions.no_symfollow && has_cap_sys_admin();
  return restrictions;
}

std::string as_sources_are(const SourceRestrictions& restrictions,
                           std::size_t sources) {
  const std::string words = in_words(restrictions);
  return words.empty()  ? ""
         : sources == 1 ? ", " + words + ", as its source is"
                        : ", " + words + ", as its sources are";
}

LogOptions log_options(const MountRequest& request, bool foreground) {
  LogOptions log;
  log.file = absolute(request.log_file);
  log.level = request.log_level.value_or(request.debug ? LogLevel::kDebug
                                                       : LogLevel::kInfo);
  log.on_terminal_too = !foreground;
  if (!log.file.empty()) {
    log.target = LogTarget::kFile;
  } else if (!foreground) {
    log.target = LogTarget::kSyslog;
  }
  return log;
}

Outcome<MountPlan> plan_mount(const MountRequest& request) {
  Outcome<Sources> sources = resolve_sources(request.sources);
  if (!sources) {
    return hand_on(sources);
  }
  Outcome<Mountpoint> mountpoint = inspect_mountpoint(request.mountpoint);
  if (!mountpoint) {
    return hand_on(mountpoint);
  }
  Outcome<void> outside =
      check_outside_sources(mountpoint->path, sources->specs);
  if (!outside) {
    return hand_on(outside);
  }
  const std::vector<Mount> mounts = read_mountinfo(kMountinfoPath);
  Outcome<void> visible =
      check_hides_no_source(mountpoint->path, sources->specs, mounts);
  if (!visible) {
    return hand_on(visible);
  }
  Outcome<void> fuse = check_fuse_access();
  if (!fuse) {
    return hand_on(fuse);
  }

  const SourceRestrictions restrictions =
      restrictions_to_take_over(sources->specs, mounts);
  MountPlan plan;
  plan.restrictions = as_sources_are(restrictions, sources->specs.size());
  plan.foreground = request.foreground || request.debug;
  plan.file_system = {.sources = std::move(sources->specs),
                      .io = request.io,
                      .list_virtual_xattrs = request.list_virtual_xattrs,
                      .attr_timeout_s = request.attr_timeout_s,
                      .entry_timeout_s = request.entry_timeout_s};
  plan.session = {
      .mountpoint = mountpoint->path,
      .mount_options =
          session_mount_options(request, sources->description, restrictions),
      .read_only_by_mount_alone = restrictions.read_only == ReadOnly::kByMount,
      .io_uring = request.io_uring,
      .debug = request.debug,
      .max_threads = request.max_threads};
  plan.mountpoint = std::move(*mountpoint);
  plan.sources = std::move(sources->description);
  plan.pid_file = absolute(request.pid_file);
  plan.log = log_options(request, plan.foreground);
  return plan;
}

ExitCode session_exit_code(int error) {
  switch (error) {
    case ENODEV:
      return ExitCode::kNoFuse;
    case EPERM:
    case EACCES:
      return ExitCode::kNotPermitted;
    default:
      return ExitCode::kMountFailed;
  }
}

tl::unexpected<Failure> refuse_session(const MountPlan& plan,
                                       const pmem::Error& error) {
  const auto& options = plan.session.mount_options;
  const bool may_want_configuration =
      ::geteuid() != 0 &&
      std::ranges::find(options, "allow_other") != options.end();
  const char* const advice =
      may_want_configuration
          ? "; allow_other is given to ordinary users only with the line "
            "user_allow_other in /etc/fuse.conf"
          : "";
  return refuse(session_exit_code(error.code), error.message() + advice);
}

// What a mount that discovers has to begin with.
void log_discovered(const MountPlan& plan) {
  const std::vector<SourceSpec>& sources = plan.file_system.sources;
  const bool discovers =
      std::ranges::any_of(sources, [](const SourceSpec& source) {
        return source.kind == SourceKind::kEverything;
      });
  if (!discovers) {
    return;
  }
  const std::string found = discovered_in_words();
  if (found.empty()) {
    spdlog::warn(
        "no persistent memory found: no Device DAX, and no file system that is "
        "mounted with DAX; dax/ and fsdax/ fill as they come");
  } else {
    spdlog::info("found {}", found);
  }
}

void log_descriptors_exhausted() {
  struct rlimit limit = {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  spdlog::warn(
      "no file descriptor is left: all {} are in use, and whoever opens one "
      "file more gets ENFILE; start pmemfs with a higher limit (ulimit -Hn, or "
      "LimitNOFILE= of a service), or have programs close files",
      limit.rlim_cur);
}

// Mounts and serves until the mount is over. `tell_ready` is called on another
// thread, once the kernel has taken the mount into use.
Outcome<void> serve(const MountPlan& plan,
                    const std::function<void()>& tell_ready) {
  become_server();
  Outcome<PidFile> pid_file = PidFile::create(plan.pid_file);
  if (!pid_file) {
    return hand_on(pid_file);
  }
  const pmem::Result<std::unique_ptr<FileSystem>> file_system =
      FileSystem::create(plan.file_system);
  if (!file_system) {
    return refuse(ExitCode::kSourceRefused, file_system.error().message());
  }
  Outcome<void> detached = detach_dead_mounts(plan.mountpoint);
  if (!detached) {
    return detached;
  }
  const pmem::Result<std::unique_ptr<Session>> session =
      Session::create(**file_system, plan.session);
  if (!session) {
    return refuse_session(plan, session.error());
  }
  log_discovered(plan);
  const SessionEvents events = {
      .on_ready =
          [&](const std::string& negotiated) {
            spdlog::info("mounted {} at {}{}: {}", plan.sources,
                         plan.mountpoint.path, plan.restrictions, negotiated);
            tell_ready();
          },
      .on_descriptors_exhausted = [] { log_descriptors_exhausted(); },
  };
  const pmem::Result<void> ended = (*session)->run(events);
  if (!ended) {
    return refuse(ExitCode::kMountFailed,
                  "the mount at '" + plan.mountpoint.path +
                      "' ended: " + ended.error().message());
  }
  spdlog::info("unmounted {}", plan.mountpoint.path);
  return {};
}

Outcome<void> check_answers(const std::string& mountpoint) {
  const pmem::Result<FileStatus> status = ask_status(mountpoint);
  if (status) {
    return {};
  }
  return refuse(ExitCode::kMountFailed,
                "the mount at '" + mountpoint +
                    "' does not answer: " + status.error().message());
}

ExitCode serve_in_foreground(const MountPlan& plan) {
  const Outcome<void> served = serve(plan, [] {});
  if (served) {
    return ExitCode::kOk;
  }
  if (plan.log.target != LogTarget::kStandardError) {
    spdlog::error("{}", served.error().message);
  }
  return tell(served.error());
}

ExitCode serve_as_daemon(Daemon& daemon, Log& log, const MountPlan& plan) {
  const Outcome<void> served = serve(plan, [&] {
    log.leave_terminal();
    daemon.report({});
  });
  if (served) {
    return ExitCode::kOk;
  }
  // The parent tells it, if it is still there; later there is only the log.
  log.leave_terminal();
  spdlog::error("{}", served.error().message);
  daemon.report(served);
  return served.error().code;
}

ExitCode wait_for_daemon(Daemon& daemon, const MountPlan& plan) {
  const Outcome<void> reported = daemon.wait();
  if (!reported) {
    return tell(reported.error());
  }
  const Outcome<void> answered = check_answers(plan.mountpoint.path);
  if (!answered) {
    daemon.ask_to_end();
    return tell(answered.error());
  }
  return ExitCode::kOk;
}

}  // namespace

ExitCode run_mount(const MountRequest& request) {
  const Outcome<MountPlan> plan = plan_mount(request);
  if (!plan) {
    return tell(plan.error());
  }
  if (request.fake) {
    return ExitCode::kOk;
  }
  Outcome<Log> log = Log::start(plan->log);
  if (!log) {
    return tell(log.error());
  }
  for (const std::string& option : request.overlooked_options) {
    spdlog::warn("overlooked the unknown option '{}', as -s asks", option);
  }
  if (plan->foreground) {
    return serve_in_foreground(*plan);
  }
  Outcome<Daemon> daemon = Daemon::start();
  if (!daemon) {
    return tell(daemon.error());
  }
  return daemon->is_parent() ? wait_for_daemon(*daemon, *plan)
                             : serve_as_daemon(*daemon, *log, *plan);
}

}  // namespace pmemfs
