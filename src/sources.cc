#include "src/sources.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "pmem/dax_device.h"

namespace pmemfs {
namespace {

tl::unexpected<Failure> refuse_source(std::string message) {
  return refuse(ExitCode::kSourceRefused, std::move(message));
}

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

std::string last_component(std::string_view path) {
  while (path.ends_with('/')) {
    path.remove_suffix(1);
  }
  return std::string(path.substr(path.rfind('/') + 1));
}

tl::unexpected<Failure> refuse_unreachable(const std::string& path, int error) {
  if (error == ENOENT) {
    const bool is_filler = path == "none" || path == "pmemfs";  // in fstab
    return refuse_source(
        "source " + quoted(path) + " does not exist" +
        (is_filler ? "; to show all persistent memory, the source is all"
                   : ""));
  }
  if (error == ENOTCONN) {
    return refuse_source("source " + quoted(path) +
                         " lies on a dead mount, which has lost its daemon; "
                         "unmount that first");
  }
  return refuse_source("source " + quoted(path) +
                       " cannot be read: " + std::strerror(error));
}

Outcome<void> check_is_readable_directory(const std::string& written,
                                          const std::string& resolved) {
  struct stat status {};
  if (::stat(resolved.c_str(), &status) != 0) {
    return refuse_unreachable(written, errno);
  }
  if (S_ISREG(status.st_mode)) {
    return refuse_source("source " + quoted(written) +
                         " is a file, not a directory; mount the directory "
                         "that it lies in: " +
                         resolved.substr(0, resolved.rfind('/') + 1));
  }
  if (S_ISCHR(status.st_mode)) {
    return refuse_source("source " + quoted(written) +
                         " is a device, but no Device DAX");
  }
  if (S_ISBLK(status.st_mode)) {
    return refuse_source("source " + quoted(written) +
                         " is a block device; mount its file system, and then "
                         "that directory with pmemfs");
  }
  if (!S_ISDIR(status.st_mode)) {
    return refuse_source("source " + quoted(written) + " is not a directory");
  }
  DIR* directory = ::opendir(resolved.c_str());
  if (directory == nullptr) {
    return refuse_unreachable(written, errno);
  }
  ::closedir(directory);
  return {};
}

// One source on its way from the word to the tree.
struct ResolvedSource {
  SourceSpec spec;  // the name is empty as long as none was given
  std::string written_path;
};

bool is_device(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISCHR(status.st_mode) &&
         pmem::is_dax_device(status.st_rdev, pmem::kSysfsRoot);
}

// All devices stand under a name of their own if anything else is there.
Outcome<ResolvedSource> resolve_source(const std::string& word) {
  Outcome<SourceWord> source = parse_source(word);
  if (!source) {
    return hand_on(source);
  }
  const std::string name = source->name.value_or("");
  if (source->path == kAllDevicesWord) {
    return ResolvedSource{
        .spec = {name, kAllDevicesWord, SourceKind::kAllDevices},
        .written_path = kAllDevicesWord};
  }
  if (source->path == kEverythingWord) {
    return ResolvedSource{
        .spec = {name, kEverythingWord, SourceKind::kEverything},
        .written_path = kEverythingWord};
  }
  const std::unique_ptr<char, decltype(&std::free)> resolved(
      ::realpath(source->path.c_str(), nullptr), &std::free);
  if (resolved == nullptr) {
    return refuse_unreachable(source->path, errno);
  }
  const std::string path = resolved.get();
  if (is_device(path)) {
    const std::string device = last_component(path);
    return ResolvedSource{
        .spec = {name.empty() ? device : name, device, SourceKind::kDevice},
        .written_path = source->path};
  }
  Outcome<void> checked = check_is_readable_directory(source->path, path);
  if (!checked) {
    return hand_on(checked);
  }
  return ResolvedSource{.spec = {name, path, SourceKind::kDirectory},
                        .written_path = source->path};
}

// Gives each unnamed source of several its name.
Outcome<void> name_sources(std::vector<ResolvedSource>& sources) {
  if (sources.size() == 1) {
    return {};
  }
  for (ResolvedSource& source : sources) {
    std::string& name = source.spec.name;
    if (name.empty()) {
      name = default_name(source.written_path, source.spec.path);
    }
    if (name.empty()) {
      return refuse_source("source " + quoted(source.written_path) +
                           " has no name to stand under in the mount; give it "
                           "one: NAME=" +
                           source.written_path);
    }
  }
  return {};
}

Outcome<void> check_names_differ(const std::vector<ResolvedSource>& sources) {
  for (auto source = sources.begin(); source != sources.end(); ++source) {
    const auto same = std::find_if(
        sources.begin(), source, [&](const ResolvedSource& earlier) {
          return earlier.spec.name == source->spec.name;
        });
    if (same != source) {
      return refuse_source(
          "two sources would both be called " + quoted(source->spec.name) +
          " in the mount: " + quoted(same->written_path) + " and " +
          quoted(source->written_path) +
          "; name one of them otherwise: NAME=" + source->written_path);
    }
  }
  return {};
}

// The path as it was written where that is absolute, so that mount(8) finds the
// line of fstab again by its source.
std::string shown_path(const ResolvedSource& source) {
  return source.written_path.starts_with('/') ||
                 source.spec.kind == SourceKind::kAllDevices ||
                 source.spec.kind == SourceKind::kEverything
             ? source.written_path
             : source.spec.path;
}

}  // namespace

Outcome<SourceWord> parse_source(const std::string& word) {
  if (word.empty()) {
    return refuse_source(
        "a source is empty; name a directory, a Device DAX, dax or all");
  }
  const std::size_t equals = word.find('=');
  const bool has_name = equals != std::string::npos &&
                        word.find('/') >= equals;  // no '/' before the '='
  if (!has_name) {
    const bool looks_named = equals != std::string::npos && !exists(word);
    if (looks_named) {
      return refuse_source("source " + quoted(word) + " does not exist, and " +
                           quoted(word.substr(0, equals)) +
                           " cannot be the name of a source: a name has no /");
    }
    return SourceWord{.name = std::nullopt, .path = word};
  }
  SourceWord source{.name = word.substr(0, equals),
                    .path = word.substr(equals + 1)};
  Outcome<void> named = check_name(*source.name);
  if (!named) {
    named.error().message += " (source " + quoted(word) + ")";
    return hand_on(named);
  }
  if (source.path.empty()) {
    return refuse_source("source " + quoted(word) +
                         " names nothing: write NAME=DIRECTORY");
  }
  return source;
}

Outcome<void> check_name(const std::string& name) {
  if (name.empty()) {
    return refuse_source("the name of a source is empty");
  }
  if (name == "." || name == "..") {
    return refuse_source(quoted(name) + " cannot be the name of a source");
  }
  if (name.find('/') != std::string::npos) {
    return refuse_source(quoted(name) +
                         " cannot be the name of a source: it has a /");
  }
  if (name.size() > NAME_MAX) {
    return refuse_source("the name of a source is longer than " +
                         std::to_string(NAME_MAX) + " bytes");
  }
  return {};
}

std::string default_name(std::string_view written_path,
                         std::string_view resolved_path) {
  const std::string name = last_component(written_path);
  return check_name(name) ? name : last_component(resolved_path);
}

Outcome<Sources> resolve_sources(const std::vector<std::string>& words) {
  std::vector<ResolvedSource> resolved;
  for (const std::string& word : words) {
    Outcome<ResolvedSource> source = resolve_source(word);
    if (!source) {
      return hand_on(source);
    }
    resolved.push_back(std::move(*source));
  }

  Sources sources;
  for (const ResolvedSource& source : resolved) {
    sources.description += sources.description.empty() ? "" : ":";
    const std::string& name = source.spec.name;
    sources.description += name.empty() ? "" : name + "=";
    sources.description += shown_path(source);
  }

  Outcome<void> named = name_sources(resolved);
  if (!named) {
    return hand_on(named);
  }
  Outcome<void> distinct = check_names_differ(resolved);
  if (!distinct) {
    return hand_on(distinct);
  }
  for (ResolvedSource& source : resolved) {
    sources.specs.push_back(std::move(source.spec));
  }
  return sources;
}

}  // namespace pmemfs
