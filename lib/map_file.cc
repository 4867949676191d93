#include "pmem/map_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>

#include "libpmem.h"
#include "pmem/environment.h"

namespace pmem {
namespace {

constexpr int kAllFlags =
    PMEM_FILE_CREATE | PMEM_FILE_EXCL | PMEM_FILE_SPARSE | PMEM_FILE_TMPFILE;

struct Request {
  std::string path;
  std::size_t length_bytes;
  int flags;
  mode_t mode;
  bool wants_details;

  [[nodiscard]] bool has(int flag) const { return (flags & flag) != 0; }
};

tl::unexpected<Error> refuse(const Request& request, int code,
                             const std::string& why) {
  return fail(code, "mapping \"" + request.path + "\": " + why);
}

// The type of what is at the path, links followed; nothing if it is missing.
Result<std::optional<struct stat>> look(const Request& request) {
  struct stat status = {};
  if (::stat(request.path.c_str(), &status) == 0) {
    return std::optional(status);
  }
  const int code = errno;
  if (code == ENOENT) {
    return std::nullopt;
  }
  return refuse(request, code, "looking at the path");
}

Result<void> check_file_request(const Request& request) {
  const bool creates = request.has(PMEM_FILE_CREATE);
  if (creates &&
      request.length_bytes >
          static_cast<std::size_t>(std::numeric_limits<off_t>::max())) {
    return refuse(request, EINVAL, "the length exceeds the largest file");
  }
  if (!creates && request.length_bytes != 0) {
    return refuse(request, EINVAL,
                  "a length needs PMEM_FILE_CREATE, else it must be 0");
  }
  if (creates && request.length_bytes == 0) {
    return refuse(request, EINVAL, "PMEM_FILE_CREATE needs a length");
  }
  if (request.has(PMEM_FILE_TMPFILE) && !creates) {
    return refuse(request, EINVAL, "PMEM_FILE_TMPFILE needs PMEM_FILE_CREATE");
  }
  return {};
}

// A nameless file where the file system has no O_TMPFILE: it gets a name that
// nobody knows, and loses it at once.
UniqueFd open_and_unlink(const Request& request) {
  std::string path = request.path + "/.pmem.XXXXXX";
  UniqueFd fd(::mkostemp(path.data(), O_CLOEXEC));
  if (fd.valid()) {
    ::unlink(path.c_str());
  }
  return fd;
}

UniqueFd open_tmpfile(const Request& request) {
  const int exclusive = request.has(PMEM_FILE_EXCL) ? O_EXCL : 0;
  UniqueFd fd(::open(request.path.c_str(),
                     O_TMPFILE | O_RDWR | O_CLOEXEC | exclusive, request.mode));
  // EISDIR: a kernel that does not know O_TMPFILE sees a directory.
  if (!fd.valid() && (errno == EOPNOTSUPP || errno == EISDIR)) {
    return open_and_unlink(request);
  }
  return fd;
}

UniqueFd open_file(const Request& request) {
  if (request.has(PMEM_FILE_TMPFILE)) {
    return open_tmpfile(request);
  }
  int flags = O_RDWR | O_CLOEXEC;
  if (request.has(PMEM_FILE_CREATE)) {
    flags |= O_CREAT | (request.has(PMEM_FILE_EXCL) ? O_EXCL : 0);
  }
  return UniqueFd(::open(request.path.c_str(), flags, request.mode));
}

// Whether a successful open_file has certainly made what is at the path.
bool has_made_file(const Request& request) {
  return request.has(PMEM_FILE_CREATE) && request.has(PMEM_FILE_EXCL) &&
         !request.has(PMEM_FILE_TMPFILE);
}

Result<void> give_length(const Request& request, const Source& source) {
  Result<void> set = source.set_length(request.length_bytes);
  if (!set || request.has(PMEM_FILE_SPARSE)) {
    return set;
  }
  return source.allocate(0, request.length_bytes);
}

Result<Mapping> map_opened(const Request& request, UniqueFd fd,
                           const std::string& sysfs_root) {
  Result<Source> source =
      Source::adopt(std::move(fd), Access::kReadWrite, sysfs_root);
  if (!source) {
    return pass_on(source);
  }
  if (request.has(PMEM_FILE_CREATE) && !source->dax_device()) {
    Result<void> given = give_length(request, *source);
    if (!given) {
      return pass_on(given);
    }
  }
  MappingOptions options;
  options.lowest_address = mmap_hint();
  options.wants_details = request.wants_details;
  options.sysfs_root = sysfs_root;
  return Mapping::create(*source, options);
}

Result<Mapping> open_and_map(const Request& request,
                             const std::string& sysfs_root) {
  UniqueFd fd = open_file(request);
  if (!fd.valid()) {
    const int code = errno;
    return refuse(request, code, "opening it");
  }
  Result<Mapping> mapping = map_opened(request, std::move(fd), sysfs_root);
  if (mapping) {
    return mapping;
  }
  if (has_made_file(request)) {
    ::unlink(request.path.c_str());
  }
  return refuse(request, mapping.error().code, mapping.error().doing);
}

Result<Mapping> map_regular_file(const Request& request,
                                 const std::string& sysfs_root) {
  Result<void> checked = check_file_request(request);
  if (!checked) {
    return pass_on(checked);
  }
  return open_and_map(request, sysfs_root);
}

Result<Mapping> map_device_dax(const Request& request, dev_t device,
                               const std::string& sysfs_root) {
  if (request.has(PMEM_FILE_EXCL) || request.has(PMEM_FILE_TMPFILE)) {
    return refuse(request, EINVAL,
                  "a Device DAX takes neither PMEM_FILE_EXCL nor "
                  "PMEM_FILE_TMPFILE");
  }
  Result<DaxDevice> facts = read_dax_device(device, sysfs_root);
  if (!facts) {
    return refuse(request, facts.error().code, facts.error().doing);
  }
  if (request.length_bytes != 0 && request.length_bytes != facts->size_bytes) {
    return refuse(request, EINVAL,
                  "the length of a Device DAX must be 0 or " +
                      std::to_string(facts->size_bytes));
  }
  const Request whole = {request.path, 0, 0, 0, request.wants_details};
  return open_and_map(whole, sysfs_root);
}

}  // namespace

Result<Mapping> map_file(const char* path, std::size_t length_bytes, int flags,
                         mode_t mode, const std::string& sysfs_root,
                         bool wants_details) {
  if (path == nullptr) {
    return fail(EINVAL, "mapping a file: the path is NULL");
  }
  const Request request = {path, length_bytes, flags, mode, wants_details};
  Result<std::optional<struct stat>> status = look(request);
  if (!status) {
    return pass_on(status);
  }
  if ((flags & ~kAllFlags) != 0) {
    return refuse(request, EINVAL, "unknown flag in " + std::to_string(flags));
  }
  if (*status) {
    const struct stat& found = **status;
    if (S_ISCHR(found.st_mode) && is_dax_device(found.st_rdev, sysfs_root)) {
      return map_device_dax(request, found.st_rdev, sysfs_root);
    }
    if (!S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode)) {
      return refuse(request, EINVAL,
                    "it is neither a regular file nor a Device DAX");
    }
  }
  return map_regular_file(request, sysfs_root);
}

}  // namespace pmem
