// An inode of a directory source. See node.h for what the members mean and
// source_tree.h for how it is reached. Any thread.
#pragma once

#include <memory>
#include <string>

#include "fs/node.h"
#include "fs/region.h"
#include "fs/source_tree.h"

namespace pmemfs {

class SourceNode : public Node {
 public:
  // `mount` and `seen_at` as in Anchor; `mount` is null or the tree itself.
  SourceNode(std::shared_ptr<SourceTree> tree, pmem::UniqueFd path_fd,
             const HandleMount* mount, mode_t mode,
             const std::optional<SeenAt>& seen_at)
      : tree_(std::move(tree)),
        type_(mode & S_IFMT),
        anchor_(std::move(path_fd), type_, tree_->shared().anchors, mount,
                seen_at) {}

  // The inode has been seen there now.
  void move_to(const SeenAt& seen_at) { anchor_.move_to(seen_at); }

  [[nodiscard]] bool is_same_inode(int fd) const {
    return anchor_.is_same_inode(fd);
  }

  // Of a file that somebody has open: what the backing file told just now is
  // replaced by what is to be told of it, with the time of the last write.
  void bring_up_to_date(struct stat& status);

  pmem::Result<struct stat> attributes() override;
  pmem::Result<struct stat> change_attributes(const AttributeChange& change,
                                              OpenFile* file,
                                              const Caller& caller) override;
  [[nodiscard]] bool may_change_unseen() override;
  pmem::Result<struct statvfs> file_system_status() override;

  pmem::Result<Entry> lookup(const char* name) override;
  pmem::Result<Entry> make_node(const char* name, mode_t mode, dev_t device,
                                const Caller& caller) override;
  pmem::Result<Entry> make_directory(const char* name, mode_t mode,
                                     const Caller& caller) override;
  pmem::Result<Entry> make_symlink(const char* name, const char* target,
                                   const Caller& caller) override;
  pmem::Result<Entry> link(Node& node, const char* name,
                           const Caller& caller) override;
  pmem::Result<void> remove_file(const char* name,
                                 const Caller& caller) override;
  pmem::Result<void> remove_directory(const char* name,
                                      const Caller& caller) override;
  pmem::Result<void> rename(const char* name, Node& to, const char* new_name,
                            unsigned flags, const Caller& caller) override;
  pmem::Result<CreatedFile> create(const char* name, mode_t mode, int flags,
                                   const Caller& caller) override;
  pmem::Result<CreatedFile> create_nameless(mode_t mode, int flags,
                                            const Caller& caller) override;
  pmem::Result<std::unique_ptr<DirectoryStream>> open_directory() override;

  pmem::Result<std::unique_ptr<OpenFile>> open(int flags,
                                               const Caller& caller) override;
  pmem::Result<std::string> read_link() override;

  pmem::Result<std::string> get_xattr(const char* name) override;
  pmem::Result<std::string> list_xattrs(const Caller& caller) override;
  pmem::Result<void> set_xattr(const char* name, std::string_view value,
                               int flags, const Caller& caller) override;
  pmem::Result<void> remove_xattr(const char* name,
                                  const Caller& caller) override;

  [[nodiscard]] pmem::Result<std::optional<struct timespec>> birth_time()
      override;
  [[nodiscard]] pmem::Result<std::string> control(
      unsigned command, std::string_view in, std::size_t out_bytes,
      const Caller& caller) override;

  // Of the open region, if there is one, when the inode itself cannot be
  // reached any more.
  [[nodiscard]] pmem::Result<PathFd> path_fd() const override;

 private:
  // The region of a file that somebody has open, or null.
  std::shared_ptr<Region> open_region() const PMEM_EXCLUDES(mutex_);
  // The same, opened now if it is not yet, and good for `access`.
  pmem::Result<std::shared_ptr<Region>> region_for(
      pmem::Access access, Writes writes = Writes::kAnywhere)
      PMEM_EXCLUDES(mutex_);
  void keep_region(const std::shared_ptr<Region>& region) PMEM_EXCLUDES(mutex_);

  template <typename Make>
  pmem::Result<Entry> make_entry(const char* name, mode_t type,
                                 const Caller& caller, const Make& make,
                                 const char* doing);
  // Looks the name up for the sake of the anchor of what has it.
  void see_again(Node& directory, const char* name);
  [[nodiscard]] pmem::UniqueFd open_victim(int directory,
                                           const char* name) const;
  void hold_if_lost(pmem::UniqueFd fd, const SeenAt& lost_name) const;
  pmem::Result<void> remove(const char* name, int flags, const Caller& caller);
  pmem::Result<CreatedFile> adopt_created(pmem::UniqueFd fd,
                                          const std::optional<SeenAt>& seen_at);
  pmem::Result<CreatedFile> open_existing(const char* name, int flags,
                                          const Caller& caller);

  const std::shared_ptr<SourceTree> tree_;  // before what refers to it
  const mode_t type_;                       // S_IFREG, S_IFDIR, ...
  const Anchor anchor_;

  mutable pmem::Mutex mutex_;
  std::weak_ptr<Region> region_ PMEM_GUARDED_BY(mutex_);
};

}  // namespace pmemfs
