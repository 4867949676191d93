// 64 -> "64", 4096 -> "4Ki", 1000 -> "1000".
#pragma once

#include <cstddef>
#include <string>

namespace benchmarks {

inline std::string size_name(std::size_t bytes) {
  constexpr std::size_t kKibi = 1024;
  constexpr std::size_t kMebi = kKibi * kKibi;
  if (bytes % kMebi == 0) {
    return std::to_string(bytes / kMebi) + "Mi";
  }
  if (bytes % kKibi == 0) {
    return std::to_string(bytes / kKibi) + "Ki";
  }
  return std::to_string(bytes);
}

}  // namespace benchmarks
