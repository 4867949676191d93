// What the tree tester does to a tree: one call. Values.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace random_tests {

enum class TreeKind {
  kCreate,
  kMkdir,
  kMknod,
  kSymlink,  // `other` is the target
  kLink,
  kRename,  // with the flags of renameat2(2)
  kUnlink,
  kRmdir,
  kChmod,
  kChown,
  kLchown,
  kUtimens,
  kTruncate,
  kSetxattr,  // `other` is the name
  kGetxattr,
  kListxattr,
  kRemovexattr,
  kStat,
  kLstat,
  kRead,
  kList,
  kReadlink,
  kAccess,
  kUmask,
  kClear,    // removes a name with all that is below it
  kCompare,  // the whole trees
  // With an open file that stays in its slot, whatever becomes of its name.
  kOpen,
  kTmpfile,
  kClose,
  kSlotRead,
  kSlotWrite,
  kSlotTruncate,
  kSlotAllocate,
  kSlotStat,
  kSlotList,
  kSlotChmod,
  kSlotChown,
  kSlotSetxattr,
  kSlotLink,    // gives it the name `path`
  kSlotMkdir,   // makes `path` in it
  kSlotCreate,  // the same
  kSlotUnlink,  // removes `path` from it
};

// Who makes a call.
inline constexpr std::uint64_t kRoot = 0;
inline constexpr std::uint64_t kUser = 1;
inline constexpr std::uint64_t kStranger = 2;

// Of kUtimens: a number of seconds, or
inline constexpr std::uint64_t kTimeNow = 1'000'001;
inline constexpr std::uint64_t kTimeOmit = 1'000'002;

// Of chown: as it is.
inline constexpr std::uint64_t kSameOwner = 0xFFFFFFFF;

struct TreeOperation {
  TreeKind kind = TreeKind::kCreate;
  std::uint64_t who = kRoot;
  std::uint64_t slot = 0;
  std::string path;
  std::string other;
  std::uint64_t mode = 0;
  std::uint64_t flags = 0;
  std::uint64_t value = 0;   // a size, a user, a time
  std::uint64_t value2 = 0;  // a group, another time

  static constexpr std::array kNames = {
      "create",        "mkdir",         "mknod",      "symlink",
      "link",          "rename",        "unlink",     "rmdir",
      "chmod",         "chown",         "lchown",     "utimens",
      "truncate",      "setxattr",      "getxattr",   "listxattr",
      "removexattr",   "stat",          "lstat",      "read",
      "list",          "readlink",      "access",     "umask",
      "clear",         "compare",       "open",       "tmpfile",
      "close",         "slot_read",     "slot_write", "slot_truncate",
      "slot_allocate", "slot_stat",     "slot_list",  "slot_chmod",
      "slot_chown",    "slot_setxattr", "slot_link",  "slot_mkdir",
      "slot_create",   "slot_unlink"};

  template <typename Operation, typename Visit>
  static void for_each_field(Operation& operation, const Visit& visit) {
    visit("who", operation.who);
    visit("slot", operation.slot);
    visit("path", operation.path);
    visit("other", operation.other);
    visit("mode", operation.mode);
    visit("flags", operation.flags);
    visit("value", operation.value);
    visit("value2", operation.value2);
  }
};

}  // namespace random_tests
