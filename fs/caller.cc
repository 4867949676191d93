#include "fs/caller.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
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

std::string proc_path(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

// What a line of the process's status says after its label; "" if the process
// is gone.
std::string status_line(pid_t pid, std::string_view label) {
  const pmem::UniqueFd fd(
      ::open(proc_path(pid, "status").c_str(), O_RDONLY | O_CLOEXEC));
  std::string status;
  std::array<char, 4096> chunk;
  ssize_t length = 0;
  while (fd.valid() &&
         (length = ::read(fd.get(), chunk.data(), chunk.size())) > 0) {
    status.append(chunk.data(), static_cast<std::size_t>(length));
  }
  const std::size_t found = status.find("\n" + std::string(label));
  if (found == std::string::npos) {
    return {};
  }
  const std::size_t begin = found + 1 + label.size();
  return status.substr(begin, status.find('\n', begin) - begin);
}

std::vector<gid_t> supplementary_groups(pid_t pid) {
  const std::string line = status_line(pid, "Groups:");
  const char* at = line.data();
  const char* end = line.data() + line.size();
  std::vector<gid_t> groups;
  while (at < end) {
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

// Capabilities count in the user namespace of whoever has them.
bool shares_user_namespace(pid_t pid) {
  struct stat ours = {};
  struct stat theirs = {};
  return ::stat("/proc/self/ns/user", &ours) == 0 &&
         ::stat(proc_path(pid, "ns/user").c_str(), &theirs) == 0 &&
         ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

}  // namespace

bool is_administrator(const Caller& caller) {
  const std::uint64_t effective =
      std::strtoull(status_line(caller.pid, "CapEff:").c_str(), nullptr, 16);
  return (effective >> CAP_SYS_ADMIN & 1U) != 0 &&
         shares_user_namespace(caller.pid);
}

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
