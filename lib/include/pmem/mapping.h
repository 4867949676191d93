// One shared mapping of a Source, and what its stores need to become durable.
//
// A Mapping owns its address range and removes it when it dies; it does not
// need its Source to stay. Move-only. The facts never change after create(), so
// any thread may read them; the bytes are shared memory, ordered by whoever
// uses them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "pmem/result.h"
#include "pmem/source.h"

namespace pmem {

// The unit in which a store becomes durable (SNIA NVM Programming Model).
enum class Granularity {
  kByte,       // at once: the platform saves its caches on power loss
  kCacheLine,  // after the cache line is flushed and a fence has passed
  kPage,       // after msync(2) or fsync(2)
};

// "byte", "cacheline" or "page".
[[nodiscard]] const char* granularity_name(Granularity granularity);

struct MappingOptions {
  // Where in the file the mapping begins; a multiple of the source's alignment.
  std::uint64_t offset_bytes = 0;

  // Bytes to map; 0 means up to the end. More than a regular file has is
  // allowed: the rest becomes accessible as the file grows, and until then an
  // access beyond the page of the file's end faults (SIGBUS).
  std::uint64_t length_bytes = 0;

  // The lowest address to map at, if there is room above it.
  std::uintptr_t lowest_address = 0;

  // reason(), and whether the granularity is a byte or a cache line, cost
  // system calls. Without them the reason is empty and the finer granularity,
  // where there is one, counts as a cache line.
  bool wants_details = true;

  std::string sysfs_root = kSysfsRoot;
};

class Mapping {
 public:
  // Reserves an address range, 2 MiB aligned (1 GiB when the length is 2 GiB or
  // more, and at least as the device wants it), and maps the source over it:
  // with MAP_SYNC where the file system has it.
  // Errors: EINVAL (an empty file with length 0; an offset that is not aligned
  // or beyond the end of the device), ENOMEM (address space), EACCES, ENODEV
  // (a file that cannot be mapped) and the others of mmap(2).
  [[nodiscard]] static Result<Mapping> create(
      const Source& source, const MappingOptions& options = {});

  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  [[nodiscard]] std::byte* address() const { return address_; }
  [[nodiscard]] std::size_t length_bytes() const { return length_bytes_; }
  [[nodiscard]] bool writable() const { return writable_; }

  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {address_, length_bytes_};
  }
  // REQUIRES: writable().
  [[nodiscard]] std::span<std::byte> writable_bytes() const {
    return {address_, length_bytes_};
  }

  [[nodiscard]] Granularity granularity() const { return granularity_; }
  [[nodiscard]] bool is_device_dax() const { return dax_number_.has_value(); }

  // The number of the Device DAX, if it is one.
  [[nodiscard]] const std::optional<dev_t>& dax_number() const {
    return dax_number_;
  }

  // True iff stores become durable without msync(2): Device DAX, or a file
  // system that accepted MAP_SYNC.
  [[nodiscard]] bool is_pmem() const {
    return granularity_ != Granularity::kPage;
  }

  // Why the granularity is what it is, in one sentence.
  [[nodiscard]] const std::string& reason() const { return reason_; }

  // Lets go of what is mapped, for others to use it, but keeps the addresses:
  // from here on every access faults (SIGBUS), also one that is under way in
  // another thread. Errors: those of memfd_create(2) and mmap(2); then all is
  // as before.
  [[nodiscard]] Result<void> disconnect();

  // Gives up ownership; the caller unmaps.
  [[nodiscard]] std::byte* release();

 private:
  Mapping() = default;

  std::byte* address_ = nullptr;
  std::size_t length_bytes_ = 0;
  std::size_t span_bytes_ = 0;  // length rounded up to what munmap wants
  bool writable_ = false;
  std::optional<dev_t> dax_number_;
  Granularity granularity_ = Granularity::kPage;
  std::string reason_;
};

}  // namespace pmem
