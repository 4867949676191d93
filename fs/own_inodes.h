// The inode numbers of the directories that stand for no file elsewhere. No
// source has these for one of its files: the upper 16 bits are 0.
#pragma once

#include <sys/types.h>

namespace pmemfs {

inline constexpr ino_t kTopInode = 1;        // of several sources
inline constexpr ino_t kDaxInode = 2;        // all Device DAX
inline constexpr ino_t kFsdaxInode = 3;      // all file systems with DAX
inline constexpr ino_t kDiscoveryInode = 4;  // both of them

}  // namespace pmemfs
