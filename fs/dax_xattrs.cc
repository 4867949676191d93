#include "fs/dax_xattrs.h"

#include <array>
#include <optional>

#include "fs/file_xattrs.h"
#include "fs/xattr_table.h"
#include "pmem/bad_blocks.h"
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

using Value = Result<std::string>;
using Row = VirtualXattr<const DaxFacts>;

Value number(std::optional<int> value) {
  return value ? Value(std::to_string(*value)) : Value(not_told());
}

Value bad_blocks(const DaxFacts& facts) {
  const Result<pmem::BadBlocks> blocks =
      pmem::bad_blocks_of(facts.device, facts.sysfs_root);
  if (!blocks) {
    return missing_if_unsupported(blocks.error());
  }
  return pmem::in_words(*blocks);
}

constexpr std::array kTable = {
    Row{"align",
        [](const DaxFacts& facts) -> Value {
          return std::to_string(facts.device.align_bytes);
        }},
    Row{"allocated",
        [](const DaxFacts& facts) -> Value {
          return std::to_string(facts.device.size_bytes);
        }},
    Row{"bad_blocks", bad_blocks, true},
    Row{"granularity",
        [](const DaxFacts& facts) -> Value { return granularity(facts); }},
    Row{"is_pmem",
        [](const DaxFacts& facts) -> Value { return is_pmem(facts); }},
    Row{"kind", [](const DaxFacts&) -> Value { return "devdax"; }},
    Row{"mapped_length",
        [](const DaxFacts& facts) -> Value { return mapped_length(facts); }},
    Row{"mode",
        [](const DaxFacts& facts) -> Value { return facts.device.mode(); }},
    Row{"numa_node",
        [](const DaxFacts& facts) { return number(facts.device.numa_node); },
        true},
    Row{"path", [](const DaxFacts& facts) -> Value { return facts.path; }},
    Row{"reason", [](const DaxFacts& facts) -> Value { return reason(facts); }},
    Row{"sparse", [](const DaxFacts&) -> Value { return "0"; }},
    Row{"target_node",
        [](const DaxFacts& facts) { return number(facts.device.target_node); },
        true},
};

}  // namespace

Result<std::string> get_dax_xattr(const DaxFacts& facts,
                                  std::string_view name) {
  return get_from(kTable, facts, name);
}

std::string list_dax_xattrs(const DaxFacts& facts) {
  return list_from(kTable, facts);
}

}  // namespace pmemfs
