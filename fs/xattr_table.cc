#include "fs/xattr_table.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "fs/extents.h"
#include "fs/proc_path.h"
#include "pmem/environment.h"

namespace pmemfs {
namespace {

using pmem::Access;
using pmem::Mapping;
using pmem::Result;
using pmem::Source;

std::string bit(bool value) { return value ? "1" : "0"; }

struct VirtualXattr {
  std::string_view name;  // without the prefix
  std::string (*get)(FileFacts& facts);
};

constexpr std::array kTable = {
    VirtualXattr{"align",
                 [](FileFacts& /*facts*/) {
                   return std::to_string(::sysconf(_SC_PAGESIZE));
                 }},
    VirtualXattr{"allocated",
                 [](FileFacts& facts) {
                   return std::to_string(facts.status().st_blocks * 512);
                 }},
    VirtualXattr{"granularity",
                 [](FileFacts& facts) { return facts.granularity(); }},
    VirtualXattr{"is_pmem",
                 [](FileFacts& facts) { return bit(facts.is_pmem()); }},
    VirtualXattr{"kind",
                 [](FileFacts& facts) {
                   return std::string(facts.is_dax() ? "fsdax" : "file");
                 }},
    VirtualXattr{"mapped_length",
                 [](FileFacts& facts) {
                   return std::to_string(facts.mapped_length_bytes());
                 }},
    VirtualXattr{"path", [](FileFacts& facts) { return facts.path(); }},
    VirtualXattr{"reason", [](FileFacts& facts) { return facts.reason(); }},
    VirtualXattr{"sparse",
                 [](FileFacts& facts) { return bit(facts.is_sparse()); }},
};

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

Result<FileFacts> FileFacts::create(int path_fd) {
  struct stat status = {};
  if (::fstat(path_fd, &status) != 0) {
    return pmem::fail_errno("fstat");
  }
  return FileFacts(path_fd, status);
}

std::string FileFacts::path() const {
  std::array<char, PATH_MAX> target;
  const ssize_t length =
      ::readlink(ProcPath(path_fd_).c_str(), target.data(), target.size());
  if (length < 0) {
    return "";
  }
  std::string path(target.data(), static_cast<std::size_t>(length));
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

const Source* FileFacts::source() {
  if (!source_) {
    source_ = Source::open(ProcPath(path_fd_).c_str(), Access::kRead);
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
      mapping_ = Mapping::create(*source(), options);
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

bool is_virtual_xattr(std::string_view name) {
  return name.starts_with(kXattrPrefix);
}

Result<std::string> get_virtual_xattr(FileFacts& facts, std::string_view name) {
  for (const VirtualXattr& entry : kTable) {
    if (name.substr(kXattrPrefix.size()) == entry.name) {
      return entry.get(facts);
    }
  }
  return pmem::fail(ENODATA, "getxattr");
}

std::string list_virtual_xattrs() {
  std::string names;
  for (const VirtualXattr& entry : kTable) {
    names += kXattrPrefix;
    names += entry.name;
    names += '\0';
  }
  return names;
}

}  // namespace pmemfs
