// What keeps hold of an inode while the kernel knows it.
//
// An Anchor is an O_PATH descriptor as long as those are plenty. Beyond a
// budget the inode is remembered otherwise and opened anew for each use, so
// that the number of files that the kernel has seen is not limited by the
// number of descriptors: by its file handle where the daemon may open by handle
// (root, and a file system that has handles), elsewhere by the name and the
// directory it was seen at last. What is found there by then is taken for it
// only if it is the same inode; if not, ESTALE has the kernel look the name up
// anew. By handle is remembered, too, every inode of a file system that is not
// to be kept from being unmounted.
//
// Anchors may be used from any thread. The AnchorPool and the HandleMount must
// outlive them.
// Source: open_by_handle_at(2), openat2(2), path_resolution(7).
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "pmem/mutex.h"
#include "pmem/result.h"
#include "pmem/unique_fd.h"

namespace pmemfs {

class Node;

// How many descriptors anchors hold, and may hold; a quarter of them is for
// directories alone, through which others are reached. Any thread.
class AnchorPool {
 public:
  explicit AnchorPool(std::size_t most_descriptors)
      : most_descriptors_(most_descriptors) {}

  [[nodiscard]] bool is_full() const { return held() >= most_descriptors_; }
  // Whether there is none left for an inode of that type (S_IF...).
  [[nodiscard]] bool is_full_for(mode_t type) const {
    return held() >= (type == S_IFDIR
                          ? most_descriptors_
                          : most_descriptors_ - most_descriptors_ / 4);
  }
  void add() { descriptors_.fetch_add(1, std::memory_order_relaxed); }
  void remove() { descriptors_.fetch_sub(1, std::memory_order_relaxed); }

  // Whether some anchor has no descriptor.
  [[nodiscard]] bool has_others() const {
    return others_.load(std::memory_order_relaxed) > 0;
  }
  void add_other() { others_.fetch_add(1, std::memory_order_relaxed); }
  void remove_other() { others_.fetch_sub(1, std::memory_order_relaxed); }

  // Whether some anchor is remembered by its place.
  [[nodiscard]] bool has_places() const {
    return places_.load(std::memory_order_relaxed) > 0;
  }
  void add_place() { places_.fetch_add(1, std::memory_order_relaxed); }
  void remove_place() { places_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  [[nodiscard]] std::size_t held() const {
    return descriptors_.load(std::memory_order_relaxed);
  }

  const std::size_t most_descriptors_;
  std::atomic<std::size_t> descriptors_ = 0;
  std::atomic<std::size_t> others_ = 0;
  std::atomic<std::size_t> places_ = 0;
};

// A descriptor of an inode for the length of one call: borrowed, for which its
// lender can be kept alive, or owned.
class PathFd {
 public:
  explicit PathFd(int borrowed, std::shared_ptr<const void> lender = nullptr)
      : lender_(std::move(lender)), fd_(borrowed) {}
  explicit PathFd(pmem::UniqueFd owned)
      : owned_(std::move(owned)), fd_(owned_.get()) {}
  [[nodiscard]] int get() const { return fd_; }

 private:
  std::shared_ptr<const void> lender_;
  pmem::UniqueFd owned_;
  int fd_ = -1;
};

// The mount in which handles are opened. Any thread.
class HandleMount {
 public:
  HandleMount() = default;
  virtual ~HandleMount() = default;
  HandleMount(const HandleMount&) = delete;
  HandleMount& operator=(const HandleMount&) = delete;

  // An ordinary descriptor of a directory in it. Errors: those of open(2).
  [[nodiscard]] virtual pmem::Result<PathFd> mount_fd() const = 0;

  // Whether no descriptor of it shall be kept, be there room for it or not.
  [[nodiscard]] virtual bool must_not_be_held() const { return false; }
};

// Where an inode has just been seen: a name in a directory. For the length of a
// call.
struct SeenAt {
  Node& directory;
  const char* name;
};

class Anchor {
 public:
  // Keeps `fd`, of an inode of the type (S_IF...), or what it can be remembered
  // by when the pool is full or the mount must not be held. `mount` is that of
  // the inode, or null when handles are of no use there; without `seen_at`
  // either, the descriptor is kept.
  Anchor(pmem::UniqueFd fd, mode_t type, AnchorPool& pool,
         const HandleMount* mount,
         const std::optional<SeenAt>& seen_at = std::nullopt);
  ~Anchor();
  Anchor(const Anchor&) = delete;
  Anchor& operator=(const Anchor&) = delete;

  // Errors: ESTALE (deleted by others beneath; not any more where it was seen,
  // or that directory has been closed to the daemon; or the file system is
  // unmounted), EMFILE, ENFILE.
  [[nodiscard]] pmem::Result<PathFd> open() const PMEM_EXCLUDES(mutex_);

  // Whether it is remembered by just that name.
  [[nodiscard]] bool is_at(const SeenAt& seen_at) const PMEM_EXCLUDES(mutex_);

  // The inode has lost the name that it could be reached by, or its last one,
  // and so its handle: from now on the descriptor, which is one of it, is kept.
  // Whoever has it open can go on to use it; else the kernel forgets it soon.
  void hold(pmem::UniqueFd fd) const PMEM_EXCLUDES(mutex_);

  // The inode has been seen there now.
  void move_to(const SeenAt& seen_at) const PMEM_EXCLUDES(mutex_);

  // Whether this anchor surely means the inode behind the descriptor, which has
  // the same device and inode number: numbers are used again after a deletion,
  // unless a descriptor pins them.
  [[nodiscard]] bool is_same_inode(int fd) const;

 private:
  struct Place {
    std::shared_ptr<Node> directory;
    std::string name;
  };

  [[nodiscard]] pmem::Result<PathFd> open_by_place() const
      PMEM_EXCLUDES(mutex_);

  AnchorPool& pool_;
  const HandleMount* mount_;
  // One of the three says where the inode is.
  pmem::UniqueFd fd_;
  std::string handle_;    // a struct file_handle
  std::string identity_;  // as told by identity_of(); then there is a place
  mutable std::atomic<int> held_ = -1;  // that of held_fd_
  mutable pmem::Mutex mutex_;
  mutable pmem::UniqueFd held_fd_ PMEM_GUARDED_BY(mutex_);
  mutable Place place_ PMEM_GUARDED_BY(mutex_);
};

// Whether this process may open files of the mount by handle.
[[nodiscard]] bool can_open_by_handle(int mount_fd);

}  // namespace pmemfs
