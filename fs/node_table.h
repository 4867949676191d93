// Which nodes the kernel knows, and how many lookups of each it has yet to
// forget. Owns the nodes, with those that are remembered by their place in one.
// Any thread; the lock is held for a map operation only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "fs/node.h"
#include "pmem/mutex.h"

namespace pmemfs {

class NodeTable {
 public:
  NodeTable() = default;
  ~NodeTable();
  NodeTable(const NodeTable&) = delete;
  NodeTable& operator=(const NodeTable&) = delete;

  // Counts one lookup of the node with this key and returns it. A node for
  // which `is_same(node)` is false has lost its number to a younger file; it
  // stays until it is forgotten, but is not found any more. `make()` gives the
  // node when there is none.
  template <typename IsSame, typename Make>
  [[nodiscard]] Node* look_up(InodeKey key, const IsSame& is_same,
                              const Make& make) PMEM_EXCLUDES(mutex_) {
    const pmem::Lock lock(mutex_);
    const auto found = nodes_.find(key);
    if (found != nodes_.end() && is_same(*found->second)) {
      ++found->second->lookups_;
      return found->second.get();
    }
    if (found != nodes_.end()) {
      Node* replaced = found->second.get();
      replaced_.emplace(replaced, std::move(found->second));
      nodes_.erase(found);
    }
    std::shared_ptr<Node> node = make();
    node->key_ = key;
    node->lookups_ = 1;
    node->generation_ = ++generations_;
    Node* made = nodes_.emplace(key, std::move(node)).first->second.get();
    most_ = std::max(most_, nodes_.size());
    return made;
  }

  // The node with this key, if the kernel knows one; counts no lookup.
  template <typename IsSame>
  [[nodiscard]] std::shared_ptr<Node> find(InodeKey key,
                                           const IsSame& is_same) const
      PMEM_EXCLUDES(mutex_) {
    const pmem::Lock lock(mutex_);
    const auto found = nodes_.find(key);
    return found != nodes_.end() && is_same(*found->second) ? found->second
                                                            : nullptr;
  }

  // The kernel has forgotten `lookups` lookups; the node goes with the last,
  // and when most of many have gone, their memory goes back to the system.
  void forget(Node& node, std::uint64_t lookups) PMEM_EXCLUDES(mutex_);

  [[nodiscard]] std::size_t size() const PMEM_EXCLUDES(mutex_);

 private:
  struct KeyHash {
    std::size_t operator()(const InodeKey& key) const {
      return std::hash<std::uint64_t>()(key.inode * 0x9E3779B97F4A7C15U ^
                                        key.device);
    }
  };

  // Whether so many have gone that it is time to give memory back; that of the
  // table itself is, then.
  bool has_shrunk() PMEM_REQUIRES(mutex_);

  // Takes the node out of the table; the caller destroys it without the lock.
  std::shared_ptr<Node> take(Node& node) PMEM_REQUIRES(mutex_);

  mutable pmem::Mutex mutex_;
  std::size_t most_ PMEM_GUARDED_BY(mutex_) = 0;  // since it last shrank
  std::uint64_t generations_ PMEM_GUARDED_BY(mutex_) = 0;
  std::unordered_map<InodeKey, std::shared_ptr<Node>, KeyHash> nodes_
      PMEM_GUARDED_BY(mutex_);
  std::unordered_map<Node*, std::shared_ptr<Node>> replaced_
      PMEM_GUARDED_BY(mutex_);
};

}  // namespace pmemfs
