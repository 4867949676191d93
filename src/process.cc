#include "src/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "pmem/unique_fd.h"

namespace pmemfs {
namespace {

constexpr auto kStandardStreams =
    std::to_array<int>({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});

// A file descriptor below 3 that is closed would go to the next file opened,
// perhaps /dev/fuse, and detach_standard_streams() would close that.
void open_standard_streams() {
  for (const int stream : kStandardStreams) {
    if (::fcntl(stream, F_GETFD) == -1 && errno == EBADF) {
      // The lowest free number is this one. Without /dev/null nothing helps.
      [[maybe_unused]] const int fd = ::open("/dev/null", O_RDWR);
    }
  }
}

// Every file that somebody has open in the mount is one of ours, too.
void raise_open_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

// How a spawned program finds its files.
class SpawnActions {
 public:
  SpawnActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;

  [[nodiscard]] posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

// Reads to the end.
std::string read_all(int fd) {
  std::string text;
  std::array<char, 512> chunk{};
  while (true) {
    const ssize_t count = ::read(fd, chunk.data(), chunk.size());
    if (count > 0) {
      text.append(chunk.data(), static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      return text;
    }
  }
}

int wait_for_exit(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) == -1 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

void prepare_process() {
  open_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);
  // This is of news only: who meets a fault without a guard ends all the same.
  std::signal(SIGBUS, SIG_IGN);
  raise_open_file_limit();
}

void detach_standard_streams() {
  const pmem::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) {
    return;
  }
  for (const int stream : kStandardStreams) {
    ::dup2(null.get(), stream);
  }
}

pmem::Result<ProgramResult> run_program(
    const std::vector<std::string>& command) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return pmem::fail_errno("making a pipe");
  }
  const pmem::UniqueFd reader(ends[0]);
  pmem::UniqueFd writer(ends[1]);

  SpawnActions actions;
  ::posix_spawn_file_actions_adddup2(actions.get(), writer.get(),
                                     STDERR_FILENO);
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);

  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, arguments[0], actions.get(), nullptr,
                                   arguments.data(), environ);
  if (error != 0) {
    return pmem::fail(error, "running " + command.front());
  }
  writer = pmem::UniqueFd();  // or the end would never come
  ProgramResult result;
  result.standard_error = read_all(reader.get());
  result.exit_status = wait_for_exit(pid);
  while (result.standard_error.ends_with('\n')) {
    result.standard_error.pop_back();
  }
  return result;
}

std::optional<std::string> find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::string_view folders = path != nullptr ? path : "/bin:/usr/bin";
  while (!folders.empty()) {
    const std::size_t end = std::min(folders.find(':'), folders.size());
    const std::string candidate =
        std::string(folders.substr(0, end)) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
    folders.remove_prefix(std::min(end + 1, folders.size()));
  }
  return std::nullopt;
}

}  // namespace pmemfs
