// What the data tester does to files: one call, or a few that belong together.
// Values.
#pragma once

#include <array>
#include <cstdint>

namespace random_tests {

enum class DataKind {
  kPread,
  kPwrite,
  kPreadv,
  kPwritev,
  kRead,       // at the position of the descriptor
  kWrite,      // the same
  kAppend,     // by a descriptor with O_APPEND
  kTruncate,   // by name
  kFtruncate,  // by descriptor
  kAllocate,   // fallocate(2) of any mode
  kMap,        // makes a mapping that stays
  kUnmap,      // ends it
  kStore,      // by the mapping that stays, where it reaches, or one of its own
  kLoad,       // the same
  kPrivate,    // loads and stores by a private mapping
  kCopy,       // copy_file_range(2)
  kSeek,       // SEEK_DATA and SEEK_HOLE
  kSync,       // fsync(2), fdatasync(2)
  kStat,
  kCompare,  // all of the file
  kReopen,
};

// kStore: what follows.
inline constexpr std::uint64_t kStoreSyncs = 1;   // MS_SYNC
inline constexpr std::uint64_t kStoreStarts = 2;  // MS_ASYNC

// kReopen: the open flags that are added (O_TRUNC, O_DIRECT, ...) and this, to
// have a reader's descriptor as well.
inline constexpr std::uint64_t kWithReader = std::uint64_t{1} << 32;
// kReopen: all of the file is compared before and after.
inline constexpr std::uint64_t kComparing = std::uint64_t{1} << 33;

struct DataOperation {
  DataKind kind = DataKind::kPread;
  std::uint64_t file = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t to_file = 0;    // of kCopy
  std::uint64_t to_offset = 0;  // of kCopy
  std::uint64_t value = 0;      // names the bytes that are written
  std::uint64_t flags = 0;      // of the call

  static constexpr std::array kNames = {
      "pread",  "pwrite",   "preadv",    "pwritev",   "read", "write",
      "append", "truncate", "ftruncate", "fallocate", "map",  "unmap",
      "store",  "load",     "private",   "copy",      "seek", "sync",
      "stat",   "compare",  "reopen"};

  template <typename Operation, typename Visit>
  static void for_each_field(Operation& operation, const Visit& visit) {
    visit("file", operation.file);
    visit("offset", operation.offset);
    visit("length", operation.length);
    visit("to_file", operation.to_file);
    visit("to_offset", operation.to_offset);
    visit("value", operation.value);
    visit("flags", operation.flags);
  }
};

}  // namespace random_tests
