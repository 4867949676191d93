// What keeps hold of an inode while the kernel knows it.
//
// An Anchor is an O_PATH descriptor as long as those are plenty. Beyond a
// budget, where the daemon may open by handle (root, and a file system that has
// handles), the inode is remembered by its file handle instead and opened anew
// for each use; so the number of files that the kernel has seen is not limited
// by the number of descriptors. The same is done with every inode of a file
// system that is not to be kept from being unmounted.
//
// Anchors are immutable and may be used from any thread. The AnchorPool and the
// HandleMount must outlive them.
// Source: open_by_handle_at(2), path_resolution(7).
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "pmem/result.h"
#include "pmem/unique_fd.h"

namespace pmemfs {

// How many descriptors anchors hold, and may hold. Any thread.
class AnchorPool {
 public:
  explicit AnchorPool(std::size_t most_descriptors)
      : most_descriptors_(most_descriptors) {}

  [[nodiscard]] bool is_full() const {
    return descriptors_.load(std::memory_order_relaxed) >= most_descriptors_;
  }
  void add() { descriptors_.fetch_add(1, std::memory_order_relaxed); }
  void remove() { descriptors_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  const std::size_t most_descriptors_;
  std::atomic<std::size_t> descriptors_ = 0;
};

// An O_PATH descriptor for the length of one call: borrowed or owned.
class PathFd {
 public:
  explicit PathFd(int borrowed) : fd_(borrowed) {}
  explicit PathFd(pmem::UniqueFd owned)
      : owned_(std::move(owned)), fd_(owned_.get()) {}
  [[nodiscard]] int get() const { return fd_; }

 private:
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

class Anchor {
 public:
  // Keeps `fd`, or its handle when the pool is full or the mount must not be
  // held. `mount` is that of the inode, or null when handles are of no use
  // there.
  Anchor(pmem::UniqueFd fd, AnchorPool& pool, const HandleMount* mount);
  ~Anchor();
  Anchor(const Anchor&) = delete;
  Anchor& operator=(const Anchor&) = delete;

  // Errors: ESTALE (deleted, and nobody has it open; or the file system is
  // unmounted), EMFILE, ENFILE.
  [[nodiscard]] pmem::Result<PathFd> open() const;

  // Whether this anchor surely means the inode behind the descriptor, which has
  // the same device and inode number: numbers are used again after a deletion,
  // unless a descriptor pins them.
  [[nodiscard]] bool is_same_inode(int fd) const;

 private:
  AnchorPool& pool_;
  const HandleMount* mount_;
  pmem::UniqueFd fd_;
  std::string handle_;  // a struct file_handle; empty while fd_ is held
};

// Whether this process may open files of the mount by handle.
[[nodiscard]] bool can_open_by_handle(int mount_fd);

}  // namespace pmemfs
