// A single name in a directory.
#pragma once

#include "pmem/unique_fd.h"

namespace pmemfs {

// An O_PATH descriptor of what has the name: not followed if it is a link, and
// never of something that lies outside of the directory. Whether a file system
// that is mounted there is entered is `enters_mounts`. Invalid on errors, with
// errno: ENOENT, EACCES, ENAMETOOLONG, EXDEV (a mount that is not entered), and
// the others of openat2(2). Any thread.
[[nodiscard]] pmem::UniqueFd open_child(int directory, const char* name,
                                        bool enters_mounts);

}  // namespace pmemfs
