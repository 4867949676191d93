// pmem_map_file as a C++ function: a path, a length and libpmem's flags become
// a Mapping. Any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "pmem/mapping.h"
#include "pmem/result.h"

namespace pmem {

// Errors and flags are those of pmem_map_file in libpmem.h. What a failing call
// with CREATE|EXCL made is removed again; with plain CREATE a new file stays,
// and an old one keeps its new length. wants_details as in MappingOptions.
// Source: pmem_map_file(3) of libpmem 1.
[[nodiscard]] Result<Mapping> map_file(
    const char* path, std::size_t length_bytes, int flags, mode_t mode,
    const std::string& sysfs_root = kSysfsRoot, bool wants_details = true);

}  // namespace pmem
