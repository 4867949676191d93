#include "fs/source_directory.h"

#include <dirent.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace pmemfs {
namespace {

using pmem::fail_errno;
using pmem::Result;

class SourceDirectoryStream : public DirectoryStream {
 public:
  SourceDirectoryStream(pmem::UniqueFd fd, dev_t device,
                        std::shared_ptr<const SourceTree> tree)
      : fd_(std::move(fd)), device_(device), tree_(std::move(tree)) {}

  Result<std::optional<DirectoryEntry>> entry_at(std::uint64_t offset) override
      PMEM_REQUIRES(mutex()) {
    if (offset != begin_of_entry_ || !has_entry_) {
      if (has_entry_ && offset == end_of_entry_) {
        at_ += current()->d_reclen;
      } else {
        if (::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_SET) < 0) {
          return fail_errno("lseek");
        }
        at_ = filled_ = 0;
      }
    }
    has_entry_ = false;
    if (at_ >= filled_) {
      const ssize_t got =
          ::getdents64(fd_.get(), buffer_.data(), buffer_.size());
      if (got < 0) {
        return fail_errno("getdents64");
      }
      at_ = 0;
      filled_ = static_cast<std::size_t>(got);
      if (got == 0) {
        return std::nullopt;
      }
    }
    const struct dirent64* entry = current();
    has_entry_ = true;
    begin_of_entry_ = offset;
    end_of_entry_ = static_cast<std::uint64_t>(entry->d_off);
    return DirectoryEntry{
        static_cast<const char*>(entry->d_name),
        tree_->shared().inode_numbers.unique(device_, entry->d_ino, fd_.get()),
        entry->d_type, end_of_entry_};
  }

  Result<void> sync(bool data_only) override {
    if ((data_only ? ::fdatasync(fd_.get()) : ::fsync(fd_.get())) != 0) {
      return fail_errno("fsync");
    }
    return {};
  }

 private:
  static constexpr std::size_t kBufferBytes = std::size_t{32} << 10;

  [[nodiscard]] const struct dirent64* current() const PMEM_REQUIRES(mutex()) {
    return reinterpret_cast<const struct dirent64*>(buffer_.data() + at_);
  }

  const pmem::UniqueFd fd_;
  const dev_t device_;
  const std::shared_ptr<const SourceTree> tree_;

  alignas(struct dirent64) std::array<std::byte, kBufferBytes> buffer_
      PMEM_GUARDED_BY(mutex()) = {};
  std::size_t at_ PMEM_GUARDED_BY(mutex()) = 0;
  std::size_t filled_ PMEM_GUARDED_BY(mutex()) = 0;
  // The entry at at_, which may be asked for again: it did not fit the reply.
  bool has_entry_ PMEM_GUARDED_BY(mutex()) = false;
  std::uint64_t begin_of_entry_ PMEM_GUARDED_BY(mutex()) = 0;
  std::uint64_t end_of_entry_ PMEM_GUARDED_BY(mutex()) = 0;
};

}  // namespace

std::unique_ptr<DirectoryStream> make_source_directory_stream(
    pmem::UniqueFd directory_fd, dev_t device,
    std::shared_ptr<const SourceTree> tree) {
  return std::make_unique<SourceDirectoryStream>(std::move(directory_fd),
                                                 device, std::move(tree));
}

}  // namespace pmemfs
