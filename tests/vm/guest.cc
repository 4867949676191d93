#include "vm/guest.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <cstdlib>
#include <stdexcept>

#include "support/command.h"

namespace vm {
namespace {

void run_or_throw(const std::vector<std::string>& command) {
  const support::CommandResult ran = support::run_command(command);
  if (ran.exit_status != 0) {
    throw std::runtime_error(command.front() + ": " + ran.output);
  }
}

}  // namespace

std::string place(const std::string& name) {
  const char* found = std::getenv(name.c_str());
  if (found == nullptr || *found == '\0') {
    throw std::runtime_error("the guest has no " + name);
  }
  return found;
}

pmem::DaxDevice facts_of(const std::string& node) {
  struct stat status = {};
  if (::stat(node.c_str(), &status) != 0) {
    throw std::runtime_error(node + " is not there");
  }
  pmem::Result<pmem::DaxDevice> facts =
      pmem::read_dax_device(status.st_rdev, pmem::kSysfsRoot);
  if (!facts) {
    throw std::runtime_error(facts.error().message());
  }
  return *facts;
}

FreshFileSystem::FreshFileSystem(const std::string& type,
                                 const std::string& options) {
  // Smaller than xfs is supported, and as it is mounted with DAX everywhere.
  run_or_throw(type == "xfs"
                   ? std::vector<std::string>{"mkfs.xfs", "-q", "-f",
                                              "--unsupported", "-m",
                                              "reflink=0", place("BLOCK")}
                   : std::vector<std::string>{"mkfs.ext4", "-q", "-F", "-b",
                                              "4096", place("BLOCK")});
  run_or_throw(
      {"mount", "-t", type, "-o", options, place("BLOCK"), folder_.path()});
}

FreshFileSystem::~FreshFileSystem() {
  ::umount2(folder_.path().c_str(), MNT_DETACH);
}

}  // namespace vm
