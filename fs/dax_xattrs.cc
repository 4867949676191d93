#include "fs/dax_xattrs.h"

#include <array>
#include <optional>

#include "fs/xattr_table.h"
#include "pmem/environment.h"
#include "pmem/mapping.h"
#include "pmem/source.h"

namespace pmemfs {
namespace {

using pmem::Mapping;
using pmem::Result;
using pmem::Source;

// What the core library makes of the device: mapped for the answer.
Result<Mapping> map(const DaxFacts& facts) {
  Result<Source> source =
      Source::open(facts.path, pmem::Access::kRead, facts.sysfs_root);
  if (!source) {
    return pmem::pass_on(source);
  }
  pmem::MappingOptions options;
  options.sysfs_root = facts.sysfs_root;
  return Mapping::create(*source, options);
}

std::string is_pmem(const DaxFacts& facts) {
  const Result<Mapping> mapping = map(facts);
  const bool found = mapping && mapping->is_pmem();
  return mapping && pmem::is_pmem_forced().value_or(found) ? "1" : "0";
}

std::string mapped_length(const DaxFacts& facts) {
  const Result<Mapping> mapping = map(facts);
  return std::to_string(mapping ? mapping->length_bytes() : 0);
}

std::string granularity(const DaxFacts& facts) {
  const Result<Mapping> mapping = map(facts);
  return pmem::granularity_name(mapping ? mapping->granularity()
                                        : pmem::Granularity::kPage);
}

std::string reason(const DaxFacts& facts) {
  const Result<Mapping> mapping = map(facts);
  if (!mapping) {
    return "the device is in the mode " + facts.device.mode() +
           " and cannot be mapped: " + mapping.error().message();
  }
  return in_words(mapping->reason(), pmem::is_pmem_forced());
}

std::optional<std::string> number(std::optional<int> value) {
  return value ? std::optional(std::to_string(*value)) : std::nullopt;
}

using Value = std::optional<std::string>;

struct DaxXattr {
  std::string_view name;  // without the prefix
  Value (*get)(const DaxFacts& facts);
  // Not every kernel tells it, so listing has to ask; the others are listed
  // without mapping the device.
  bool may_be_missing = false;
};

constexpr std::array kTable = {
    DaxXattr{"align",
             [](const DaxFacts& facts) -> Value {
               return std::to_string(facts.device.align_bytes);
             }},
    DaxXattr{"allocated",
             [](const DaxFacts& facts) -> Value {
               return std::to_string(facts.device.size_bytes);
             }},
    DaxXattr{"granularity",
             [](const DaxFacts& facts) -> Value { return granularity(facts); }},
    DaxXattr{"is_pmem",
             [](const DaxFacts& facts) -> Value { return is_pmem(facts); }},
    DaxXattr{"kind", [](const DaxFacts&) -> Value { return "devdax"; }},
    DaxXattr{
        "mapped_length",
        [](const DaxFacts& facts) -> Value { return mapped_length(facts); }},
    DaxXattr{
        "mode",
        [](const DaxFacts& facts) -> Value { return facts.device.mode(); }},
    DaxXattr{
        "numa_node",
        [](const DaxFacts& facts) { return number(facts.device.numa_node); },
        true},
    DaxXattr{"path", [](const DaxFacts& facts) -> Value { return facts.path; }},
    DaxXattr{"reason",
             [](const DaxFacts& facts) -> Value { return reason(facts); }},
    DaxXattr{"sparse", [](const DaxFacts&) -> Value { return "0"; }},
    DaxXattr{
        "target_node",
        [](const DaxFacts& facts) { return number(facts.device.target_node); },
        true},
};

}  // namespace

Result<std::string> get_dax_xattr(const DaxFacts& facts,
                                  std::string_view name) {
  for (const DaxXattr& entry : kTable) {
    if (is_virtual_xattr(name) &&
        name.substr(kXattrPrefix.size()) == entry.name) {
      Value value = entry.get(facts);
      if (value) {
        return *value;
      }
    }
  }
  return pmem::fail(ENODATA, "getxattr");
}

std::string list_dax_xattrs(const DaxFacts& facts) {
  std::string names;
  for (const DaxXattr& entry : kTable) {
    if (!entry.may_be_missing || entry.get(facts)) {
      names += kXattrPrefix;
      names += entry.name;
      names += '\0';
    }
  }
  return names;
}

}  // namespace pmemfs
