#include "src/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "src/mount_options.h"
#include "src/nearest.h"
#include "src/sources.h"
#include "src/version.h"

namespace pmemfs {
namespace {

constexpr const char* kDescription =
    "pmemfs shows persistent memory as a directory tree of regular files. It "
    "mounts every Device DAX and every file system with DAX of the machine, or "
    "directories that you name: reads and writes go through mappings, and "
    "`getfattr -d FILE` tells of "
    "each whether it is persistent memory, how much of it is mapped, whether "
    "it is sparse, and why.";

constexpr const char* kExamples =
    "Examples:\n"
    "  pmemfs mount /mnt/regions                show all persistent memory\n"
    "  pmemfs mount /mnt/pmem0 /mnt/regions     show one directory\n"
    "  pmemfs mount /mnt/pmem0 logs=/mnt/pmem1/log /mnt/regions\n"
    "                                           two, as pmem0/ and logs/\n"
    "  pmemfs mount -o ro,io=cached /mnt/pmem0 /mnt/regions\n"
    "  pmemfs umount /mnt/regions\n"
    "  pmemfs list                              what persistent memory there "
    "is\n"
    "  mount -t fuse.pmemfs /mnt/pmem0 /mnt/regions\n";

// A line for the list of commands, and a paragraph for the command's own help.
constexpr const char* kMountSummary =
    "Mount persistent memory and serve it in the background";
constexpr const char* kMountDescription =
    "SOURCE is a directory, a device /dev/daxX.Y, dax (all of them), all (in "
    "dax/ the devices, in fsdax/ the file systems that are mounted with DAX; "
    "the same as no SOURCE), or NAME=SOURCE. A single unnamed directory, dax "
    "or all is the root of the mount; several, or a named one, stand under "
    "the root by name. The "
    "command returns when the mount answers. SIGTERM, SIGINT and SIGHUP end "
    "the daemon and the mount.";

constexpr const char* kUmountSummary = "End a mount of pmemfs";
constexpr const char* kUmountDescription =
    "The mount may be a dead one, whose daemon is gone. Mounts that are not of "
    "pmemfs are refused.";

constexpr const char* kListSummary =
    "List the persistent memory of the machine";
constexpr const char* kListDescription =
    "One row a region: every Device DAX, every pmem block device, and every "
    "file system that is mounted with DAX on something else. - is what is not "
    "known, ? what could not be found out, for the reason under WHY. Nothing "
    "is changed or left behind. Ordinary users are told what they may read.";

constexpr const char* kHelperDescription =
    "The helper that mount(8) runs for the type fuse.pmemfs; see "
    "`pmemfs mount --help`.";

constexpr const char* kVersionHelp = "Print the versions of pmemfs and libfuse";

// The text broken into lines of a terminal, all but the first indented.
std::string filled(std::string_view text, std::size_t indent) {
  constexpr std::size_t kWidth = 80;
  std::string lines;
  std::size_t column = indent;
  for (const std::string& word : CLI::detail::split(std::string(text), ' ')) {
    if (column != indent && column + 1 + word.size() > kWidth) {
      lines += "\n" + std::string(indent, ' ');
      column = indent;
    }
    const std::string_view gap = column == indent ? "" : " ";
    lines += gap;
    lines += word;
    column += gap.size() + word.size();
  }
  return lines;
}

std::string described(const std::string& summary, std::string_view text) {
  return summary + "\n\n" + filled(text, 0);
}

std::string joined(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) {
    text += text.empty() ? "" : ", ";
    text += word;
  }
  return text;
}

std::string option_words_help() {
  return filled("Under -o also, for the kernel: " + joined(kernel_words()), 0) +
         "\n\n" +
         filled("Under -o also, taken and ignored, for the sake of fstab: " +
                    joined(ignored_words()) + ", comment=..., x-...",
                0) +
         "\n";
}

// CLI11's help with a usage line of our own, which names what CLI11 cannot:
// that the last of several paths is another thing than those before it.
class HelpFormatter : public CLI::Formatter {
 public:
  explicit HelpFormatter(std::string usage) : usage_(std::move(usage)) {
    column_width(27);
  }

  std::string make_usage(const CLI::App* /*app*/,
                         std::string /*name*/) const override {
    return "\nUsage: " + usage_ + "\n";
  }

