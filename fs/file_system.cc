#include "fs/file_system.h"

#include <sys/resource.h>

#include <string>
#include <utility>

#include "fs/top_directory.h"

namespace pmemfs {
namespace {

using pmem::pass_on;
using pmem::Result;

// Half for inodes that the kernel knows, half for open files.
std::size_t anchor_budget() {
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return 512;
  }
  return static_cast<std::size_t>(limit.rlim_cur) / 2;
}

}  // namespace

FileSystem::FileSystem(FileSystemOptions options)
    : options_(std::move(options)), anchors_(anchor_budget()) {}

Result<std::unique_ptr<FileSystem>> FileSystem::create(
    FileSystemOptions options) {
  std::unique_ptr<FileSystem> made(new FileSystem(std::move(options)));
  const std::vector<DirectorySource>& sources = made->options_.sources;
  const bool is_single = sources.size() == 1 && sources.front().name.empty();
  if (sources.empty()) {
    return pmem::fail(EINVAL, "mounting without a source");
  }
  const SharedState shared = {made->options_.list_virtual_xattrs,
                              made->anchors_, made->inode_numbers_,
                              made->nodes_};
  std::vector<TopDirectory::Member> members;
  for (const DirectorySource& source : sources) {
    if (!is_single && source.name.empty()) {
      return pmem::fail(EINVAL, "naming the source " + source.directory);
    }
    const auto tag =
        static_cast<std::uint16_t>(is_single ? 0 : members.size() + 1);
    Result<std::unique_ptr<SourceTree>> tree =
        SourceTree::create(source.directory, tag, shared);
    if (!tree) {
      return pass_on(tree);
    }
    made->trees_.push_back(std::move(*tree));
    members.push_back({source.name, made->trees_.back().get()});
  }
  if (is_single) {
    Result<Entry> root = made->trees_.front()->root();
    if (!root) {
      return pass_on(root);
    }
    made->root_ = root->node;
  } else {
    made->top_ = std::make_unique<TopDirectory>(std::move(members));
    made->root_ = made->top_.get();
  }
  return made;
}

}  // namespace pmemfs
