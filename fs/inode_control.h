// The commands of ioctl(2) that are about an inode, passed on to the backing
// file: its flags (lsattr, chattr), project and version, and the label of its
// file system. All others are ENOTTY here: what they would answer is about the
// backing file system's blocks, or would reach past the mount.
//
// A free function; any thread. Source: ioctl_iflags(2), <linux/fs.h>.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "fs/caller.h"
#include "pmem/result.h"

namespace pmemfs {

// `path_fd` may be of O_PATH; `in` is what the command takes, the result what
// it gives: `out_bytes`, or fewer. Errors: ENOTTY (not among the above), those
// of opening the file for reading and of the command, as the caller.
[[nodiscard]] pmem::Result<std::string> control_inode(int path_fd,
                                                      unsigned command,
                                                      std::string_view in,
                                                      std::size_t out_bytes,
                                                      const Caller& caller);

}  // namespace pmemfs
