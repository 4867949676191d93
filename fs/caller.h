// Who asked, and acting as them.
//
// What the kernel decides by credentials (the owner of a new file, whether
// set-id bits survive, who may change an owner, who may take the last blocks)
// it must decide by the caller's. CallerScope gives the calling thread the
// caller's file-system user and group, supplementary groups, umask and
// capabilities about files, and takes them back at the end of the scope.
// AllocationScope does that for taking space alone, and costs less. A daemon
// that is not root acts as itself: the mount is its user's own.
//
// Values; a scope belongs to the thread that made it, and is its only one.
// Source: setfsuid(2), credentials(7), capabilities(7), unshare(2) (CLONE_FS).
#pragma once

#include <sys/types.h>

namespace pmemfs {

struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  mode_t umask = 0;
  // The kernel has found that what is done takes set-id bits away.
  bool loses_set_id = false;
};

// Whether the caller has CAP_SYS_ADMIN where this process does; false if it is
// gone.
[[nodiscard]] bool is_administrator(const Caller& caller);

class CallerScope {
 public:
  explicit CallerScope(const Caller& caller);
  ~CallerScope();
  CallerScope(const CallerScope&) = delete;
  CallerScope& operator=(const CallerScope&) = delete;

 private:
  bool changed_user_ = false;
  bool changed_group_ = false;
  bool changed_capabilities_ = false;
};

// Blocks and quotas: what is reserved for root is not for others, though it is
// root's daemon that takes it.
// Source: ext4_has_free_clusters(), ignore_hardlimit() of Linux.
class AllocationScope {
 public:
  // Null: by the daemon's rights.
  explicit AllocationScope(const Caller* caller);
  ~AllocationScope();
  AllocationScope(const AllocationScope&) = delete;
  AllocationScope& operator=(const AllocationScope&) = delete;

 private:
  bool is_changed_ = false;
};

}  // namespace pmemfs
