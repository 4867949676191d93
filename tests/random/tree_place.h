// A directory in which the tree tester makes its calls, with the files that it
// has open there. The calls are made as whoever the process is at the moment.
//
// Owns its descriptors. One thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "pmem/unique_fd.h"
#include "random/tree_generator.h"
#include "random/tree_operation.h"

namespace random_tests {

// The user id of kRoot, kUser or kStranger; the id of the group is the same.
[[nodiscard]] uid_t tree_user_id(std::uint64_t who);

class TreePlace {
 public:
  explicit TreePlace(std::string directory);
  virtual ~TreePlace() = default;
  TreePlace(const TreePlace&) = delete;
  TreePlace& operator=(const TreePlace&) = delete;

  [[nodiscard]] const std::string& directory() const { return directory_; }

  // What the call answered, in words that are the same in every place: what it
  // found, or the name of the errno. Virtual for the tests of the tester.
  [[nodiscard]] virtual std::string perform(const TreeOperation& operation);

 private:
  using Method = std::string (TreePlace::*)(const TreeOperation& operation);
  static const std::map<TreeKind, Method>& methods();

  [[nodiscard]] std::string path(const std::string& name) const {
    return directory_ + "/" + name;
  }
  [[nodiscard]] int slot(const TreeOperation& operation) const;

  std::string create(const TreeOperation& operation);
  std::string mkdir(const TreeOperation& operation);
  std::string mknod(const TreeOperation& operation);
  std::string symlink(const TreeOperation& operation);
  std::string link(const TreeOperation& operation);
  std::string rename(const TreeOperation& operation);
  std::string unlink(const TreeOperation& operation);
  std::string rmdir(const TreeOperation& operation);
  std::string chmod(const TreeOperation& operation);
  std::string chown(const TreeOperation& operation);
  std::string lchown(const TreeOperation& operation);
  std::string utimens(const TreeOperation& operation);
  std::string truncate(const TreeOperation& operation);
  std::string setxattr(const TreeOperation& operation);
  std::string getxattr(const TreeOperation& operation);
  std::string listxattr(const TreeOperation& operation);
  std::string removexattr(const TreeOperation& operation);
  std::string stat(const TreeOperation& operation);
  std::string lstat(const TreeOperation& operation);
  std::string read(const TreeOperation& operation);
  std::string list(const TreeOperation& operation);
  std::string readlink(const TreeOperation& operation);
  std::string access(const TreeOperation& operation);
  std::string clear(const TreeOperation& operation);
  std::string umask_to(const TreeOperation& operation);
  std::string open(const TreeOperation& operation);
  std::string tmpfile(const TreeOperation& operation);
  std::string close(const TreeOperation& operation);
  std::string slot_read(const TreeOperation& operation);
  std::string slot_write(const TreeOperation& operation);
  std::string slot_truncate(const TreeOperation& operation);
  std::string slot_allocate(const TreeOperation& operation);
  std::string slot_stat(const TreeOperation& operation);
  std::string slot_list(const TreeOperation& operation);
  std::string slot_chmod(const TreeOperation& operation);
  std::string slot_chown(const TreeOperation& operation);
  std::string slot_setxattr(const TreeOperation& operation);
  std::string slot_link(const TreeOperation& operation);
  std::string slot_mkdir(const TreeOperation& operation);
  std::string slot_create(const TreeOperation& operation);
  std::string slot_unlink(const TreeOperation& operation);

  std::string directory_;
  std::array<pmem::UniqueFd, kSlots> slots_;
};

// All that is in the directory, a line for each name: type, mode, owner, links,
// size, time of modification, target, content, attributes (but those of
// pmemfs), and which names are the same file.
[[nodiscard]] std::string tree_in(const std::string& directory);

}  // namespace random_tests
