// What is mounted where, as the kernel tells a process: /proc/self/mountinfo
// (proc_pid_mountinfo(5)). Values; any thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace pmemfs {

// The type of our mounts: libfuse makes it of "fuse." and subtype=pmemfs.
inline constexpr std::string_view kMountType = "fuse.pmemfs";

inline constexpr const char* kMountinfoPath = "/proc/self/mountinfo";

struct Mount {
  int id = 0;
  int parent_id = 0;
  dev_t device = 0;          // st_dev of the files in it
  std::string root;          // which directory of the file system it shows
  std::string mount_point;   // absolute, without symbolic links
  std::string options;       // of this mount: "rw,relatime"
  std::string type;          // "ext4", "fuse.pmemfs"
  std::string source;        // "/dev/pmem0"
  std::string file_options;  // of the file system: "rw,dax=always"
};

// The text with \040, \011, \012 and \134, as the kernel writes them, turned
// back into what they stand for.
[[nodiscard]] std::string decode_octal_escapes(std::string_view text);

// Lines that are not as the man page has them are left out.
[[nodiscard]] std::vector<Mount> parse_mountinfo(std::string_view text);

// The table in a file, which is empty when it cannot be read.
[[nodiscard]] std::vector<Mount> read_mountinfo(const std::string& path);

// Whether the word is among options with commas between them.
[[nodiscard]] bool has_option(std::string_view options, std::string_view word);

// Whether `path` is `directory` or lies in it. REQUIRES: both are resolved.
[[nodiscard]] bool is_within(std::string_view path, std::string_view directory);

}  // namespace pmemfs
