#include "fs/node.h"

namespace pmemfs {

using pmem::fail;
using pmem::Result;

Result<struct stat> Node::change_attributes(const AttributeChange& /*change*/,
                                            OpenFile* /*file*/,
                                            const Caller& /*caller*/) {
  return fail(EPERM, "setattr");
}

Result<Entry> Node::lookup(const char* /*name*/) {
  return fail(ENOTDIR, "lookup");
}

Result<Entry> Node::make_node(const char* /*name*/, mode_t /*mode*/,
                              dev_t /*device*/, const Caller& /*caller*/) {
  return fail(EPERM, "mknod");
}

Result<Entry> Node::make_directory(const char* /*name*/, mode_t /*mode*/,
                                   const Caller& /*caller*/) {
  return fail(EPERM, "mkdir");
}

Result<Entry> Node::make_symlink(const char* /*name*/, const char* /*target*/,
                                 const Caller& /*caller*/) {
  return fail(EPERM, "symlink");
}

Result<Entry> Node::link(Node& /*node*/, const char* /*name*/,
                         const Caller& /*caller*/) {
  return fail(EPERM, "link");
}

Result<void> Node::remove_file(const char* /*name*/, const Caller& /*caller*/) {
  return fail(EPERM, "unlink");
}

Result<void> Node::remove_directory(const char* /*name*/,
                                    const Caller& /*caller*/) {
  return fail(EPERM, "rmdir");
}

Result<void> Node::rename(const char* /*name*/, Node& /*to*/,
                          const char* /*new_name*/, unsigned /*flags*/,
                          const Caller& /*caller*/) {
  return fail(EPERM, "rename");
}

Result<CreatedFile> Node::create(const char* /*name*/, mode_t /*mode*/,
                                 int /*flags*/, const Caller& /*caller*/) {
  return fail(EPERM, "create");
}

Result<CreatedFile> Node::create_nameless(mode_t /*mode*/, int /*flags*/,
                                          const Caller& /*caller*/) {
  return fail(EOPNOTSUPP, "tmpfile");
}

Result<std::unique_ptr<DirectoryStream>> Node::open_directory() {
  return fail(ENOTDIR, "opendir");
}

Result<std::unique_ptr<OpenFile>> Node::open(int /*flags*/,
                                             const Caller& /*caller*/) {
  return fail(EISDIR, "open");
}

Result<std::string> Node::read_link() { return fail(EINVAL, "readlink"); }

Result<std::string> Node::get_xattr(const char* /*name*/) {
  return fail(ENODATA, "getxattr");
}

Result<std::string> Node::list_xattrs(const Caller& /*caller*/) {
  return std::string();
}

Result<void> Node::set_xattr(const char* /*name*/, std::string_view /*value*/,
                             int /*flags*/, const Caller& /*caller*/) {
  return fail(EOPNOTSUPP, "setxattr");
}

Result<void> Node::remove_xattr(const char* /*name*/,
                                const Caller& /*caller*/) {
  return fail(EOPNOTSUPP, "removexattr");
}

Result<std::optional<struct timespec>> Node::birth_time() {
  return std::nullopt;
}

Result<std::string> Node::control(unsigned /*command*/, std::string_view /*in*/,
                                  std::size_t /*out_bytes*/,
                                  const Caller& /*caller*/) {
  return fail(ENOTTY, "ioctl");
}

Result<PathFd> Node::path_fd() const { return fail(EXDEV, "node"); }

}  // namespace pmemfs
