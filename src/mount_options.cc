#include "src/mount_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "src/nearest.h"

namespace pmemfs {
namespace {

tl::unexpected<Failure> bad_value(std::string_view option,
                                  std::string_view value,
                                  std::string_view allowed) {
  return refuse(ExitCode::kUsage, "bad value '" + std::string(value) +
                                      "' of option '" + std::string(option) +
                                      "': it takes " + std::string(allowed));
}

// Seconds that a kernel may keep what it was told.
Outcome<void> apply_timeout(std::string_view option, double& timeout_s,
                            std::string_view value) {
  double seconds = 0;
  const char* end = value.data() + value.size();
  const auto parsed = std::from_chars(value.data(), end, seconds);
  const bool usable = parsed.ec == std::errc() && parsed.ptr == end &&
                      std::isfinite(seconds) && seconds >= 0;
  if (!usable) {
    return bad_value(option, value, "seconds, 0 or more, such as 1 or 0.5");
  }
  timeout_s = seconds;
  return {};
}

Outcome<void> apply_file(std::string_view option, std::string& file,
                         std::string_view value) {
  if (value.empty()) {
    return bad_value(option, value, "the path of a file");
  }
  file = value;
  return {};
}

Outcome<void> apply_io(MountRequest& request, std::string_view value) {
  if (value == "mapped") {
    request.io = IoMode::kMapped;
  } else if (value == "passthrough") {
    request.io = IoMode::kPassthrough;
  } else if (value == "cached") {
    request.io = IoMode::kCached;
  } else {
    return bad_value("io", value, "mapped, passthrough or cached");
  }
  return {};
}

Outcome<void> apply_xattr_list(MountRequest& request, std::string_view value) {
  if (value != "all" && value != "none") {
    return bad_value("xattr_list", value, "all or none");
  }
  request.list_virtual_xattrs = value == "all";
  return {};
}

Outcome<void> apply_max_threads(MountRequest& request, std::string_view value) {
  constexpr unsigned kMost = 1000;
  unsigned threads = 0;
  const char* end = value.data() + value.size();
  const auto parsed = std::from_chars(value.data(), end, threads);
  if (parsed.ec != std::errc() || parsed.ptr != end || threads < 1 ||
      threads > kMost) {
    return bad_value("max_threads", value, "a number from 1 to 1000");
  }
  request.max_threads = threads;
  return {};
}

Outcome<void> apply_log_level(MountRequest& request, std::string_view value) {
  const std::optional<LogLevel> level = log_level_from_name(value);
  if (!level) {
    return bad_value("log_level", value,
                     "trace, debug, info, warn, error or off");
  }
  request.log_level = level;
  return {};
}

Outcome<void> apply_fsname(MountRequest& request, std::string_view value) {
  if (value.empty()) {
    return bad_value("fsname", value, "the name to show as the source");
  }
  request.fsname = value;
  return {};
}

constexpr auto kMountOptions = std::to_array<MountOption>({
    {"foreground", "",
     "Stay in the foreground and log to standard error; end with Ctrl-C", 'f',
     [](MountRequest& request, std::string_view) {
       request.foreground = true;
       return Outcome<void>();
     }},
    {"debug", "",
     "Log every request of the kernel, too; stays in the foreground", 'd',
     [](MountRequest& request, std::string_view) {
       request.debug = true;
       return Outcome<void>();
     }},
    {"log_file", "FILE",
     "Append the log to FILE (else: syslog, in the foreground standard error)",
     0,
     [](MountRequest& request, std::string_view value) {
       return apply_file("log_file", request.log_file, value);
     }},
    {"log_level", "LEVEL",
     "How much to log: trace, debug, info (default), warn, error or off", 0,
     apply_log_level},
    {"pid_file", "FILE",
     "Keep the daemon's process id in FILE for as long as it runs", 0,
     [](MountRequest& request, std::string_view value) {
       return apply_file("pid_file", request.pid_file, value);
     }},
    {"io", "MODE",
     "How reads and writes are served: mapped (through the region's mapping; "
     "the default from Linux 6.6 on), passthrough (by the kernel, from the "
     "backing file) or cached "
     "(through the page cache; for files the default before Linux 6.6)",
     0, apply_io},
    {"xattr_list", "all|none",
     "Whether listing attributes shows those of pmemfs (default: all)", 0,
     apply_xattr_list},
    {"attr_timeout", "SECONDS",
     "How long the kernel may trust attributes (default: 1)", 0,
     [](MountRequest& request, std::string_view value) {
       return apply_timeout("attr_timeout", request.attr_timeout_s, value);
     }},
    {"entry_timeout", "SECONDS",
     "How long the kernel may trust names (default: 1)", 0,
     [](MountRequest& request, std::string_view value) {
       return apply_timeout("entry_timeout", request.entry_timeout_s, value);
     }},
    {"io_uring", "", "Ask the kernel for requests over io_uring", 0,
     [](MountRequest& request, std::string_view) {
       request.io_uring = true;
       return Outcome<void>();
     }},
    {"max_threads", "N", "Serve with at most N threads (default: 10)", 0,
     apply_max_threads},
    {"allow_other", "",
     "Let every user in, as the permissions of the files tell (default when "
     "root mounts; others need user_allow_other in /etc/fuse.conf)",
     0,
     [](MountRequest& request, std::string_view) {
       request.allow_other = true;
       return Outcome<void>();
     }},
    {"no_allow_other", "", "Let only the user in who mounts", 0,
     [](MountRequest& request, std::string_view) {
       request.allow_other = false;
       return Outcome<void>();
     }},
    {"fsname", "NAME",
     "What df and mount show as the source (default: the sources)", 0,
     apply_fsname},
});

// Flags of mount(8) that the kernel knows; libfuse takes them as they are.
// (Not atime, relatime and their kind: the access time of a file is the
// business of the file system beneath.)
constexpr auto kKernelWords = std::to_array<std::string_view>(
    {"ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "sync",
     "async", "dirsync", "noatime", "nodiratime", "nosymfollow", "symfollow"});

// Words of fstab for mount(8) and systemd, and words that ask for what is
// always so here.
constexpr auto kIgnoredWords = std::to_array<std::string_view>(
    {"defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group",
     "nofail", "_netdev", "atime", "diratime", "relatime", "norelatime",
     "nostrictatime", "default_permissions", "nonempty"});
constexpr auto kIgnoredPrefixes =
    std::to_array<std::string_view>({"x-", "X-", "comment=", "user="});

// Options of other file systems that somebody may expect, and why not.
struct RefusedOption {
  std::string_view name;
  std::string_view reason;
};
constexpr auto kRefusedOptions = std::to_array<RefusedOption>({
    {"subtype", "the type of a mount is always fuse.pmemfs"},
    {"remount", "a mount cannot be changed: unmount, then mount anew"},
    {"auto_unmount",
     "a dead mount of pmemfs is replaced when you mount there again"},
    {"allow_root", "there is allow_other for all users, or no_allow_other"},
    {"strictatime",
     "access times are kept by the file system beneath, as it was mounted"},
    {"lazytime",
     "access times are kept by the file system beneath, as it was mounted"},
});

template <typename Words>
bool contains(const Words& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

// One element of an option list, with its escapes removed.
struct GivenOption {
  std::string text;  // "log_file=/x"
  std::string name;  // "log_file"
  std::optional<std::string> value;
};

GivenOption given_option(std::string text) {
  GivenOption given;
  const std::size_t equals = text.find('=');
  given.name = text.substr(0, equals);
  if (equals != std::string::npos) {
    given.value = text.substr(equals + 1);
  }
  given.text = std::move(text);
  return given;
}

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> elements(1);
  for (std::size_t at = 0; at < list.size(); ++at) {
    const bool escape = list[at] == '\\' && at + 1 < list.size() &&
                        (list[at + 1] == ',' || list[at + 1] == '\\');
    if (escape) {
      elements.back() += list[++at];
    } else if (list[at] == ',') {
      elements.emplace_back();
    } else {
      elements.back() += list[at];
    }
  }
  return elements;
}

std::vector<std::string> known_names() {
  std::vector<std::string> names;
  names.reserve(kMountOptions.size());
  for (const MountOption& option : kMountOptions) {
    names.emplace_back(option.name);
  }
  names.insert(names.end(), kKernelWords.begin(), kKernelWords.end());
  names.insert(names.end(), kIgnoredWords.begin(), kIgnoredWords.end());
  return names;
}

Outcome<void> apply_unknown(MountRequest& request, const GivenOption& given,
                            UnknownOptions unknown) {
  if (unknown == UnknownOptions::kOverlook) {
    request.overlooked_options.push_back(given.text);
    return {};
  }
  const std::string meant = nearest(given.name, known_names());
  return refuse(ExitCode::kUsage,
                "unknown option '" + given.name + "'; " +
                    (meant.empty() ? "'pmemfs mount --help' lists them all"
                                   : "did you mean '" + meant + "'?"));
}

Outcome<void> apply_known(MountRequest& request, const MountOption& option,
                          const GivenOption& given) {
  const bool wants_value = !option.value_name.empty();
  if (wants_value && !given.value) {
    return refuse(ExitCode::kUsage, "option '" + given.name +
                                        "' wants a value: " + given.name + "=" +
                                        std::string(option.value_name));
  }
  if (!wants_value && given.value) {
    return refuse(ExitCode::kUsage,
                  "option '" + given.name + "' takes no value");
  }
  return option.apply(request, given.value.value_or(""));
}

Outcome<void> apply_given(MountRequest& request, const GivenOption& given,
                          UnknownOptions unknown) {
  for (const MountOption& option : kMountOptions) {
    if (option.name == given.name) {
      return apply_known(request, option, given);
    }
  }
  if (contains(kKernelWords, given.text)) {
    request.kernel_options.push_back(given.text);
    return {};
  }
  if (contains(kIgnoredWords, given.text) ||
      std::ranges::any_of(kIgnoredPrefixes, [&](std::string_view prefix) {
        return given.text.starts_with(prefix);
      })) {
    return {};
  }
  if (contains(kKernelWords, given.name) ||
      contains(kIgnoredWords, given.name)) {
    return refuse(ExitCode::kUsage,
                  "option '" + given.name + "' takes no value");
  }
  for (const RefusedOption& refused : kRefusedOptions) {
    if (refused.name == given.name) {
      return refuse(ExitCode::kUsage,
                    "option '" + given.name +
                        "' is not supported: " + std::string(refused.reason));
    }
  }
  return apply_unknown(request, given, unknown);
}

}  // namespace

std::span<const MountOption> mount_options() { return kMountOptions; }

std::string long_option(const MountOption& option) {
  std::string name = "--" + std::string(option.name);
  std::ranges::replace(name, '_', '-');
  return name;
}

Outcome<void> apply_option_list(MountRequest& request, std::string_view list,
                                UnknownOptions unknown) {
  for (std::string& element : split_list(list)) {
    if (element.empty()) {
      continue;
    }
    Outcome<void> applied =
        apply_given(request, given_option(std::move(element)), unknown);
    if (!applied) {
      return applied;
    }
  }
  return {};
}

std::span<const std::string_view> kernel_words() { return kKernelWords; }

std::span<const std::string_view> ignored_words() { return kIgnoredWords; }

std::string escape_option_value(std::string_view value) {
  std::string escaped;
  for (const char letter : value) {
    if (letter == ',' || letter == '\\') {
      escaped += '\\';
    }
    escaped += letter;
  }
  return escaped;
}

}  // namespace pmemfs
