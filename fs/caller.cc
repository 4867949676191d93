#include "fs/caller.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "pmem/unique_fd.h"

namespace pmemfs {
namespace {

const uid_t kDaemonUser = ::geteuid();
const gid_t kDaemonGroup = ::getegid();

// setgroups(2) of this thread alone; glibc's wrapper changes all threads.
void set_thread_groups(const std::vector<gid_t>& groups) {
  ::syscall(SYS_setgroups, groups.size(), groups.data());
}

// umask(2) of this thread alone: threads share it until they unshare.
void set_thread_umask(mode_t mask) {
  static thread_local const bool kOwnsUmask = ::unshare(CLONE_FS) == 0;
  if (kOwnsUmask) {
    ::umask(mask);
  }
}

// The "Groups:" line of the caller's status; none if the caller is gone.
std::vector<gid_t> supplementary_groups(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/status";
  const pmem::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string status;
  std::array<char, 4096> chunk;
  ssize_t length = 0;
  while (fd.valid() &&
         (length = ::read(fd.get(), chunk.data(), chunk.size())) > 0) {
    status.append(chunk.data(), static_cast<std::size_t>(length));
  }
  constexpr std::string_view kLabel = "\nGroups:";
  const std::size_t found = status.find(kLabel);
  if (found == std::string::npos) {
    return {};
  }
  const char* at = status.data() + found + kLabel.size();
  const char* end = status.data() + status.size();
  std::vector<gid_t> groups;
  while (at < end && *at != '\n') {
    gid_t group = 0;
    const auto parsed = std::from_chars(at, end, group);
    if (parsed.ec == std::errc()) {
      groups.push_back(group);
      at = parsed.ptr;
    } else {
      ++at;  // a blank
    }
  }
  return groups;
}

}  // namespace

CallerScope::CallerScope(const Caller& caller) {
  set_thread_umask(caller.umask);
  if (kDaemonUser != 0) {
    return;
  }
  if (caller.gid != kDaemonGroup) {
    changed_group_ = true;
    ::setfsgid(caller.gid);
  }
  if (caller.uid != kDaemonUser) {
    changed_user_ = true;
    // Before the user changes: afterwards the right to do so is gone.
    set_thread_groups(supplementary_groups(caller.pid));
    ::setfsuid(caller.uid);
  }
}

CallerScope::~CallerScope() {
  if (changed_user_) {
    ::setfsuid(kDaemonUser);
    set_thread_groups({});
  }
  if (changed_group_) {
    ::setfsgid(kDaemonGroup);
  }
}

}  // namespace pmemfs
