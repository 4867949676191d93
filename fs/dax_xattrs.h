// The attributes under user.pmem. of a Device DAX, from one table that both
// getxattr and listxattr read. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "pmem/dax_device.h"
#include "pmem/result.h"

namespace pmemfs {

struct DaxFacts {
  pmem::DaxDevice device;
  std::string path;  // of its node
  std::string sysfs_root;
};

// The value. Errors: ENODATA (no such attribute, or the kernel does not tell),
// and those of finding out.
[[nodiscard]] pmem::Result<std::string> get_dax_xattr(const DaxFacts& facts,
                                                      std::string_view name);

// The names of those that have a value, each with its final NUL.
[[nodiscard]] std::string list_dax_xattrs(const DaxFacts& facts);

}  // namespace pmemfs
