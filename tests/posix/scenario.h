// Scenarios: series of system calls as data, to be made in two places and
// compared.
//
// A file of scenarios is text. `[NAME]` begins one, each line after it is a
// call, `#` begins a comment. `$x = ONE TWO ...` makes it as many scenarios,
// with each of the words in the place of $x in turn, in which ~ is a blank.
// `[NAME] differs: REASON` comes out differently through a mount of anything
// but a tmpfs, for that reason; `[NAME] differs on tmpfs: REASON` there, and
// `[NAME] differs without passthrough: REASON` in a user's own mount.
// `[NAME] differs since Linux 6.9: REASON` may be the same on an older one.
// Values; no thread rule.
#pragma once

#include <string>
#include <vector>

namespace posix_tests {

struct Scenario {
  std::string name;
  std::string differs;                      // the reason, if it is to differ
  bool differs_on_tmpfs = false;            // there, if not elsewhere
  std::string since_linux;                  // the kernel, if not on older ones
  std::string differs_without_passthrough;  // the reason, if only there
  std::vector<std::string> calls;
};

// Throws std::runtime_error, naming the line, where the file is none.
[[nodiscard]] std::vector<Scenario> load_scenarios(const std::string& file);

// Makes the calls in the directory, as root or as an ordinary user, in a
// process of their own, and tells how each came out and what the directory
// holds then: names, types, modes, owners, sizes, content, attributes. The
// calls are described in interpreter.cc. REQUIRES: this process is root, or
// nobody becomes another user.
[[nodiscard]] std::string play(const Scenario& scenario,
                               const std::string& directory, bool as_user);

}  // namespace posix_tests
