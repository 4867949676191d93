// The persistent memory of the machine, one row a region: what `pmemfs list`
// shows. Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fs/pmem_probe.h"
#include "pmem/bad_blocks.h"

namespace pmemfs {

struct InventoryRow {
  std::string name;
  // "devdax": a Device DAX. "fsdax": a file system that is mounted with DAX.
  // "block": a pmem block device of which none is.
  std::string kind;
  Fact<std::uint64_t> size_bytes = std::nullopt;
  // Of a device as in DaxDevice::mode(), of a block device "fsdax", "raw" or
  // "sector".
  Fact<std::string> mode = std::nullopt;
  Fact<bool> is_pmem = std::nullopt;
  Fact<std::uint64_t> align_bytes = std::nullopt;
  Fact<int> numa_node = std::nullopt;
  Fact<pmem::BadBlocks> bad_blocks = std::nullopt;
  // Of a device where mounts of pmemfs show it.
  std::vector<std::string> mounted_on;
  std::string reason;  // why is_pmem is what it is, in words
};

// Tests have roots of their own.
struct InventoryRoots {
  std::string sysfs_root = "/sys";
  std::string dev_root = "/dev";
  std::string mountinfo_path = "/proc/self/mountinfo";
};

// Every Device DAX, then every pmem block device and every file system that is
// mounted with DAX on something else, each in the order of the names.
[[nodiscard]] std::vector<InventoryRow> take_inventory(
    const InventoryRoots& roots);

}  // namespace pmemfs
