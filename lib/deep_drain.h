// What durability means beyond the platform's promise: out of the memory
// controller's buffers, too.
#pragma once

#include <cstddef>
#include <string>

#include "pmem/mapping_registry.h"
#include "pmem/result.h"

namespace pmem {

// Waits until all that has been flushed in the range is on the medium: parts
// that are mappings of a Device DAX by its region's deep flush, everything else
// by msync(2). Any thread.
// Errors: those of msync(2), ENOMEM (not mapped; the range wraps), EIO, and of
// writing the region's attribute, EACCES. Then some parts may be done.
[[nodiscard]] Result<void> deep_drain(const MappingRegistry& registry,
                                      const void* address,
                                      std::size_t length_bytes,
                                      const std::string& sysfs_root);

// msync(2) for a range that need not begin at a page. What is a mapping of a
// Device DAX, which has nothing to be synchronised, is left out.
// Errors: those of msync(2); ENOMEM also for a range that wraps.
[[nodiscard]] Result<void> sync_range(const MappingRegistry& registry,
                                      const void* address,
                                      std::size_t length_bytes);

}  // namespace pmem
