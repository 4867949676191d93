// Reading a directory of a source. See DirectoryStream in node.h.
#pragma once

#include <memory>

#include "fs/node.h"
#include "fs/source_tree.h"
#include "pmem/unique_fd.h"

namespace pmemfs {

// `directory_fd`: O_RDONLY. The offsets are the backing file system's own, so
// that seekdir(3) means what it means there.
[[nodiscard]] std::unique_ptr<DirectoryStream> make_source_directory_stream(
    pmem::UniqueFd directory_fd, dev_t device,
    std::shared_ptr<const SourceTree> tree);

}  // namespace pmemfs
