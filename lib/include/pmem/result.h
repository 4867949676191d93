// Errors as values: an errno and what we were doing when it came up.
//
// Values of these types belong to whoever holds them; no thread rule.
#pragma once

#include <cerrno>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace pmem {

struct Error {
  int code = 0;       // an errno value, never 0 in a returned error
  std::string doing;  // what failed, in words, naming the input

  // "doing: strerror(code)"
  [[nodiscard]] std::string message() const;
};

template <typename T>
using Result = tl::expected<T, Error>;

// An error to return: `return fail(EINVAL, "mapping an empty file");`
[[nodiscard]] inline tl::unexpected<Error> fail(int code, std::string doing) {
  return tl::unexpected<Error>(Error{code, std::move(doing)});
}

// The error of the system call that was just made. REQUIRES: nothing that may
// change errno has run since; `doing` is a literal for that reason.
[[nodiscard]] inline tl::unexpected<Error> fail_errno(const char* doing) {
  const int code = errno;
  return fail(code, doing);
}

// Hands on the error of another result.
template <typename T>
[[nodiscard]] tl::unexpected<Error> pass_on(Result<T>& failed) {
  return tl::unexpected<Error>(std::move(failed.error()));
}

}  // namespace pmem
