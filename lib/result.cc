#include "pmem/result.h"

#include <cstring>

namespace pmem {

std::string Error::message() const {
  return doing + ": " + ::strerrordesc_np(code);
}

}  // namespace pmem
