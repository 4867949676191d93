#include "src/options.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <map>
#include <sstream>
#include <utility>

#include "src/mount_options.h"

namespace pmemfs {
namespace {

using Arguments = std::vector<std::string>;

Outcome<Command> parse(Arguments arguments) {
  arguments.insert(arguments.begin(), "/usr/bin/pmemfs");
  return parse_command_line(arguments);
}

Outcome<Command> parse_helper(Arguments arguments) {
  arguments.insert(arguments.begin(), "/sbin/mount.fuse.pmemfs");
  return parse_command_line(arguments);
}

// The request that the arguments make; a failed test and an empty one else.
MountRequest mount_request(Outcome<Command> command) {
  if (!command) {
    ADD_FAILURE() << command.error().message;
    return {};
  }
  if (!std::holds_alternative<MountRequest>(*command)) {
    ADD_FAILURE() << "not a mount";
    return {};
  }
  return std::get<MountRequest>(std::move(*command));
}

std::string shown_text(Outcome<Command> command) {
  if (!command || !std::holds_alternative<ShowText>(*command)) {
    ADD_FAILURE() << "no text";
    return {};
  }
  return std::get<ShowText>(std::move(*command)).text;
}

std::string usage_failure(const Outcome<Command>& command) {
  if (command) {
    return "(not refused)";
  }
  EXPECT_EQ(command.error().code, ExitCode::kUsage);
  return command.error().message;
}

TEST(CommandLine, LastPathIsTheMountpoint) {
  const MountRequest one = mount_request(parse({"mount", "/src", "/mnt"}));
  EXPECT_EQ(one.sources, Arguments{"/src"});
  EXPECT_EQ(one.mountpoint, "/mnt");

  const MountRequest three =
      mount_request(parse({"mount", "/a", "b=/b", "/c", "/mnt"}));
  EXPECT_EQ(three.sources, (Arguments{"/a", "b=/b", "/c"}));
  EXPECT_EQ(three.mountpoint, "/mnt");
}

TEST(CommandLine, OptionsStandAnywhere) {
  const std::initializer_list<Arguments> spellings = {
      {"mount", "-f", "-o", "ro", "/src", "/mnt"},
      {"mount", "/src", "-o", "ro", "/mnt", "-f"},
      {"mount", "/src", "/mnt", "-oro", "--foreground"},
      {"mount", "/src", "/mnt", "-fo", "ro"},
      {"mount", "-fo", "ro", "--", "/src", "/mnt"},
  };
  for (const Arguments& arguments : spellings) {
    const MountRequest request = mount_request(parse(arguments));
    EXPECT_TRUE(request.foreground);
    EXPECT_EQ(request.kernel_options, Arguments{"ro"});
    EXPECT_EQ(request.sources, Arguments{"/src"});
    EXPECT_EQ(request.mountpoint, "/mnt");
  }
}

TEST(CommandLine, OptionListsMayRepeat) {
  const MountRequest request = mount_request(
      parse({"mount", "-o", "ro,io=cached", "-o", "noatime", "/s", "/m"}));
  EXPECT_EQ(request.kernel_options, (Arguments{"ro", "noatime"}));
  EXPECT_EQ(request.io, IoMode::kCached);
}

TEST(CommandLine, APathMayBeginWithADash) {
  const MountRequest request =
      mount_request(parse({"mount", "--", "-src", "-mnt"}));
  EXPECT_EQ(request.sources, Arguments{"-src"});
  EXPECT_EQ(request.mountpoint, "-mnt");
}

TEST(CommandLine, ADirectoryMayBeCalledAsACommandIs) {
  const MountRequest request =
      mount_request(parse({"mount", "umount", "-f", "mount"}));
  EXPECT_EQ(request.sources, Arguments{"umount"});
  EXPECT_EQ(request.mountpoint, "mount");
  const Outcome<Command> command = parse({"umount", "mount"});
  ASSERT_TRUE(command) << command.error().message;
  ASSERT_TRUE(std::holds_alternative<UmountRequest>(*command));
  EXPECT_EQ(std::get<UmountRequest>(*command).mountpoint, "mount");
}

// A value that the option takes, so that both ways of writing it can be tried.
std::string sample_value(const MountOption& option) {
  const std::map<std::string_view, std::string> values = {
      {"io", "cached"},       {"xattr_list", "none"}, {"log_level", "error"},
      {"max_threads", "7"},   {"attr_timeout", "7"},  {"entry_timeout", "7"},
      {"log_file", "/a/log"}, {"pid_file", "/a/pid"}, {"fsname", "name"}};
  const auto value = values.find(option.name);
  EXPECT_NE(value, values.end()) << option.name << " wants a value here";
  return value == values.end() ? "" : value->second;
}

// What an option can change, in one text.
std::string fingerprint(const MountRequest& request) {
  std::string text;
  text += request.foreground ? "foreground " : "";
  text += request.debug ? "debug " : "";
  text += request.io_uring ? "io_uring " : "";
  text += request.list_virtual_xattrs ? "" : "none ";
  text += request.log_file + " " + request.pid_file + " " + request.fsname;
  text += " " + std::to_string(static_cast<int>(request.io));
  text += request.log_level ? " level" : "";
  text += " " + std::to_string(request.attr_timeout_s);
  text += " " + std::to_string(request.entry_timeout_s);
  text += " " + std::to_string(request.max_threads);
  text +=
      request.allow_other ? (*request.allow_other ? " allow" : " keep") : "";
  return text;
}

TEST(CommandLine, EveryLongOptionIsTheSameUnderDashO) {
  const std::string untouched = fingerprint(MountRequest());
  for (const MountOption& option : mount_options()) {
    const bool is_flag = option.value_name.empty();
    const std::string value = is_flag ? "" : "=" + sample_value(option);
    const MountRequest by_long_option = mount_request(
        parse({"mount", long_option(option) + value, "/s", "/m"}));
    const MountRequest by_list = mount_request(
        parse({"mount", "-o", std::string(option.name) + value, "/s", "/m"}));
    EXPECT_EQ(fingerprint(by_long_option), fingerprint(by_list)) << option.name;
    EXPECT_NE(fingerprint(by_list), untouched) << option.name;
  }
}

TEST(CommandLine, LongOptionsWinOverThoseUnderDashO) {
  EXPECT_EQ(mount_request(parse({"mount", "--io=cached", "-o", "io=passthrough",
                                 "/s", "/m"}))
                .io,
            IoMode::kCached);
}

TEST(CommandLine, TheLastOfRepeatedLongOptionsWins) {
  EXPECT_EQ(mount_request(parse({"mount", "--io", "cached", "--io", "mapped",
                                 "/s", "/m"}))
                .io,
            IoMode::kMapped);
}

TEST(CommandLine, UnknownLongOptionsAreNamedWithTheNearest) {
  EXPECT_EQ(usage_failure(parse({"mount", "--xattr-lst=all", "/s", "/m"})),
            "unknown option '--xattr-lst'; did you mean '--xattr-list'?");
  EXPECT_EQ(usage_failure(parse({"mount", "--log_file=/x", "/s", "/m"})),
            "unknown option '--log_file'; did you mean '--log-file'?");
  EXPECT_EQ(usage_failure(parse({"mount", "-x", "/s", "/m"})),
            "unknown option '-x'; 'pmemfs --help' tells what there is");
  EXPECT_EQ(usage_failure(parse({"umount", "--lasy", "/m"})),
            "unknown option '--lasy'; did you mean '--lazy'?");
  EXPECT_EQ(usage_failure(parse({"--versoin"})),
            "unknown option '--versoin'; did you mean '--version'?");
}

TEST(CommandLine, UnknownOptionsUnderDashOAreNamedWithTheNearest) {
  EXPECT_EQ(usage_failure(parse({"mount", "-o", "xattr_lst=all", "/s", "/m"})),
            "unknown option 'xattr_lst'; did you mean 'xattr_list'?");
}

TEST(CommandLine, UnknownCommandsAreNamedWithTheNearest) {
  EXPECT_EQ(usage_failure(parse({"muont", "/s", "/m"})),
            "unknown command 'muont'; did you mean 'mount'?");
  EXPECT_EQ(
      usage_failure(parse({"frobnicate"})),
      "unknown command 'frobnicate'; 'pmemfs --help' tells what there is");
}

TEST(CommandLine, BadValuesOfLongOptionsAreNamed) {
  EXPECT_EQ(usage_failure(parse({"mount", "--io", "mmap", "/s", "/m"})),
            "bad value 'mmap' of option 'io': it takes mapped, passthrough or "
            "cached");
}

TEST(CommandLine, MissingArgumentsAreRefused) {
  EXPECT_NE(usage_failure(parse({})).find("no command given"),
            std::string::npos);
  EXPECT_NE(usage_failure(parse({"mount"})).find("no mountpoint"),
            std::string::npos);
  EXPECT_NE(usage_failure(parse({"list", "x"})).find("takes no argument"),
            std::string::npos);
  EXPECT_NE(usage_failure(parse({"umount"})).find("takes one mountpoint"),
            std::string::npos);
  EXPECT_NE(
      usage_failure(parse({"umount", "/a", "/b"})).find("takes one mountpoint"),
      std::string::npos);
  EXPECT_NE(usage_failure(parse({"mount", "/s", "/m", "--log-file"}))
                .find("--log-file"),
            std::string::npos);
  EXPECT_NE(usage_failure(parse_command_line({})).find("no command given"),
            std::string::npos);
}

TEST(CommandLine, AMountpointAloneAsksForEverything) {
  const Outcome<Command> command = parse({"mount", "/mnt"});
  ASSERT_TRUE(command);
  ASSERT_TRUE(std::holds_alternative<MountRequest>(*command));
  EXPECT_EQ(std::get<MountRequest>(*command).sources,
            std::vector<std::string>{"all"});
  EXPECT_EQ(std::get<MountRequest>(*command).mountpoint, "/mnt");
}

TEST(CommandLine, ListTakesJson) {
  for (const bool json : {false, true}) {
    const Outcome<Command> command =
        json ? parse({"list", "--json"}) : parse({"list"});
    ASSERT_TRUE(command);
    ASSERT_TRUE(std::holds_alternative<ListRequest>(*command));
    EXPECT_EQ(std::get<ListRequest>(*command).json, json);
  }
  EXPECT_NE(usage_failure(parse({"list", "--jsno"})).find("--json"),
            std::string::npos);
}

TEST(CommandLine, UmountTakesLazy) {
  const Outcome<Command> command = parse({"umount", "--lazy", "/mnt"});
  ASSERT_TRUE(command);
  ASSERT_TRUE(std::holds_alternative<UmountRequest>(*command));
  EXPECT_TRUE(std::get<UmountRequest>(*command).lazy);
  EXPECT_EQ(std::get<UmountRequest>(*command).mountpoint, "/mnt");
}

TEST(CommandLine, HelpTellsOptionsExamplesAndExitCodes) {
  const std::string general = shown_text(parse({"--help"}));
  EXPECT_NE(general.find("Examples:"), std::string::npos);
  EXPECT_NE(general.find("Exit codes:"), std::string::npos);
  EXPECT_NE(general.find("umount"), std::string::npos);

  const std::string mount = shown_text(parse({"mount", "--help"}));
  for (const MountOption& option : mount_options()) {
    EXPECT_NE(mount.find(long_option(option)), std::string::npos)
        << option.name;
  }
  EXPECT_NE(mount.find("noatime"), std::string::npos);
  EXPECT_NE(mount.find("_netdev"), std::string::npos);
}

TEST(CommandLine, HelpFitsATerminal) {
  for (const Arguments& arguments :
       {Arguments{"--help"}, Arguments{"mount", "--help"},
        Arguments{"umount", "--help"}}) {
    std::istringstream lines(shown_text(parse(arguments)));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.size(), 80U) << line;
    }
  }
}

