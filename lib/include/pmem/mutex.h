// std::mutex and std::shared_mutex with the annotations that let clang's
// -Wthread-safety prove that what they guard is only touched under them.
#pragma once

#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define PMEM_ANNOTATE(x) __attribute__((x))
#else
#define PMEM_ANNOTATE(x)
#endif

#define PMEM_GUARDED_BY(mutex) PMEM_ANNOTATE(guarded_by(mutex))
#define PMEM_REQUIRES(mutex) PMEM_ANNOTATE(requires_capability(mutex))
#define PMEM_REQUIRES_SHARED(mutex) \
  PMEM_ANNOTATE(requires_shared_capability(mutex))
#define PMEM_EXCLUDES(mutex) PMEM_ANNOTATE(locks_excluded(mutex))

namespace pmem {

class PMEM_ANNOTATE(capability("mutex")) Mutex {
 public:
  void lock() PMEM_ANNOTATE(acquire_capability()) { mutex_.lock(); }
  void unlock() PMEM_ANNOTATE(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class PMEM_ANNOTATE(capability("shared_mutex")) SharedMutex {
 public:
  void lock() PMEM_ANNOTATE(acquire_capability()) { mutex_.lock(); }
  void unlock() PMEM_ANNOTATE(release_capability()) { mutex_.unlock(); }
  void lock_shared() PMEM_ANNOTATE(acquire_shared_capability()) {
    mutex_.lock_shared();
  }
  void unlock_shared() PMEM_ANNOTATE(release_shared_capability()) {
    mutex_.unlock_shared();
  }

 private:
  std::shared_mutex mutex_;
};

// Holds a Mutex, or a SharedMutex for writing, until the end of the scope.
template <typename AnyMutex>
class PMEM_ANNOTATE(scoped_lockable) Lock {
 public:
  explicit Lock(AnyMutex& mutex) PMEM_ANNOTATE(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~Lock() PMEM_ANNOTATE(release_capability()) { mutex_.unlock(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  AnyMutex& mutex_;
};

// Holds a SharedMutex for reading until the end of the scope.
class PMEM_ANNOTATE(scoped_lockable) SharedLock {
 public:
  explicit SharedLock(SharedMutex& mutex)
      PMEM_ANNOTATE(acquire_shared_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ~SharedLock() PMEM_ANNOTATE(release_generic_capability()) {
    mutex_.unlock_shared();
  }
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;

 private:
  SharedMutex& mutex_;
};

}  // namespace pmem
