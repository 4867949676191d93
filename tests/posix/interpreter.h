// Makes the calls of a scenario, and keeps the account. For a process of its
// own: it changes the working directory, the umask and the user. One thread.
#pragma once

#include <sys/stat.h>

#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "posix/words.h"

namespace posix_tests {

// What calls leave behind for later ones, and the account of them.
struct State {
  // The descriptor of a slot; -1 where there is none.
  [[nodiscard]] int file(const std::string& slot) const;
  void tell(const std::string& text) { account << text << '\n'; }

  std::map<std::string, int> files;
  std::map<std::string, std::pair<char*, std::size_t>> mappings;
  std::map<std::string, int> processes;
  std::map<std::string, struct stat> watched;
  std::ostringstream account;
};

// A call; its answer is negative where it set errno.
using Command = long (*)(State& state, const Words& words);
using Commands = std::map<std::string, Command>;

[[nodiscard]] const Commands& data_commands();     // calls_data.cc
[[nodiscard]] const Commands& name_commands();     // calls_names.cc
[[nodiscard]] const Commands& inode_commands();    // calls_inodes.cc
[[nodiscard]] const Commands& process_commands();  // calls_processes.cc
[[nodiscard]] const Commands& rare_commands();     // calls_rare.cc

// The effective user and his groups: root, user, stranger or UID:GID[,GID...].
// Throws std::runtime_error where that cannot be.
void become(const std::string& who);

// The names in a directory but for dot and dot-dot, sorted.
[[nodiscard]] std::vector<std::string> names_in(const std::string& directory);

class Interpreter {
 public:
  // Throws std::runtime_error where it cannot begin.
  Interpreter(const std::string& directory, bool as_user);

  // Throws std::runtime_error for what is no call.
  void make(const std::string& call);

  // Of each call, and of what the directory holds now.
  [[nodiscard]] std::string account();

 private:
  void tell_what_moved();
  void tell_tree(const std::string& directory);

  State state_;
};

}  // namespace posix_tests
