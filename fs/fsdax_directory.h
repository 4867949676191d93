// The file systems that are mounted with DAX, as a directory with one folder
// each.
//
// Which there are is read from the mount table each time, so that the tree
// follows them as they are mounted and unmounted. One that nobody uses is not
// held: see SourceTree.
//
// An FsdaxSource and its node may be used by any thread.
#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fs/dax_mounts.h"
#include "fs/mount_source.h"
#include "fs/node.h"
#include "fs/source_tree.h"
#include "pmem/mutex.h"

namespace pmemfs {

// Where file systems are looked for; tests have roots of their own.
struct FsdaxOptions {
  std::string mountinfo_path = kMountinfoPath;
  std::string sysfs_root = pmem::kSysfsRoot;
};

class FsdaxSource : public MountSource {
 public:
  FsdaxSource(FsdaxOptions options, const SharedState& shared)
      : options_(std::move(options)), shared_(shared) {}

  // The directory of all; counts one lookup.
  [[nodiscard]] pmem::Result<Entry> root() override;
  // The sum over the file systems that can be reached.
  [[nodiscard]] pmem::Result<struct statvfs> file_system_status()
      const override;
  [[nodiscard]] ino_t inode() const override;

  [[nodiscard]] std::vector<DaxFileSystem> file_systems() const;

  // The root of one of them; counts one lookup. Errors: ENOENT (there is none
  // of the name, or it cannot be reached), EACCES and the others of open(2).
  [[nodiscard]] pmem::Result<Entry> look_up(const std::string& name)
      PMEM_EXCLUDES(mutex_);

  [[nodiscard]] const SharedState& shared() const { return shared_; }

 private:
  struct Known {
    std::weak_ptr<SourceTree> tree;
    std::uint64_t identity = 0;
  };

  [[nodiscard]] pmem::Result<std::shared_ptr<SourceTree>> tree_of(
      const DaxFileSystem& file_system, pmem::UniqueFd root,
      const std::string& path) PMEM_EXCLUDES(mutex_);

  const FsdaxOptions options_;
  const SharedState shared_;

  pmem::Mutex mutex_;
  std::map<dev_t, Known> known_ PMEM_GUARDED_BY(mutex_);
};

class FsdaxDirectory : public Node {
 public:
  explicit FsdaxDirectory(FsdaxSource& source);

  [[nodiscard]] pmem::Result<struct stat> attributes() override;
  [[nodiscard]] pmem::Result<struct statvfs> file_system_status() override;
  // Errors: ENOENT.
  [[nodiscard]] pmem::Result<Entry> lookup(const char* name) override;
  [[nodiscard]] pmem::Result<std::unique_ptr<DirectoryStream>> open_directory()
      override;

 private:
  FsdaxSource& source_;
  struct timespec made_ = {};
};

}  // namespace pmemfs
