// A table of attributes under user.pmem.: one row each with its name and how it
// is found out, read by both getxattr and listxattr. `Facts` is what the rows
// find out about: a file, or a device.
//
// Templates without state; any thread.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "pmem/result.h"

namespace pmemfs {

inline constexpr std::string_view kXattrPrefix = "user.pmem.";

// Whether the name is under user.pmem., known or not.
[[nodiscard]] inline bool is_virtual_xattr(std::string_view name) {
  return name.starts_with(kXattrPrefix);
}

template <typename Facts>
struct VirtualXattr {
  std::string_view name;  // without the prefix
  // One line of text. Errors: ENODATA where the kernel does not tell, and those
  // of finding out.
  pmem::Result<std::string> (*get)(Facts& facts);
  // ENODATA may happen, so listing has to ask; the others are listed without.
  bool may_be_missing = false;
};

// The value. Errors: ENODATA (no such attribute), and those of finding out.
template <typename Table, typename Facts>
[[nodiscard]] pmem::Result<std::string> get_from(const Table& table,
                                                 Facts& facts,
                                                 std::string_view name) {
  for (const auto& row : table) {
    if (is_virtual_xattr(name) &&
        name.substr(kXattrPrefix.size()) == row.name) {
      return row.get(facts);
    }
  }
  return pmem::fail(ENODATA, "getxattr");
}

// The names, each with its final NUL. Left out are those that are missing; one
// that cannot be found out is listed, and getting it says why.
template <typename Table, typename Facts>
[[nodiscard]] std::string list_from(const Table& table, Facts& facts) {
  const auto is_missing = [&](const auto& row) {
    if (!row.may_be_missing) {
      return false;
    }
    const pmem::Result<std::string> value = row.get(facts);
    return !value && value.error().code == ENODATA;
  };
  std::string names;
  for (const auto& row : table) {
    if (!is_missing(row)) {
      names += kXattrPrefix;
      names += row.name;
      names += '\0';
    }
  }
  return names;
}

// For facts that the kernel does not always tell.
[[nodiscard]] inline tl::unexpected<pmem::Error> not_told() {
  return pmem::fail(ENODATA, "getxattr");
}

// What is not supported is missing; what has failed stays a failure.
[[nodiscard]] inline tl::unexpected<pmem::Error> missing_if_unsupported(
    pmem::Error error) {
  if (error.code == EOPNOTSUPP) {
    error.code = ENODATA;
  }
  return tl::unexpected<pmem::Error>(std::move(error));
}

}  // namespace pmemfs
