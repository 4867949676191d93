#include "posix/scenario.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <utility>

#include "posix/interpreter.h"
#include "posix/words.h"

namespace posix_tests {
namespace {

constexpr const char* kDiffers = " differs: ";
constexpr const char* kDiffersOnTmpfs = " differs on tmpfs: ";
constexpr const char* kDiffersSince = " differs since Linux ";
constexpr const char* kDiffersWithoutPassthrough =
    " differs without passthrough: ";

// [NAME] and what may stand behind it.
Scenario parse_header(const std::string& line, const std::string& where) {
  const std::size_t end = line.find(']');
  const std::string rest =
      end == std::string::npos ? "]" : line.substr(end + 1);
  Scenario scenario;
  scenario.name = line.substr(1, end - 1);
  scenario.differs_on_tmpfs = rest.starts_with(kDiffersOnTmpfs);
  const std::string reason =
      rest.substr(std::min(rest.find(": ") + 2, rest.size()));
  const bool is_since = rest.starts_with(kDiffersSince);
  if (is_since) {
    const std::size_t begin = std::strlen(kDiffersSince);
    scenario.since_linux = rest.substr(begin, rest.find(": ") - begin);
  }
  if (scenario.differs_on_tmpfs || is_since || rest.starts_with(kDiffers)) {
    scenario.differs = reason;
  } else if (rest.starts_with(kDiffersWithoutPassthrough)) {
    scenario.differs_without_passthrough = reason;
  } else if (!rest.empty()) {
    throw std::runtime_error(where + ": no name of a scenario");
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

void replace_all(std::string& text, const std::string& what,
                 const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos;
       at += by.size()) {
    text.replace(at, what.size(), by);
  }
}

// Once with each of the values in the place of the variable.
std::vector<Scenario> with_each(const std::vector<Scenario>& scenarios,
                                const std::string& variable,
                                const Words& values) {
  std::vector<Scenario> made;
  for (const Scenario& scenario : scenarios) {
    for (const std::string& value : values) {
      Scenario one = scenario;
      replace_all(one.name, variable, value);
      for (std::string& call : one.calls) {
        replace_all(call, variable, value);
      }
      made.push_back(std::move(one));
    }
  }
  return made;
}

// A scenario as it is written, with its variables.
struct Written {
  Scenario scenario;
  std::map<std::string, Words> variables;
};

std::vector<Scenario> written_out(const Written& written) {
  std::vector<Scenario> scenarios = {written.scenario};
  for (const auto& [variable, values] : written.variables) {
    scenarios = with_each(scenarios, variable, values);
  }
  return scenarios;
}

// What is immutable or append-only could not be removed.
void free_flags(const std::string& directory) {
  namespace fs = std::filesystem;
  if (::getuid() != 0) {
    return;  // nor could it be made so
  }
  for (const fs::directory_entry& entry :
       fs::recursive_directory_iterator(directory)) {
    if (entry.is_symlink() ||
        (!entry.is_regular_file() && !entry.is_directory())) {
      continue;
    }
    const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    constexpr int kBinding = FS_IMMUTABLE_FL | FS_APPEND_FL;
    int flags = 0;
    if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & kBinding) != 0) {
      flags &= ~kBinding;
      ::ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
    ::close(fd);
  }
}

}  // namespace

std::vector<Scenario> load_scenarios(const std::string& file) {
  std::ifstream lines(file);
  if (!lines) {
    throw std::runtime_error(file + " cannot be read");
  }
  std::vector<Written> written;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string where = file + ":" + std::to_string(++number);
    if (line.empty() || line.front() == '#') {
      continue;
    }
    if (line.front() == '[') {
      written.push_back({parse_header(line, where), {}});
    } else if (written.empty()) {
      throw std::runtime_error(where + ": a call before the first scenario");
    } else if (const Words words = split(line);
               words.size() > 2 && words[0].front() == '$' && words[1] == "=") {
      Words values(words.begin() + 2, words.end());
      for (std::string& value : values) {
        std::replace(value.begin(), value.end(), '~', ' ');
      }
      written.back().variables[words[0]] = std::move(values);
    } else {
      written.back().scenario.calls.push_back(line);
    }
  }
  std::vector<Scenario> scenarios;
  for (const Written& one : written) {
    for (Scenario& scenario : written_out(one)) {
      scenarios.push_back(std::move(scenario));
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
  free_flags(directory);
  if (WIFSIGNALED(status)) {
    text += "ended by signal " + std::to_string(WTERMSIG(status)) + "\n";
  }
  return text;
}

}  // namespace posix_tests
