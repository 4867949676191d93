// The Device DAX of the machine as a directory of regular files, one of the
// size of each device; and such a file by itself.
//
// Which devices there are is read from sysfs each time, so that the tree
// follows them as they come and go. A device that nobody has open is not held:
// its file opens the node in /dev when it is opened, and closes it at the last
// close.
//
// A DaxDirectory and its nodes may be used by any thread.
// Source: Documentation/ABI/testing/sysfs-bus-dax of Linux.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs/dax_data.h"
#include "fs/mount_source.h"
#include "fs/node.h"
#include "fs/node_table.h"
#include "fs/open_devices.h"
#include "pmem/dax_device.h"

namespace pmemfs {

// Where devices are looked for, and how they are shown; tests have roots of
// their own.
struct DaxOptions {
  std::string sysfs_root = pmem::kSysfsRoot;
  std::string dev_root = pmem::kDevRoot;
  bool list_virtual_xattrs = true;
};

// What the kernel lists as Device DAX and tells the facts of, in the order of
// their names.
[[nodiscard]] std::vector<pmem::DaxDevice> dax_devices(
    const std::string& sysfs_root);

// One device. Its path is the node's; the number tells whether it is still the
// same.
class DaxNode : public Node {
 public:
  DaxNode(std::string name, dev_t number, const DaxOptions& options,
          OpenDevices& open_devices)
      : name_(std::move(name)),
        number_(number),
        options_(options),
        open_devices_(open_devices) {}

  [[nodiscard]] pmem::Result<struct stat> attributes() override;
  [[nodiscard]] pmem::Result<struct stat> change_attributes(
      const AttributeChange& change, OpenFile* file,
      const Caller& caller) override;
  [[nodiscard]] pmem::Result<struct statvfs> file_system_status() override;
  [[nodiscard]] pmem::Result<std::unique_ptr<OpenFile>> open(
      int flags, const Caller& caller) override;
  [[nodiscard]] pmem::Result<std::string> get_xattr(const char* name) override;
  [[nodiscard]] pmem::Result<std::string> list_xattrs(
      const Caller& caller) override;

  [[nodiscard]] bool is(const std::string& name, dev_t number) const {
    return name == name_ && number == number_;
  }

 private:
  // Errors: ENXIO: it is gone, or another has its name.
  [[nodiscard]] pmem::Result<pmem::DaxDevice> facts() const;

  // What is open of the device that is there now, for this access; null when
  // there is none.
  [[nodiscard]] std::shared_ptr<DaxData> shared_data(pmem::Access access)
      PMEM_REQUIRES(mutex_);

  [[nodiscard]] std::string path() const {
    return options_.dev_root + "/" + name_;
  }

  const std::string name_;
  const dev_t number_;
  const DaxOptions& options_;  // the source's
  OpenDevices& open_devices_;  // the source's

  pmem::Mutex mutex_;
  std::vector<std::weak_ptr<DaxData>> open_data_ PMEM_GUARDED_BY(mutex_);
};

class DaxDirectory : public Node {
 public:
  DaxDirectory(const DaxOptions& options, NodeTable& nodes,
               OpenDevices& open_devices);

  [[nodiscard]] pmem::Result<struct stat> attributes() override;
  [[nodiscard]] pmem::Result<struct statvfs> file_system_status() override;
  // Errors: ENOENT.
  [[nodiscard]] pmem::Result<Entry> lookup(const char* name) override;
  [[nodiscard]] pmem::Result<std::unique_ptr<DirectoryStream>> open_directory()
      override;

 private:
  const DaxOptions& options_;  // the source's
  NodeTable& nodes_;
  OpenDevices& open_devices_;  // the source's
  struct timespec made_ = {};
};

// All devices, or the one with a name.
class DaxSource : public MountSource {
 public:
  DaxSource(DaxOptions options, NodeTable& nodes,
            std::optional<std::string> device_name);

  [[nodiscard]] pmem::Result<Entry> root() override;
  [[nodiscard]] pmem::Result<struct statvfs> file_system_status()
      const override;
  [[nodiscard]] ino_t inode() const override;
  [[nodiscard]] bool is_there() const override;
  [[nodiscard]] unsigned char type() const override {
    return device_name_ ? DT_REG : DT_DIR;
  }

 private:
  const DaxOptions options_;
  NodeTable& nodes_;
  OpenDevices open_devices_;
  const std::optional<std::string> device_name_;
};

}  // namespace pmemfs
