// Reading a directory whose entries were all known when it was opened.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fs/node.h"

namespace pmemfs {

class ListedDirectory : public DirectoryStream {
 public:
  struct Item {
    std::string name;
    std::uint64_t inode = 0;
    unsigned char type = 0;  // DT_*
  };

  explicit ListedDirectory(std::vector<Item> items)
      : items_(std::move(items)) {}

  pmem::Result<std::optional<DirectoryEntry>> entry_at(
      std::uint64_t offset) override {
    if (offset >= items_.size()) {
      return std::nullopt;
    }
    const Item& item = items_[offset];
    return DirectoryEntry{item.name.c_str(), item.inode, item.type, offset + 1};
  }

  pmem::Result<void> sync(bool /*data_only*/) override { return {}; }

 private:
  const std::vector<Item> items_;
};

}  // namespace pmemfs
