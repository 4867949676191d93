#include "fs/file_system.h"

#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <utility>

#include "fs/dax_directory.h"
#include "fs/discovery.h"
#include "fs/own_inodes.h"
#include "fs/source_tree.h"
#include "fs/top_directory.h"

namespace pmemfs {
namespace {

using pmem::pass_on;
using pmem::Result;

// A quarter for inodes that the kernel knows, the rest for open files: the
// former do with few, the latter need one each.
std::size_t anchor_budget() {
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return 256;
  }
  return static_cast<std::size_t>(limit.rlim_cur) / 4;
}

}  // namespace

FileSystem::FileSystem(FileSystemOptions options)
    : options_(std::move(options)), anchors_(anchor_budget()) {}

Result<std::unique_ptr<FileSystem>> FileSystem::create(
    FileSystemOptions options) {
  std::unique_ptr<FileSystem> made(new FileSystem(std::move(options)));
  const std::vector<SourceSpec>& specs = made->options_.sources;
  const bool is_single = specs.size() == 1 && specs.front().name.empty();
  if (specs.empty()) {
    return pmem::fail(EINVAL, "mounting without a source");
  }
  std::vector<TopDirectory::Member> members;
  for (const SourceSpec& spec : specs) {
    if (!is_single && spec.name.empty()) {
      return pmem::fail(EINVAL, "naming the source " + spec.path);
    }
    const auto tag =
        static_cast<std::uint16_t>(is_single ? 0 : members.size() + 1);
    Result<std::shared_ptr<MountSource>> source = made->make_source(spec, tag);
    if (!source) {
      return pass_on(source);
    }
    made->sources_.push_back(std::move(*source));
    members.push_back({spec.name, made->sources_.back().get()});
  }
  if (is_single) {
    Result<Entry> root = made->sources_.front()->root();
    if (!root) {
      return pass_on(root);
    }
    made->root_ = root->node;
  } else {
    made->top_ = std::make_unique<TopDirectory>(kTopInode, std::move(members));
    made->root_ = made->top_.get();
  }
  return made;
}

bool FileSystem::has_stacked_source() const {
  return std::ranges::any_of(
      sources_, [](const auto& source) { return source->is_stacked(); });
}

Result<std::shared_ptr<MountSource>> FileSystem::make_source(
    const SourceSpec& spec, std::uint16_t tag) {
  const SharedState shared = {options_.list_virtual_xattrs, anchors_,
                              inode_numbers_, nodes_};
  if (spec.kind == SourceKind::kDirectory) {
    Result<std::shared_ptr<SourceTree>> tree =
        SourceTree::create(spec.path, tag, shared);
    if (!tree) {
      return pass_on(tree);
    }
    return std::move(*tree);
  }
  const DaxOptions dax = {options_.sysfs_root, options_.dev_root,
                          options_.list_virtual_xattrs};
  if (spec.kind == SourceKind::kEverything) {
    return std::make_shared<DiscoverySource>(
        dax, FsdaxOptions{options_.mountinfo_path, options_.sysfs_root},
        shared);
  }
  const std::optional<std::string> device = spec.kind == SourceKind::kDevice
                                                ? std::optional(spec.path)
                                                : std::nullopt;
  return std::make_shared<DaxSource>(dax, nodes_, device);
}

}  // namespace pmemfs
