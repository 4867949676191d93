// Other people's programs that were linked with the distribution's libpmem,
// unchanged, on one of two libraries: ours and, for comparison, that of the
// distribution.
//
// Each run is watched: the dynamic loader writes down which library it bound
// each symbol to. A client that had a pmem_* function from anywhere but the
// library under test, or that lacks one that it is known to use, fails its
// test.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/command.h"
#include "support/temp_dir.h"

namespace clients {

struct Library {
  std::string name;  // for the names of tests
  std::string file;  // libpmem.so.1, without symbolic links; "": not there

  // The folder in which the loader is to look first.
  [[nodiscard]] std::string folder() const;
};

void PrintTo(const Library& library, std::ostream* out);

// Ours, then the distribution's.
[[nodiscard]] const std::vector<Library>& libraries();

// Those two in both orders, for what one leaves and the other finds.
struct Pair {
  std::string name;
  Library first;
  Library second;
};
void PrintTo(const Pair& pair, std::ostream* out);
[[nodiscard]] const std::vector<Pair>& pairs();

// What the loader did in the programs that ran with environment().
class Bindings {
 public:
  // For a program that is to use that library. What the caller's shell may have
  // set for libpmem is overridden; `is_forced` is PMEM_IS_PMEM_FORCE.
  [[nodiscard]] std::vector<std::string> environment(const Library& library,
                                                     bool is_forced) const;

  // What is wrong, if not all pmem_* functions came from that library, or one
  // of these is not among them; else "".
  [[nodiscard]] std::string fault(
      const Library& library, const std::vector<std::string>& symbols) const;

  // Where the loader writes, for programs that get their environment elsewhere.
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

 private:
  support::TempDir folder_;
};

// A client and what it is known to use.
struct Client {
  std::string program;
  std::vector<std::string> symbols;
};

// Runs it to its end in a folder, on a library, which is checked.
[[nodiscard]] support::CommandResult run(const Client& client,
                                         const std::vector<std::string>& words,
                                         const std::string& folder,
                                         const Library& library,
                                         bool is_forced = true);

// Skip the test, for a reason, where one is not there; the caller returns when
// IsSkipped().
void need(const Library& library);
void need_program(const std::string& program);

}  // namespace clients
