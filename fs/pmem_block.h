// The block devices of persistent memory, from sysfs. Values; any thread.
// Source: Documentation/ABI/testing/sysfs-bus-nvdimm, Documentation/ABI/stable/
// sysfs-block (queue/dax) of Linux.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pmemfs {

struct PmemBlockDevice {
  std::string name;  // "pmem0", "pmem0p1"; of device mapper the name there
  dev_t number = 0;
  // What the kernel does not tell is missing.
  std::optional<std::uint64_t> size_bytes;
  std::optional<std::string> mode;           // "fsdax", "raw", "sector"
  std::optional<std::uint64_t> align_bytes;  // of a namespace that has one
  std::optional<int> numa_node;
};

// Those whose queue knows DAX and those of a region of persistent memory,
// partitions as well, in the order of their names.
[[nodiscard]] std::vector<PmemBlockDevice> pmem_block_devices(
    const std::string& sysfs_root);

}  // namespace pmemfs
