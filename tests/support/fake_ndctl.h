// What libndctl and libdaxctl answer to the original libpmem, which asks them
// for the size and the region of a Device DAX: with a namespace set here, it
// takes a device of a fake sysfs for one on the bus of persistent memory.
// A program that links fake_ndctl.cc and exports its symbols (ENABLE_EXPORTS)
// interposes the functions; ours calls none of them.
//
// Global, as the functions are: set it in a child, from one thread.
#pragma once

#include <optional>
#include <string>

namespace support {

struct FakeNamespace {
  std::string device_name = "zero";  // the original looks for it in /dev
  unsigned long long size_bytes = 4194304;
  unsigned long align_bytes = 2097152;
  unsigned region = 0;
};

// Unset: the bus is empty.
std::optional<FakeNamespace>& fake_namespace();

}  // namespace support
