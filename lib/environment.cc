#include "pmem/environment.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace pmem {
namespace {

std::uintptr_t read_mmap_hint() {
  const char* text = ::secure_getenv("PMEM_MMAP_HINT");
  if (text == nullptr) {
    return 0;
  }
  errno = 0;
  char* end = nullptr;
  const std::uintptr_t hint = std::strtoull(text, &end, 16);
  if (errno != 0 || end == text) {
    return 0;
  }
  return std::max<std::uintptr_t>(hint, 1);  // 0 is the lowest address, too
}

}  // namespace

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

std::uintptr_t mmap_hint() {
  static const std::uintptr_t kHint = read_mmap_hint();
  return kHint;
}

namespace {

[[gnu::constructor]] void read_when_loaded() { (void)mmap_hint(); }

}  // namespace
}  // namespace pmem
