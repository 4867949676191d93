// The one message that a daemon owes whoever started it: ready, or why not. It
// goes through a pipe as exit code, length and text, each number a 32-bit one
// of this machine.
//
// Made before fork(2); each side then keeps one end. report() may come from any
// thread, the rest from one.
#pragma once

#include <optional>

#include "pmem/unique_fd.h"
#include "src/exit_code.h"

namespace pmemfs {

class StatusPipe {
 public:
  [[nodiscard]] static Outcome<StatusPipe> create();

  void keep_reading_end() { writer_ = pmem::UniqueFd(); }
  void keep_writing_end() { reader_ = pmem::UniqueFd(); }

  // Sends how it went, and closes the pipe: a second report goes nowhere. A
  // reader that is gone does not matter. REQUIRES: SIGPIPE is ignored.
  void report(const Outcome<void>& outcome);

  // Waits for the report. Nothing when every writer ended without one.
  [[nodiscard]] std::optional<Outcome<void>> wait();

 private:
  StatusPipe(pmem::UniqueFd reader, pmem::UniqueFd writer)
      : reader_(std::move(reader)), writer_(std::move(writer)) {}

  pmem::UniqueFd reader_;
  pmem::UniqueFd writer_;
};

}  // namespace pmemfs
