#include "posix/scenario.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <stdexcept>

#include "posix/interpreter.h"

namespace posix_tests {
namespace {

constexpr const char* kDiffers = "] differs: ";

Scenario parse_header(const std::string& line, const std::string& where) {
  const std::size_t reason = line.find(kDiffers);
  const std::size_t end = line.rfind(']', reason);
  if (end == std::string::npos ||
      (reason == std::string::npos && end + 1 != line.size())) {
    throw std::runtime_error(where + ": the name of a scenario has no end");
  }
  Scenario scenario;
  scenario.name = line.substr(1, end - 1);
  if (reason != std::string::npos) {
    scenario.differs = line.substr(reason + std::strlen(kDiffers));
  }
  return scenario;
}

// What the child tells, to the end.
std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> part;
  for (ssize_t length = 0;
       (length = ::read(fd, part.data(), part.size())) != 0;) {
    if (length < 0 && errno != EINTR) {
      throw std::runtime_error("the account of a scenario cannot be read");
    }
    text.append(part.data(), length < 0 ? 0 : static_cast<std::size_t>(length));
  }
  return text;
}

[[noreturn]] void play_in_child(const Scenario& scenario,
                                const std::string& directory, bool as_user,
                                int out) {
  std::string text;
  try {
    Interpreter interpreter(directory, as_user);
    for (const std::string& call : scenario.calls) {
      interpreter.make(call);
    }
    text = interpreter.account();
  } catch (const std::exception& error) {
    text = std::string("BROKEN: ") + error.what() + "\n";
  }
  [[maybe_unused]] const ssize_t ignored =
      ::write(out, text.data(), text.size());
  ::_exit(0);
}

}  // namespace

std::vector<Scenario> load_scenarios(const std::string& file) {
  std::ifstream lines(file);
  if (!lines) {
    throw std::runtime_error(file + " cannot be read");
  }
  std::vector<Scenario> scenarios;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string where = file + ":" + std::to_string(++number);
    if (line.empty() || line.front() == '#') {
      continue;
    }
    if (line.front() == '[') {
      scenarios.push_back(parse_header(line, where));
    } else if (scenarios.empty()) {
      throw std::runtime_error(where + ": a call before the first scenario");
    } else {
      scenarios.back().calls.push_back(line);
    }
  }
  return scenarios;
}

std::string play(const Scenario& scenario, const std::string& directory,
                 bool as_user) {
  std::array<int, 2> ends = {};
  if (::pipe(ends.data()) != 0) {
    throw std::runtime_error("pipe");
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    play_in_child(scenario, directory, as_user, ends[1]);
  }
  ::close(ends[1]);
  std::string text = read_all(ends[0]);
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    text += "ended by signal " + std::to_string(WTERMSIG(status)) + "\n";
  }
  return text;
}

}  // namespace posix_tests
