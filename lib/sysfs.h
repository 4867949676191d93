// Reading one-line attributes of sysfs. Free functions; any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace pmem {

// The text without its final newline; nothing when it cannot be read.
[[nodiscard]] std::optional<std::string> read_attribute(
    const std::string& path);

// The number, decimal or 0x-hexadecimal; nothing when there is none.
[[nodiscard]] std::optional<std::int64_t> read_number(const std::string& path);

// The absolute path without links; nothing when it leads nowhere.
[[nodiscard]] std::optional<std::string> real_path(const std::string& path);

// What follows the last slash.
[[nodiscard]] std::string last_component(const std::string& path);

}  // namespace pmem
