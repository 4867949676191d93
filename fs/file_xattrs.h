// The attributes under user.pmem. of a regular file of a directory source.
//
// FileFacts finds out about one file on demand, each fact at most once; it
// belongs to the thread that asks. The functions may be called from any thread.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "pmem/bad_blocks.h"
#include "pmem/mapping.h"
#include "pmem/result.h"

namespace pmemfs {

// What the attributes say about a regular file of a directory source.
class FileFacts {
 public:
  // `path_fd` must stay open. Errors: those of fstat(2).
  [[nodiscard]] static pmem::Result<FileFacts> create(
      int path_fd, std::string sysfs_root = pmem::kSysfsRoot);

  [[nodiscard]] const struct stat& status() const { return status_; }
  // Empty where the kernel does not know it at the moment.
  [[nodiscard]] std::string path() const;
  [[nodiscard]] bool is_dax() const;
  [[nodiscard]] bool is_sparse();
  [[nodiscard]] bool is_pmem();
  [[nodiscard]] std::uint64_t mapped_length_bytes();
  [[nodiscard]] std::string reason();
  [[nodiscard]] std::string granularity();

  // Those of the block device that lie in the file. Errors: EOPNOTSUPP (no list
  // is kept, or the file system does not tell where its files lie), those of
  // bad_blocks_of_block_device() and of opening the file.
  [[nodiscard]] pmem::Result<pmem::BadBlocks> bad_blocks();

 private:
  FileFacts(int path_fd, const struct stat& status, std::string sysfs_root)
      : path_fd_(path_fd),
        status_(status),
        sysfs_root_(std::move(sysfs_root)) {}

  // The mapping that the core library makes of the file; null when it cannot.
  // An empty file lends one page beyond its end, so that its file system can be
  // asked.
  const pmem::Mapping* mapping();
  const pmem::Source* source();

  int path_fd_;
  struct stat status_;
  std::string sysfs_root_;
  std::optional<pmem::Result<pmem::Source>> source_;
  std::optional<pmem::Result<pmem::Mapping>> mapping_;
};

// The reason that a mapping gives, and whether the environment overrides it.
[[nodiscard]] std::string in_words(const std::string& found,
                                   std::optional<bool> forced);

// The value. Errors: ENODATA (no such attribute, or the kernel does not tell),
// and those of finding out.
[[nodiscard]] pmem::Result<std::string> get_file_xattr(FileFacts& facts,
                                                       std::string_view name);

// The names of those that have a value, each with its final NUL.
[[nodiscard]] std::string list_file_xattrs(FileFacts& facts);

}  // namespace pmemfs
