// Bad blocks: the parts of persistent memory that the kernel knows to be
// unreadable, as sysfs lists them, and having it clear them. Reading such a
// part is a machine check, or on some machines the end of them.
//
// Free functions without state: any thread. `sysfs_root` and `dev_root` are
// arguments so that tests can hand in trees of their own.
// Source: Documentation/ABI/testing/sysfs-bus-nfit, Documentation/ABI/stable/
// sysfs-block (badblocks) and <linux/ndctl.h> of Linux; ACPI 6.5, 9.20.7
// ("Query ARS Capabilities", "Clear Uncorrectable Error").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pmem/dax_device.h"
#include "pmem/result.h"

namespace pmem {

// In bytes from the beginning of the device or the file.
struct BadRange {
  std::uint64_t offset_bytes = 0;
  std::uint64_t length_bytes = 0;

  [[nodiscard]] std::uint64_t end_bytes() const {
    return offset_bytes + length_bytes;
  }
  bool operator==(const BadRange&) const = default;
};

// Ascending; neither overlapping nor touching.
using BadBlocks = std::vector<BadRange>;

// The kernel lists bad blocks in this unit, in bytes.
inline constexpr std::uint64_t kBadBlockBytes = 512;

// Those of the device's region that lie in the device.
// Errors: EOPNOTSUPP (the kernel keeps no list for such a device: it has no
// region, as on CXL and hmem), EACCES (where a device lies in its region is
// root's to know), EIO (an attribute is not what it should be).
[[nodiscard]] Result<BadBlocks> bad_blocks_of(const DaxDevice& device,
                                              const std::string& sysfs_root);

// The same for a block device, whole or a partition.
// Errors: EOPNOTSUPP (no list is kept for it), and as above.
[[nodiscard]] Result<BadBlocks> bad_blocks_of_block_device(
    dev_t number, const std::string& sysfs_root);

// Has the platform clear the bad blocks of the range: they can be read again,
// and hold anything. `range` is widened to the platform's unit, but not beyond
// `allowed`, which the caller is about to overwrite.
// Errors: EOPNOTSUPP (platform or kernel cannot), EINVAL (the unit reaches
// beyond `allowed`), EACCES, EIO (it did not succeed), and those of ioctl(2) on
// the bus.
[[nodiscard]] Result<void> clear_bad_blocks(const DaxDevice& device,
                                            BadRange range, BadRange allowed,
                                            const std::string& sysfs_root,
                                            const std::string& dev_root);

// "none", or each as offset+length: "4096+512 8192+1024".
[[nodiscard]] std::string in_words(const BadBlocks& blocks);

}  // namespace pmem
