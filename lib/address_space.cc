// The descriptor of /proc/self/maps is kept open, because opening it takes ten
// times as long as asking. It is the file's one mutable global, and there are
// three ways in which it can turn out not to be what it was:
//
//  * After fork(2) it still speaks of the parent: the child forgets it.
//  * The program may have closed it, as daemons close whatever they find. The
//    number is then free (EBADF) or somebody else's, who does not know the
//    ioctl (ENOTTY): either way another one is opened, and nothing is closed
//    that may not be ours. Only a file of the same kind, the maps of another
//    process, would answer, and answer wrongly; so the number is one that
//    programs seldom reach.
//  * /proc may be missing, or the kernel older than the ioctl: remembered, so
//    that later questions cost nothing.
#include "pmem/address_space.h"

#include <fcntl.h>
#include <linux/types.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

namespace pmem {
namespace {

// struct procmap_query of <linux/fs.h>, which older headers lack.
struct ProcmapQuery {
  __u64 size;
  __u64 query_flags;
  __u64 query_addr;
  __u64 vma_start;
  __u64 vma_end;
  __u64 vma_flags;
  __u64 vma_page_size;
  __u64 vma_offset;
  __u64 inode;
  __u32 dev_major;
  __u32 dev_minor;
  __u32 vma_name_size;
  __u32 build_id_size;
  __u64 vma_name_addr;
  __u64 build_id_addr;
};
constexpr unsigned long kProcmapQuery = _IOWR('f', 17, ProcmapQuery);
constexpr __u64 kVmaShared = 0x08;

constexpr int kNotOpen = -1;
constexpr int kNotThere = -2;
constinit std::atomic<int> maps_fd = kNotOpen;

void forget_in_child() {
  const int fd = maps_fd.exchange(kNotOpen);
  if (fd >= 0) {
    ::close(fd);
  }
}

int open_maps() {
  constexpr int kLowestNumber = 300;
  const int fd = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  const int moved = fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, kLowestNumber);
  if (moved < 0) {
    return fd;  // the program is limited to fewer
  }
  ::close(fd);
  return moved;
}

// `found` is the number that did not do, so that of several threads which find
// this out at once one opens another and the rest use it.
int reopen(int found) {
  [[maybe_unused]] static const int kRegistered =
      ::pthread_atfork(nullptr, nullptr, forget_in_child);
  const int fd = open_maps();
  int expected = found;
  if (fd < 0) {
    if (errno == ENOENT || errno == EACCES || errno == EPERM) {
      maps_fd.compare_exchange_strong(expected, kNotThere);
    }
    return kNotThere;
  }
  if (!maps_fd.compare_exchange_strong(expected, fd)) {
    ::close(fd);
    return expected;
  }
  return fd;
}

// 0, or the errno of the ioctl.
int ask(int fd, ProcmapQuery& query) {
  return ::ioctl(fd, kProcmapQuery, &query) == 0 ? 0 : errno;
}

bool is_foreign(int error) { return error == EBADF || error == ENOTTY; }

}  // namespace

std::optional<MappedRange> mapped_range_at(std::uintptr_t address) {
  int fd = maps_fd.load();
  if (fd == kNotThere) {
    return std::nullopt;
  }
  const int errno_before = errno;
  ProcmapQuery query = {};
  query.size = sizeof query;
  query.query_addr = address;
  int error = fd == kNotOpen ? EBADF : ask(fd, query);
  if (is_foreign(error)) {
    fd = reopen(fd);
    error = fd < 0 ? EBADF : ask(fd, query);
    int expected = fd;
    if (error == ENOTTY &&
        maps_fd.compare_exchange_strong(expected, kNotThere)) {
      ::close(fd);
    }
  }
  errno = errno_before;
  if (error != 0) {
    return std::nullopt;
  }
  return MappedRange{query.vma_start,
                     query.vma_end,
                     query.vma_offset,
                     {query.dev_major, query.dev_minor, query.inode,
                      (query.vma_flags & kVmaShared) != 0}};
}

bool is_mapped(std::uintptr_t begin, std::uintptr_t end) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t first = begin - begin % page;
  const int errno_before = errno;
  // MS_ASYNC starts nothing since Linux 2.6.19; it only looks whether the pages
  // are mapped. NOLINTNEXTLINE(performance-no-int-to-ptr)
  const bool mapped =
      ::msync(reinterpret_cast<void*>(first), end - first, MS_ASYNC) == 0;
  errno = errno_before;
  return mapped;
}

std::optional<std::uintptr_t> find_gap(std::uintptr_t lowest,
                                       std::uint64_t length,
                                       std::uint64_t align) {
  constexpr auto kHighest = std::numeric_limits<std::uintptr_t>::max();
  const auto round_up = [&](std::uintptr_t address) {
    return (address + align - 1) / align * align;
  };
  if (lowest > kHighest - align) {
    return std::nullopt;
  }
  std::uintptr_t gap = round_up(lowest);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> maps(
      std::fopen("/proc/self/maps", "re"), std::fclose);
  if (maps == nullptr) {
    return std::nullopt;
  }
  // One line a mapping, in the order of addresses: "BEGIN-END ...". Its name
  // may be longer than the buffer; what is no beginning of a line is skipped.
  std::array<char, 256> line;
  bool at_beginning = true;
  while (std::fgets(line.data(), line.size(), maps.get()) != nullptr) {
    const bool is_beginning = at_beginning;
    at_beginning = std::strchr(line.data(), '\n') != nullptr;
    if (!is_beginning) {
      continue;
    }
    char* dash = nullptr;
    const std::uintptr_t begin = std::strtoull(line.data(), &dash, 16);
    const std::uintptr_t end = std::strtoull(dash + 1, nullptr, 16);
    if (begin >= gap && begin - gap >= length) {
      return gap;
    }
    if (end > gap) {
      if (end > kHighest - align) {
        return std::nullopt;
      }
      gap = round_up(end);
    }
  }
  return gap <= kHighest - length ? std::optional(gap) : std::nullopt;
}

}  // namespace pmem
