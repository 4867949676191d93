// Which libpmem a test program has been given: the loader might have found
// another than the one that is meant.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace support {

// The file that LIBPMEM_UNDER_TEST names, or the given one where that is unset.
inline void expect_library_under_test(const char* default_file) {
  const char* wanted = std::getenv("LIBPMEM_UNDER_TEST");
  Dl_info info = {};
  ASSERT_NE(::dladdr(::dlsym(RTLD_DEFAULT, "pmem_map_file"), &info), 0);
  EXPECT_EQ(
      std::filesystem::canonical(info.dli_fname),
      std::filesystem::canonical(wanted == nullptr ? default_file : wanted));
}

}  // namespace support
