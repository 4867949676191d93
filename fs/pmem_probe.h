// What the core library says of a device or a file system as a whole: whether
// it is persistent memory, and why. It is asked of a mapping that is made for
// the answer. Free functions; any thread.
#pragma once

#include <optional>
#include <string>

#include "pmem/dax_device.h"
#include "pmem/result.h"

namespace pmemfs {

// Something that may be known, not to be told at all (nothing), or not to be
// found out here and now (an error).
template <typename T>
using Fact = pmem::Result<std::optional<T>>;

struct PmemAnswer {
  Fact<bool> is_pmem = std::nullopt;
  std::string reason;  // in words
};

// `node`: the path of the device's. Errors: those of open(2) and mmap(2), of a
// device that could be mapped.
[[nodiscard]] PmemAnswer probe_device(const pmem::DaxDevice& device,
                                      const std::string& node,
                                      const std::string& sysfs_root);

// `root_fd`: its root, open for reading. It asks regular files in the root, and
// changes not even their time of access; where none may be asked so, a file
// without a name that is gone afterwards. Nothing is told where that cannot be
// made either.
[[nodiscard]] PmemAnswer probe_file_system(int root_fd,
                                           const std::string& sysfs_root);

}  // namespace pmemfs
