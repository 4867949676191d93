// What a series of calls answered, in words: one line per call, with the name
// of the errno where it failed. Two accounts of the same calls in two places
// compare as text. One thread.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace support {

class Account {
 public:
  explicit Account(std::string directory) : directory_(std::move(directory)) {}

  // Where the calls are to be made.
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return directory_ + "/" + name;
  }
  [[nodiscard]] const std::string& directory() const { return directory_; }

  // The answer of a system call, which is negative where it set errno; it is
  // handed on. REQUIRES: nothing between the call and this.
  long call(std::string_view what, long answer) {
    const int error = errno;
    if (answer < 0) {
      text_ << what << ": " << ::strerrorname_np(error) << '\n';
    } else {
      text_ << what << ": " << answer << '\n';
    }
    return answer;
  }

  // The same for calls whose answer is a mere number, such as a descriptor.
  long succeeds(std::string_view what, long answer) {
    call(what, answer < 0 ? answer : 0);
    return answer;
  }

  template <typename Value>
  void value(std::string_view what, const Value& value) {
    text_ << what << " = " << value << '\n';
  }

  // Bytes, which are shown themselves when they are few.
  void content(std::string_view what, const std::string& bytes) {
    constexpr std::size_t kFew = 64;
    if (bytes.size() <= kFew) {
      value(what, '"' + bytes + '"');
    } else {
      text_ << what << " = " << bytes.size() << " bytes, hash "
            << std::hash<std::string>()(bytes) << '\n';
    }
  }

  [[nodiscard]] std::string text() const { return text_.str(); }

 private:
  std::string directory_;
  std::ostringstream text_;
};

}  // namespace support
