#include "fs/pmem_block.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "fs/dax_mounts.h"
#include "lib/sysfs.h"

namespace pmemfs {
namespace {

using pmem::last_component;
using pmem::read_attribute;
using pmem::read_number;
using pmem::real_path;

std::string parent_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// A region of persistent memory, and what of it the device was made of: the
// folders above that of the device.
struct Origin {
  std::string region;
  std::string maker;  // the namespace, or a pfn or btt that has claimed it
};

std::optional<Origin> origin_of(const std::string& directory,
                                const std::string& sysfs_root) {
  const std::string bus = sysfs_root + "/bus/nd/devices/";
  std::string below = directory;
  for (std::string at = parent_of(directory); at.size() > sysfs_root.size();
       at = parent_of(at)) {
    const std::string name = last_component(at);
    if (name.starts_with("region") && real_path(bus + name) == at) {
      return Origin{.region = at, .maker = below};
    }
    below = at;
  }
  return std::nullopt;
}

bool is_partition(const std::string& directory) {
  return ::access((directory + "/partition").c_str(), F_OK) == 0;
}

bool knows_dax(const std::string& directory) {
  const std::string disk =
      is_partition(directory) ? parent_of(directory) : directory;
  return read_number(disk + "/queue/dax") == 1;
}

// The kernel's words for what ndctl(1) calls otherwise.
std::optional<std::string> mode_of(const Origin& origin) {
  const std::optional<std::string> claimed =
      read_attribute(origin.maker + "/namespace");
  const std::string name_space =
      claimed ? origin.region + "/" + *claimed : origin.maker;
  std::optional<std::string> mode = read_attribute(name_space + "/mode");
  if (mode == "memory") {
    mode = "fsdax";
  } else if (mode == "safe") {
    mode = "sector";
  } else if (mode == "dax") {
    mode = "devdax";
  }
  return mode;
}

std::optional<std::uint64_t> positive(std::optional<std::int64_t> number) {
  return number && *number > 0
             ? std::optional(static_cast<std::uint64_t>(*number))
             : std::nullopt;
}

std::optional<int> node_of(const std::string& path) {
  const std::optional<std::int64_t> node = read_number(path);
  return node && *node >= 0 ? std::optional(static_cast<int>(*node))
                            : std::nullopt;
}

std::optional<dev_t> number_of(const std::string& directory) {
  unsigned major_number = 0;
  unsigned minor_number = 0;
  const std::optional<std::string> text = read_attribute(directory + "/dev");
  if (!text ||
      std::sscanf(text->c_str(), "%u:%u", &major_number, &minor_number) != 2) {
    return std::nullopt;
  }
  return ::makedev(major_number, minor_number);
}

std::optional<PmemBlockDevice> read_device(const std::string& directory,
                                           const std::string& sysfs_root) {
  constexpr std::uint64_t kSectorBytes = 512;
  const std::optional<Origin> origin = origin_of(directory, sysfs_root);
  const std::optional<dev_t> number = number_of(directory);
  if (!number || (!origin && !knows_dax(directory))) {
    return std::nullopt;
  }
  PmemBlockDevice device;
  device.number = *number;
  device.name = block_device_name(*number, sysfs_root);
  if (device.name.empty()) {
    device.name = last_component(directory);
  }
  const std::optional<std::int64_t> sectors = read_number(directory + "/size");
  if (sectors && *sectors >= 0) {
    device.size_bytes = static_cast<std::uint64_t>(*sectors) * kSectorBytes;
  }
  if (origin) {
    device.mode = mode_of(*origin);
    device.align_bytes = positive(read_number(origin->maker + "/align"));
    device.numa_node = node_of(origin->region + "/numa_node");
  }
  return device;
}

}  // namespace

std::vector<PmemBlockDevice> pmem_block_devices(const std::string& sysfs_root) {
  std::vector<PmemBlockDevice> found;
  // Real paths are compared with one another.
  const std::string root = real_path(sysfs_root).value_or(sysfs_root);
  std::error_code ignored;
  for (std::filesystem::directory_iterator at(root + "/class/block", ignored),
       end;
       at != end; at.increment(ignored)) {
    const std::optional<std::string> directory = real_path(at->path());
    std::optional<PmemBlockDevice> device =
        directory ? read_device(*directory, root) : std::nullopt;
    if (device) {
      found.push_back(std::move(*device));
    }
  }
  std::sort(found.begin(), found.end(),
            [](const PmemBlockDevice& a, const PmemBlockDevice& b) {
              return a.name < b.name;
            });
  return found;
}

}  // namespace pmemfs
