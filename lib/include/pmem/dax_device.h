// Facts about a Device DAX, read from sysfs.
//
// The node's name says nothing; the device number does: the directory
// SYSFS/dev/char/MAJOR:MINOR leads to the device, and its `subsystem` link ends
// in `dax`. The sysfs root is an argument so that tests can hand in a tree of
// their own. Free functions without state: any thread.
// Source: Documentation/ABI/testing/sysfs-bus-dax of Linux.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "pmem/result.h"

namespace pmem {

inline constexpr const char* kSysfsRoot = "/sys";
inline constexpr const char* kDevRoot = "/dev";

struct DaxDevice {
  dev_t number = 0;    // of the character device
  std::string name;    // "dax0.0"
  std::string driver;  // "device_dax", "kmem", "fsdev_dax"; "" if unbound
  std::uint64_t binding = 0;  // see binding_of()
  bool is_on_bus = true;  // else of the class of kernels before 5.1: no drivers
  std::uint64_t size_bytes = 0;
  std::uint64_t align_bytes = 0;
  std::optional<int> numa_node;    // where the kernel tells
  std::optional<int> target_node;  // where the kernel tells

  // Without the driver by which it is mapped: without any, or memory of the
  // system. Its node may open while somebody still has the device open, but
  // mmap(2) then crashes the kernel (Linux 6.1 and 6.12).
  [[nodiscard]] bool is_mappable() const { return mode() == "devdax"; }

  // How the device is used: "devdax", "system-ram", "famfs", "unbound", or the
  // driver's name when it is none of those that are known.
  [[nodiscard]] std::string mode() const;
};

// Whether the character device is a Device DAX.
[[nodiscard]] bool is_dax_device(dev_t device, const std::string& sysfs_root);

// Tells one binding of the device to its driver from another, and from that of
// a later device with the same number. 0: it has no driver, or is not there.
// (It is the inode of the link to the driver, of which sysfs uses none twice.)
[[nodiscard]] std::uint64_t binding_of(dev_t device,
                                       const std::string& sysfs_root);

// Reads the facts. Errors: ENODEV (no Device DAX has this number), EIO (an
// attribute that every Device DAX has is missing or is no number).
[[nodiscard]] Result<DaxDevice> read_dax_device(dev_t device,
                                                const std::string& sysfs_root);

// The same for the device of a name, such as "dax0.0", on the bus of the Device
// DAX. Errors: ENODEV (no such device, or no such name), EIO.
[[nodiscard]] Result<DaxDevice> find_dax_device(const std::string& name,
                                                const std::string& sysfs_root);

// Asks the platform to write everything that has reached the device's memory
// controller through to the medium: the `deep_flush` of the device's region.
// Nothing is done where the region says that nothing is needed (0), nor for a
// device without a region (CXL, hmem).
// Errors: whatever open(2), read(2) and write(2) say of that attribute; EACCES
// for an ordinary user.
[[nodiscard]] Result<void> flush_region(dev_t device,
                                        const std::string& sysfs_root);

}  // namespace pmem
