// The options of `pmemfs mount`: one table, read by the command line (as
// --long-option) and by -o (as long_option). Pure; any thread.
//
// Every failure here is ExitCode::kUsage and names the option.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/exit_code.h"
#include "src/mount_request.h"

namespace pmemfs {

struct MountOption {
  std::string_view name;        // as under -o: "log_file"
  std::string_view value_name;  // "FILE"; empty for a flag
  std::string_view help;
  char short_name;  // 0: none
  // REQUIRES: `value` is empty for a flag.
  Outcome<void> (*apply)(MountRequest& request, std::string_view value);
};

[[nodiscard]] std::span<const MountOption> mount_options();

// The option's name on the command line: "--log-file".
[[nodiscard]] std::string long_option(const MountOption& option);

enum class UnknownOptions {
  kRefuse,
  kOverlook,  // mount(8)'s -s: note them in the request
};

// Applies the argument of one -o: options with commas between them. A comma or
// backslash within a value is written with a backslash before it.
[[nodiscard]] Outcome<void> apply_option_list(MountRequest& request,
                                              std::string_view list,
                                              UnknownOptions unknown);

// The words that only -o knows: those for the kernel, and those that are taken
// and ignored (besides comment=... and x-...).
[[nodiscard]] std::span<const std::string_view> kernel_words();
[[nodiscard]] std::span<const std::string_view> ignored_words();

// The way back: `value` as libfuse's option parser, which splits at commas,
// takes it.
[[nodiscard]] std::string escape_option_value(std::string_view value);

}  // namespace pmemfs
