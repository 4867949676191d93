// What a mount is asked to be: values that the program fills in and the file
// system reads. No thread rule.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace pmemfs {

// How the kernel serves reads and writes of an open regular file.
enum class IoMode {
  // kMapped, unless the kernel then has no shared mmap of files (before Linux
  // 6.6): there kCached for files, so that every program works.
  kAutomatic,
  kMapped,       // by the daemon, through the region's mapping (direct_io)
  kPassthrough,  // by the kernel, from the backing file
  kCached,       // through the page cache, which open(2) invalidates
};

enum class SourceKind {
  kDirectory,
  kAllDevices,  // every Device DAX of the machine
  kDevice,      // one of them
  kEverything,  // dax/ with all devices, fsdax/ with all DAX file systems
};

// One thing to show. An empty name means that it is the root of the mount; then
// it is the only one, and no single device.
struct SourceSpec {
  std::string name;
  std::string path;  // the directory; the name of a device in /dev
  SourceKind kind = SourceKind::kDirectory;
};

struct FileSystemOptions {
  std::vector<SourceSpec> sources;
  IoMode io = IoMode::kAutomatic;
  bool list_virtual_xattrs = true;
  double attr_timeout_s = 1.0;   // how long the kernel may trust attributes
  double entry_timeout_s = 1.0;  // how long it may trust names
  // Where Device DAX are looked for; tests have roots of their own.
  std::string sysfs_root = "/sys";
  std::string dev_root = "/dev";
  // And where file systems are that are mounted with DAX.
  std::string mountinfo_path = "/proc/self/mountinfo";
};

struct SessionOptions {
  std::string mountpoint;
  // Passed on to libfuse and fusermount3 as -o: "ro", "fsname=...",
  // "allow_other".
  std::vector<std::string> mount_options;
  // Where these say "ro": of the mount alone, and not of its file system.
  bool read_only_by_mount_alone = false;
  bool io_uring = false;  // ask the kernel for FUSE over io_uring
  bool debug = false;     // libfuse prints every request
  unsigned max_threads = 10;
};

// What was agreed with the kernel, in one line for people:
// "transport /dev/fuse; mmap of the backing file; ..."
using ReadyCallback = std::function<void(const std::string& negotiated)>;

// Whom a session tells what. Each may be called on any thread.
struct SessionEvents {
  ReadyCallback on_ready;  // once, when the kernel has taken the mount into use
  // No descriptor is left for what was asked; told once a minute at most.
  std::function<void()> on_descriptors_exhausted;
};

}  // namespace pmemfs
