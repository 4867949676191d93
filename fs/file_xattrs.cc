#include "fs/file_xattrs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <vector>

#include "fs/backing_io.h"
#include "fs/extents.h"
#include "fs/proc_path.h"
#include "fs/xattr_table.h"
#include "pmem/environment.h"

namespace pmemfs {
namespace {

using pmem::Access;
using pmem::Mapping;
using pmem::Result;
using pmem::Source;

std::string bit(bool value) { return value ? "1" : "0"; }

using Value = Result<std::string>;
using Row = VirtualXattr<FileFacts>;

Value bad_blocks(FileFacts& facts) {
  const Result<pmem::BadBlocks> blocks = facts.bad_blocks();
  if (!blocks) {
    return missing_if_unsupported(blocks.error());
  }
  return pmem::in_words(*blocks);
}

constexpr std::array kTable = {
    Row{"align",
        [](FileFacts& /*facts*/) -> Value {
          return std::to_string(::sysconf(_SC_PAGESIZE));
        }},
    Row{"allocated",
        [](FileFacts& facts) -> Value {
          return std::to_string(facts.status().st_blocks * 512);
        }},
    Row{"bad_blocks", bad_blocks, true},
    Row{"granularity",
        [](FileFacts& facts) -> Value { return facts.granularity(); }},
    Row{"is_pmem",
        [](FileFacts& facts) -> Value { return bit(facts.is_pmem()); }},
    Row{"kind",
        [](FileFacts& facts) -> Value {
          return std::string(facts.is_dax() ? "fsdax" : "file");
        }},
    Row{"mapped_length",
        [](FileFacts& facts) -> Value {
          return std::to_string(facts.mapped_length_bytes());
        }},
    Row{"path",
        [](FileFacts& facts) -> Value {
          const std::string path = facts.path();
          return path.empty() ? Value(not_told()) : Value(path);
        },
        true},
    Row{"reason", [](FileFacts& facts) -> Value { return facts.reason(); }},
    Row{"sparse",
        [](FileFacts& facts) -> Value { return bit(facts.is_sparse()); }},
};

// What of the device's bad blocks the file has.
pmem::BadBlocks in_file(const pmem::BadBlocks& of_device,
                        const std::vector<PlacedExtent>& extents) {
  pmem::BadBlocks blocks;
  for (const PlacedExtent& extent : extents) {
    const std::uint64_t extent_end =
        extent.device_offset_bytes + extent.length_bytes;
    for (const pmem::BadRange& bad : of_device) {
      const std::uint64_t begin =
          std::max(bad.offset_bytes, extent.device_offset_bytes);
      const std::uint64_t end = std::min(bad.end_bytes(), extent_end);
      if (begin < end) {
        blocks.push_back(
            {begin - extent.device_offset_bytes + extent.file_offset_bytes,
             end - begin});
      }
    }
  }
  return blocks;
}

// Values are one line: a newline in a path becomes \012, as in /proc/mounts.
std::string in_one_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n') {
      line += "\\012";
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace

Result<FileFacts> FileFacts::create(int path_fd, std::string sysfs_root) {
  struct stat status = {};
  if (::fstat(path_fd, &status) != 0) {
    return pmem::fail_errno("fstat");
  }
  return FileFacts(path_fd, status, std::move(sysfs_root));
}

std::string FileFacts::path() const {
  std::array<char, PATH_MAX> target;
  const ssize_t length =
      ::readlink(ProcPath(path_fd_).c_str(), target.data(), target.size());
  if (length < 0) {
    return "";
  }
  std::string path(target.data(), static_cast<std::size_t>(length));
  // A file that was opened by its handle, and whose name nobody has looked up
  // since the kernel forgot it.
  if (path == "/") {
    return "";
  }
  // The kernel's mark on the name of a file that has none any more.
  constexpr std::string_view kDeleted = " (deleted)";
  if (status_.st_nlink == 0 && path.ends_with(kDeleted)) {
    path.resize(path.size() - kDeleted.size());
  }
  return in_one_line(path);
}

bool FileFacts::is_dax() const {
  struct statx facts = {};
  return ::statx(path_fd_, "", AT_EMPTY_PATH, STATX_TYPE, &facts) == 0 &&
         (facts.stx_attributes & STATX_ATTR_DAX) != 0;
}

bool FileFacts::is_sparse() {
  if (source() != nullptr) {
    return has_holes(source()->fd(), status_);
  }
  return status_.st_blocks * 512 < status_.st_size;
}

bool FileFacts::is_pmem() {
  const bool has_bytes = mapped_length_bytes() > 0;
  const std::optional<bool> forced = pmem::is_pmem_forced();
  if (forced) {
    return *forced && has_bytes;
  }
  return has_bytes && mapping()->is_pmem();
}

std::uint64_t FileFacts::mapped_length_bytes() {
  const bool is_empty = status_.st_size == 0;
  return is_empty || mapping() == nullptr ? 0 : mapping()->length_bytes();
}

std::string FileFacts::granularity() {
  return pmem::granularity_name(mapping() != nullptr
                                    ? mapping()->granularity()
                                    : pmem::Granularity::kPage);
}

std::string FileFacts::reason() {
  if (mapping() == nullptr) {
    return "the file cannot be mapped: " + mapping_->error().message();
  }
  if (status_.st_size == 0) {
    return "the file is empty: nothing is mapped";
  }
  return in_words(mapping()->reason(), pmem::is_pmem_forced());
}

Result<pmem::BadBlocks> FileFacts::bad_blocks() {
  Result<pmem::BadBlocks> of_device =
      pmem::bad_blocks_of_block_device(status_.st_dev, sysfs_root_);
  if (!of_device || of_device->empty()) {
    return of_device;
  }
  if (source() == nullptr) {
    return tl::unexpected<pmem::Error>(source_->error());
  }
  const std::optional<std::vector<PlacedExtent>> extents =
      placed_extents(source()->fd(), status_);
  if (!extents) {
    return pmem::fail(EOPNOTSUPP, "asking where a file lies on its device");
  }
  return in_file(*of_device, *extents);
}

const Source* FileFacts::source() {
  if (!source_) {
    source_ = Source::open(ProcPath(path_fd_).c_str(), Access::kRead);
    if (source_->has_value()) {
      // To ask about a file is not to read it.
      ::fcntl((*source_)->fd(), F_SETFL, O_NOATIME);
    }
  }
  return source_->has_value() ? &source_->value() : nullptr;
}

const Mapping* FileFacts::mapping() {
  if (!mapping_) {
    if (source() == nullptr) {
      mapping_ = Result<Mapping>(tl::unexpect, source_->error());
    } else {
      pmem::MappingOptions options;
      options.length_bytes = static_cast<std::uint64_t>(
          status_.st_size > 0 ? status_.st_size : ::sysconf(_SC_PAGESIZE));
      mapping_ = map_backing(*source(), options);
    }
  }
  return mapping_->has_value() ? &mapping_->value() : nullptr;
}

std::string in_words(const std::string& found, std::optional<bool> forced) {
  if (forced) {
    return "forced by PMEM_IS_PMEM_FORCE=" + bit(*forced) +
           " in the environment of pmemfs; found: " + found;
  }
  return found;
}

Result<std::string> get_file_xattr(FileFacts& facts, std::string_view name) {
  return get_from(kTable, facts, name);
}

std::string list_file_xattrs(FileFacts& facts) {
  return list_from(kTable, facts);
}

}  // namespace pmemfs
