// Makes the calls of a scenario, and keeps the account. For a process of its
// own: it changes the working directory, the umask and the user. One thread.
#pragma once

#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace posix_tests {

inline constexpr unsigned kUser = 12345;         // user and group
inline constexpr unsigned kStranger = 45678;     // user and group
inline constexpr unsigned kSharedGroup = 23456;  // the user is in it, too

class Interpreter {
 public:
  // Throws std::runtime_error where it cannot begin.
  Interpreter(const std::string& directory, bool as_user);

  // Throws std::runtime_error for what is no call.
  void make(const std::string& call);

  // Of each call, and of what the directory holds now.
  [[nodiscard]] std::string account();

 private:
  using Words = std::vector<std::string>;
  using Command = long (Interpreter::*)(const Words& words);

  static const std::map<std::string, Command>& commands();

  void become(const std::string& who);
  int file(const std::string& slot) const;
  void tell(const std::string& text);
  void tell_tree(const std::string& directory);

  long as(const Words& words);
  long umask_to(const Words& words);
  long open(const Words& words);
  long close(const Words& words);
  long read(const Words& words);
  long write(const Words& words);
  long pread(const Words& words);
  long pwrite(const Words& words);
  long lseek(const Words& words);
  long truncate(const Words& words);
  long ftruncate(const Words& words);
  long fallocate(const Words& words);
  long fsync(const Words& words);
  long copy(const Words& words);
  long map(const Words& words);
  long stat(const Words& words);
  long fstat(const Words& words);
  long times(const Words& words);
  long access(const Words& words);
  long chmod(const Words& words);
  long fchmod(const Words& words);
  long chown(const Words& words);
  long lchown(const Words& words);
  long fchown(const Words& words);
  long utimens(const Words& words);
  long link(const Words& words);
  long linkfd(const Words& words);
  long symlink(const Words& words);
  long readlink(const Words& words);
  long unlink(const Words& words);
  long rmdir(const Words& words);
  long mkdir(const Words& words);
  long mknod(const Words& words);
  long rename(const Words& words);
  long list(const Words& words);
  long chdir(const Words& words);
  long setxattr(const Words& words);
  long getxattr(const Words& words);
  long removexattr(const Words& words);
  long flock(const Words& words);
  long lock(const Words& words);
  long flags(const Words& words);

  std::map<std::string, int> files_;
  std::ostringstream account_;
};

}  // namespace posix_tests
