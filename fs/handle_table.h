// The open files or directories of a mount, by the number that the kernel hands
// back. Owns them: a mount can end while some are open, and then nobody
// releases them one by one. Any thread; using an open handle takes no lock.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "pmem/mutex.h"

namespace pmemfs {

template <typename Handle>
class HandleTable {
 public:
  // The number is the handle's address.
  [[nodiscard]] std::uint64_t add(std::unique_ptr<Handle> handle)
      PMEM_EXCLUDES(mutex_) {
    const auto number = reinterpret_cast<std::uintptr_t>(handle.get());
    const pmem::Lock lock(mutex_);
    handles_.emplace(number, std::move(handle));
    return number;
  }

  // REQUIRES: the number has been added and not been taken.
  [[nodiscard]] static Handle& at(std::uint64_t number) {
    return *reinterpret_cast<Handle*>(number);
  }

  [[nodiscard]] std::unique_ptr<Handle> take(std::uint64_t number)
      PMEM_EXCLUDES(mutex_) {
    const pmem::Lock lock(mutex_);
    return std::move(handles_.extract(number).mapped());
  }

 private:
  pmem::Mutex mutex_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Handle>> handles_
      PMEM_GUARDED_BY(mutex_);
};

}  // namespace pmemfs
