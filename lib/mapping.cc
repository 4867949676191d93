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

#include "placement.h"
#include "pmem/persist.h"
#include "pmem/unique_fd.h"

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

std::string reason_for(const Source& source, Granularity granularity,
                       int sync_refusal) {
  if (granularity == Granularity::kPage) {
    return page_reason(source, sync_refusal);
  }
  const std::string how =
      source.dax_device()
          ? "Device DAX " + source.dax_device()->name + " is mapped directly"
          : "the file system (" + file_system_name(source.fd()) +
                ") maps the file with MAP_SYNC";
  return how + "; " + durability_in_words(granularity);
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
  const auto span = static_cast<std::size_t>(round_up(length, align));
  const Result<Placement> placed =
      place_mapping({.fd = source.fd(),
                     .protection = protection,
                     .offset_bytes = options.offset_bytes,
                     .length_bytes = span,
                     .unit_bytes = static_cast<std::size_t>(align),
                     .align_bytes = static_cast<std::size_t>(
                         address_alignment(source, length)),
                     .lowest_address = options.lowest_address});
  if (!placed) {
    return fail(placed.error().code,
                placed.error().doing + " " + std::to_string(length) + " bytes");
  }

  Mapping mapping;
  mapping.address_ = placed->address;
  mapping.length_bytes_ = static_cast<std::size_t>(length);
  mapping.span_bytes_ = span;
  mapping.writable_ = writable;
  if (source.dax_device()) {
    mapping.dax_number_ = source.dax_device()->number;
  }
  const bool needs_msync = !source.dax_device() && placed->sync_refusal != 0;
  if (needs_msync) {
    mapping.granularity_ = Granularity::kPage;
  } else {
    mapping.granularity_ = options.wants_details
                               ? flushable_granularity(options.sysfs_root)
                               : Granularity::kCacheLine;
  }
  if (options.wants_details) {
    mapping.reason_ =
        reason_for(source, mapping.granularity_, placed->sync_refusal);
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

// An empty file has no page that an access could be given.
Result<void> Mapping::disconnect() {
  const UniqueFd nothing(::memfd_create("disconnected", MFD_CLOEXEC));
  if (!nothing.valid()) {
    return fail_errno("making an empty file");
  }
  if (::mmap(address_, span_bytes_, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_FIXED, nothing.get(), 0) == MAP_FAILED) {
    return fail_errno("mapping an empty file");
  }
  return {};
}

std::byte* Mapping::release() { return std::exchange(address_, nullptr); }

}  // namespace pmem