TEST(CommandLine, VersionTellsLibfuseToo) {
  const std::string text = shown_text(parse({"--version"}));
  EXPECT_TRUE(text.starts_with("pmemfs "));
  EXPECT_NE(text.find("\nlibfuse 3."), std::string::npos);
}

TEST(MountHelper, TakesTheArgumentsOfMount8) {
  const MountRequest request = mount_request(
      parse_helper({"/src", "/mnt", "-n", "-v", "-o", "rw,noatime,io=cached",
                    "-t", "fuse.pmemfs"}));
  EXPECT_EQ(request.sources, Arguments{"/src"});
  EXPECT_EQ(request.mountpoint, "/mnt");
  EXPECT_EQ(request.kernel_options, (Arguments{"rw", "noatime"}));
  EXPECT_EQ(request.io, IoMode::kCached);
  EXPECT_EQ(request.log_level, LogLevel::kDebug);
  EXPECT_FALSE(request.foreground);
  EXPECT_FALSE(request.fake);
}

TEST(MountHelper, FIsFakeAndNotForeground) {
  const MountRequest request = mount_request(parse_helper({"/s", "/m", "-f"}));
  EXPECT_TRUE(request.fake);
  EXPECT_FALSE(request.foreground);
}

TEST(MountHelper, RIsReadOnly) {
  EXPECT_EQ(mount_request(parse_helper({"/s", "/m", "-r"})).kernel_options,
            Arguments{"ro"});
}

