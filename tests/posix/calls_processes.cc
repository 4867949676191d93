// Calls about processes: users, umask, programs.
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <string>

#include "posix/interpreter.h"

namespace posix_tests {
namespace {

long call_as(State& /*state*/, const Words& words) {
  become(words.at(1));
  return 0;
}

// What `as` has left of the effective capabilities, and these.
long call_raise(State& /*state*/, const Words& words) {
  struct __user_cap_header_struct header = {
      .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<struct __user_cap_data_struct, 2> sets = {};
  ::syscall(SYS_capget, &header, sets.data());
  for (auto word = words.begin() + 1; word != words.end(); ++word) {
    sets[0].effective |= 1U << id(*word);
  }
  return ::syscall(SYS_capset, &header, sets.data());
}

long call_umask(State& /*state*/, const Words& words) {
  ::umask(id(words.at(1)));
  return 0;
}

// A program that reads what it is given, and ends.
long call_program(State& /*state*/, const Words& words) {
  const int from = ::open("/bin/cat", O_RDONLY | O_CLOEXEC);
  const int to = ::open(words.at(1).c_str(),
                        O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
  struct stat status = {};
  if (from < 0 || to < 0 || ::fstat(from, &status) != 0) {
    throw std::runtime_error("/bin/cat cannot be copied");
  }
  auto left = static_cast<std::size_t>(status.st_size);
  while (left > 0) {
    const ssize_t copied = ::sendfile(to, from, nullptr, left);
    if (copied <= 0) {
      throw std::runtime_error("/bin/cat cannot be copied");
    }
    left -= static_cast<std::size_t>(copied);
  }
  ::close(from);
  return ::close(to);
}

// Runs the program with `input` to read; the child, or -1 with the errno of
// execv.
pid_t begin(const std::string& path, int input) {
  std::array<int, 2> failure = {};
  if (::pipe2(failure.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("pipe");
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(input, STDIN_FILENO);
    std::string name = path;
    std::array<char*, 2> arguments = {name.data(), nullptr};
    ::execv(path.c_str(), arguments.data());
    [[maybe_unused]] const ssize_t told =
        ::write(failure[1], &errno, sizeof(errno));
    ::_exit(127);
  }
  ::close(failure[1]);
  int error = 0;
  const bool failed = ::read(failure[0], &error, sizeof(error)) > 0;
  ::close(failure[0]);
  if (failed) {
    ::waitpid(child, nullptr, 0);
    errno = error;
    return -1;
  }
  return child;
}

long call_run(State& /*state*/, const Words& words) {
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t child = begin(words.at(1), nothing);
  const int error = errno;
  ::close(nothing);
  if (child < 0) {
    errno = error;
    return -1;
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

// It runs until `end`, which gives it the end of its input.
long call_start(State& state, const Words& words) {
  std::array<int, 2> input = {};
  if (::pipe2(input.data(), O_CLOEXEC) != 0) {
    return -1;
  }
  const pid_t child = begin(words.at(2), input[0]);
  const int error = errno;
  ::close(input[0]);
  if (child < 0) {
    ::close(input[1]);
    errno = error;
    return -1;
  }
  state.files[words.at(1)] = input[1];
  state.processes[words.at(1)] = child;
  return 0;
}

long call_end(State& state, const Words& words) {
  ::close(state.files.extract(words.at(1)).mapped());
  int status = 0;
  ::waitpid(state.processes.extract(words.at(1)).mapped(), &status, 0);
  return status;
}

}  // namespace

const Commands& process_commands() {
  static const Commands kCommands = {
      {"as", call_as},           {"raise", call_raise}, {"umask", call_umask},
      {"program", call_program}, {"run", call_run},     {"start", call_start},
      {"end", call_end},
  };
  return kCommands;
}

}  // namespace posix_tests
