#include "support/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

namespace support {
namespace {

constexpr int kNotStarted = 127;

std::system_error failure(const std::string& doing) {
  return {errno, std::generic_category(), doing};
}

// What exec wants; made before the fork, after which nothing is allocated.
class Arguments {
 public:
  explicit Arguments(const std::vector<std::string>& words) : words_(words) {
    for (std::string& word : words_) {
      pointers_.push_back(word.data());
    }
    pointers_.push_back(nullptr);
  }
  [[nodiscard]] char* const* get() const { return pointers_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

// A name that is there twice would be one thing to the C library, another to
// bash and what it starts.
std::vector<std::string> environment_with(
    const std::vector<std::string>& additions) {
  const auto replaced_by = [](std::string_view entry) {
    const std::string_view name = entry.substr(0, entry.find('=') + 1);
    return [name](const std::string& word) { return word.starts_with(name); };
  };
  std::vector<std::string> all = additions;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::none_of(additions.begin(), additions.end(), replaced_by(*entry))) {
      all.emplace_back(*entry);
    }
  }
  return all;
}

// Starts the program with its output led to a descriptor.
pid_t start(const std::vector<std::string>& command,
            const std::vector<std::string>& environment, int output) {
  const Arguments arguments(command);
  const Arguments variables(environment_with(environment));
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    throw failure("starting " + command.front());
  }
  if (pid == 0) {
    // A test that crashes or is killed leaves nothing running.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == parent && ::dup2(output, STDOUT_FILENO) >= 0 &&
        ::dup2(output, STDERR_FILENO) >= 0) {
      ::execvpe(command.front().c_str(), arguments.get(), variables.get());
    }
    ::_exit(kNotStarted);
  }
  return pid;
}

int exit_status_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status)
                                  : WEXITSTATUS(wait_status);
}

std::string read_to_the_end(int fd) {
  std::string text;
  std::array<char, 4096> chunk;
  for (;;) {
    const ssize_t length = ::read(fd, chunk.data(), chunk.size());
    if (length < 0 && errno == EINTR) {
      continue;
    }
    if (length <= 0) {
      return text;
    }
    text.append(chunk.data(), static_cast<std::size_t>(length));
  }
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& command,
                          const std::vector<std::string>& environment) {
  std::array<int, 2> ends = {};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw failure("pipe");
  }
  const pmem::UniqueFd output(ends[0]);
  pmem::UniqueFd input(ends[1]);
  const pid_t pid = start(command, environment, input.get());
  input = pmem::UniqueFd();
  CommandResult result;
  result.output = read_to_the_end(output.get());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) {
      throw failure("waiting for " + command.front());
    }
  }
  result.exit_status = exit_status_of(status);
  return result;
}

BackgroundCommand::BackgroundCommand(
    const std::vector<std::string>& command,
    const std::vector<std::string>& environment,
    const std::string& output_file) {
  const pmem::UniqueFd output(::open(
      output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!output.valid()) {
    throw failure("opening " + output_file);
  }
  pid_ = start(command, environment, output.get());
}

BackgroundCommand::~BackgroundCommand() {
  if (pid_ > 0 && !exit_status()) {
    send_signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

std::optional<int> BackgroundCommand::exit_status() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    status_ = exit_status_of(status);
  }
  return status_;
}

std::optional<int> BackgroundCommand::wait_for(std::chrono::milliseconds time) {
  [[maybe_unused]] const bool ended =
      becomes_true([&] { return exit_status().has_value(); }, time);
  return status_;
}

void BackgroundCommand::send_signal(int signal) const { ::kill(pid_, signal); }

// Not <sys/pidfd.h>: glibc 2.36 declares it for C alone.
Watched::Watched(pid_t pid)
    : process_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {
  if (!process_.valid()) {
    throw failure("watching process " + std::to_string(pid));
  }
}

bool Watched::ends_within(std::chrono::milliseconds most) const {
  struct pollfd end = {.fd = process_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&end, 1, static_cast<int>(most.count())) == 1;
}

}  // namespace support
