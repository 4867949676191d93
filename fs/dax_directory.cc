#include "fs/dax_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "fs/dax_xattrs.h"
#include "fs/listed_directory.h"
#include "fs/own_inodes.h"
#include "pmem/source.h"

namespace pmemfs {
namespace {

using pmem::Access;
using pmem::DaxDevice;
using pmem::fail;
using pmem::fail_errno;
using pmem::pass_on;
using pmem::Result;

// The upper 16 bits are 0, as in those of own_inodes.h.
ino_t inode_of(dev_t number) { return (ino_t{1} << 40) | number; }

constexpr std::uint64_t kBlockBytes = 4096;

// What programs read and write at once if they go by st_blksize, as cmp(1)
// does: each time is a way to the daemon and back.
constexpr blksize_t kPreferredBytes = blksize_t{128} << 10;

// `id` tells sources apart that are counted together.
struct statvfs status_of_devices(std::uint64_t bytes, std::uint64_t files,
                                 ino_t id) {
  struct statvfs status = {};
  status.f_bsize = status.f_frsize = kBlockBytes;
  status.f_blocks = bytes / kBlockBytes;
  status.f_files = files;
  status.f_fsid = id;
  status.f_namemax = 255;
  return status;
}

struct statvfs status_of_all(const DaxOptions& options) {
  std::uint64_t bytes = 0;
  const std::vector<DaxDevice> found = dax_devices(options.sysfs_root);
  for (const DaxDevice& device : found) {
    bytes += device.size_bytes;
  }
  return status_of_devices(bytes, found.size(), kDaxInode);
}

struct stat attributes_of(const DaxDevice& device, const DaxOptions& options) {
  struct stat status = {};
  const std::string node = options.dev_root + "/" + device.name;
  if (::stat(node.c_str(), &status) != 0 || status.st_rdev != device.number) {
    // A device without a node is shown to root alone, as a new node would be.
    status = {};
    status.st_mode = 0600;
  }
  status.st_dev = 0;
  status.st_rdev = 0;
  status.st_ino = inode_of(device.number);
  status.st_nlink = 1;
  status.st_mode = S_IFREG | (status.st_mode & 07777);
  status.st_size = static_cast<off_t>(device.size_bytes);
  status.st_blocks = status.st_size / 512;
  status.st_blksize = kPreferredBytes;
  return status;
}

Result<Entry> look_up_device(const std::string& name, const DaxOptions& options,
                             NodeTable& nodes, OpenDevices& open_devices) {
  Result<DaxDevice> device = pmem::find_dax_device(name, options.sysfs_root);
  if (!device) {
    return fail(ENOENT, "lookup of a device");
  }
  const struct stat status = attributes_of(*device, options);
  const auto is_same = [&](const Node& node) {
    // Nodes without a device of their own are all of this file.
    const auto* dax_node = dynamic_cast<const DaxNode*>(&node);
    return dax_node != nullptr && dax_node->is(name, device->number);
  };
  const auto make = [&] {
    return std::make_unique<DaxNode>(name, device->number, options,
                                     open_devices);
  };
  Entry entry;
  entry.node = nodes.look_up({0, status.st_ino}, is_same, make);
  entry.attributes = status;
  entry.may_vanish = true;
  return entry;
}

}  // namespace

std::vector<DaxDevice> dax_devices(const std::string& sysfs_root) {
  std::vector<DaxDevice> found;
  std::error_code ignored;
  const std::filesystem::path directory = sysfs_root + "/bus/dax/devices";
  for (std::filesystem::directory_iterator at(directory, ignored), end;
       at != end; at.increment(ignored)) {
    Result<DaxDevice> device =
        pmem::find_dax_device(at->path().filename(), sysfs_root);
    if (device) {
      found.push_back(std::move(*device));
    }
  }
  std::sort(
      found.begin(), found.end(),
      [](const DaxDevice& a, const DaxDevice& b) { return a.name < b.name; });
  return found;
}

// --- one device -------------------------------------------------------------

Result<DaxDevice> DaxNode::facts() const {
  Result<DaxDevice> device = pmem::find_dax_device(name_, options_.sysfs_root);
  if (!device || device->number != number_) {
    return fail(ENXIO, "looking for the device " + name_);  // it is gone
  }
  return device;
}

Result<struct stat> DaxNode::attributes() {
  Result<DaxDevice> device = facts();
  if (!device) {
    return pass_on(device);
  }
  return attributes_of(*device, options_);
}

// The owner, the mode and the times are those of the node in /dev.
Result<struct stat> DaxNode::change_attributes(const AttributeChange& change,
                                               OpenFile* file,
                                               const Caller& caller) {
  Result<struct stat> before = attributes();
  if (!before) {
    return before;
  }
  const auto size = static_cast<std::uint64_t>(before->st_size);
  if (change.size_bytes && file != nullptr) {
    Result<void> cut = file->data->truncate(*change.size_bytes);
    if (!cut) {
      return pass_on(cut);
    }
  } else if (change.size_bytes && *change.size_bytes != size) {
    return fail(EINVAL, "changing the size of a device");
  }
  const std::string node = path();
  const CallerScope as_caller(caller);
  if (change.mode && ::chmod(node.c_str(), *change.mode & 07777) != 0) {
    return fail_errno("chmod");
  }
  constexpr auto kSame = static_cast<uid_t>(-1);
  if ((change.uid || change.gid) &&
      ::chown(node.c_str(), change.uid.value_or(kSame),
              change.gid.value_or(kSame)) != 0) {
    return fail_errno("chown");
  }
  constexpr struct timespec kUnchanged = {.tv_sec = 0, .tv_nsec = UTIME_OMIT};
  const std::array times = {change.atime.value_or(kUnchanged),
                            change.mtime.value_or(kUnchanged)};
  if ((change.atime || change.mtime) &&
      ::utimensat(AT_FDCWD, node.c_str(), times.data(), 0) != 0) {
    return fail_errno("utimensat");
  }
  return attributes();
}

Result<struct statvfs> DaxNode::file_system_status() {
  Result<DaxDevice> device = facts();
  if (!device) {
    return pass_on(device);
  }
  return status_of_devices(device->size_bytes, 1, inode_of(number_));
}

std::shared_ptr<DaxData> DaxNode::shared_data(Access access) {
  std::shared_ptr<DaxData> found;
  std::erase_if(open_data_, [&](const std::weak_ptr<DaxData>& held) {
    const std::shared_ptr<DaxData> data = held.lock();
    if (data == nullptr || !data->check_binding()) {
      return true;
    }
    if (access == Access::kRead || data->is_writable()) {
      found = data;
    }
    return false;
  });
  return found;
}

// O_TRUNC leaves the bytes and the size, as for a block device.
Result<std::unique_ptr<OpenFile>> DaxNode::open(int flags,
                                                const Caller& /*caller*/) {
  const Access access = access_of(flags);
  Result<DaxDevice> device = facts();
  if (!device) {
    return pass_on(device);
  }
  const pmem::Lock lock(mutex_);
  std::shared_ptr<DaxData> data = shared_data(access);
  if (!device->is_mappable()) {  // even if the memory of old is still there
    return fail(
        ENXIO, "opening " + name_ + ", which is in the mode " + device->mode());
  }
  if (data == nullptr) {
    Result<std::shared_ptr<DaxData>> opened =
        DaxData::open(path(), access, options_.sysfs_root, options_.dev_root,
                      device->binding);
    if (!opened) {
      return pass_on(opened);
    }
    data = std::move(*opened);
    if (data->number() != number_) {
      return fail(ENXIO, "opening " + name_ + ": its node is another's");
    }
    open_data_.push_back(data);
    open_devices_.add(data);
  } else {
    data->look_for_bad_blocks();
  }
  auto file = std::make_unique<OpenFile>();
  if ((flags & O_TRUNC) != 0 && access == Access::kReadWrite) {
    file->data = std::make_shared<TruncatedDaxData>(std::move(data));
  } else {
    file->data = std::move(data);
  }
  return file;
}

Result<std::string> DaxNode::get_xattr(const char* name) {
  Result<DaxDevice> device = facts();
  if (!device) {
    return pass_on(device);
  }
  return get_dax_xattr({*device, path(), options_.sysfs_root}, name);
}

Result<std::string> DaxNode::list_xattrs(const Caller& /*caller*/) {
  Result<DaxDevice> device = facts();
  if (!device) {
    return pass_on(device);
  }
  return options_.list_virtual_xattrs
             ? list_dax_xattrs({*device, path(), options_.sysfs_root})
             : std::string();
}

// --- all devices ------------------------------------------------------------

DaxDirectory::DaxDirectory(const DaxOptions& options, NodeTable& nodes,
                           OpenDevices& open_devices)
    : options_(options), nodes_(nodes), open_devices_(open_devices) {
  ::clock_gettime(CLOCK_REALTIME, &made_);
}

Result<struct stat> DaxDirectory::attributes() {
  struct stat status = {};
  status.st_ino = kDaxInode;
  status.st_mode = S_IFDIR | 0555;
  status.st_nlink = 2;
  status.st_uid = ::geteuid();
  status.st_gid = ::getegid();
  status.st_blksize = kBlockBytes;
  status.st_atim = status.st_mtim = status.st_ctim = made_;
  return status;
}

Result<struct statvfs> DaxDirectory::file_system_status() {
  return status_of_all(options_);
}

Result<Entry> DaxDirectory::lookup(const char* name) {
  return look_up_device(name, options_, nodes_, open_devices_);
}

Result<std::unique_ptr<DirectoryStream>> DaxDirectory::open_directory() {
  std::vector<ListedDirectory::Item> items = {{".", kDaxInode, DT_DIR},
                                              {"..", kDaxInode, DT_DIR}};
  for (const DaxDevice& device : dax_devices(options_.sysfs_root)) {
    items.push_back({device.name, inode_of(device.number), DT_REG});
  }
  return std::make_unique<ListedDirectory>(std::move(items));
}

// --- as a source ------------------------------------------------------------

DaxSource::DaxSource(DaxOptions options, NodeTable& nodes,
                     std::optional<std::string> device_name)
    : options_(std::move(options)),
      nodes_(nodes),
      device_name_(std::move(device_name)) {}

Result<Entry> DaxSource::root() {
  if (device_name_) {
    return look_up_device(*device_name_, options_, nodes_, open_devices_);
  }
  const auto is_same = [](const Node&) { return true; };
  const auto make = [&] {
    return std::make_unique<DaxDirectory>(options_, nodes_, open_devices_);
  };
  Entry entry;
  entry.node = nodes_.look_up({0, kDaxInode}, is_same, make);
  Result<struct stat> status = entry.node->attributes();
  if (!status) {
    return pass_on(status);
  }
  entry.attributes = *status;
  return entry;
}

bool DaxSource::is_there() const {
  return !device_name_ ||
         pmem::find_dax_device(*device_name_, options_.sysfs_root);
}

ino_t DaxSource::inode() const {
  if (!device_name_) {
    return kDaxInode;
  }
  Result<DaxDevice> device =
      pmem::find_dax_device(*device_name_, options_.sysfs_root);
  return device ? inode_of(device->number) : kDaxInode;
}

Result<struct statvfs> DaxSource::file_system_status() const {
  if (!device_name_) {
    return status_of_all(options_);
  }
  Result<DaxDevice> device =
      pmem::find_dax_device(*device_name_, options_.sysfs_root);
  return device ? status_of_devices(device->size_bytes, 1,
                                    inode_of(device->number))
                : status_of_devices(0, 0, kDaxInode);
}

}  // namespace pmemfs
