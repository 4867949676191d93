// The one place with process-wide mutable state that is not the C API's
// registry: POSIX has a single SIGBUS action per process.
//
// The handler is installed once and stays. A fault under a guard is a jump back
// to the guard of the same thread, found through a thread-local pointer. The
// pointer lives in the initial-exec TLS block, because reading any other kind
// may allocate, which a signal handler must not. Everything else is passed to
// the action that was there before, with what that action asked for: its mask,
// SA_SIGINFO or not, SA_RESETHAND. For SIG_DFL (and for SIG_IGN of a true
// fault, which the kernel does not ignore either) the default is put back; a
// fault then happens again at the same instruction and ends the process with
// the signal and the core that it would have had without us.
//
// Leaving by siglongjmp does not undo what the kernel blocked for the handler:
// the handler itself restores the mask of the interrupted code, which it finds
// in the context. (A thread sanitizer runs handlers with everything blocked, so
// that flags of sigaction would not do.) SA_ONSTACK lets threads with an
// alternate stack keep using it.
//
// A program that installs its own SIGBUS action after the first guard takes the
// guards out of service; the daemon does not.
#include "pmem/fault_guard.h"

#include <ucontext.h>

#include <csignal>
#include <cstdint>

#include "persist_backend.h"
#include "pmem/persist.h"

namespace pmem {
namespace {

using fault_guard_internal::RecoveryPoint;

constinit thread_local RecoveryPoint* recovery_point
    __attribute__((tls_model("initial-exec"))) = nullptr;

struct sigaction previous_action;

// si_code > 0: the kernel found the fault; otherwise somebody sent the signal.
bool is_fault(const siginfo_t& info) { return info.si_code > 0; }

// A machine check that only informs is not about the instruction under way.
bool concerns_this_instruction(const siginfo_t& info) {
  return is_fault(info) && info.si_code != BUS_MCEERR_AO;
}

void do_default_action(const siginfo_t& info) {
  struct sigaction default_action = {};
  default_action.sa_handler = SIG_DFL;
  ::sigaction(SIGBUS, &default_action, nullptr);
  if (!concerns_this_instruction(info)) {
    ::raise(SIGBUS);
  }
}

bool has_flag(const struct sigaction& action, unsigned flag) {
  return (static_cast<unsigned>(action.sa_flags) & flag) != 0;
}

sigset_t interrupted_mask(const void* context) {
  return static_cast<const ucontext_t*>(context)->uc_sigmask;
}

void call_previous_handler(int signal_number, siginfo_t* info, void* context) {
  const struct sigaction action = previous_action;
  if (has_flag(action, SA_RESETHAND)) {
    previous_action = {};
    previous_action.sa_handler = SIG_DFL;
  }
  // What the kernel would block: the handler's mask on top of the interrupted
  // code's. It restores the latter itself when on_sigbus returns.
  sigset_t mask = interrupted_mask(context);
  ::sigorset(&mask, &mask, &action.sa_mask);
  if (!has_flag(action, SA_NODEFER)) {
    ::sigaddset(&mask, SIGBUS);
  }
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  if (has_flag(action, SA_SIGINFO)) {
    action.sa_sigaction(signal_number, info, context);
  } else {
    action.sa_handler(signal_number);
  }
}

void pass_on_signal(int signal_number, siginfo_t* info, void* context) {
  const bool is_plain = !has_flag(previous_action, SA_SIGINFO);
  if (is_plain && previous_action.sa_handler == SIG_IGN &&
      !concerns_this_instruction(*info)) {
    return;
  }
  if (is_plain && (previous_action.sa_handler == SIG_DFL ||
                   previous_action.sa_handler == SIG_IGN)) {
    do_default_action(*info);
    return;
  }
  call_previous_handler(signal_number, info, context);
}

void on_sigbus(int signal_number, siginfo_t* info, void* context) {
  RecoveryPoint* point = recovery_point;
  if (point == nullptr || !concerns_this_instruction(*info)) {
    pass_on_signal(signal_number, info, context);
    return;
  }
  point->fault.address = static_cast<const std::byte*>(info->si_addr);
  point->fault.is_hardware_error = info->si_code == BUS_MCEERR_AR;
  const sigset_t mask = interrupted_mask(context);
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  siglongjmp(point->jump, 1);
}

bool install_now() {
  struct sigaction action = {};
  action.sa_sigaction = on_sigbus;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  // Asked for first: a fault in another thread may call the handler before
  // sigaction returns.
  ::sigaction(SIGBUS, nullptr, &previous_action);
  return ::sigaction(SIGBUS, &action, nullptr) == 0;
}

}  // namespace

namespace fault_guard_internal {

void install_handler() {
  [[maybe_unused]] static const bool kInstalled = install_now();
}

void set_recovery_point(RecoveryPoint* point) {
  // The barriers keep guarded accesses between the two calls.
  asm volatile("" : : : "memory");
  recovery_point = point;
  asm volatile("" : : : "memory");
}

}  // namespace fault_guard_internal

namespace {

// Runs `access(length)` on ever shorter lengths until it does not fault. An
// access may be a wide one that began in the page before: then its first bytes
// could be accessed but were not. So all that is before a fault is accessed
// again by itself (which may fault earlier). The first bytes of the memory that
// may fault lie at `begin`. The result is the last fault.
template <typename Access>
std::optional<Fault> access_up_to_fault(const std::byte* begin,
                                        std::size_t length,
                                        const Access& access) {
  std::optional<Fault> reported;
  for (;;) {
    const std::optional<Fault> fault = guard([&] { access(length); });
    if (!fault) {
      return reported;
    }
    reported = fault;
    if (fault->address <= begin || fault->address >= begin + length) {
      return reported;
    }
    length = static_cast<std::size_t>(fault->address - begin);
  }
}

}  // namespace

std::optional<Fault> guarded_read(std::span<std::byte> to,
                                  std::span<const std::byte> from) {
  return access_up_to_fault(from.data(), from.size(), [&](std::size_t length) {
    copy_forward(to.data(), from.data(), length);
  });
}

std::optional<Fault> guarded_write(std::span<std::byte> to,
                                   std::span<const std::byte> from) {
  return guard([&] { copy_forward(to.data(), from.data(), from.size()); });
}

std::optional<Fault> guarded_durable_write(std::span<std::byte> to,
                                           std::span<const std::byte> from) {
  return access_up_to_fault(to.data(), from.size(), [&](std::size_t length) {
    copy_and_flush(to.data(), from.data(), length);
    fence();
  });
}

std::optional<Fault> guarded_durable_zero(std::span<std::byte> to) {
  return access_up_to_fault(to.data(), to.size(), [&](std::size_t length) {
    fill_and_flush(to.data(), 0, length);
    fence();
  });
}

}  // namespace pmem
