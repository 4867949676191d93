#include "src/exit_code.h"

namespace pmemfs {

std::string exit_codes_help() {
  return "Exit codes:\n"
         "  0  done\n"
         "  1  unexpected failure\n"
         "  2  usage: unknown option, bad value, missing argument\n"
         "  3  source refused\n"
         "  4  mountpoint refused\n"
         "  5  FUSE is not available (no /dev/fuse, no fusermount3)\n"
         "  6  not permitted\n"
         "  7  the mount failed, or the daemon ended before it answered\n"
         "  8  umount refused: not a pmemfs mount, or busy\n"
         "  9  there is no persistent memory to list";
}

}  // namespace pmemfs