  std::string make_positionals(const CLI::App* /*app*/) const override {
    return "";  // the usage line and the description tell them
  }

  // The description beside the name, broken into lines.
  std::string make_option(const CLI::Option* option,
                          bool is_positional) const override {
    const std::string name =
        "  " + make_option_name(option, is_positional) +
        (option->get_type_name().empty() ? "" : " " + option->get_type_name());
    return in_two_columns(name, make_option_desc(option));
  }

  std::string make_subcommand(const CLI::App* command) const override {
    return in_two_columns("  " + command->get_name(),
                          std::string(first_line(command->get_description())));
  }

 private:
  static std::string_view first_line(std::string_view text) {
    return text.substr(0, text.find('\n'));
  }

  [[nodiscard]] std::string in_two_columns(const std::string& left,
                                           std::string_view right) const {
    const std::size_t indent = get_column_width();
    const std::string gap = left.size() < indent
                                ? std::string(indent - left.size(), ' ')
                                : "\n" + std::string(indent, ' ');
    return left + gap + filled(right, indent) + "\n";
  }

  std::string usage_;
};

void format_help(CLI::App& app, std::string usage) {
  app.formatter(std::make_shared<HelpFormatter>(std::move(usage)));
}

// The words of one command, not yet understood.
struct Words {
  std::vector<std::string> paths;
  std::vector<std::string> option_lists;  // of each -o
  struct LongOption {
    const MountOption* option;
    std::string value;
  };
  std::vector<LongOption> long_options;
};

// Each -o takes one argument, although there may be several -o.
void add_option_lists(CLI::App& app, Words& words) {
  app.add_option("-o", words.option_lists,
                 "The long options under their names with _, and those of "
                 "mount(8): -o ro,log_level=debug")
      ->type_name("OPTION[,...]")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_paths(CLI::App& app, std::vector<std::string>& paths) {
  app.add_option("PATH", paths, "");
}

void add_mount_option(CLI::App& app, const MountOption& option, Words& words) {
  const std::string short_name =
      option.short_name == 0 ? "" : std::string{'-', option.short_name, ','};
  const std::string names = short_name + long_option(option);
  const std::string help(option.help);
  if (option.value_name.empty()) {
    app.add_flag_callback(
        names,
        [&words, &option] {
          words.long_options.push_back({&option, ""});
        },
        help);
    return;
  }
  app.add_option_function<std::string>(
         names,
         [&words, &option](const std::string& value) {
           words.long_options.push_back({&option, value});
         },
         help)
      ->type_name(std::string(option.value_name))
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

// Unknown options are gathered by CLI11, to be named with what was meant.
Outcome<void> refuse_leftovers(const CLI::App& app) {
  std::vector<std::string> leftovers = app.remaining();
  std::erase(leftovers, "--");  // CLI11 gathers it although it knows it
  if (leftovers.empty()) {
    return {};
  }
  const std::string name = leftovers.front().substr(
      0, leftovers.front().starts_with("--") ? leftovers.front().find('=')
                                             : std::string::npos);
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& long_name : option->get_lnames()) {
      known.push_back("--" + long_name);
    }
  }
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    known.push_back(command->get_name());
  }
  const std::string meant = nearest(name, known);
  const std::string kind = name.starts_with('-') ? "option" : "command";
  return refuse(ExitCode::kUsage,
                "unknown " + kind + " '" + name + "'; " +
                    (meant.empty() ? "'pmemfs --help' tells what there is"
                                   : "did you mean '" + meant + "'?"));
}

Outcome<void> split_paths(MountRequest& request,
                          const std::vector<std::string>& paths) {
  if (paths.empty()) {
    return refuse(ExitCode::kUsage,
                  "no mountpoint given: pmemfs mount [SOURCE...] MOUNTPOINT");
  }
  request.sources.assign(paths.begin(), paths.end() - 1);
  if (request.sources.empty()) {
    request.sources.emplace_back(kEverythingWord);
  }
  request.mountpoint = paths.back();
  return {};
}

