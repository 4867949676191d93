#include "clients/client.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <ostream>
#include <set>
#include <sstream>
#include <system_error>

namespace clients {
namespace {

// The symbol, and the files of the libraries that it was bound to.
using BoundTo = std::map<std::string, std::set<std::string>>;

std::string without_links(const std::string& file) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(file, error);
  return error ? "" : real.string();
}

// What stands between two texts in a line; "" where they are not there.
std::string between(const std::string& line, const std::string& before,
                    const std::string& after) {
  const std::size_t found = line.find(before);
  if (found == std::string::npos) {
    return "";
  }
  const std::size_t start = found + before.size();
  const std::size_t end = line.find(after, start);
  return end == std::string::npos ? "" : line.substr(start, end - start);
}

// Lines of the loader look like this (ld.so(8), LD_DEBUG=bindings):
//   1234: binding file CLIENT [0] to LIBRARY [0]: normal symbol `NAME'
//   [VERSION]
void add_bindings(const std::string& file, BoundTo& bound) {
  std::ifstream lines(file);
  std::string line;
  while (std::getline(lines, line)) {
    const std::string symbol = between(line, "symbol `", "'");
    if (symbol.rfind("pmem_", 0) == 0) {
      bound[symbol].insert(without_links(between(line, " to ", " [")));
    }
  }
}

}  // namespace

std::string Library::folder() const {
  return std::filesystem::path(file).parent_path().string();
}

void PrintTo(const Library& library, std::ostream* out) {
  *out << library.file;
}

void PrintTo(const Pair& pair, std::ostream* out) { *out << pair.name; }

const std::vector<Library>& libraries() {
  static const std::vector<Library> kBoth = {
      {"Ours", without_links(PMEMFS_OUR_LIBPMEM)},
      {"Debian", without_links(PMEMFS_DISTRIBUTION_LIBPMEM)}};
  return kBoth;
}

const std::vector<Pair>& pairs() {
  static const std::vector<Pair> kBoth = {
      {"OursThenDebian", libraries()[0], libraries()[1]},
      {"DebianThenOurs", libraries()[1], libraries()[0]}};
  return kBoth;
}

std::vector<std::string> Bindings::environment(const Library& library,
                                               bool is_forced) const {
  return {"LD_LIBRARY_PATH=" + library.folder(), "LD_DEBUG=bindings",
          "LD_DEBUG_OUTPUT=" + (folder_ / "of"),
          std::string("PMEM_IS_PMEM_FORCE=") + (is_forced ? "1" : "0")};
}

std::string Bindings::fault(const Library& library,
                            const std::vector<std::string>& symbols) const {
  BoundTo bound;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder_.path())) {
    add_bindings(entry.path().string(), bound);
  }
  std::ostringstream faults;
  for (const auto& [symbol, files] : bound) {
    for (const std::string& file : files) {
      if (file != library.file) {
        faults << symbol << " comes from " << file << '\n';
      }
    }
  }
  for (const std::string& symbol : symbols) {
    if (!bound.contains(symbol)) {
      faults << symbol << " is not used\n";
    }
  }
  return faults.str();
}

support::CommandResult run(const Client& client,
                           const std::vector<std::string>& words,
                           const std::string& folder, const Library& library,
                           bool is_forced) {
  const Bindings bindings;
  // On a library that is wrong a client may never end.
  std::vector<std::string> command = {"env", "-C",   folder, "timeout",
                                      "-s",  "KILL", "60",   client.program};
  command.insert(command.end(), words.begin(), words.end());
  std::vector<std::string> environment =
      bindings.environment(library, is_forced);
  environment.insert(environment.end(), {"LC_ALL=C.UTF-8", "TZ=UTC"});
  support::CommandResult result = support::run_command(command, environment);
  EXPECT_EQ(bindings.fault(library, client.symbols), "") << client.program;
  return result;
}

void need(const Library& library) {
  if (library.file.empty()) {
    GTEST_SKIP() << "no libpmem of the distribution was there to compare with "
                    "when this was configured (package libpmem1)";
  }
}

void need_program(const std::string& program) {
  if (support::run_command({"which", program}).exit_status != 0) {
    GTEST_SKIP() << program << " is not installed";
  }
}

}  // namespace clients
