// A path that leads to what a descriptor refers to: "/proc/self/fd/N". For the
// system calls that take a path but no O_PATH descriptor. A value.
#pragma once

#include <array>
#include <cstdio>

namespace pmemfs {

class ProcPath {
 public:
  explicit ProcPath(int fd) {
    std::snprintf(text_.data(), text_.size(), "/proc/self/fd/%d", fd);
  }
  [[nodiscard]] const char* c_str() const { return text_.data(); }

 private:
  std::array<char, 32> text_ = {};
};

}  // namespace pmemfs
