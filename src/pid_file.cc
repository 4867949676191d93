#include "src/pid_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "pmem/unique_fd.h"

namespace pmemfs {
namespace {

tl::unexpected<Failure> refuse_file(const std::string& path, int error) {
  return refuse(
      ExitCode::kUsage,
      "the pid file '" + path + "' cannot be written: " + std::strerror(error));
}

}  // namespace

Outcome<PidFile> PidFile::create(const std::string& path) {
  if (path.empty()) {
    return PidFile("");
  }
  constexpr mode_t kMode = 0644;  // our umask is 0
  const pmem::UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode));
  if (!fd.valid()) {
    return refuse_file(path, errno);
  }
  const std::string text = std::to_string(::getpid()) + "\n";
  const ssize_t written = ::write(fd.get(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) {
    return refuse_file(path, written < 0 ? errno : ENOSPC);
  }
  return PidFile(path);
}

PidFile::~PidFile() {
  if (!path_.empty()) {
    ::unlink(path_.c_str());
  }
}

}  // namespace pmemfs
