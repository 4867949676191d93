#include "fs/discovery.h"

#include <memory>
#include <utility>
#include <vector>

#include "fs/own_inodes.h"
#include "fs/top_directory.h"

namespace pmemfs {

using pmem::pass_on;
using pmem::Result;

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += text.empty() ? "" : ", ";
    text += word;
  }
  return text;
}

}  // namespace

DiscoverySource::DiscoverySource(DaxOptions dax, FsdaxOptions fsdax,
                                 const SharedState& shared)
    : nodes_(shared.nodes),
      dax_(std::move(dax), shared.nodes, std::nullopt),
      fsdax_(std::move(fsdax), shared) {}

Result<Entry> DiscoverySource::root() {
  // Nodes without a device of their own are all of this file.
  const auto is_same = [](const Node&) { return true; };
  const auto make = [&] {
    return std::make_unique<TopDirectory>(
        kDiscoveryInode,
        std::vector<TopDirectory::Member>{{"dax", &dax_}, {"fsdax", &fsdax_}});
  };
  Entry entry;
  entry.node = nodes_.look_up({0, kDiscoveryInode}, is_same, make);
  Result<struct stat> status = entry.node->attributes();
  if (!status) {
    return pass_on(status);
  }
  entry.attributes = *status;
  return entry;
}

Result<struct statvfs> DiscoverySource::file_system_status() const {
  Result<struct statvfs> devices = dax_.file_system_status();
  Result<struct statvfs> sum = fsdax_.file_system_status();
  if (!devices || !sum) {
    return devices ? sum : devices;
  }
  sum->f_blocks += devices->f_blocks;  // both count in blocks of 4 KiB
  sum->f_files += devices->f_files;
  return sum;
}

ino_t DiscoverySource::inode() const { return kDiscoveryInode; }

std::string discovered_in_words(const std::string& mountinfo_path,
                                const std::string& sysfs_root) {
  std::vector<std::string> devices;
  for (const pmem::DaxDevice& device : dax_devices(sysfs_root)) {
    devices.push_back(device.name);
  }
  std::vector<std::string> mounted;
  for (const DaxFileSystem& one :
       dax_file_systems(read_mountinfo(mountinfo_path), sysfs_root)) {
    mounted.push_back(one.name);
  }
  std::string text = joined(devices);
  if (!mounted.empty()) {
    text += text.empty() ? "" : " and ";
    text += mounted.size() == 1 ? "the file system " : "the file systems ";
    text += joined(mounted);
  }
  return text;
}

}  // namespace pmemfs
