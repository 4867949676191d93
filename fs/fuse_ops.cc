#include "fs/fuse_ops.h"

#include <dirent.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include "fs/region.h"

// What libfuse hands back as integers are our own pointers: the node behind an
// inode number (1 is the root), the open file or directory behind a handle.

namespace pmemfs {
namespace {

using pmem::Result;

Connection& connection_of(fuse_req_t request) {
  return *static_cast<Connection*>(::fuse_req_userdata(request));
}

FileSystem& file_system_of(fuse_req_t request) {
  return connection_of(request).file_system;
}

Node& node_of(fuse_req_t request, fuse_ino_t inode) {
  if (inode == FUSE_ROOT_ID) {
    return file_system_of(request).root();
  }
  return *reinterpret_cast<Node*>(inode);
}

Caller caller_of(fuse_req_t request) {
  const struct fuse_ctx* context = ::fuse_req_ctx(request);
  return {context->uid, context->gid, context->pid, context->umask};
}

// Of one who opens or writes.
Caller caller_of(fuse_req_t request, const struct fuse_file_info& info) {
  Caller caller = caller_of(request);
  caller.loses_set_id = info.kill_suidgid != 0;
  return caller;
}

OpenFile& file_of(const struct fuse_file_info* info) {
  return HandleTable<OpenFile>::at(info->fh);
}

FileData& data_of(const struct fuse_file_info* info) {
  return *file_of(info).data;
}

DirectoryStream& directory_of(const struct fuse_file_info* info) {
  return HandleTable<DirectoryStream>::at(info->fh);
}

// Runs the handling of one request and turns what it may throw into a reply.
// REQUIRES: replying is the last thing that `code` does.
template <typename Code>
void answer(fuse_req_t request, const Code& code) {
  try {
    code();
  } catch (const std::bad_alloc&) {
    ::fuse_reply_err(request, ENOMEM);
  } catch (...) {
    ::fuse_reply_err(request, EIO);
  }
}

// EMFILE is of the daemon; for its callers it is the table of the file system
// that is full.
void reply_error(fuse_req_t request, const pmem::Error& error) {
  if (error.code != EMFILE) {
    ::fuse_reply_err(request, error.code);
    return;
  }
  Connection& connection = connection_of(request);
  if (connection.events.on_descriptors_exhausted &&
      connection.shortage_reports.is_due()) {
    connection.events.on_descriptors_exhausted();
  }
  ::fuse_reply_err(request, ENFILE);
}

void reply_done(fuse_req_t request, const Result<void>& done) {
  if (!done) {
    reply_error(request, done.error());
    return;
  }
  ::fuse_reply_err(request, 0);
}

// How long the kernel may trust the attributes of a node.
double attribute_timeout_s(fuse_req_t request, Node& node) {
  return node.may_change_unseen()
             ? 0
             : file_system_of(request).options().attr_timeout_s;
}

struct fuse_entry_param to_param(fuse_req_t request, const Entry& entry) {
  const FileSystemOptions& options = file_system_of(request).options();
  struct fuse_entry_param param = {};
  param.ino = reinterpret_cast<std::uintptr_t>(entry.node);
  param.generation = entry.node->generation();
  param.attr = entry.attributes;
  param.attr_timeout = attribute_timeout_s(request, *entry.node);
  param.entry_timeout = options.entry_timeout_s;
  if (entry.may_vanish) {
    constexpr double kLongestTrustS = 0.5;
    param.entry_timeout = std::min(param.entry_timeout, kLongestTrustS);
  }
  return param;
}

// The kernel did not take the reply (the caller was interrupted): then it will
// not forget the lookup either.
void forget_entry(FileSystem& file_system, const Entry& entry) {
  file_system.nodes().forget(*entry.node, 1);
}

void reply_entry(fuse_req_t request, const Result<Entry>& entry) {
  if (!entry) {
    reply_error(request, entry.error());
    return;
  }
  FileSystem& file_system = file_system_of(request);
  const struct fuse_entry_param param = to_param(request, *entry);
  if (::fuse_reply_entry(request, &param) == -ENOENT) {
    forget_entry(file_system, *entry);
  }
}

struct statx_timestamp to_statx(const struct timespec& time) {
  struct statx_timestamp stamp = {};
  stamp.tv_sec = time.tv_sec;
  stamp.tv_nsec = static_cast<std::uint32_t>(time.tv_nsec);
  return stamp;
}

struct statx to_statx(const struct stat& status,
                      const std::optional<struct timespec>& birth) {
  struct statx extended = {};
  extended.stx_mask = STATX_BASIC_STATS | (birth ? STATX_BTIME : 0U);
  extended.stx_blksize = static_cast<std::uint32_t>(status.st_blksize);
  extended.stx_nlink = static_cast<std::uint32_t>(status.st_nlink);
  extended.stx_uid = status.st_uid;
  extended.stx_gid = status.st_gid;
  extended.stx_mode = static_cast<std::uint16_t>(status.st_mode);
  extended.stx_ino = status.st_ino;
  extended.stx_size = static_cast<std::uint64_t>(status.st_size);
  extended.stx_blocks = static_cast<std::uint64_t>(status.st_blocks);
  extended.stx_atime = to_statx(status.st_atim);
  extended.stx_mtime = to_statx(status.st_mtim);
  extended.stx_ctime = to_statx(status.st_ctim);
  extended.stx_btime = to_statx(birth.value_or(timespec{}));
  extended.stx_rdev_major = ::major(status.st_rdev);
  extended.stx_rdev_minor = ::minor(status.st_rdev);
  return extended;
}

void reply_attributes(fuse_req_t request, Node& node,
                      const Result<struct stat>& status) {
  if (!status) {
    reply_error(request, status.error());
    return;
  }
  ::fuse_reply_attr(request, &*status, attribute_timeout_s(request, node));
}

// Attributes and lists: a size of 0 asks for the length.
void reply_xattr(fuse_req_t request, const Result<std::string>& value,
                 std::size_t size) {
  if (!value) {
    reply_error(request, value.error());
  } else if (size == 0) {
    ::fuse_reply_xattr(request, value->size());
  } else if (value->size() > size) {
    ::fuse_reply_err(request, ERANGE);
  } else {
    ::fuse_reply_buf(request, value->data(), value->size());
  }
}

// --- session
// --------------------------------------------------------------------

void init(void* userdata, struct fuse_conn_info* info) {
  auto& connection = *static_cast<Connection*>(userdata);
  connection.negotiated = negotiate(*info, connection.wishes);
  connection.events.on_ready(connection.negotiated.in_words);
}

// --- names
// ------------------------------------------------------------------------

void lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  answer(request,
         [&] { reply_entry(request, node_of(request, parent).lookup(name)); });
}

void forget_node(fuse_req_t request, fuse_ino_t inode, std::uint64_t lookups) {
  if (inode != FUSE_ROOT_ID) {
    file_system_of(request).nodes().forget(node_of(request, inode), lookups);
  }
}

void forget(fuse_req_t request, fuse_ino_t inode, std::uint64_t lookups) {
  forget_node(request, inode, lookups);
  ::fuse_reply_none(request);
}

void forget_multi(fuse_req_t request, std::size_t count,
                  struct fuse_forget_data* forgets) {
  for (std::size_t i = 0; i < count; ++i) {
    forget_node(request, forgets[i].ino, forgets[i].nlookup);
  }
  ::fuse_reply_none(request);
}

void make_node(fuse_req_t request, fuse_ino_t parent, const char* name,
               mode_t mode, dev_t device) {
  answer(request, [&] {
    reply_entry(request,
                node_of(request, parent)
                    .make_node(name, mode, device, caller_of(request)));
  });
}

void make_directory(fuse_req_t request, fuse_ino_t parent, const char* name,
                    mode_t mode) {
  answer(request, [&] {
    reply_entry(request, node_of(request, parent)
                             .make_directory(name, mode, caller_of(request)));
  });
}

void make_symlink(fuse_req_t request, const char* target, fuse_ino_t parent,
                  const char* name) {
  answer(request, [&] {
    reply_entry(request, node_of(request, parent)
                             .make_symlink(name, target, caller_of(request)));
  });
}

void link(fuse_req_t request, fuse_ino_t inode, fuse_ino_t parent,
          const char* name) {
  answer(request, [&] {
    reply_entry(request,
                node_of(request, parent)
                    .link(node_of(request, inode), name, caller_of(request)));
  });
}

void remove_file(fuse_req_t request, fuse_ino_t parent, const char* name) {
  answer(request, [&] {
    reply_done(request,
               node_of(request, parent).remove_file(name, caller_of(request)));
  });
}

void remove_directory(fuse_req_t request, fuse_ino_t parent, const char* name) {
  answer(request, [&] {
    reply_done(
        request,
        node_of(request, parent).remove_directory(name, caller_of(request)));
  });
}

void rename(fuse_req_t request, fuse_ino_t parent, const char* name,
            fuse_ino_t new_parent, const char* new_name, unsigned flags) {
  answer(request, [&] {
    reply_done(request, node_of(request, parent)
                            .rename(name, node_of(request, new_parent),
                                    new_name, flags, caller_of(request)));
  });
}

void read_link(fuse_req_t request, fuse_ino_t inode) {
  answer(request, [&] {
    const Result<std::string> target = node_of(request, inode).read_link();
    if (!target) {
      reply_error(request, target.error());
      return;
    }
    ::fuse_reply_readlink(request, target->c_str());
  });
}

// --- attributes
// -------------------------------------------------------------------

void get_attributes(fuse_req_t request, fuse_ino_t inode,
                    struct fuse_file_info* /*info*/) {
  answer(request, [&] {
    Node& node = node_of(request, inode);
    reply_attributes(request, node, node.attributes());
  });
}

void get_extended_attributes(fuse_req_t request, fuse_ino_t inode,
                             int /*flags*/, int /*mask*/,
                             struct fuse_file_info* /*info*/) {
  answer(request, [&] {
    Node& node = node_of(request, inode);
    const Result<struct stat> status = node.attributes();
    if (!status) {
      reply_error(request, status.error());
      return;
    }
    const Result<std::optional<struct timespec>> birth = node.birth_time();
    if (!birth) {
      reply_error(request, birth.error());
      return;
    }
    struct statx extended = to_statx(*status, *birth);
    ::fuse_reply_statx(request, 0, &extended,
                       attribute_timeout_s(request, node));
  });
}

AttributeChange to_change(const struct stat& wanted, int which) {
  constexpr struct timespec kNow = {.tv_sec = 0, .tv_nsec = UTIME_NOW};
  AttributeChange change;
  if ((which & FUSE_SET_ATTR_MODE) != 0) {
    change.mode = wanted.st_mode & 07777;
  }
  if ((which & FUSE_SET_ATTR_UID) != 0) {
    change.uid = wanted.st_uid;
  }
  if ((which & FUSE_SET_ATTR_GID) != 0) {
    change.gid = wanted.st_gid;
  }
  if ((which & FUSE_SET_ATTR_SIZE) != 0) {
    change.size_bytes = static_cast<std::uint64_t>(wanted.st_size);
  }
  if ((which & FUSE_SET_ATTR_ATIME) != 0) {
    const bool is_now = (which & FUSE_SET_ATTR_ATIME_NOW) != 0;
    change.atime = is_now ? kNow : wanted.st_atim;
  }
  if ((which & FUSE_SET_ATTR_MTIME) != 0) {
    const bool is_now = (which & FUSE_SET_ATTR_MTIME_NOW) != 0;
    change.mtime = is_now ? kNow : wanted.st_mtim;
  }
  return change;
}

void set_attributes(fuse_req_t request, fuse_ino_t inode, struct stat* wanted,
                    int which, struct fuse_file_info* info) {
  answer(request, [&] {
    Node& node = node_of(request, inode);
    Caller caller = caller_of(request);
    // With a change of the owner the kernel always says so, whoever makes it.
    // Source: fuse_do_setattr() of Linux.
    caller.loses_set_id = (which & FUSE_SET_ATTR_SIZE) != 0 &&
                          (which & FUSE_SET_ATTR_KILL_SUID) != 0;
    reply_attributes(request, node,
                     node.change_attributes(
                         to_change(*wanted, which),
                         info == nullptr ? nullptr : &file_of(info), caller));
  });
}

void get_file_system_status(fuse_req_t request, fuse_ino_t inode) {
  answer(request, [&] {
    const Result<struct statvfs> status =
        node_of(request, inode).file_system_status();
    if (!status) {
      reply_error(request, status.error());
      return;
    }
    ::fuse_reply_statfs(request, &*status);
  });
}

void control(fuse_req_t request, fuse_ino_t inode, unsigned command,
             void* /*argument*/, struct fuse_file_info* /*info*/,
             unsigned flags, const void* in, std::size_t in_bytes,
             std::size_t out_bytes) {
  answer(request, [&] {
    // Of a 32-bit program the numbers and their arguments have other sizes.
    if ((flags & FUSE_IOCTL_COMPAT) != 0) {
      ::fuse_reply_err(request, ENOTTY);
      return;
    }
    const Result<std::string> given =
        node_of(request, inode)
            .control(command, {static_cast<const char*>(in), in_bytes},
                     out_bytes, caller_of(request));
    if (!given) {
      reply_error(request, given.error());
      return;
    }
    ::fuse_reply_ioctl(request, 0, given->data(), given->size());
  });
}

void get_xattr(fuse_req_t request, fuse_ino_t inode, const char* name,
               std::size_t size) {
  answer(request, [&] {
    reply_xattr(request, node_of(request, inode).get_xattr(name), size);
  });
}

void list_xattrs(fuse_req_t request, fuse_ino_t inode, std::size_t size) {
  answer(request, [&] {
    reply_xattr(request,
                node_of(request, inode).list_xattrs(caller_of(request)), size);
  });
}

void set_xattr(fuse_req_t request, fuse_ino_t inode, const char* name,
               const char* value, std::size_t size, int flags) {
  answer(request, [&] {
    reply_done(request,
               node_of(request, inode)
                   .set_xattr(name, {value, size}, flags, caller_of(request)));
  });
}

void remove_xattr(fuse_req_t request, fuse_ino_t inode, const char* name) {
  answer(request, [&] {
    reply_done(request,
               node_of(request, inode).remove_xattr(name, caller_of(request)));
  });
}

// --- directories
// ------------------------------------------------------------------

void open_directory(fuse_req_t request, fuse_ino_t inode,
                    struct fuse_file_info* info) {
  answer(request, [&] {
    Result<std::unique_ptr<DirectoryStream>> stream =
        node_of(request, inode).open_directory();
    if (!stream) {
      reply_error(request, stream.error());
      return;
    }
    HandleTable<DirectoryStream>& directories =
        file_system_of(request).open_directories();
    info->fh = directories.add(std::move(*stream));
    if (::fuse_reply_open(request, info) == -ENOENT) {
      const auto nobodys = directories.take(info->fh);
    }
  });
}

void release_directory(fuse_req_t request, fuse_ino_t /*inode*/,
                       struct fuse_file_info* info) {
  answer(request, [&] {
    const auto closed =
        file_system_of(request).open_directories().take(info->fh);
    ::fuse_reply_err(request, 0);
  });
}

void sync_directory(fuse_req_t request, fuse_ino_t /*inode*/, int data_only,
                    struct fuse_file_info* info) {
  answer(request,
         [&] { reply_done(request, directory_of(info).sync(data_only != 0)); });
}

// Adds one entry to a reply; the bytes it takes, more than `room` if it does
// not fit.
using AddEntry = std::size_t (*)(fuse_req_t request, Node& directory,
                                 const DirectoryEntry& entry, char* to,
                                 std::size_t room);

struct stat plain_attributes(const DirectoryEntry& entry) {
  struct stat status = {};
  status.st_ino = entry.inode;
  status.st_mode = static_cast<mode_t>(DTTOIF(entry.type));
  return status;
}

std::size_t add_plain(fuse_req_t request, Node& /*directory*/,
                      const DirectoryEntry& entry, char* to, std::size_t room) {
  const struct stat status = plain_attributes(entry);
  return ::fuse_add_direntry(request, to, room, entry.name, &status,
                             static_cast<off_t>(entry.offset));
}

bool is_dot_or_dot_dot(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

// With a lookup in advance, where that is possible; the kernel asks again for
// entries without one.
std::size_t add_with_lookup(fuse_req_t request, Node& directory,
                            const DirectoryEntry& entry, char* to,
                            std::size_t room) {
  struct fuse_entry_param param = {};
  param.attr = plain_attributes(entry);
  FileSystem& file_system = file_system_of(request);
  Result<Entry> found = pmem::fail(ENOENT, "");
  if (!is_dot_or_dot_dot(entry.name) && file_system.may_look_ahead()) {
    found = directory.lookup(entry.name);
  }
  if (found) {
    param = to_param(request, *found);
  }
  const std::size_t used = ::fuse_add_direntry_plus(
      request, to, room, entry.name, &param, static_cast<off_t>(entry.offset));
  if (used > room && found) {
    forget_entry(file_system, *found);
  }
  return used;
}

void read_entries(fuse_req_t request, fuse_ino_t inode, std::size_t size,
                  off_t offset, struct fuse_file_info* info, AddEntry add) {
  DirectoryStream& stream = directory_of(info);
  std::vector<char> reply(size);
  std::size_t filled = 0;
  auto at = static_cast<std::uint64_t>(offset);
  std::optional<pmem::Error> error;
  {
    const pmem::Lock lock(stream.mutex());
    for (;;) {
      const Result<std::optional<DirectoryEntry>> entry = stream.entry_at(at);
      if (!entry) {
        error = entry.error();
        break;
      }
      if (!*entry) {
        break;
      }
      const std::size_t used = add(request, node_of(request, inode), **entry,
                                   reply.data() + filled, size - filled);
      if (used > size - filled) {
        break;
      }
      filled += used;
      at = (*entry)->offset;
    }
  }
  if (error && filled == 0) {
    reply_error(request, *error);
    return;
  }
  ::fuse_reply_buf(request, reply.data(), filled);
}

void read_directory(fuse_req_t request, fuse_ino_t inode, std::size_t size,
                    off_t offset, struct fuse_file_info* info) {
  answer(request,
         [&] { read_entries(request, inode, size, offset, info, add_plain); });
}

void read_directory_plus(fuse_req_t request, fuse_ino_t inode, std::size_t size,
                         off_t offset, struct fuse_file_info* info) {
  answer(request, [&] {
    read_entries(request, inode, size, offset, info, add_with_lookup);
  });
}

// --- files ------------------------------------------------------------------

// How the kernel shall serve the open file.
void choose_io(fuse_req_t request, OpenFile& file,
               struct fuse_file_info& info) {
  const Connection& connection = connection_of(request);
  const IoMode io = connection.wishes.io;
  Region* region = file.data->as_region();
  if (connection.negotiated.passthrough && region != nullptr &&
      region->is_for_kernel()) {
    info.backing_id = region->backing_id().acquire([&] {
      const int id = ::fuse_passthrough_open(request, region->backing_fd());
      return id > 0 ? id : 0;
    });
    file.uses_backing_id = info.backing_id > 0;
  }
  const bool kernel_reads = io == IoMode::kPassthrough && file.uses_backing_id;
  const bool is_cached =
      io == IoMode::kCached ||
      (region != nullptr && connection.negotiated.caches_files);
  info.direct_io = !is_cached && !kernel_reads ? 1 : 0;
  // Elsewhere writes of one file take turns, as on the file system beneath.
  info.parallel_direct_writes = file.data->takes_parallel_writes() ? 1 : 0;
}

// Has the kernel ask for them again.
void forget_attributes(fuse_req_t request, fuse_ino_t inode) {
  constexpr off_t kNoData = -1;
  [[maybe_unused]] const int ignored = ::fuse_lowlevel_notify_inval_inode(
      connection_of(request).session, inode, kNoData, 0);
}

void open_file(fuse_req_t request, fuse_ino_t inode,
               struct fuse_file_info* info) {
  answer(request, [&] {
    Result<std::unique_ptr<OpenFile>> file =
        node_of(request, inode).open(info->flags, caller_of(request, *info));
    if (!file) {
      reply_error(request, file.error());
      return;
    }
    (*file)->durability = durability_of(info->flags);
    choose_io(request, **file, *info);
    if (node_of(request, inode).may_change_unseen()) {
      forget_attributes(request, inode);
    }
    HandleTable<OpenFile>& files = file_system_of(request).open_files();
    info->fh = files.add(std::move(*file));
    if (::fuse_reply_open(request, info) == -ENOENT) {
      // Nobody will release it. With the request its way to the kernel is gone:
      // a backing number goes with the connection.
      const auto nobodys = files.take(info->fh);
    }
  });
}

void reply_created(fuse_req_t request, Result<CreatedFile>& created,
                   struct fuse_file_info* info) {
  if (!created) {
    reply_error(request, created.error());
    return;
  }
  created->file->durability = durability_of(info->flags);
  choose_io(request, *created->file, *info);
  FileSystem& file_system = file_system_of(request);
  const struct fuse_entry_param param = to_param(request, created->entry);
  info->fh = file_system.open_files().add(std::move(created->file));
  if (::fuse_reply_create(request, &param, info) == -ENOENT) {
    forget_entry(file_system, created->entry);
    const auto nobodys = file_system.open_files().take(info->fh);
  }
}

void create_file(fuse_req_t request, fuse_ino_t parent, const char* name,
                 mode_t mode, struct fuse_file_info* info) {
  answer(request, [&] {
    Result<CreatedFile> created =
        node_of(request, parent)
            .create(name, mode, info->flags, caller_of(request, *info));
    reply_created(request, created, info);
  });
}

void create_nameless(fuse_req_t request, fuse_ino_t parent, mode_t mode,
                     struct fuse_file_info* info) {
  answer(request, [&] {
    Result<CreatedFile> created =
        node_of(request, parent)
            .create_nameless(mode, info->flags, caller_of(request));
    reply_created(request, created, info);
  });
}

// Where the bytes of a read are put together: in the reply itself where the
// transport has it in our memory (io_uring), else in a buffer of the thread.
std::span<std::byte> reply_buffer(fuse_req_t request, std::size_t size) {
  if (connection_of(request).negotiated.io_uring) {
    char* payload = nullptr;
    std::size_t room = 0;
    void* registration = nullptr;
    if (::fuse_req_get_payload(request, &payload, &room, &registration) == 0 &&
        room >= size) {
      return {reinterpret_cast<std::byte*>(payload), size};
    }
  }
  static thread_local std::vector<std::byte> buffer;
  if (buffer.size() < size) {
    buffer.resize(size);
  }
  return std::span(buffer).first(size);
}

// Until the span is full or the file ends.
template <typename Read>
Result<std::size_t> read_all(const Read& read, std::uint64_t offset,
                             std::span<std::byte> to) {
  std::size_t done = 0;
  while (done < to.size()) {
    Result<std::size_t> got = read(offset + done, to.subspan(done));
    if (!got) {
      return got;
    }
    if (*got == 0) {
      break;
    }
    done += *got;
  }
  return done;
}

// A read(2) may end before a bad block. For the page cache a short answer is
// the end of the file, with zeros behind it: there it is an error, and the
// kernel asks again for each page. It names an owner for the former alone.
// Source: fuse_short_read(), fuse_direct_io() of Linux.
void read_file(fuse_req_t request, fuse_ino_t /*inode*/, std::size_t size,
               off_t offset, struct fuse_file_info* info) {
  answer(request, [&] {
    const std::span<std::byte> buffer = reply_buffer(request, size);
    const auto from = static_cast<std::uint64_t>(offset);
    const bool is_for_page_cache = info->lock_owner == 0;
    const bool is_noted = (info->flags & O_NOATIME) == 0;
    const auto read = [&](std::uint64_t at, std::span<std::byte> to) {
      FileData& data = data_of(info);
      return is_noted ? data.read(at, to) : data.read_unnoticed(at, to);
    };
    const Result<std::size_t> got =
        is_for_page_cache ? read_all(read, from, buffer) : read(from, buffer);
    if (!got) {
      reply_error(request, got.error());
      return;
    }
    ::fuse_reply_buf(request, reinterpret_cast<const char*>(buffer.data()),
                     *got);
  });
}

void write_file(fuse_req_t request, fuse_ino_t /*inode*/, const char* bytes,
                std::size_t size, off_t offset, struct fuse_file_info* info) {
  answer(request, [&] {
    WriteRequest write;
    write.offset_bytes = static_cast<std::uint64_t>(offset);
    write.bytes = {reinterpret_cast<const std::byte*>(bytes), size};
    // Pages that the kernel writes back have their place.
    write.at_end = (info->flags & O_APPEND) != 0 && info->writepage == 0;
    // Those of the descriptor, and of pwritev2(2).
    write.durability = durability_of(info->flags);
    const Caller caller = caller_of(request, *info);
    write.writer = &caller;
    const Result<std::size_t> written = data_of(info).write(write);
    if (!written) {
      reply_error(request, written.error());
      return;
    }
    ::fuse_reply_write(request, *written);
  });
}

void flush_file(fuse_req_t request, fuse_ino_t /*inode*/,
                struct fuse_file_info* /*info*/) {
  // What is written is in the file already.
  ::fuse_reply_err(request, 0);
}

void release_file(fuse_req_t request, fuse_ino_t /*inode*/,
                  struct fuse_file_info* info) {
  answer(request, [&] {
    const std::unique_ptr<OpenFile> file =
        file_system_of(request).open_files().take(info->fh);
    if (file->uses_backing_id) {
      file->data->as_region()->backing_id().release(
          [&](int id) { ::fuse_passthrough_close(request, id); });
    }
    ::fuse_reply_err(request, 0);
  });
}

void sync_file(fuse_req_t request, fuse_ino_t /*inode*/, int data_only,
               struct fuse_file_info* info) {
  answer(request,
         [&] { reply_done(request, data_of(info).sync(data_only != 0)); });
}

void allocate_file(fuse_req_t request, fuse_ino_t /*inode*/, int mode,
                   off_t offset, off_t length, struct fuse_file_info* info) {
  answer(request, [&] {
    const OpenFile& file = file_of(info);
    Result<void> done = file.data->allocate(
        mode, static_cast<std::uint64_t>(offset),
        static_cast<std::uint64_t>(length), caller_of(request));
    reply_done(request, done ? file.data->sync_as(file.durability) : done);
  });
}

void seek_file(fuse_req_t request, fuse_ino_t /*inode*/, off_t offset,
               int whence, struct fuse_file_info* info) {
  answer(request, [&] {
    const Result<std::uint64_t> found =
        data_of(info).seek(static_cast<std::uint64_t>(offset), whence);
    if (!found) {
      reply_error(request, found.error());
      return;
    }
    ::fuse_reply_lseek(request, static_cast<off_t>(*found));
  });
}

void copy_file(fuse_req_t request, fuse_ino_t from_inode, off_t from_offset,
               struct fuse_file_info* from_info, fuse_ino_t /*to*/,
               off_t to_offset, struct fuse_file_info* to_info,
               std::size_t length, int /*flags*/) {
  answer(request, [&] {
    Region* from = data_of(from_info).as_region();
    Region* to = data_of(to_info).as_region();
    if (from == nullptr || to == nullptr) {
      // cp(1) and the kernel then copy by reading and writing.
      ::fuse_reply_err(request, EOPNOTSUPP);
      return;
    }
    const Result<std::size_t> copied = Region::copy_range(
        *from, static_cast<std::uint64_t>(from_offset), *to,
        static_cast<std::uint64_t>(to_offset), length, caller_of(request));
    if (!copied) {
      reply_error(request, copied.error());
      return;
    }
    const Result<void> synced = to->sync_as(file_of(to_info).durability);
    if (!synced) {
      reply_error(request, synced.error());
      return;
    }
    // The original has been read, which the kernel does not think of.
    forget_attributes(request, from_inode);
    ::fuse_reply_write(request, *copied);
  });
}

constexpr struct fuse_lowlevel_ops kOperations = {
    .init = init,
    .lookup = lookup,
    .forget = forget,
    .getattr = get_attributes,
    .setattr = set_attributes,
    .readlink = read_link,
    .mknod = make_node,
    .mkdir = make_directory,
    .unlink = remove_file,
    .rmdir = remove_directory,
    .symlink = make_symlink,
    .rename = rename,
    .link = link,
    .open = open_file,
    .read = read_file,
    .write = write_file,
    .flush = flush_file,
    .release = release_file,
    .fsync = sync_file,
    .opendir = open_directory,
    .readdir = read_directory,
    .releasedir = release_directory,
    .fsyncdir = sync_directory,
    .statfs = get_file_system_status,
    .setxattr = set_xattr,
    .getxattr = get_xattr,
    .listxattr = list_xattrs,
    .removexattr = remove_xattr,
    .create = create_file,
    .ioctl = control,
    .forget_multi = forget_multi,
    .fallocate = allocate_file,
    .readdirplus = read_directory_plus,
    .copy_file_range = copy_file,
    .lseek = seek_file,
    .tmpfile = create_nameless,
    .statx = get_extended_attributes,
};

}  // namespace

const struct fuse_lowlevel_ops& fuse_operations() { return kOperations; }

}  // namespace pmemfs
