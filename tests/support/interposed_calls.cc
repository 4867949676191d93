#include "support/interposed_calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace support {

// Never destroyed: libraries still unmap and free at exit.
InterposedCalls& interposed_calls() {
  static auto* const kCalls = new InterposedCalls;
  return *kCalls;
}

namespace {

constexpr std::uintptr_t kHugePage = std::uintptr_t{2} << 20;

// Read by free, which may be called before the above can be.
constinit bool zeroes_freed_memory = false;

std::uintptr_t number(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

void* call_mmap(void* address, std::size_t length, int protection, int flags,
                int fd, off_t offset) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<void*>(
      ::syscall(SYS_mmap, address, length, protection, flags, fd, offset));
}

// Whether the device refuses what is done to [begin, end).
bool is_in_device(std::uintptr_t begin, std::uintptr_t end) {
  const auto& device = interposed_calls().device_dax;
  return device && begin < device->end && device->begin < end;
}

}  // namespace

void zero_freed_memory(bool zeroes) { zeroes_freed_memory = zeroes; }

}  // namespace support

using support::interposed_calls;

extern "C" {

void* mmap(void* address, std::size_t length, int protection, int flags, int fd,
           off_t offset) noexcept {
  support::InterposedCalls& calls = interposed_calls();
  if (calls.accepts_map_sync && (flags & MAP_SYNC) != 0) {
    if ((flags & MAP_FIXED_NOREPLACE) != 0) {
      errno = EOPNOTSUPP;
      return MAP_FAILED;
    }
    flags = (flags & ~(MAP_SYNC | MAP_SHARED_VALIDATE)) | MAP_SHARED;
  }
  if (address == nullptr && calls.steer_to != nullptr &&
      length >= calls.steered_bytes) {
    void* const there = std::exchange(calls.steer_to, nullptr);
    void* const mapped = support::call_mmap(
        there, length, protection, flags | MAP_FIXED_NOREPLACE, fd, offset);
    if (mapped != MAP_FAILED) {
      return mapped;
    }
  }
  return support::call_mmap(address, length, protection, flags, fd, offset);
}

int munmap(void* address, std::size_t length) noexcept {
  const std::uintptr_t begin = support::number(address);
  if (support::is_in_device(begin, begin + length) &&
      (begin % support::kHugePage != 0 || length % support::kHugePage != 0)) {
    errno = EINVAL;
    return -1;
  }
  const long status = ::syscall(SYS_munmap, address, length);
  if (status == 0 && interposed_calls().after_munmap) {
    interposed_calls().after_munmap(static_cast<std::byte*>(address), length);
  }
  return static_cast<int>(status);
}

int msync(void* address, std::size_t length, int flags) {
  const std::uintptr_t begin = support::number(address);
  const bool waits = (flags & MS_SYNC) != 0;
  if (waits && support::is_in_device(begin, begin + length)) {
    errno = EINVAL;
    return -1;
  }
  const long status = ::syscall(SYS_msync, address, length, flags);
  if (status == 0 && waits) {
    interposed_calls().synced.push_back({begin, begin + length});
  }
  return static_cast<int>(status);
}

int pthread_rwlock_unlock(pthread_rwlock_t* lock) noexcept {
  using Function = int (*)(pthread_rwlock_t*);
  static const auto kOriginal =
      reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "pthread_rwlock_unlock"));
  const int status = kOriginal(lock);
  // Whatever it does may unlock as well.
  const auto code = std::exchange(interposed_calls().after_unlock, nullptr);
  if (code) {
    code();
  }
  return status;
}

void __libc_free(void* memory);  // of glibc

void free(void* memory) noexcept {
  if (support::zeroes_freed_memory && memory != nullptr) {
    std::memset(memory, 0, ::malloc_usable_size(memory));
  }
  __libc_free(memory);
}

int posix_fallocate(int fd, off_t offset, off_t length) {
  using Function = int (*)(int, off_t, off_t);
  static const auto kOriginal =
      reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "posix_fallocate"));
  if (interposed_calls().before_fallocate) {
    interposed_calls().before_fallocate(fd);
  }
  return kOriginal(fd, offset, length);
}

mode_t umask(mode_t mask) noexcept {
  ++interposed_calls().umask_calls;
  return static_cast<mode_t>(::syscall(SYS_umask, mask));
}

}  // extern "C"
