#include "fs/node_table.h"

#include <malloc.h>

#include <algorithm>

namespace pmemfs {

NodeTable::~NodeTable() = default;

void NodeTable::forget(Node& node, std::uint64_t lookups) {
  std::shared_ptr<Node> last;
  bool shrunk = false;
  {
    const pmem::Lock lock(mutex_);
    node.lookups_ -= std::min(node.lookups_, lookups);
    if (node.lookups_ == 0) {
      last = take(node);
      shrunk = has_shrunk();
    }
  }
  if (shrunk) {
    last.reset();
    // The allocator keeps what lies between what is still in use.
    ::malloc_trim(0);
  }
}

bool NodeTable::has_shrunk() {
  constexpr std::size_t kMany = 16384;
  if (most_ < kMany || nodes_.size() > most_ / 4) {
    return false;
  }
  most_ = nodes_.size();
  nodes_.rehash(0);
  return true;
}

std::size_t NodeTable::size() const {
  const pmem::Lock lock(mutex_);
  return nodes_.size() + replaced_.size();
}

std::shared_ptr<Node> NodeTable::take(Node& node) {
  const auto found = nodes_.find(node.key_);
  if (found != nodes_.end() && found->second.get() == &node) {
    std::shared_ptr<Node> taken = std::move(found->second);
    nodes_.erase(found);
    return taken;
  }
  return std::move(replaced_.extract(&node).mapped());
}

}  // namespace pmemfs
