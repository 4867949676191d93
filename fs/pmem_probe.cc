#include "fs/pmem_probe.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "fs/file_xattrs.h"
#include "pmem/environment.h"
#include "pmem/mapping.h"
#include "pmem/source.h"
#include "pmem/unique_fd.h"

namespace pmemfs {
namespace {

using pmem::Mapping;
using pmem::Result;
using pmem::Source;
using pmem::UniqueFd;

PmemAnswer answer_of(const Mapping& mapping) {
  const std::optional<bool> forced = pmem::is_pmem_forced();
  return {.is_pmem = forced.value_or(mapping.is_pmem()),
          .reason = in_words(mapping.reason(), forced)};
}

// A page of the file is mapped, though it be empty: nothing is read.
Result<Mapping> map_page(UniqueFd fd, const std::string& sysfs_root) {
  Result<Source> source =
      Source::adopt(std::move(fd), pmem::Access::kRead, sysfs_root);
  if (!source) {
    return pmem::pass_on(source);
  }
  pmem::MappingOptions options;
  options.length_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  options.sysfs_root = sysfs_root;
  return Mapping::create(*source, options);
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// Some regular files of the directory.
std::vector<std::string> some_files_in(int root_fd) {
  constexpr std::size_t kMostFiles = 16;
  constexpr int kMostEntries = 4096;
  UniqueFd fd(
      ::openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC));
  const std::unique_ptr<DIR, CloseDirectory> directory(
      fd.valid() ? ::fdopendir(fd.get()) : nullptr);
  std::vector<std::string> names;
  if (directory == nullptr) {
    return names;
  }
  [[maybe_unused]] const int now_the_directorys = fd.release();
  for (int seen = 0; seen < kMostEntries && names.size() < kMostFiles; ++seen) {
    const struct dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) {
      break;
    }
    if (entry->d_type == DT_REG) {
      names.emplace_back(static_cast<const char*>(entry->d_name));
    }
  }
  return names;
}

// What is true of one file need not be of all (encrypted ones, say): the best
// answer counts.
std::optional<PmemAnswer> ask_files(int root_fd,
                                    const std::string& sysfs_root) {
  constexpr int kFlags =
      O_RDONLY | O_NOATIME | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  std::optional<PmemAnswer> answer;
  for (const std::string& name : some_files_in(root_fd)) {
    UniqueFd fd(::openat(root_fd, name.c_str(), kFlags));
    if (!fd.valid()) {
      continue;
    }
    const Result<Mapping> mapping = map_page(std::move(fd), sysfs_root);
    if (mapping) {
      answer = answer_of(*mapping);
      if (mapping->is_pmem()) {
        return answer;
      }
    }
  }
  return answer;
}

}  // namespace

PmemAnswer probe_device(const pmem::DaxDevice& device, const std::string& node,
                        const std::string& sysfs_root) {
  Result<Source> source = Source::open(node, pmem::Access::kRead, sysfs_root);
  pmem::MappingOptions options;
  options.sysfs_root = sysfs_root;
  Result<Mapping> mapping = source ? Mapping::create(*source, options)
                                   : Result<Mapping>(pmem::pass_on(source));
  if (mapping) {
    return answer_of(*mapping);
  }
  PmemAnswer answer;
  answer.reason = "the device is in the mode " + device.mode() +
                  " and cannot be mapped: " + mapping.error().message();
  if (device.mode() == "devdax") {
    answer.is_pmem = pmem::pass_on(mapping);
  } else {
    answer.is_pmem = false;
  }
  return answer;
}

PmemAnswer probe_file_system(int root_fd, const std::string& sysfs_root) {
  std::optional<PmemAnswer> answer = ask_files(root_fd, sysfs_root);
  if (answer) {
    return *answer;
  }
  UniqueFd fd(::openat(root_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    const int code = errno;
    return {.reason =
                "no file of it may be asked: there is none in its root that "
                "can be opened without a trace, and none can be made there (" +
                std::string(std::strerror(code)) + ")"};
  }
  Result<Mapping> mapping = map_page(std::move(fd), sysfs_root);
  if (!mapping) {
    PmemAnswer failed;
    failed.reason =
        "a file of it cannot be mapped: " + mapping.error().message();
    failed.is_pmem = pmem::pass_on(mapping);
    return failed;
  }
  return answer_of(*mapping);
}

}  // namespace pmemfs
