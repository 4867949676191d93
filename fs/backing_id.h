// The number under which the kernel knows a backing file (passthrough). A file
// has one for all who have it open: the first open registers it, the last
// release gives it back. Any thread.
#pragma once

#include "pmem/mutex.h"

namespace pmemfs {

class BackingId {
 public:
  // The number, registered by `register_file()` (positive, or 0 when refused)
  // unless it is there already. A refusal is remembered: the kernel allows one
  // way of opening an inode at a time. Each success wants one release().
  template <typename RegisterFile>
  [[nodiscard]] int acquire(const RegisterFile& register_file) {
    const pmem::Lock lock(mutex_);
    if (id_ == 0 && !is_refused_) {
      id_ = register_file();
      is_refused_ = id_ == 0;
    }
    if (id_ != 0) {
      ++users_;
    }
    return id_;
  }

  [[nodiscard]] bool is_used() {
    const pmem::Lock lock(mutex_);
    return users_ > 0;
  }

  // Calls `unregister_file(id)` when nobody uses the number any more.
  template <typename UnregisterFile>
  void release(const UnregisterFile& unregister_file) {
    const pmem::Lock lock(mutex_);
    if (--users_ == 0) {
      unregister_file(id_);
      id_ = 0;
    }
  }

 private:
  pmem::Mutex mutex_;
  int id_ PMEM_GUARDED_BY(mutex_) = 0;
  unsigned users_ PMEM_GUARDED_BY(mutex_) = 0;
  bool is_refused_ PMEM_GUARDED_BY(mutex_) = false;
};

}  // namespace pmemfs
