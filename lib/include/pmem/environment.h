// The environment variables of libpmem that decide about mappings, read through
// secure_getenv(3): a set-uid program ignores them. Any thread.
// Source: libpmem(7). (Those about instructions are read in persist.cc.)
#pragma once

#include <cstdint>
#include <optional>

namespace pmem {

// PMEM_IS_PMEM_FORCE: 0 (and what is no number) never, 1 always, nothing for
// another number or when unset. Read once, at the first call.
[[nodiscard]] std::optional<bool> is_pmem_forced();

// PMEM_MMAP_HINT: a hexadecimal address, the lowest that pmem_map_file maps at;
// what follows the number does not count. 0 when it is unset or begins with no
// number. Read when the library is loaded.
[[nodiscard]] std::uintptr_t mmap_hint();

// The number in an environment variable, as atoi(3) reads it; nothing when it
// is unset.
[[nodiscard]] std::optional<int> environment_number(const char* name);

}  // namespace pmem
