// The guest that scripts/vm boots: what persistent memory it has, and under
// which names the environment tells where. Free functions; any thread.
#pragma once

#include <string>

#include "pmem/dax_device.h"
#include "support/temp_dir.h"

namespace vm {

// A name is one of these (scripts/vm tells which of them a scenario has):
// DEVDAX, DEVDAX4K: the nodes of Device DAX on an NVDIMM, aligned to 2 MiB and
// to 4 KiB. HMEM: that of one on memory for special use, with no region of an
// NVDIMM above it. EXT4, XFS: folders on file systems that are mounted with
// DAX. VIRTIO: such a folder on ext4 and virtio-pmem. BLOCK: the node of a pmem
// block device, for a test to use.
// Throws std::runtime_error where the environment does not tell it.
[[nodiscard]] std::string place(const std::string& name);

// The facts of a node of Device DAX. Throws std::runtime_error when there are
// none.
[[nodiscard]] pmem::DaxDevice facts_of(const std::string& node);

// A fresh file system (ext4 or xfs) on BLOCK for the length of a scope, mounted
// with `options`. One at a time. Throws std::runtime_error.
class FreshFileSystem {
 public:
  FreshFileSystem(const std::string& type, const std::string& options);
  FreshFileSystem(const FreshFileSystem&) = delete;
  FreshFileSystem& operator=(const FreshFileSystem&) = delete;
  ~FreshFileSystem();

  [[nodiscard]] std::string path() const { return folder_.path(); }

 private:
  support::TempDir folder_;
};

class FreshExt4 : public FreshFileSystem {
 public:
  explicit FreshExt4(const std::string& options)
      : FreshFileSystem("ext4", options) {}
};

}  // namespace vm
