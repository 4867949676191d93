#include "pmem/environment.h"

#include <cstdlib>

namespace pmem {

std::optional<int> environment_number(const char* name) {
  const char* text = ::secure_getenv(name);
  if (text == nullptr) {
    return std::nullopt;
  }
  // atoi's rule (0 for what is no number) without its undefined overflow.
  return static_cast<int>(std::strtol(text, nullptr, 10));
}

std::optional<bool> is_pmem_forced() {
  static const std::optional<int> kForce =
      environment_number("PMEM_IS_PMEM_FORCE");
  if (!kForce || (*kForce != 0 && *kForce != 1)) {
    return std::nullopt;
  }
  return *kForce == 1;
}

}  // namespace pmem
