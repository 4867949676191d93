#include "src/version.h"

#include <fuse_lowlevel.h>

namespace pmemfs {

std::string version_text() {
  return std::string("pmemfs " PMEMFS_VERSION "\nlibfuse ") +
         ::fuse_pkgversion() + "\n";
}

}  // namespace pmemfs
