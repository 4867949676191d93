// pmemfs: the persistent memory of a machine as a directory tree.
#include <exception>
#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "src/list_command.h"
#include "src/mount_command.h"
#include "src/options.h"
#include "src/process.h"
#include "src/tell.h"
#include "src/umount_command.h"

namespace pmemfs {
namespace {

struct Runner {
  ExitCode operator()(const ShowText& show) const {
    std::cout << show.text << std::flush;
    return std::cout ? ExitCode::kOk : ExitCode::kUnexpected;
  }
  ExitCode operator()(const MountRequest& request) const {
    return run_mount(request);
  }
  ExitCode operator()(const UmountRequest& request) const {
    return run_umount(request);
  }
  ExitCode operator()(const ListRequest& request) const {
    return run_list(request);
  }
};

ExitCode run(const std::vector<std::string>& arguments) {
  const Outcome<Command> command = parse_command_line(arguments);
  return command ? std::visit(Runner(), *command) : tell(command.error());
}

}  // namespace
}  // namespace pmemfs

int main(int argc, char** argv) {
  pmemfs::prepare_process();
  try {
    return static_cast<int>(
        pmemfs::run(std::vector<std::string>(argv, argv + argc)));
  } catch (const std::exception& error) {
    return static_cast<int>(
        pmemfs::tell({pmemfs::ExitCode::kUnexpected, error.what()}));
  }
}
