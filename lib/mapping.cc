// How a mapping comes about:
//
//  1. One page (one alignment unit) is mapped anywhere and unmapped again, with
//     MAP_SYNC and, where that is refused, without. This tells which flags the
//     file takes, before any address has been promised.
//  2. A range with room for alignment is reserved (PROT_NONE), and its ends are
//     given back.
//  3. The file is mapped over the reservation (MAP_FIXED). No other thread can
//     have taken the addresses meanwhile.
//
// Step 1 is there because a failing MAP_FIXED may already have removed the
// reservation, and a second attempt would then hit whatever came there since.
#include "pmem/mapping.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "pmem/address_space.h"
#include "pmem/persist.h"

namespace pmem {
namespace {

constexpr std::uint64_t kHugePage = std::uint64_t{2} << 20;
constexpr std::uint64_t kGiantPage = std::uint64_t{1} << 30;

std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::string file_system_name(int fd) {
  struct statfs status = {};
  if (::fstatfs(fd, &status) != 0) {
    return "unknown";
  }
  constexpr long kXfsMagic = 0x58465342;  // <linux/magic.h> lacks these
  constexpr long kNtfs3Magic = 0x7366746e;
  switch (status.f_type) {
    case EXT4_SUPER_MAGIC:
      return "ext2/3/4";
    case TMPFS_MAGIC:
      return "tmpfs";
    case RAMFS_MAGIC:
      return "ramfs";
    case kXfsMagic:
      return "xfs";
    case BTRFS_SUPER_MAGIC:
      return "btrfs";
    case OVERLAYFS_SUPER_MAGIC:
      return "overlayfs";
    case FUSE_SUPER_MAGIC:
      return "fuse";
    case V9FS_MAGIC:
      return "9p";
    case NFS_SUPER_MAGIC:
      return "nfs";
    case F2FS_SUPER_MAGIC:
      return "f2fs";
    case kNtfs3Magic:
      return "ntfs3";
    default:
      return "type " + std::to_string(status.f_type);
  }
}

bool has_dax_attribute(int fd) {
  struct statx facts = {};
  return ::statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &facts) == 0 &&
         (facts.stx_attributes & STATX_ATTR_DAX) != 0;
}

struct SharingFlags {
  int mmap_flags = 0;
  int sync_refusal = 0;  // errno of the attempt with MAP_SYNC; 0: accepted
};

// Step 1 above.
Result<SharingFlags> find_sharing_flags(const Source& source, int protection) {
  const auto length = static_cast<std::size_t>(source.align_bytes());
  const auto attempt = [&](int flags) {
    void* address = ::mmap(nullptr, length, protection, flags, source.fd(), 0);
    if (address == MAP_FAILED) {
      return errno;
    }
    ::munmap(address, length);
    return 0;
  };
  constexpr int kSyncFlags = MAP_SHARED_VALIDATE | MAP_SYNC;
  const int sync_refusal = attempt(kSyncFlags);
  if (sync_refusal == 0) {
    return SharingFlags{kSyncFlags, 0};
  }
  if (sync_refusal != EINVAL && sync_refusal != EOPNOTSUPP) {
    return fail(sync_refusal, "mapping");
  }
  const int refusal = attempt(MAP_SHARED);
  if (refusal != 0) {
    return fail(refusal, "mapping");
  }
  return SharingFlags{MAP_SHARED, sync_refusal};
}

void* reserve_at(void* address, std::size_t length, int flags) {
  return ::mmap(address, length, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

// Step 2. The result is `length` bytes, a multiple of the page size, at an
// address that is a multiple of `align`.
Result<std::byte*> reserve_anywhere(std::uint64_t length, std::uint64_t align) {
  const std::size_t room = length + align;
  void* reserved = reserve_at(nullptr, room, 0);
  if (reserved == MAP_FAILED) {
    return fail_errno("reserving addresses for a mapping");
  }
  auto* begin = static_cast<std::byte*>(reserved);
  const auto misfit = reinterpret_cast<std::uintptr_t>(begin) % align;
  std::byte* aligned = misfit == 0 ? begin : begin + (align - misfit);
  const auto before = static_cast<std::size_t>(aligned - begin);
  const std::size_t after = room - before - length;
  if (before > 0) {
    ::munmap(begin, before);
  }
  if (after > 0) {
    ::munmap(aligned + length, after);
  }
  return aligned;
}

// Step 2 with a lowest address: the first fit above it, or null. Another thread
// may take the gap before we do; then the next one is tried.
std::byte* reserve_above(std::uintptr_t lowest, std::uint64_t length,
                         std::uint64_t align) {
  std::uintptr_t from = lowest;
  while (const std::optional<std::uintptr_t> gap =
             find_gap(from, length, align)) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    void* wanted = reinterpret_cast<void*>(*gap);
    void* reserved = reserve_at(wanted, length, MAP_FIXED_NOREPLACE);
    if (reserved == wanted) {
      return static_cast<std::byte*>(reserved);
    }
    if (reserved != MAP_FAILED) {  // a kernel that takes it for a hint
      ::munmap(reserved, length);
    } else if (errno != EEXIST) {  // below what is allowed, or above all
      return nullptr;
    }
    from = *gap + align;
  }
  return nullptr;
}

Result<std::byte*> reserve(std::uint64_t length, std::uint64_t align,
                           std::uintptr_t lowest) {
  if (length > std::numeric_limits<std::size_t>::max() - align) {
    return fail(ENOMEM, "reserving addresses for a mapping");
  }
  std::byte* above = lowest == 0 ? nullptr : reserve_above(lowest, length, align);
  if (above != nullptr) {
    return above;
  }
  return reserve_anywhere(length, align);
}

std::uint64_t address_alignment(const Source& source, std::uint64_t length) {
  const std::uint64_t wanted =
      length >= 2 * kGiantPage ? kGiantPage : kHugePage;
  return std::max(wanted, source.align_bytes());
}

std::string durability_in_words(Granularity granularity) {
  return granularity == Granularity::kByte
             ? "the platform saves its caches on power loss"
             : "a flush of the cache lines makes stores durable";
}

Granularity flushable_granularity(const std::string& sysfs_root) {
  return platform_saves_caches(sysfs_root).value_or(false)
             ? Granularity::kByte
             : Granularity::kCacheLine;
}

std::string page_reason(const Source& source, int sync_refusal) {
  const std::string refusal = ::strerrordesc_np(sync_refusal);
  const std::string name = file_system_name(source.fd());
  if (has_dax_attribute(source.fd())) {
    return "the file system (" + name +
           ") maps the file with DAX but refuses MAP_SYNC (" + refusal +
           "), so only msync or fsync makes stores durable";
  }
  return "the file system (" + name +
         ") maps the file through the page cache and refuses MAP_SYNC (" +
         refusal + "), so only msync or fsync makes stores durable";
}

}  // namespace

const char* granularity_name(Granularity granularity) {
  switch (granularity) {
    case Granularity::kByte:
      return "byte";
    case Granularity::kCacheLine:
      return "cacheline";
    case Granularity::kPage:
      return "page";
  }
  return "page";
}

Result<Mapping> Mapping::create(const Source& source,
                                const MappingOptions& options) {
  const std::uint64_t align = source.align_bytes();
  if (options.offset_bytes % align != 0) {
    return fail(EINVAL, "mapping from an offset that is no multiple of " +
                            std::to_string(align));
  }
  Result<std::uint64_t> size = source.size_bytes();
  if (!size) {
    return pass_on(size);
  }
  std::uint64_t length = options.length_bytes;
  if (length == 0) {
    if (*size <= options.offset_bytes) {
      return fail(EINVAL, *size == 0 ? "mapping an empty file"
                                     : "mapping from beyond the end");
    }
    length = *size - options.offset_bytes;
  }
  // A Device DAX lets itself be mapped past its end; the access then faults.
  if (source.dax_device() &&
      (options.offset_bytes > *size || length > *size - options.offset_bytes)) {
    return fail(EINVAL, "mapping beyond the end of a Device DAX");
  }
  if (length > std::numeric_limits<std::uint64_t>::max() - kGiantPage - align) {
    return fail(ENOMEM, "reserving addresses for a mapping");
  }

  const bool writable = source.access() == Access::kReadWrite;
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  Result<SharingFlags> sharing = find_sharing_flags(source, protection);
  if (!sharing) {
    return pass_on(sharing);
  }
  const auto span = static_cast<std::size_t>(round_up(length, align));
  Result<std::byte*> reserved =
      reserve(span, address_alignment(source, length), options.lowest_address);
  if (!reserved) {
    return pass_on(reserved);
  }
  if (::mmap(*reserved, span, protection, sharing->mmap_flags | MAP_FIXED,
             source.fd(),
             static_cast<off_t>(options.offset_bytes)) == MAP_FAILED) {
    const int code = errno;
    ::munmap(*reserved, span);
    return fail(code, "mapping " + std::to_string(length) + " bytes");
  }

  Mapping mapping;
  mapping.address_ = *reserved;
  mapping.length_bytes_ = static_cast<std::size_t>(length);
  mapping.span_bytes_ = span;
  mapping.writable_ = writable;
  if (source.dax_device()) {
    mapping.dax_number_ = source.dax_device()->number;
    mapping.granularity_ = flushable_granularity(options.sysfs_root);
    mapping.reason_ = "Device DAX " + source.dax_device()->name +
                      " is mapped directly; " +
                      durability_in_words(mapping.granularity_);
  } else if (sharing->sync_refusal == 0) {
    mapping.granularity_ = flushable_granularity(options.sysfs_root);
    mapping.reason_ = "the file system (" + file_system_name(source.fd()) +
                      ") maps the file with MAP_SYNC; " +
                      durability_in_words(mapping.granularity_);
  } else {
    mapping.granularity_ = Granularity::kPage;
    mapping.reason_ = page_reason(source, sharing->sync_refusal);
  }
  return mapping;
}

Mapping::Mapping(Mapping&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)),
      length_bytes_(other.length_bytes_),
      span_bytes_(other.span_bytes_),
      writable_(other.writable_),
      dax_number_(other.dax_number_),
      granularity_(other.granularity_),
      reason_(std::move(other.reason_)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(length_bytes_, other.length_bytes_);
  std::swap(span_bytes_, other.span_bytes_);
  std::swap(writable_, other.writable_);
  std::swap(dax_number_, other.dax_number_);
  std::swap(granularity_, other.granularity_);
  std::swap(reason_, other.reason_);
  return *this;
}

Mapping::~Mapping() {
  if (address_ != nullptr) {
    ::munmap(address_, span_bytes_);
  }
}

std::byte* Mapping::release() { return std::exchange(address_, nullptr); }

}  // namespace pmem