TEST(MountHelper, SOverlooksUnknownOptions) {
  EXPECT_EQ(usage_failure(parse_helper({"/s", "/m", "-o", "xattr_lst=all"})),
            "unknown option 'xattr_lst'; did you mean 'xattr_list'?");
  const MountRequest request =
      mount_request(parse_helper({"/s", "/m", "-s", "-o", "xattr_lst=all,ro"}));
  EXPECT_EQ(request.overlooked_options, Arguments{"xattr_lst=all"});
  EXPECT_EQ(request.kernel_options, Arguments{"ro"});
}

TEST(MountHelper, RefusesAnotherNamespace) {
  EXPECT_NE(usage_failure(parse_helper({"/s", "/m", "-N", "/proc/1/ns/mnt"}))
                .find("'-N' is not supported"),
            std::string::npos);
}

TEST(MountHelper, IsMeantByItsNameAlone) {
  EXPECT_TRUE(std::holds_alternative<MountRequest>(
      *parse_command_line({"mount.fuse.pmemfs", "/s", "/m"})));
  EXPECT_TRUE(std::holds_alternative<MountRequest>(
      *parse_command_line({"mount.fuse", "/s", "/m"})));
  EXPECT_FALSE(parse_command_line({"/mount.fuse/pmemfs", "/s", "/m"}));
}

}  // namespace
}  // namespace pmemfs
