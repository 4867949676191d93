// A folder of its own for a test, below $TMPDIR or /tmp, or below the parent
// that the test names. It goes, with all that is in it, when the object does.
// Move it nowhere, share it with no thread.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace support {

class TempDir {
 public:
  TempDir() : TempDir(default_parent()) {}

  // Throws std::system_error, which GoogleTest reports as the test's failure.
  explicit TempDir(const std::string& parent)
      : path_(parent + "/pmemfs-test.XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(),
                              "making " + path_);
    }
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::string& path() const { return path_; }

  // The path of something in the folder.
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  static std::string default_parent() {
    const char* parent = std::getenv("TMPDIR");
    return parent == nullptr || *parent == '\0' ? "/tmp" : parent;
  }

  std::string path_;
};

}  // namespace support
