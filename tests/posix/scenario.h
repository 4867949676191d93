// Scenarios: series of system calls as data, to be made in two places and
// compared.
//
// A file of scenarios is text. `[NAME]` begins one, each line after it is a
// call, `#` begins a comment. `[NAME] differs: REASON` is one that must come
// out differently through a mount, for that reason. Values; no thread rule.
#pragma once

#include <string>
#include <vector>

namespace posix_tests {

struct Scenario {
  std::string name;
  std::string differs;  // the reason, if it is to differ
  std::vector<std::string> calls;
};

// Throws std::runtime_error, naming the line, where the file is none.
[[nodiscard]] std::vector<Scenario> load_scenarios(const std::string& file);

// Makes the calls in the directory, as root or as an ordinary user, in a
// process of their own, and tells how each came out and what the directory
// holds then: names, types, modes, owners, sizes, content, attributes. The
// calls are described in interpreter.cc. REQUIRES: this process is root.
[[nodiscard]] std::string play(const Scenario& scenario,
                               const std::string& directory, bool as_user);

}  // namespace posix_tests
