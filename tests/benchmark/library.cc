#include "benchmark/library.h"

#include <dlfcn.h>

#include <filesystem>
#include <stdexcept>

namespace benchmarks {
namespace {

// One function of a loaded library, which must lie in that very file.
template <typename Function>
void find(void* handle, const std::string& path, const char* name,
          Function& function) {
  void* const symbol = ::dlsym(handle, name);
  if (symbol == nullptr) {
    throw std::runtime_error(path + " has no " + name);
  }
  Dl_info info = {};
  if (::dladdr(symbol, &info) == 0 ||
      !std::filesystem::equivalent(info.dli_fname, path)) {
    throw std::runtime_error(std::string(name) + " of " + path +
                             " comes from another file");
  }
  function = reinterpret_cast<Function>(symbol);
}

Library load(const std::string& path) {
  void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    throw std::runtime_error(::dlerror());
  }
  Library library = {};
  library.path = path;
  find(handle, path, "pmem_map_file", library.map_file);
  find(handle, path, "pmem_unmap", library.unmap);
  find(handle, path, "pmem_is_pmem", library.is_pmem);
  find(handle, path, "pmem_persist", library.persist);
  find(handle, path, "pmem_drain", library.drain);
  find(handle, path, "pmem_memcpy_persist", library.memcpy_persist);
  find(handle, path, "pmem_memmove_persist", library.memmove_persist);
  find(handle, path, "pmem_memset_persist", library.memset_persist);
  find(handle, path, "pmem_memcpy_nodrain", library.memcpy_nodrain);
  find(handle, path, "pmem_memmove_nodrain", library.memmove_nodrain);
  find(handle, path, "pmem_memset_nodrain", library.memset_nodrain);
  find(handle, path, "pmem_errormsg", library.errormsg);
  return library;
}

}  // namespace

Libraries load_libraries(const std::string& our_path,
                         const std::string& their_path) {
  Libraries both = {load(std::filesystem::absolute(our_path)),
                    load(std::filesystem::absolute(their_path))};
  if (both.ours.persist == both.theirs.persist) {
    throw std::runtime_error(our_path + " and " + their_path +
                             " are the same library");
  }
  return both;
}

}  // namespace benchmarks
