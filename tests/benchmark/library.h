// The two libraries that are compared: one table of functions each, loaded side
// by side into this process.
//
// Values that stay valid to the end of the process; any thread may use them.
#pragma once

#include <libpmem.h>

#include <string>

namespace benchmarks {

struct Library {
  std::string path;
  decltype(&::pmem_map_file) map_file;
  decltype(&::pmem_unmap) unmap;
  decltype(&::pmem_is_pmem) is_pmem;
  decltype(&::pmem_persist) persist;
  decltype(&::pmem_drain) drain;
  decltype(&::pmem_memcpy_persist) memcpy_persist;
  decltype(&::pmem_memmove_persist) memmove_persist;
  decltype(&::pmem_memset_persist) memset_persist;
  decltype(&::pmem_memcpy_nodrain) memcpy_nodrain;
  decltype(&::pmem_memmove_nodrain) memmove_nodrain;
  decltype(&::pmem_memset_nodrain) memset_nodrain;
  decltype(&::pmem_errormsg) errormsg;
};

struct Libraries {
  Library ours;
  Library theirs;  // the original, as the distribution has built it
};

// Both have the same SONAME. dlopen tells files apart by the path that it is
// given, and keeps what it loads so out of the other's sight; that the
// functions are indeed those of two files is checked all the same. Throws
// std::runtime_error when one cannot be loaded, or both are one.
[[nodiscard]] Libraries load_libraries(const std::string& our_path,
                                       const std::string& their_path);

}  // namespace benchmarks
