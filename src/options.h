// The command line. CLI11 lives in options.cc alone. Pure; any thread.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "src/exit_code.h"
#include "src/list_command.h"
#include "src/mount_request.h"
#include "src/umount_command.h"

namespace pmemfs {

// --help and --version: a text for standard output.
struct ShowText {
  std::string text;
};

using Command =
    std::variant<ShowText, MountRequest, UmountRequest, ListRequest>;

// Reads the words of argv, of which the first is the program's name: as
// mount.fuse... (the helper that mount(8) runs) it takes that one's arguments.
// Errors: kUsage.
[[nodiscard]] Outcome<Command> parse_command_line(
    const std::vector<std::string>& arguments);

}  // namespace pmemfs