// -o first, so that a long option, which is nearer to the eye, wins.
Outcome<void> apply_words(MountRequest& request, const Words& words,
                          UnknownOptions unknown) {
  for (const std::string& list : words.option_lists) {
    Outcome<void> applied = apply_option_list(request, list, unknown);
    if (!applied) {
      return applied;
    }
  }
  for (const Words::LongOption& given : words.long_options) {
    Outcome<void> applied = given.option->apply(request, given.value);
    if (!applied) {
      return applied;
    }
  }
  return split_paths(request, words.paths);
}

// Lets CLI11 read the words. Nothing: go on; else what to do instead.
Outcome<std::optional<ShowText>> parse_with(
    CLI::App& app, const std::vector<std::string>& arguments) {
  // CLI11 takes the words from the end of the vector.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend() - 1);
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return ShowText{app.help()};
  } catch (const CLI::CallForVersion&) {
    return ShowText{version_text()};
  } catch (const CLI::ParseError& error) {
    return refuse(ExitCode::kUsage, error.what());
  }
  return std::optional<ShowText>();
}

// One program with its commands.
class ProgramParser {
 public:
  ProgramParser() {
    app_.set_version_flag("--version", version_text(), kVersionHelp);
    app_.allow_extras();
    // At most one: after it, a directory may be called as a command is.
    app_.require_subcommand(0, 1);
    app_.footer(std::string(kExamples) +
                "\n`pmemfs COMMAND --help` tells more of a command.\n\n" +
                exit_codes_help());
    format_help(app_, "pmemfs COMMAND [OPTIONS] ...");
    set_up_mount();
    set_up_umount();
    set_up_list();
  }

  ProgramParser(const ProgramParser&) = delete;
  ProgramParser& operator=(const ProgramParser&) = delete;

  Outcome<Command> parse(const std::vector<std::string>& arguments) {
    Outcome<std::optional<ShowText>> text = parse_with(app_, arguments);
    if (!text) {
      return hand_on(text);
    }
    if (*text) {
      return Command(std::move(**text));
    }
    if (mount_->parsed()) {
      return mount_request();
    }
    if (umount_->parsed()) {
      return umount_request();
    }
    if (list_->parsed()) {
      return list_request();
    }
    Outcome<void> known = refuse_leftovers(app_);
    if (!known) {
      return hand_on(known);
    }
    return refuse(
        ExitCode::kUsage,
        "no command given; there are 'mount', 'umount' and 'list', and "
        "'pmemfs --help' tells of them");
  }

 private:
  void set_up_mount() {
    mount_->allow_extras();
    for (const MountOption& option : mount_options()) {
      add_mount_option(*mount_, option, words_);
    }
    add_option_lists(*mount_, words_);
    add_paths(*mount_, words_.paths);
    mount_->footer(option_words_help() + "\n" + exit_codes_help());
    format_help(
        *mount_,
        "pmemfs mount [OPTIONS] [-o OPTION,...] [SOURCE...] MOUNTPOINT");
  }

  void set_up_umount() {
    umount_->allow_extras();
    umount_->add_flag("-l,--lazy", lazy_,
                      "Detach the mount now, although it is in use; it ends "
                      "when the last user of it is gone");
    add_paths(*umount_, umount_paths_);
    umount_->footer(exit_codes_help());
    format_help(*umount_, "pmemfs umount [--lazy] MOUNTPOINT");
  }

  void set_up_list() {
    list_->allow_extras();
    list_->add_flag("--json", json_,
                    "Print an array of JSON objects, sizes in bytes");
    add_paths(*list_, list_paths_);
    list_->footer(exit_codes_help());
    format_help(*list_, "pmemfs list [--json]");
  }

  Outcome<Command> mount_request() {
    Outcome<void> known = refuse_leftovers(*mount_);
    if (!known) {
      return hand_on(known);
    }
    MountRequest request;
    Outcome<void> applied =
        apply_words(request, words_, UnknownOptions::kRefuse);
    if (!applied) {
      return hand_on(applied);
    }
    return Command(std::move(request));
  }

  Outcome<Command> umount_request() {
    Outcome<void> known = refuse_leftovers(*umount_);
    if (!known) {
      return hand_on(known);
    }
    if (umount_paths_.size() != 1) {
      return refuse(ExitCode::kUsage,
                    "umount takes one mountpoint: pmemfs umount [--lazy] "
                    "MOUNTPOINT");
    }
    return Command(
        UmountRequest{.mountpoint = umount_paths_.front(), .lazy = lazy_});
  }

