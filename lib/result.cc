#include "pmem/result.h"

#include <cstring>

namespace pmem {

std::string Error::message() const {
  const char* meaning = ::strerrordesc_np(code);
  // A file system may answer with a number that libc has no words for.
  return doing + ": " +
         (meaning == nullptr ? "error " + std::to_string(code) : meaning);
}

}  // namespace pmem
