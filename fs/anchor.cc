#include "fs/anchor.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "fs/child.h"
#include "fs/node.h"

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

// What tells an inode from all others, also from a younger one of the same
// number; "" where the file system tells too little.
std::string identity_of(int fd) {
  struct statx facts = {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &facts) != 0) {
    return "";
  }
  const std::string handle = handle_of(fd);
  if (handle.empty() && (facts.stx_mask & STATX_BTIME) == 0) {
    return "";
  }
  const std::array numbers = {
      std::uint64_t{facts.stx_dev_major} << 32 | facts.stx_dev_minor,
      std::uint64_t{facts.stx_ino},
      static_cast<std::uint64_t>(facts.stx_btime.tv_sec),
      std::uint64_t{facts.stx_btime.tv_nsec}};
  std::string identity(sizeof(numbers), '\0');
  std::memcpy(identity.data(), numbers.data(), sizeof(numbers));
  return identity + handle;
}

pmem::UniqueFd open_handle(int mount_fd, const std::string& handle) {
  HandleBuffer buffer;
  std::memcpy(buffer.bytes.data(), handle.data(), handle.size());
  return pmem::UniqueFd(
      ::open_by_handle_at(mount_fd, buffer.handle(), O_PATH | O_CLOEXEC));
}

}  // namespace

Anchor::Anchor(pmem::UniqueFd fd, mode_t type, AnchorPool& pool,
               const HandleMount* mount, const std::optional<SeenAt>& seen_at)
    : pool_(pool), mount_(mount) {
  const bool is_full = pool_.is_full_for(type);
  if (mount_ != nullptr && (is_full || mount_->must_not_be_held())) {
    handle_ = handle_of(fd.get());
  } else if (is_full && seen_at) {
    identity_ = identity_of(fd.get());
  }
  if (!identity_.empty()) {
    pool_.add_place();
    move_to(*seen_at);
  } else if (handle_.empty()) {
    fd_ = std::move(fd);
    pool_.add();
  }
  if (!fd_.valid()) {
    pool_.add_other();
  }
}

Anchor::~Anchor() {
  fd_.valid() ? pool_.remove() : pool_.remove_other();
  if (held_.load() >= 0) {
    pool_.remove();
  }
  if (!identity_.empty()) {
    pool_.remove_place();
  }
}

pmem::Result<PathFd> Anchor::open() const {
  if (fd_.valid()) {
    return PathFd(fd_.get());
  }
  const int held = held_.load(std::memory_order_acquire);
  if (held >= 0) {
    return PathFd(held);
  }
  if (!identity_.empty()) {
    return open_by_place();
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

pmem::Result<PathFd> Anchor::open_by_place() const {
  Place place;
  {
    const pmem::Lock lock(mutex_);
    place = place_;
  }
  pmem::Result<PathFd> directory = place.directory->path_fd();
  if (!directory) {
    return directory;
  }
  constexpr bool kEntersMounts = true;  // it is not taken for what it is not
  pmem::UniqueFd fd =
      open_child(directory->get(), place.name.c_str(), kEntersMounts);
  const bool is_elsewhere =
      errno == ENOENT || errno == ENOTDIR || errno == EACCES;
  if (!fd.valid() && !is_elsewhere) {
    return pmem::fail_errno("open by name");
  }
  if (!fd.valid() || identity_of(fd.get()) != identity_) {
    return pmem::fail(ESTALE, "open by name");
  }
  return PathFd(std::move(fd));
}

bool Anchor::is_at(const SeenAt& seen_at) const {
  const pmem::Lock lock(mutex_);
  return place_.directory.get() == &seen_at.directory &&
         place_.name == seen_at.name;
}

void Anchor::hold(pmem::UniqueFd fd) const {
  const pmem::Lock lock(mutex_);
  if (!fd_.valid() && !held_fd_.valid()) {
    held_fd_ = std::move(fd);
    pool_.add();
    held_.store(held_fd_.get(), std::memory_order_release);
  }
}

void Anchor::move_to(const SeenAt& seen_at) const {
  if (identity_.empty()) {
    return;
  }
  Place place{seen_at.directory.shared_from_this(), seen_at.name};
  const pmem::Lock lock(mutex_);
  std::swap(place_, place);
}

bool Anchor::is_same_inode(int fd) const {
  return fd_.valid() || held_.load() >= 0 ||
         (identity_.empty() ? handle_of(fd) == handle_
                            : identity_of(fd) == identity_);
}

bool can_open_by_handle(int mount_fd) {
  const std::string handle = handle_of(mount_fd);
  return !handle.empty() && open_handle(mount_fd, handle).valid();
}

}  // namespace pmemfs
