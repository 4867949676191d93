#include "src/tell.h"

#include <iostream>

namespace pmemfs {

ExitCode tell(const Failure& failure) {
  std::cerr << "pmemfs: " + failure.message + "\n";
  return failure.code;
}

}  // namespace pmemfs
