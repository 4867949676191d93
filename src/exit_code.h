// How the program ends: the exit codes that the man page documents, and the
// error type of src/, which carries one of them. Values; no thread rule.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace pmemfs {

enum class ExitCode : int {
  kOk = 0,
  kUnexpected = 1,         // what has no number of its own
  kUsage = 2,              // unknown option, bad value, missing argument
  kSourceRefused = 3,      // missing, not readable, not a directory, bad name
  kMountpointRefused = 4,  // missing, not a directory, in use, in a source
  kNoFuse = 5,             // no /dev/fuse, or no fusermount3
  kNotPermitted = 6,
  kMountFailed = 7,  // the mount failed, or the daemon ended before it answered
  kUmountRefused = 8,  // not a pmemfs mount, or busy
  kNothingFound = 9,   // there is no persistent memory to list
};

// A refusal for people: names the input and the way out, in one or more lines
// without a newline at the end.
struct Failure {
  ExitCode code = ExitCode::kUnexpected;
  std::string message;
};

template <typename T>
using Outcome = tl::expected<T, Failure>;

// A failure to return: `return refuse(ExitCode::kUsage, "no mountpoint");`
[[nodiscard]] inline tl::unexpected<Failure> refuse(ExitCode code,
                                                    std::string message) {
  return tl::unexpected<Failure>(Failure{code, std::move(message)});
}

// Hands on the failure of another outcome.
template <typename T>
[[nodiscard]] tl::unexpected<Failure> hand_on(Outcome<T>& failed) {
  return tl::unexpected<Failure>(std::move(failed.error()));
}

// The codes with a line each, for --help; no newline at the end.
[[nodiscard]] std::string exit_codes_help();

}  // namespace pmemfs
