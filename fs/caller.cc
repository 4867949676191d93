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

// "" if the process is gone.
std::string status_of(pid_t pid) {
  const pmem::UniqueFd fd(
      ::open(proc_path(pid, "status").c_str(), O_RDONLY | O_CLOEXEC));
  std::string status;
  std::array<char, 4096> chunk;
  ssize_t length = 0;
  while (fd.valid() &&
         (length = ::read(fd.get(), chunk.data(), chunk.size())) > 0) {
    status.append(chunk.data(), static_cast<std::size_t>(length));
  }
  return status;
}

// What the line says after its label; "" where there is none.
std::string line_of(const std::string& status, const char* label) {
  const std::size_t found = status.find(label);
  if (found == std::string::npos) {
    return {};
  }
  const std::size_t begin = found + std::string_view(label).size();
  return status.substr(begin, status.find('\n', begin) - begin);
}

std::vector<id_t> numbers_in(const std::string& line) {
  const char* at = line.data();
  const char* end = line.data() + line.size();
  std::vector<id_t> numbers;
  while (at < end) {
    id_t number = 0;
    const auto parsed = std::from_chars(at, end, number);
    if (parsed.ec == std::errc()) {
      numbers.push_back(number);
      at = parsed.ptr;
    } else {
      ++at;  // a blank
    }
  }
  return numbers;
}

std::vector<gid_t> supplementary_groups(const std::string& status) {
  return numbers_in(line_of(status, "\nGroups:"));
}

// Whether it is the status of one who acts as the caller did: the number of a
// process that is gone may be another's.
bool is_status_of(const Caller& caller, const std::string& status) {
  const std::vector<id_t> users = numbers_in(line_of(status, "\nUid:"));
  return !users.empty() && users.back() == caller.uid;
}

std::uint64_t effective_capabilities(const std::string& status) {
  return std::strtoull(line_of(status, "\nCapEff:").c_str(), nullptr, 16);
}

using CapabilitySets = std::array<struct __user_cap_data_struct, 2>;

struct __user_cap_header_struct capability_header() {
  return {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
}

CapabilitySets capabilities_of_this_thread() {
  struct __user_cap_header_struct header = capability_header();
  CapabilitySets sets = {};
  ::syscall(SYS_capget, &header, sets.data());
  return sets;
}

// Threads inherit them; no thread has others outside of a scope.
const CapabilitySets kDaemonCapabilities = capabilities_of_this_thread();

void set_capabilities(const CapabilitySets& sets) {
  struct __user_cap_header_struct header = capability_header();
  ::syscall(SYS_capset, &header, sets.data());
}

// This thread may what the daemon may, as far as it is in the mask.
void limit_capabilities(std::uint64_t mask) {
  constexpr unsigned kBitsInOne = 32;
  CapabilitySets sets = kDaemonCapabilities;
  for (struct __user_cap_data_struct& set : sets) {
    set.effective &= static_cast<std::uint32_t>(mask);
    mask >>= kBitsInOne;
  }
  set_capabilities(sets);
}

constexpr std::uint64_t bit(unsigned capability) {
  return std::uint64_t{1} << capability;
}

// Those about files, which go when setfsuid(2) makes a thread that of a user.
constexpr std::uint64_t kFileCapabilities =
    bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_DAC_READ_SEARCH) |
    bit(CAP_FOWNER) | bit(CAP_FSETID) | bit(CAP_MKNOD) |
    bit(CAP_LINUX_IMMUTABLE) | bit(CAP_MAC_OVERRIDE);

// What only they may who are root, or have it: files, and the last blocks.
constexpr std::uint64_t kCallersCapabilities =
    kFileCapabilities | bit(CAP_SYS_RESOURCE);

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
  const std::uint64_t effective = effective_capabilities(status_of(caller.pid));
  return (effective & bit(CAP_SYS_ADMIN)) != 0 &&
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
  const std::uint64_t lost = caller.loses_set_id ? bit(CAP_FSETID) : 0;
  if (caller.uid != kDaemonUser) {
    changed_user_ = changed_capabilities_ = true;
    const std::string status = status_of(caller.pid);
    // Before the user changes: afterwards the right to do so is gone.
    set_thread_groups(supplementary_groups(status));
    ::setfsuid(caller.uid);
    // For the few who are not root but may what root may.
    const std::uint64_t told =
        effective_capabilities(status) & kCallersCapabilities;
    const bool is_heeded = told != 0 && is_status_of(caller, status) &&
                           shares_user_namespace(caller.pid);
    const std::uint64_t kept = is_heeded ? told : 0;
    limit_capabilities((~kCallersCapabilities | kept) & ~lost);
  } else if (lost != 0) {
    changed_capabilities_ = true;
    limit_capabilities(~lost);
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
  if (changed_capabilities_) {
    set_capabilities(kDaemonCapabilities);
  }
}

AllocationScope::AllocationScope(const Caller* caller)
    : is_changed_(kDaemonUser == 0 && caller != nullptr &&
                  caller->uid != kDaemonUser) {
  if (is_changed_) {
    ::setfsgid(caller->gid);
    ::setfsuid(caller->uid);
    // What setfsuid() has taken comes back: the file is open.
    limit_capabilities(~bit(CAP_SYS_RESOURCE));
  }
}

AllocationScope::~AllocationScope() {
  if (is_changed_) {
    ::setfsuid(kDaemonUser);
    ::setfsgid(kDaemonGroup);
    set_capabilities(kDaemonCapabilities);
  }
}

}  // namespace pmemfs
