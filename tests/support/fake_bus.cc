#include "support/fake_bus.h"

#include <linux/ioctl.h>
#include <linux/ndctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <fstream>

namespace support {
namespace {

std::atomic<FakeBus*> current_bus = nullptr;

}  // namespace

FakeBus::FakeBus() {
  std::ofstream(dev_ / "ndctl0") << "a node";
  current_bus = this;
}

FakeBus::~FakeBus() { current_bus = nullptr; }

int FakeBus::answer(unsigned long command, void* argument) {
  const std::lock_guard lock(mutex_);
  if (error_ != 0) {
    errno = error_;
    return -1;
  }
  if (command == ND_IOCTL_ARS_CAP) {
    static_cast<struct nd_cmd_ars_cap*>(argument)->clear_err_unit = unit_bytes_;
    return 0;
  }
  auto* const clear = static_cast<struct nd_cmd_clear_error*>(argument);
  clear->status = status_;
  if (status_ == 0) {
    clear->cleared =
        std::min<std::uint64_t>(clear->length, most_cleared_bytes_);
    cleared_.push_back({clear->address, clear->cleared});
    if (on_cleared_) {
      on_cleared_(cleared_.back());
    }
  }
  return 0;
}

}  // namespace support

extern "C" int ioctl(int fd, unsigned long command, ...) noexcept {
  std::va_list rest;
  va_start(rest, command);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  support::FakeBus* const bus = support::current_bus;
  if (bus != nullptr &&
      (command == ND_IOCTL_ARS_CAP || command == ND_IOCTL_CLEAR_ERROR)) {
    return bus->answer(command, argument);
  }
  return static_cast<int>(::syscall(SYS_ioctl, fd, command, argument));
}