  Outcome<Command> list_request() {
    Outcome<void> known = refuse_leftovers(*list_);
    if (!known) {
      return hand_on(known);
    }
    if (!list_paths_.empty()) {
      return refuse(ExitCode::kUsage,
                    "list takes no argument: pmemfs list [--json]");
    }
    return Command(ListRequest{.json = json_});
  }

  CLI::App app_{filled(kDescription, 0)};
  CLI::App* mount_ =
      app_.add_subcommand("mount", described(kMountSummary, kMountDescription));
  CLI::App* umount_ = app_.add_subcommand(
      "umount", described(kUmountSummary, kUmountDescription));
  CLI::App* list_ =
      app_.add_subcommand("list", described(kListSummary, kListDescription));
  Words words_;
  std::vector<std::string> umount_paths_;
  bool lazy_ = false;
  std::vector<std::string> list_paths_;
  bool json_ = false;
};

// mount.fuse.pmemfs, as mount(8) describes its helpers.
class HelperParser {
 public:
  HelperParser() {
    app_.set_version_flag("--version", version_text(), kVersionHelp);
    app_.allow_extras();
    app_.add_flag("-s", sloppy_, "Overlook unknown options");
    app_.add_flag("-f", fake_, "Check everything, but mount nothing");
    app_.add_flag("-n", ignored_, "Ignored: there is no mtab");
    app_.add_flag("-v", verbose_, "Log debug messages, too");
    app_.add_flag("-r", read_only_, "As -o ro");
    app_.add_flag("-w", ignored_, "Ignored: as -o rw, which is the default");
    app_.add_option("-t", type_, "Ignored: the type is fuse.pmemfs")
        ->type_name("TYPE");
    app_.add_option("-N", other_namespace_, "Refused")->type_name("NAMESPACE");
    add_option_lists(app_, words_);
    add_paths(app_, words_.paths);
    app_.footer(exit_codes_help());
    format_help(
        app_, "mount.fuse.pmemfs SOURCE MOUNTPOINT [-sfnvrw] [-o OPTION,...]");
  }

  HelperParser(const HelperParser&) = delete;
  HelperParser& operator=(const HelperParser&) = delete;

  Outcome<Command> parse(const std::vector<std::string>& arguments) {
    Outcome<std::optional<ShowText>> text = parse_with(app_, arguments);
    if (!text) {
      return hand_on(text);
    }
    if (*text) {
      return Command(std::move(**text));
    }
    Outcome<void> known = refuse_leftovers(app_);
    if (!known && !sloppy_) {
      return hand_on(known);
    }
    if (!other_namespace_.empty()) {
      return refuse(ExitCode::kUsage,
                    "option '-N' is not supported: run the mount in that "
                    "namespace, with nsenter(1)");
    }
    MountRequest request;
    request.fake = fake_;
    if (verbose_) {
      request.log_level = LogLevel::kDebug;
    }
    if (read_only_) {
      request.kernel_options.emplace_back("ro");
    }
    Outcome<void> applied = apply_words(
        request, words_,
        sloppy_ ? UnknownOptions::kOverlook : UnknownOptions::kRefuse);
    if (!applied) {
      return hand_on(applied);
    }
    return Command(std::move(request));
  }

 private:
  CLI::App app_{filled(kHelperDescription, 0)};
  Words words_;
  std::string type_;
  std::string other_namespace_;
  bool ignored_ = false;
  bool sloppy_ = false;
  bool fake_ = false;
  bool verbose_ = false;
  bool read_only_ = false;
};

bool is_mount_helper(std::string_view program) {
  return program.substr(program.rfind('/') + 1).starts_with("mount.fuse");
}

}  // namespace

Outcome<Command> parse_command_line(const std::vector<std::string>& arguments) {
  const std::vector<std::string> words =
      arguments.empty() ? std::vector<std::string>{"pmemfs"} : arguments;
  if (is_mount_helper(words.front())) {
    return HelperParser().parse(words);
  }
  return ProgramParser().parse(words);
}

}  // namespace pmemfs
