// The attributes under user.pmem., from one table that both getxattr and
// listxattr read.
//
// FileFacts finds out about one file on demand, each fact at most once; it
// belongs to the thread that asks. The functions may be called from any thread.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>

#include "pmem/mapping.h"
#include "pmem/result.h"

namespace pmemfs {

inline constexpr std::string_view kXattrPrefix = "user.pmem.";

// What the attributes say about a regular file of a directory source.
class FileFacts {
 public:
  // `path_fd` must stay open. Errors: those of fstat(2).
  [[nodiscard]] static pmem::Result<FileFacts> create(int path_fd);

  [[nodiscard]] const struct stat& status() const { return status_; }
  [[nodiscard]] std::string path() const;
  [[nodiscard]] bool is_dax() const;
  [[nodiscard]] bool is_sparse();
  [[nodiscard]] bool is_pmem();
  [[nodiscard]] std::uint64_t mapped_length_bytes();
  [[nodiscard]] std::string reason();
  [[nodiscard]] std::string granularity();

 private:
  FileFacts(int path_fd, const struct stat& status)
      : path_fd_(path_fd), status_(status) {}

  // The mapping that the core library makes of the file; null when it cannot.
  // An empty file lends one page beyond its end, so that its file system can be
  // asked.
  const pmem::Mapping* mapping();
  const pmem::Source* source();

  int path_fd_;
  struct stat status_;
  std::optional<pmem::Result<pmem::Source>> source_;
  std::optional<pmem::Result<pmem::Mapping>> mapping_;
};

// The reason that a mapping gives, and whether the environment overrides it.
[[nodiscard]] std::string in_words(const std::string& found,
                                   std::optional<bool> forced);

// Whether the name is under user.pmem., known or not.
[[nodiscard]] bool is_virtual_xattr(std::string_view name);

// The value. Errors: ENODATA (no such attribute).
[[nodiscard]] pmem::Result<std::string> get_virtual_xattr(
    FileFacts& facts, std::string_view name);

// The names, each with its final NUL.
[[nodiscard]] std::string list_virtual_xattrs();

}  // namespace pmemfs
