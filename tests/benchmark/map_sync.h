// mmap(2) of this program stands before libc's for both libraries, so that
// mappings of tmpfs files can look like those of a DAX file system: MAP_SYNC is
// taken out of the flags, and the mapping succeeds. Then both libraries take it
// for persistent memory and remember it as such.
#pragma once

namespace benchmarks {

// From its making to its end every MAP_SYNC mapping of the process succeeds.
// REQUIRES: one at a time, one thread.
class PretendedMapSync {
 public:
  PretendedMapSync();
  PretendedMapSync(const PretendedMapSync&) = delete;
  PretendedMapSync& operator=(const PretendedMapSync&) = delete;
  ~PretendedMapSync();
};

}  // namespace benchmarks
