// Directories on file systems of known kinds, to be sources of a mount.
//
// A Backing owns its directory, and the file system where it made one: both go
// with it. Whoever wants a file system of a given size needs root; the makers
// say so by cannot_make_file_systems(). One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>

#include "support/temp_dir.h"

namespace support {

enum class BackingKind {
  kTmpfs,
  kDisk,  // what /var/tmp is on
};

// "tmpfs" or "disk"; for GoogleTest, too.
[[nodiscard]] std::string name_of(BackingKind kind);
inline void PrintTo(BackingKind kind, std::ostream* out) {
  *out << name_of(kind);
}

class Backing {
 public:
  Backing() = default;
  virtual ~Backing() = default;
  Backing(const Backing&) = delete;
  Backing& operator=(const Backing&) = delete;

  [[nodiscard]] virtual const std::string& path() const = 0;
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return path() + "/" + name;
  }
};

// A fresh directory on a file system that others use, too.
[[nodiscard]] std::unique_ptr<Backing> make_directory_on(BackingKind kind);

// Why this process cannot make file systems; "" when it can.
[[nodiscard]] std::string cannot_make_file_systems();

struct Ext4Settings {
  unsigned reserved_percent = 0;  // of its blocks, for root alone
  unsigned long mount_flags = 0;  // as in mount(2)
};

// A file system of that size for the test alone: a tmpfs, or an ext4 on a loop
// device. Throws std::system_error or std::runtime_error.
[[nodiscard]] std::unique_ptr<Backing> make_tmpfs(std::uint64_t size_bytes);
[[nodiscard]] std::unique_ptr<Backing> make_ext4(
    std::uint64_t size_bytes, const Ext4Settings& settings = {});

// The file that the loop device of such an ext4 is over: what is in it outlives
// a loss of power.
[[nodiscard]] std::string image_of_ext4(const Backing& backing);

}  // namespace support
