// Block devices in a fake sysfs, as Linux shows those of persistent memory.
#pragma once

#include <string>

#include "support/fake_sysfs.h"

namespace support {

// Paths are relative to the root; the size counts sectors of 512 bytes.
inline void add_block(FakeSysfs& sysfs, const std::string& number,
                      const std::string& directory,
                      const std::string& sectors) {
  const std::string name = directory.substr(directory.rfind('/') + 1);
  sysfs.write(directory + "/dev", number + "\n");
  sysfs.write(directory + "/size", sectors + "\n");
  sysfs.link("dev/block/" + number, directory);
  sysfs.link("class/block/" + name, directory);
}

// One in a region of its own, on a namespace in the mode fsdax.
struct FakeFsdaxBlock {
  std::string number = "259:0";
  std::string name = "pmem0";
  std::string region = "region0";
  std::string mode = "memory";  // the kernel's word
};

inline std::string fsdax_block_directory(const std::string& region,
                                         const std::string& name) {
  return FakeSysfs::region_directory(region) + "/pfn0.1/block/" + name;
}

inline void add_fsdax_block(FakeSysfs& sysfs, const FakeFsdaxBlock& block) {
  const std::string region = FakeSysfs::region_directory(block.region);
  const std::string directory = fsdax_block_directory(block.region, block.name);
  sysfs.add_region(block.region, std::nullopt);
  sysfs.write(region + "/numa_node", "1\n");
  sysfs.write(region + "/pfn0.1/align", "2097152\n");
  sysfs.write(region + "/pfn0.1/namespace", "namespace0.0\n");
  sysfs.write(region + "/namespace0.0/mode", block.mode + "\n");
  add_block(sysfs, block.number, directory, "131072");
  sysfs.write(directory + "/queue/dax", "1\n");
}

}  // namespace support
