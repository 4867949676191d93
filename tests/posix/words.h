// The words of which scenarios consist, and how an account shows values.
// Values; any thread.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace posix_tests {

inline constexpr unsigned kUser = 12345;         // user and group
inline constexpr unsigned kStranger = 45678;     // user and group
inline constexpr unsigned kSharedGroup = 23456;  // the user is in it, too

using Words = std::vector<std::string>;

[[nodiscard]] Words split(const std::string& call);

// With X{N} and %HH turned into what they stand for.
[[nodiscard]] std::string decoded(const std::string& word);

// A number as in C, the name of a flag, or several of them with | between.
// Throws std::runtime_error for what is none.
[[nodiscard]] long number(const std::string& word);
[[nodiscard]] unsigned id(const std::string& word);

// The optional word `at`.
[[nodiscard]] mode_t mode(const Words& words, std::size_t at, mode_t otherwise);
[[nodiscard]] bool has(const Words& words, std::size_t at, const char* word);

// now, omit, SECONDS or SECONDS.NANOSECONDS; seconds may be negative.
[[nodiscard]] timespec time_of(const std::string& word);

// fifo, sock, chr, blk or reg as S_IF...
[[nodiscard]] mode_t type_of(const std::string& word);

// Few plain bytes themselves, others by their number and hash.
[[nodiscard]] std::string shown(const std::string& bytes);
[[nodiscard]] std::string shown(const char* bytes, ssize_t length);
// A time that was set, or "now" for one of this hour.
[[nodiscard]] std::string shown(const timespec& time);
// Type and mode, links, owner, size or device.
[[nodiscard]] std::string describe(const struct stat& status);

}  // namespace posix_tests
