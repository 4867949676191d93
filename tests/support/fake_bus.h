// The bus of NVDIMMs that this machine need not have: a program that links
// fake_bus.cc answers the ioctl of the bus's node (ND_IOCTL_*) itself, and
// hands all others on to the kernel.
//
// One at a time, as ioctl is global; calls of several threads are counted one
// after the other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "pmem/bad_blocks.h"
#include "support/fake_sysfs.h"
#include "support/temp_dir.h"

namespace support {

class FakeBus {
 public:
  FakeBus();
  FakeBus(const FakeBus&) = delete;
  FakeBus& operator=(const FakeBus&) = delete;
  ~FakeBus();

  // Stands for /dev, with the node ndctl0.
  [[nodiscard]] const std::string& dev_root() const { return dev_.path(); }
  void remove_node() const { std::filesystem::remove(dev_ / "ndctl0"); }

  // Lets the bus of the regions in the tree have the command.
  static void allow_clearing(FakeSysfs& sysfs) {
    sysfs.write("devices/platform/ndbus0/commands",
                "ars_cap ars_start ars_status clear_error cmd_call \n");
  }

  // Bytes that are cleared together: 256 unless this is called.
  void set_unit(std::uint32_t bytes) { unit_bytes_ = bytes; }
  void fail_with_status(std::uint32_t status) { status_ = status; }
  void fail_with_errno(int error) { error_ = error; }
  void clear_at_most(std::uint64_t bytes) { most_cleared_bytes_ = bytes; }

  // Called with each range that was cleared, by physical address.
  void on_cleared(std::function<void(pmem::BadRange)> code) {
    on_cleared_ = std::move(code);
  }
  [[nodiscard]] const std::vector<pmem::BadRange>& cleared() const {
    return cleared_;
  }

  // What ioctl answers; `argument` is the command's structure.
  int answer(unsigned long command, void* argument);

 private:
  TempDir dev_;
  std::mutex mutex_;
  std::uint32_t unit_bytes_ = 256;
  std::uint32_t status_ = 0;
  int error_ = 0;
  std::uint64_t most_cleared_bytes_ = UINT64_MAX;
  std::function<void(pmem::BadRange)> on_cleared_;
  std::vector<pmem::BadRange> cleared_;
};

}  // namespace support
