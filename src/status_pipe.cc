#include "src/status_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

namespace pmemfs {
namespace {

constexpr std::uint32_t kLongestMessage = 64 * 1024;

using Header = std::array<std::uint32_t, 2>;  // exit code, length of the text

bool write_all(int fd, const char* bytes, std::size_t length) {
  while (length > 0) {
    const ssize_t count = ::write(fd, bytes, length);
    if (count < 0 && errno != EINTR) {
      return false;
    }
    if (count > 0) {
      bytes += count;
      length -= static_cast<std::size_t>(count);
    }
  }
  return true;
}

bool read_all(int fd, char* bytes, std::size_t length) {
  while (length > 0) {
    const ssize_t count = ::read(fd, bytes, length);
    if (count == 0 || (count < 0 && errno != EINTR)) {
      return false;
    }
    if (count > 0) {
      bytes += count;
      length -= static_cast<std::size_t>(count);
    }
  }
  return true;
}

}  // namespace

Outcome<StatusPipe> StatusPipe::create() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return refuse(ExitCode::kUnexpected,
                  std::string("making a pipe: ") + std::strerror(errno));
  }
  return StatusPipe(pmem::UniqueFd(ends[0]), pmem::UniqueFd(ends[1]));
}

void StatusPipe::report(const Outcome<void>& outcome) {
  const Failure failure =
      outcome ? Failure{ExitCode::kOk, ""} : outcome.error();
  const std::string text = failure.message.substr(0, kLongestMessage);
  const Header header = {static_cast<std::uint32_t>(failure.code),
                         static_cast<std::uint32_t>(text.size())};
  std::string message(sizeof header, '\0');
  std::memcpy(message.data(), header.data(), sizeof header);
  message += text;
  if (writer_.valid()) {
    write_all(writer_.get(), message.data(), message.size());
  }
  writer_ = pmem::UniqueFd();
}

std::optional<Outcome<void>> StatusPipe::wait() {
  std::array<char, sizeof(Header)> bytes{};
  if (!read_all(reader_.get(), bytes.data(), bytes.size())) {
    return std::nullopt;
  }
  Header header{};
  std::memcpy(header.data(), bytes.data(), bytes.size());
  std::string text(std::min(header[1], kLongestMessage), '\0');
  if (!read_all(reader_.get(), text.data(), text.size())) {
    return std::nullopt;
  }
  const auto code = static_cast<ExitCode>(header[0]);
  if (code == ExitCode::kOk) {
    return Outcome<void>();
  }
  return Outcome<void>(refuse(code, std::move(text)));
}

}  // namespace pmemfs
