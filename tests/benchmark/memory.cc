#include "benchmark/memory.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "pmem/unique_fd.h"

namespace benchmarks {
namespace {

constexpr std::size_t kTargetBytes = kLargestCopy / 2 * 3 + (64 << 10);
constexpr std::size_t kSourceBytes = kLargestCopy + (64 << 10);

[[noreturn]] void fail(const std::string& doing) {
  throw std::runtime_error(doing + ": " + std::strerror(errno));
}

std::byte* map_anonymously(std::size_t length) {
  void* const address =
      ::mmap(nullptr, length, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (address == MAP_FAILED) {
    fail("memory to copy from");
  }
  std::memset(address, 0x33, length);
  return static_cast<std::byte*>(address);
}

std::byte* map_tmpfs(std::size_t length) {
  const pmem::UniqueFd fd(
      ::open("/dev/shm", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    fail("making a file in /dev/shm");
  }
  const int refusal =
      ::posix_fallocate(fd.get(), 0, static_cast<off_t>(length));
  if (refusal != 0) {
    errno = refusal;
    fail("room in /dev/shm");
  }
  void* const address = ::mmap(nullptr, length, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_POPULATE, fd.get(), 0);
  if (address == MAP_FAILED) {
    fail("mapping a file in /dev/shm");
  }
  std::memset(address, 0x77, length);
  return static_cast<std::byte*>(address);
}

}  // namespace

Memory::Memory()
    : target_(map_tmpfs(kTargetBytes)),
      source_(map_anonymously(kSourceBytes)) {}

Memory::~Memory() {
  ::munmap(target_, kTargetBytes);
  ::munmap(source_, kSourceBytes);
}

}  // namespace benchmarks
