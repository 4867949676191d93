#include "fs/anchor.h"

#include <fcntl.h>

#include <array>
#include <cstring>
#include <utility>

namespace pmemfs {
namespace {

struct HandleBuffer {
  alignas(struct file_handle)
      std::array<char, sizeof(struct file_handle) + MAX_HANDLE_SZ> bytes = {};

  struct file_handle* handle() {
    return reinterpret_cast<struct file_handle*>(bytes.data());
  }
};

// The file handle as bytes; "" where the file system has none.
std::string handle_of(int fd) {
  HandleBuffer buffer;
  buffer.handle()->handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  if (::name_to_handle_at(fd, "", buffer.handle(), &mount_id, AT_EMPTY_PATH) !=
      0) {
    return "";
  }
  return {buffer.bytes.data(),
          sizeof(struct file_handle) + buffer.handle()->handle_bytes};
}

pmem::UniqueFd open_handle(int mount_fd, const std::string& handle) {
  HandleBuffer buffer;
  std::memcpy(buffer.bytes.data(), handle.data(), handle.size());
  return pmem::UniqueFd(
      ::open_by_handle_at(mount_fd, buffer.handle(), O_PATH | O_CLOEXEC));
}

}  // namespace

Anchor::Anchor(pmem::UniqueFd fd, AnchorPool& pool, const HandleMount* mount)
    : pool_(pool), mount_(mount) {
  if (mount_ != nullptr && (pool_.is_full() || mount_->must_not_be_held())) {
    handle_ = handle_of(fd.get());
  }
  if (handle_.empty()) {
    fd_ = std::move(fd);
    pool_.add();
  }
}

Anchor::~Anchor() {
  if (fd_.valid()) {
    pool_.remove();
  }
}

pmem::Result<PathFd> Anchor::open() const {
  if (fd_.valid()) {
    return PathFd(fd_.get());
  }
  pmem::Result<PathFd> mount_fd = mount_->mount_fd();
  if (!mount_fd) {
    return mount_fd;
  }
  pmem::UniqueFd fd = open_handle(mount_fd->get(), handle_);
  if (!fd.valid()) {
    return pmem::fail_errno("open by handle");
  }
  return PathFd(std::move(fd));
}

bool Anchor::is_same_inode(int fd) const {
  return fd_.valid() || handle_of(fd) == handle_;
}

bool can_open_by_handle(int mount_fd) {
  const std::string handle = handle_of(mount_fd);
  return !handle.empty() && open_handle(mount_fd, handle).valid();
}

}  // namespace pmemfs
