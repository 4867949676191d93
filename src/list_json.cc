#include "src/list_json.h"

#include <nlohmann/json.hpp>

namespace pmemfs {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json value_of(const T& value) {
  return value;
}

Json value_of(const pmem::BadBlocks& blocks) {
  Json ranges = Json::array();
  for (const pmem::BadRange& range : blocks) {
    ranges.push_back({{"offset_bytes", range.offset_bytes},
                      {"length_bytes", range.length_bytes}});
  }
  return ranges;
}

template <typename T>
void add(Json& object, const std::string& name, const Fact<T>& fact) {
  object[name] = fact && *fact ? value_of(**fact) : Json(nullptr);
  if (!fact) {
    object[name + "_error"] = fact.error().message();
  }
}

Json object_of(const InventoryRow& row) {
  Json object = {{"name", row.name}, {"kind", row.kind}};
  add(object, "size_bytes", row.size_bytes);
  add(object, "mode", row.mode);
  add(object, "is_pmem", row.is_pmem);
  add(object, "align_bytes", row.align_bytes);
  add(object, "numa_node", row.numa_node);
  add(object, "bad_blocks", row.bad_blocks);
  object["mounted_on"] = row.mounted_on;
  object["reason"] = row.reason;
  return object;
}

}  // namespace

std::string list_as_json(const std::vector<InventoryRow>& rows) {
  Json list = Json::array();
  for (const InventoryRow& row : rows) {
    list.push_back(object_of(row));
  }
  // Names of files need not be UTF-8.
  return list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pmemfs
