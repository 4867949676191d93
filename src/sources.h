// The SOURCE words of the command line: what they mean, whether they can be
// shown, and under which names. Any thread.
//
// Every failure here is ExitCode::kSourceRefused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/options.h"
#include "src/exit_code.h"

namespace pmemfs {

// A directory of such a name is ./dax or ./all.
inline constexpr const char* kAllDevicesWord = "dax";
inline constexpr const char* kEverythingWord = "all";

struct SourceWord {
  std::optional<std::string> name;  // of NAME=DIRECTORY or NAME=DEVICE
  std::string path;
};

// Reads one word. The part before the first '=' is a name, unless it has a '/'
// in it: then the whole word is a path, as in ./a=b or /srv/a=b. The path "dax"
// stands for all Device DAX, and "all" for these and all file systems that are
// mounted with DAX.
[[nodiscard]] Outcome<SourceWord> parse_source(const std::string& word);

// Refuses an empty name, '.', '..' and those with a '/'.
[[nodiscard]] Outcome<void> check_name(const std::string& name);

// The name in the tree of an unnamed source among several: the last component
// of its path as it was written, or as it resolves where that is none
// ("/srv/."). Empty for the root directory.
[[nodiscard]] std::string default_name(std::string_view written_path,
                                       std::string_view resolved_path);

struct Sources {
  std::vector<SourceSpec> specs;  // directories: absolute, no symbolic links
  std::string description;        // for people and df: "/srv/a:logs=/srv/b"
};

// Resolves the words and checks that each is a directory which can be read, a
// Device DAX, or a word for all, and that no name comes twice. REQUIRES: at
// least one word.
[[nodiscard]] Outcome<Sources> resolve_sources(
    const std::vector<std::string>& words);

}  // namespace pmemfs
