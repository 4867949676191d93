#include "fs/inventory.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "fs/dax_mounts.h"
#include "fs/mountinfo.h"
#include "fs/pmem_block.h"
#include "pmem/dax_device.h"

namespace pmemfs {
namespace {

using pmem::BadBlocks;
using pmem::DaxDevice;
using pmem::Result;

// Kernel and hardware know a list, or they do not; or asking failed.
Fact<BadBlocks> fact_of(Result<BadBlocks> blocks) {
  if (blocks) {
    return std::optional(std::move(*blocks));
  }
  if (blocks.error().code == EOPNOTSUPP) {
    return std::optional<BadBlocks>();
  }
  return pmem::pass_on(blocks);
}

// The kernel's -1 is no node.
std::optional<int> node_of(std::optional<int> node) {
  return node && *node >= 0 ? node : std::nullopt;
}

std::vector<std::string> split_at_colons(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(':'), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

// Where a mount of pmemfs that was made with this source word shows the device;
// empty where it does not. (Asking the mount itself could take forever.)
std::string place_in_mount(const std::string& word, bool is_single,
                           const std::string& device) {
  const std::size_t equals = word.find('=');
  const bool is_named = equals != std::string::npos && word.find('/') > equals;
  const std::string what = is_named ? word.substr(equals + 1) : word;
  std::string folder = is_named ? "/" + word.substr(0, equals) : "";
  if (!is_named && !is_single) {
    folder = "/" + what.substr(what.rfind('/') + 1);
  }
  if (what == "all") {
    return folder + "/dax/" + device;
  }
  if (what == "dax") {
    return folder + "/" + device;
  }
  if (what == "/dev/" + device) {
    return is_named ? folder : "/" + device;
  }
  return "";
}

std::vector<std::string> places_of_device(const std::string& device,
                                          const std::vector<Mount>& mounts) {
  std::vector<std::string> places;
  for (const Mount& mount : mounts) {
    if (mount.type != kMountType) {
      continue;
    }
    const std::vector<std::string> words = split_at_colons(mount.source);
    for (const std::string& word : words) {
      const std::string place = place_in_mount(word, words.size() == 1, device);
      if (!place.empty()) {
        places.push_back(mount.mount_point + place);
      }
    }
  }
  return places;
}

InventoryRow row_of_device(const std::string& name,
                           const std::vector<Mount>& mounts,
                           const InventoryRoots& roots) {
  InventoryRow row;
  row.name = name;
  row.kind = "devdax";
  row.mounted_on = places_of_device(name, mounts);
  const Result<DaxDevice> device =
      pmem::find_dax_device(name, roots.sysfs_root);
  if (!device) {
    const auto failed = [&] { return tl::unexpected(device.error()); };
    row.size_bytes = failed();
    row.mode = failed();
    row.is_pmem = failed();
    row.align_bytes = failed();
    row.reason = device.error().message();
    return row;
  }
  row.size_bytes = device->size_bytes;
  row.mode = device->mode();
  row.align_bytes = device->align_bytes;
  row.numa_node = node_of(device->numa_node);
  row.bad_blocks = fact_of(pmem::bad_blocks_of(*device, roots.sysfs_root));
  PmemAnswer answer =
      probe_device(*device, roots.dev_root + "/" + name, roots.sysfs_root);
  row.is_pmem = std::move(answer.is_pmem);
  row.reason = std::move(answer.reason);
  return row;
}

std::vector<std::string> names_of_devices(const std::string& sysfs_root) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (std::filesystem::directory_iterator
           at(sysfs_root + "/bus/dax/devices", ignored),
       end;
       at != end; at.increment(ignored)) {
    names.push_back(at->path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<Mount> mounts_of(dev_t device, const std::vector<Mount>& mounts) {
  std::vector<Mount> found;
  for (const Mount& mount : mounts) {
    if (mount.device == device) {
      found.push_back(mount);
    }
  }
  return best_first(std::move(found));
}

std::vector<std::string> mount_points_of(dev_t device,
                                         const std::vector<Mount>& mounts) {
  std::vector<std::string> points;
  for (const Mount& mount : mounts_of(device, mounts)) {
    points.push_back(mount.mount_point);
  }
  return points;
}

// The file system with DAX on a device, if there is one.
const DaxFileSystem* find(const std::vector<DaxFileSystem>& file_systems,
                          dev_t device) {
  const auto found = std::find_if(
      file_systems.begin(), file_systems.end(),
      [&](const DaxFileSystem& one) { return one.device == device; });
  return found == file_systems.end() ? nullptr : &*found;
}

// What of a row only the mounted file system can tell.
void ask_file_system(InventoryRow& row, dev_t device, bool is_by_file,
                     const std::vector<Mount>& mounts,
                     const InventoryRoots& roots) {
  if (is_by_file) {
    row.reason =
        "mounted with dax=inode: each file has a flag of its own, and "
        "user.pmem.is_pmem tells of each";
  }
  Result<OpenedMount> opened =
      open_mount(mounts_of(device, not_below_pmemfs(mounts)));
  if (!opened) {
    if (!is_by_file) {
      row.reason = opened.error().message();
      row.is_pmem = pmem::pass_on(opened);
    }
    return;
  }
  struct statvfs status = {};
  const bool has_size = row.size_bytes && *row.size_bytes;
  if (!has_size && ::fstatvfs(opened->fd.get(), &status) == 0) {
    row.size_bytes = std::uint64_t{status.f_blocks} * status.f_frsize;
  }
  if (!is_by_file) {
    PmemAnswer answer = probe_file_system(opened->fd.get(), roots.sysfs_root);
    row.is_pmem = std::move(answer.is_pmem);
    row.reason = std::move(answer.reason);
  }
}

InventoryRow row_of_block(const PmemBlockDevice& block,
                          const DaxFileSystem* file_system,
                          const std::vector<Mount>& mounts,
                          const InventoryRoots& roots) {
  InventoryRow row;
  row.name = file_system != nullptr ? file_system->name : block.name;
  row.kind = file_system != nullptr ? "fsdax" : "block";
  row.size_bytes = block.size_bytes;
  row.mode = block.mode;
  row.align_bytes = block.align_bytes;
  row.numa_node = block.numa_node;
  row.bad_blocks =
      fact_of(pmem::bad_blocks_of_block_device(block.number, roots.sysfs_root));
  row.mounted_on = mount_points_of(block.number, mounts);
  if (row.mounted_on.empty()) {
    row.reason = "no file system of it is mounted";
  } else {
    ask_file_system(row, block.number,
                    file_system != nullptr && file_system->is_by_file, mounts,
                    roots);
  }
  return row;
}

InventoryRow row_of_file_system(const DaxFileSystem& file_system,
                                const std::vector<Mount>& mounts,
                                const InventoryRoots& roots) {
  InventoryRow row;
  row.name = file_system.name;
  row.kind = "fsdax";
  row.mounted_on = mount_points_of(file_system.device, mounts);
  row.bad_blocks = fact_of(
      pmem::bad_blocks_of_block_device(file_system.device, roots.sysfs_root));
  ask_file_system(row, file_system.device, file_system.is_by_file, mounts,
                  roots);
  return row;
}

}  // namespace

std::vector<InventoryRow> take_inventory(const InventoryRoots& roots) {
  const std::vector<Mount> mounts = read_mountinfo(roots.mountinfo_path);
  std::vector<InventoryRow> rows;
  for (const std::string& name : names_of_devices(roots.sysfs_root)) {
    rows.push_back(row_of_device(name, mounts, roots));
  }
  const auto devices_end = static_cast<std::ptrdiff_t>(rows.size());
  std::vector<DaxFileSystem> others =
      dax_file_systems(mounts, roots.sysfs_root);
  for (const PmemBlockDevice& block : pmem_block_devices(roots.sysfs_root)) {
    rows.push_back(
        row_of_block(block, find(others, block.number), mounts, roots));
    std::erase_if(others, [&](const DaxFileSystem& one) {
      return one.device == block.number;
    });
  }
  for (const DaxFileSystem& other : others) {
    rows.push_back(row_of_file_system(other, mounts, roots));
  }
  std::sort(rows.begin() + devices_end, rows.end(),
            [](const InventoryRow& a, const InventoryRow& b) {
              return a.name < b.name;
            });
  return rows;
}

}  // namespace pmemfs
