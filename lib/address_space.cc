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

// 0, or the errno of the ioctl.
int ask(int fd, ProcmapQuery& query) {
  return ::ioctl(fd, kProcmapQuery, &query) == 0 ? 0 : errno;
}

// The errno of a descriptor that is not (or no longer) one of such a file.
bool is_foreign(int error) { return error == EBADF || error == ENOTTY; }

constexpr int kNotOpen = -1;
constexpr int kNotThere = -2;

// The generation tells a descriptor from a later one with the same number.
struct alignas(8) Maps {  // what one instruction can exchange
  int fd = kNotOpen;
  std::uint32_t generation = 0;
};
constinit std::atomic<Maps> kept_maps;
static_assert(std::atomic<Maps>::is_always_lock_free);

void forget_in_child() {
  const Maps parents = kept_maps.load();
  if (parents.fd < 0) {
    return;
  }
  kept_maps.store({kNotOpen, parents.generation + 1});
  ProcmapQuery query = {};
  query.size = sizeof query;
  if (!is_foreign(ask(parents.fd, query))) {
    ::close(parents.fd);
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

// `found` is what did not do: of several threads which find this out at once
// one opens another, and the rest use that.
Maps reopen(Maps found) {
  [[maybe_unused]] static const int kRegistered =
      ::pthread_atfork(nullptr, nullptr, forget_in_child);
  Maps opened = {open_maps(), found.generation + 1};
  if (opened.fd < 0) {
    const bool is_lasting =
        errno == ENOENT || errno == EACCES || errno == EPERM;
    opened.fd = is_lasting ? kNotThere : kNotOpen;
  }
  if (!kept_maps.compare_exchange_strong(found, opened)) {
    if (opened.fd >= 0) {
      ::close(opened.fd);
    }
    return found;
  }
  return opened;
}

// The kernel does not know the ioctl.
void give_up(Maps found) {
  const int fd = found.fd;
  if (kept_maps.compare_exchange_strong(found,
                                        {kNotThere, found.generation + 1})) {
    ::close(fd);
  }
}

}  // namespace

std::optional<MappedRange> mapped_range_at(std::uintptr_t address) {
  Maps found = kept_maps.load();
  if (found.fd == kNotThere) {
    return std::nullopt;
  }
  const int errno_before = errno;
  ProcmapQuery query = {};
  query.size = sizeof query;
  query.query_addr = address;
  int error = found.fd == kNotOpen ? EBADF : ask(found.fd, query);
  if (is_foreign(error)) {
    found = reopen(found);
    error = found.fd < 0 ? EBADF : ask(found.fd, query);
    if (error == ENOTTY) {
      give_up(found);
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
