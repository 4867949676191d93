// Flush, fence, copy and fill for memory with cache-line granularity.
//
// The instructions are chosen once, when the library is loaded, by what the CPU
// has and what the environment forbids (PMEM_NO_FLUSH, PMEM_AVX512F and others;
// see libpmem(7)).
// Any thread; nothing here fails. All copies may run on memory that other
// threads or processes change at the same time: bytes are then old or new.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace pmem {

// How a copy or fill stores. The library's choice is kAuto: stores that bypass
// the caches from PMEM_MOVNT_THRESHOLD bytes (256) on.
enum class StoreKind { kAuto, kTemporal, kNonTemporal };

// Writes the cache lines of the range back (flush), unless the platform saves
// its caches. Durable only after a fence.
void flush(const void* address, std::size_t length_bytes);

// The same, but whatever the platform and PMEM_NO_FLUSH say.
void deep_flush(const void* address, std::size_t length_bytes);

// Waits until everything this thread has flushed is durable.
void fence();

// flush, then fence.
void persist(const void* address, std::size_t length_bytes);

// memmove(3) followed by a flush of what was written; durable after a fence.
void copy_and_flush(void* to, const void* from, std::size_t length_bytes,
                    StoreKind kind = StoreKind::kAuto);

// memset(3) followed by a flush of what was written; durable after a fence.
void fill_and_flush(void* to, int value, std::size_t length_bytes,
                    StoreKind kind = StoreKind::kAuto);

// memmove(3) and memset(3) that neither flush nor fence.
void copy_no_flush(void* to, const void* from, std::size_t length_bytes);
void fill_no_flush(void* to, int value, std::size_t length_bytes);

// The name of the flush instruction in use: "clwb", "clflushopt", "clflush" or
// "none".
[[nodiscard]] const char* flush_instruction();

// Whether the platform saves CPU caches on power loss: every region below
// SYSFS/bus/nd/devices says `cpu_cache`. False without regions, nothing when
// a region's answer cannot be read.
[[nodiscard]] std::optional<bool> platform_saves_caches(
    const std::string& sysfs_root);

}  // namespace pmem
