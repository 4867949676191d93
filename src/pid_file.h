// A file with the process id of the daemon, for as long as it runs. Move-only;
// whoever holds it has the file, which its end removes. One thread.
#pragma once

#include <string>
#include <utility>

#include "src/exit_code.h"

namespace pmemfs {

class PidFile {
 public:
  // Writes our process id into `path`, replacing what is there; an empty path
  // means no file. Errors: kUsage (it cannot be written).
  [[nodiscard]] static Outcome<PidFile> create(const std::string& path);

  PidFile(PidFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PidFile& operator=(PidFile&&) = delete;
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;
  ~PidFile();

 private:
  explicit PidFile(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace pmemfs
