#include "fs/dax_mounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "lib/sysfs.h"

namespace pmemfs {
namespace {

using pmem::Result;

bool is_mounted_with(const Mount& mount, std::string_view wanted) {
  return has_option(mount.file_options, wanted) ||
         has_option(mount.options, wanted);
}

// FNV-1a: the same on every machine, which std::hash need not be.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char byte : text) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3U;
  }
  return hash;
}

std::uint64_t source_hash(const DaxFileSystem& file_system) {
  return hash_of(file_system.type + '\0' + file_system.source);
}

std::string number_of(dev_t device) {
  return std::to_string(::major(device)) + ":" +
         std::to_string(::minor(device));
}

std::string in_hexadecimal(std::uint64_t value) {
  std::array<char, 9> text = {};
  std::snprintf(text.data(), text.size(), "%08x",
                static_cast<unsigned>(value & 0xFFFFFFFFU));
  return text.data();
}

// A name that can stand in a directory, made of the end of a source.
std::string name_from_source(const DaxFileSystem& file_system) {
  constexpr std::size_t kLongest = 200;  // leaves room for suffixes
  std::string name = pmem::last_component(file_system.source);
  name.resize(std::min(name.size(), kLongest));
  return name.empty() || name == "." || name == ".." ? file_system.type : name;
}

// One on its way to its name.
struct Unnamed {
  DaxFileSystem file_system;
  int rank = 0;  // who of the same name keeps it: the lowest
};

Unnamed name_by_itself(DaxFileSystem file_system,
                       const std::string& sysfs_root) {
  Unnamed unnamed{std::move(file_system)};
  DaxFileSystem& made = unnamed.file_system;
  made.name = block_device_name(made.device, sysfs_root);
  if (made.name.empty()) {
    made.name = name_from_source(made);
    unnamed.rank = 2;
    return unnamed;
  }
  const std::optional<std::string> directory =
      pmem::real_path(sysfs_root + "/dev/block/" + number_of(made.device));
  const bool is_kernels_name =
      directory && pmem::last_component(*directory) == made.name;
  unnamed.rank = is_kernels_name ? 0 : 1;
  return unnamed;
}

void make_names_differ(std::vector<Unnamed>& unnamed) {
  std::sort(unnamed.begin(), unnamed.end(),
            [](const Unnamed& a, const Unnamed& b) {
              const auto key = [](const Unnamed& of) {
                return std::tie(of.rank, of.file_system.type,
                                of.file_system.source, of.file_system.device);
              };
              return key(a) < key(b);
            });
  std::set<std::string> taken;
  for (Unnamed& one : unnamed) {
    DaxFileSystem& named = one.file_system;
    if (taken.contains(named.name)) {
      named.name += "-" + in_hexadecimal(source_hash(named));
    }
    if (taken.contains(named.name)) {
      named.name += "-" + number_of(named.device);
    }
    taken.insert(named.name);
  }
}

}  // namespace

bool is_mounted_with_dax(const Mount& mount) {
  return is_mounted_with(mount, "dax") ||
         is_mounted_with(mount, "dax=always") ||
         is_mounted_with(mount, "dax=inode");
}

std::vector<Mount> not_below_pmemfs(const std::vector<Mount>& mounts) {
  std::vector<Mount> others;
  std::copy_if(mounts.begin(), mounts.end(), std::back_inserter(others),
               [&](const Mount& mount) {
                 return std::none_of(
                     mounts.begin(), mounts.end(), [&](const Mount& ours) {
                       return ours.type == kMountType &&
                              is_within(mount.mount_point, ours.mount_point);
                     });
               });
  return others;
}

// The whole file system, then what lies highest.
std::vector<Mount> best_first(std::vector<Mount> mounts) {
  std::stable_sort(mounts.begin(), mounts.end(),
                   [](const Mount& a, const Mount& b) {
                     return a.root.size() < b.root.size();
                   });
  return mounts;
}

std::string block_device_name(dev_t device, const std::string& sysfs_root) {
  const std::optional<std::string> directory =
      pmem::real_path(sysfs_root + "/dev/block/" + number_of(device));
  if (!directory) {
    return "";
  }
  const std::optional<std::string> mapper_name =
      pmem::read_attribute(*directory + "/dm/name");
  return mapper_name && !mapper_name->empty()
             ? *mapper_name
             : pmem::last_component(*directory);
}

std::vector<DaxFileSystem> dax_file_systems(const std::vector<Mount>& mounts,
                                            const std::string& sysfs_root) {
  std::vector<DaxFileSystem> found;
  for (const Mount& mount : not_below_pmemfs(mounts)) {
    if (!is_mounted_with_dax(mount)) {
      continue;
    }
    const auto known = std::find_if(
        found.begin(), found.end(),
        [&](const DaxFileSystem& one) { return one.device == mount.device; });
    if (known != found.end()) {
      known->mounts.push_back(mount);
      continue;
    }
    found.push_back({.name = "",
                     .device = mount.device,
                     .type = mount.type,
                     .source = mount.source,
                     .is_by_file = is_mounted_with(mount, "dax=inode"),
                     .mounts = {mount}});
  }
  std::vector<Unnamed> unnamed;
  for (DaxFileSystem& one : found) {
    one.mounts = best_first(std::move(one.mounts));
    unnamed.push_back(name_by_itself(std::move(one), sysfs_root));
  }
  make_names_differ(unnamed);
  found.clear();
  for (Unnamed& one : unnamed) {
    found.push_back(std::move(one.file_system));
  }
  std::sort(found.begin(), found.end(),
            [](const DaxFileSystem& a, const DaxFileSystem& b) {
              return a.name < b.name;
            });
  return found;
}

Result<OpenedMount> open_mount(const std::vector<Mount>& mounts) {
  pmem::Error why = {ESTALE, "looking for the file system where it is mounted"};
  for (const Mount& mount : mounts) {
    pmem::UniqueFd fd(
        ::open(mount.mount_point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) {
      const int code = errno;
      why = {code == ENOENT || code == ENOTDIR ? ESTALE : code,
             "opening " + mount.mount_point};
      continue;
    }
    struct stat status = {};
    // Another one may hide it.
    if (::fstat(fd.get(), &status) == 0 && status.st_dev == mount.device) {
      return OpenedMount{std::move(fd), mount.mount_point};
    }
  }
  return tl::unexpected(std::move(why));
}

std::uint64_t identity_of(const DaxFileSystem& file_system, int fd) {
  struct statfs status = {};
  if (::fstatfs(fd, &status) == 0) {
    const auto identifier = std::bit_cast<std::uint64_t>(status.f_fsid);
    if (identifier != 0) {
      return identifier;
    }
  }
  return source_hash(file_system);
}

}  // namespace pmemfs
