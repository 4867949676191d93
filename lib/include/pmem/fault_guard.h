// Copies from and to mappings that turn a memory fault into an error value.
//
// A mapped file can be cut short by another process, a device can be unbound, a
// cell can go bad, a file system can have no block for a hole: the access then
// raises SIGBUS. Inside guard() such a fault ends the guarded code and is
// returned. A SIGBUS anywhere else gets what the process had arranged for it
// before the guard's handler was installed (which happens at the first use).
//
// Any thread; guards of one thread do not nest. The guarded code is left by
// siglongjmp(3): it must own nothing that needs a destructor and hold no lock.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <optional>
#include <span>

namespace pmem {

struct Fault {
  // What could not be accessed; for a flush or a machine check the beginning of
  // its cache line or page, which may lie before the range that was asked for.
  const std::byte* address = nullptr;
  bool is_hardware_error = false;  // a machine check (BUS_MCEERR_*)
};

// Copies out of a mapping. REQUIRES: equal sizes. On a fault the bytes of `to`
// are undefined, except those before the faulting address.
[[nodiscard]] std::optional<Fault> guarded_read(
    std::span<std::byte> to, std::span<const std::byte> from);

// Copies into a mapping and leaves the bytes in the caches.
[[nodiscard]] std::optional<Fault> guarded_write(
    std::span<std::byte> to, std::span<const std::byte> from);

// Copies into a mapping of byte or cache-line granularity; what was written is
// durable on return.
[[nodiscard]] std::optional<Fault> guarded_durable_write(
    std::span<std::byte> to, std::span<const std::byte> from);

// Zeroes part of a mapping of byte or cache-line granularity, durably.
[[nodiscard]] std::optional<Fault> guarded_durable_zero(
    std::span<std::byte> to);

// Runs any code of the kind described above under the guard.
template <typename Code>
[[nodiscard]] std::optional<Fault> guard(const Code& code);

namespace fault_guard_internal {

struct RecoveryPoint {
  sigjmp_buf jump;
  Fault fault;
};

// Installs the process-wide handler, once.
void install_handler();

// Sets where the calling thread recovers; null outside a guard.
void set_recovery_point(RecoveryPoint* point);

}  // namespace fault_guard_internal

template <typename Code>
std::optional<Fault> guard(const Code& code) {
  using namespace fault_guard_internal;
  install_handler();
  RecoveryPoint point;
  // The signal mask is not saved here: on a fault the handler restores it.
  if (sigsetjmp(point.jump, 0) != 0) {
    set_recovery_point(nullptr);
    return point.fault;
  }
  set_recovery_point(&point);
  code();
  set_recovery_point(nullptr);
  return std::nullopt;
}

}  // namespace pmem
