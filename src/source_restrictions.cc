#include "src/source_restrictions.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdint>

namespace pmemfs {
namespace {

// statvfs(3) tells it, but glibc 2.36 has no name for it.
// Source: ST_NOSYMFOLLOW in include/linux/statfs.h.
constexpr unsigned long kNoSymfollow = 0x2000;

SourceRestrictions restrictions_of(const Mount& mount) {
  return {.read_only = has_option(mount.file_options, "ro")
                           ? ReadOnly::kByFileSystem
                       : has_option(mount.options, "ro") ? ReadOnly::kByMount
                                                         : ReadOnly::kNo,
          .no_exec = has_option(mount.options, "noexec"),
          .no_symfollow = has_option(mount.options, "nosymfollow")};
}

// The mount that a directory lies on; null where that is not known.
const Mount* mount_of(const std::string& directory,
                      const std::vector<Mount>& mounts) {
  struct statx facts = {};
  if (::statx(AT_FDCWD, directory.c_str(), 0, STATX_MNT_ID, &facts) != 0 ||
      (facts.stx_mask & STATX_MNT_ID) == 0) {
    return nullptr;
  }
  const auto found = std::ranges::find_if(mounts, [&](const Mount& mount) {
    return static_cast<std::uint64_t>(mount.id) == facts.stx_mnt_id;
  });
  return found == mounts.end() ? nullptr : &*found;
}

SourceRestrictions restrictions_at(const std::string& directory,
                                   const std::vector<Mount>& mounts) {
  struct statvfs status = {};
  if (::statvfs(directory.c_str(), &status) != 0) {
    return {};
  }
  SourceRestrictions found = {
      .no_exec = (status.f_flag & ST_NOEXEC) != 0,
      .no_symfollow = (status.f_flag & kNoSymfollow) != 0};
  if ((status.f_flag & ST_RDONLY) != 0) {
    // It does not say which of the two it is.
    const Mount* const mount = mount_of(directory, mounts);
    found.read_only = mount == nullptr ? ReadOnly::kByFileSystem
                                       : restrictions_of(*mount).read_only;
  }
  return found;
}

SourceRestrictions both(const SourceRestrictions& one,
                        const SourceRestrictions& other) {
  return {.read_only = std::min(one.read_only, other.read_only),
          .no_exec = one.no_exec && other.no_exec,
          .no_symfollow = one.no_symfollow && other.no_symfollow};
}

SourceRestrictions restrictions_of(const SourceSpec& source,
                                   const std::vector<Mount>& mounts) {
  if (source.kind != SourceKind::kDirectory) {
    return {};
  }
  SourceRestrictions common = restrictions_at(source.path, mounts);
  for (const Mount& mount : mounts) {
    // Of those at the source itself, the one on top has told it.
    if (mount.mount_point != source.path &&
        is_within(mount.mount_point, source.path)) {
      common = both(common, restrictions_of(mount));
    }
  }
  return common;
}

}  // namespace

SourceRestrictions common_restrictions(const std::vector<SourceSpec>& sources,
                                       const std::vector<Mount>& mounts) {
  if (sources.empty()) {
    return {};
  }
  SourceRestrictions common = {ReadOnly::kByFileSystem, true, true};
  for (const SourceSpec& source : sources) {
    common = both(common, restrictions_of(source, mounts));
  }
  return common;
}

std::vector<std::string> mount_options_of(
    const SourceRestrictions& restrictions) {
  std::vector<std::string> options;
  if (restrictions.read_only != ReadOnly::kNo) {
    options.emplace_back("ro");
  }
  if (restrictions.no_exec) {
    options.emplace_back("noexec");
  }
  if (restrictions.no_symfollow) {
    options.emplace_back("nosymfollow");
  }
  return options;
}

std::string in_words(const SourceRestrictions& restrictions) {
  std::string words;
  for (const std::string& option : mount_options_of(restrictions)) {
    words += words.empty() ? "" : " and ";
    words += option == "ro" ? "read-only" : option;
  }
  return words;
}

}  // namespace pmemfs
