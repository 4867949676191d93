// The Device DAX that somebody has open, to be let go of when they lose their
// driver, before they can get it again.
//
// While it knows of one, a thread of its own listens to the kernel's
// announcements (uevents). Where those cannot be had, as in a network namespace
// of its own, a loss is seen when the file is next used. Any thread; it may be
// made before the process becomes a daemon.
// Source: lib/kobject_uevent.c of Linux.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "fs/dax_data.h"
#include "pmem/mutex.h"
#include "pmem/unique_fd.h"

namespace pmemfs {

class OpenDevices {
 public:
  OpenDevices() = default;
  OpenDevices(const OpenDevices&) = delete;
  OpenDevices& operator=(const OpenDevices&) = delete;
  ~OpenDevices();

  void add(const std::shared_ptr<DaxData>& data) PMEM_EXCLUDES(mutex_);

  // Lets go of those that are lost.
  void check() PMEM_EXCLUDES(mutex_);

 private:
  void start() PMEM_REQUIRES(mutex_);
  void listen(int announcements, int end);

  pmem::Mutex mutex_;
  std::vector<std::weak_ptr<DaxData>> data_ PMEM_GUARDED_BY(mutex_);
  bool has_started_ PMEM_GUARDED_BY(mutex_) = false;

  pmem::UniqueFd announcements_;
  pmem::UniqueFd end_;  // becomes readable when the thread is to end
  std::thread thread_;
};

}  // namespace pmemfs
