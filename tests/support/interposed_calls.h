// System calls and library functions that a program which links
// interposed_calls.cc hands on to the kernel and to libc, but not without
// having a say: so a test can be another thread at the worst moment, a kernel
// with persistent memory, or a watcher.
//
// Everything is off at first. Global, as the functions are; change it while no
// other thread runs, and switch it off by ending the scope of an
// InterposedScope.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace support {

struct AddressRange {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;

  bool operator==(const AddressRange&) const = default;
};

struct InterposedCalls {
  // mmap: every file system has MAP_SYNC, as one on persistent memory. As by
  // the kernel, which counts MAP_FIXED_NOREPLACE among the flags that
  // MAP_SHARED_VALIDATE does not know, the two are refused together.
  bool accepts_map_sync = false;

  // mmap: a mapping of at least `steered_bytes` that may be anywhere comes to
  // be here, once, if that is free.
  void* steer_to = nullptr;
  std::size_t steered_bytes = 0;

  // munmap, msync: this is a mapping of a Device DAX, which can be split at
  // multiples of 2 MiB only, and has nothing that msync could wait for; Linux
  // says EINVAL to both.
  std::optional<AddressRange> device_dax;

  // munmap: called when addresses have just become free.
  std::function<void(std::byte* begin, std::size_t length_bytes)> after_munmap;

  // msync: the ranges that have been waited for (MS_SYNC), where that
  // succeeded.
  std::vector<AddressRange> synced;

  // pthread_rwlock_unlock: called when a lock has just been given back.
  std::function<void()> after_unlock;

  // posix_fallocate: called with the open file before it gets its blocks.
  std::function<void(int fd)> before_fallocate;

  // umask: how often it was called.
  int umask_calls = 0;
};

InterposedCalls& interposed_calls();

// free: from here on, or not any more, memory is full of zeros when it has been
// given back, as if somebody else had got it from calloc.
void zero_freed_memory(bool zeroes);

// All is off again when this ends.
class InterposedScope {
 public:
  InterposedScope() = default;
  InterposedScope(const InterposedScope&) = delete;
  InterposedScope& operator=(const InterposedScope&) = delete;
  ~InterposedScope() {
    interposed_calls() = {};
    zero_freed_memory(false);
  }
};

}  // namespace support
