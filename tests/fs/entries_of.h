// What a directory of the file system lists, in its order. One thread.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "fs/node.h"

namespace pmemfs {

struct ListedEntry {
  std::string name;
  std::uint64_t inode = 0;
  unsigned char type = 0;  // DT_*
};

inline std::vector<ListedEntry> entries_of(Node& directory) {
  std::vector<ListedEntry> entries;
  const pmem::Result<std::unique_ptr<DirectoryStream>> stream =
      directory.open_directory();
  EXPECT_TRUE(stream);
  const pmem::Lock lock((*stream)->mutex());
  std::uint64_t offset = 0;
  for (;;) {
    const pmem::Result<std::optional<DirectoryEntry>> entry =
        (*stream)->entry_at(offset);
    if (!entry || !*entry) {
      return entries;
    }
    entries.push_back({(*entry)->name, (*entry)->inode, (*entry)->type});
    offset = (*entry)->offset;
  }
}

}  // namespace pmemfs
