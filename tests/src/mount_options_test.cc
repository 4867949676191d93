#include "src/mount_options.h"

#include <gtest/gtest.h>

#include <set>

namespace pmemfs {
namespace {

Outcome<MountRequest> request_of(std::string_view list) {
  MountRequest request;
  Outcome<void> applied =
      apply_option_list(request, list, UnknownOptions::kRefuse);
  if (!applied) {
    return hand_on(applied);
  }
  return request;
}

TEST(MountOptions, SetWhatTheyName) {
  const Outcome<MountRequest> request = request_of(
      "foreground,debug,log_file=/l,log_level=warn,pid_file=/p,io=cached,"
      "xattr_list=none,attr_timeout=2.5,entry_timeout=0,io_uring,max_threads=3,"
      "fsname=pool");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_TRUE(request->foreground);
  EXPECT_TRUE(request->debug);
  EXPECT_EQ(request->log_file, "/l");
  EXPECT_EQ(request->log_level, LogLevel::kWarning);
  EXPECT_EQ(request->pid_file, "/p");
  EXPECT_EQ(request->io, IoMode::kCached);
  EXPECT_FALSE(request->list_virtual_xattrs);
  EXPECT_EQ(request->attr_timeout_s, 2.5);
  EXPECT_EQ(request->entry_timeout_s, 0.0);
  EXPECT_TRUE(request->io_uring);
  EXPECT_EQ(request->max_threads, 3U);
  EXPECT_EQ(request->fsname, "pool");
}

TEST(MountOptions, HaveDefaults) {
  const MountRequest request;
  EXPECT_FALSE(request.foreground);
  EXPECT_EQ(request.io, IoMode::kAutomatic);
  EXPECT_TRUE(request.list_virtual_xattrs);
  EXPECT_FALSE(request.allow_other.has_value());
  EXPECT_FALSE(request.log_level.has_value());
  EXPECT_FALSE(request.io_uring);
}

TEST(MountOptions, LastOneWins) {
  EXPECT_EQ(request_of("io=cached,io=passthrough")->io, IoMode::kPassthrough);
  EXPECT_EQ(request_of("allow_other,no_allow_other")->allow_other, false);
  EXPECT_EQ(request_of("no_allow_other,allow_other")->allow_other, true);
}

TEST(MountOptions, PassTheWordsOfTheKernelOnInTheirOrder) {
  const Outcome<MountRequest> request =
      request_of("rw,noatime,nosuid,noexec,ro,dev");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->kernel_options,
            (std::vector<std::string>{"rw", "noatime", "nosuid", "noexec", "ro",
                                      "dev"}));
}

TEST(MountOptions, IgnoreTheWordsOfFstab) {
  const Outcome<MountRequest> request = request_of(
      "defaults,auto,noauto,user,user=jo,users,nouser,nofail,_netdev,"
      "x-systemd.requires=/mnt,X-mount.mkdir,comment=hello,relatime,,");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_TRUE(request->kernel_options.empty());
  EXPECT_TRUE(request->overlooked_options.empty());
}

TEST(MountOptions, TakeABackslashBeforeACommaInAValue) {
  EXPECT_EQ(request_of(R"(fsname=a\,b\\c,ro)")->fsname, R"(a,b\c)");
  EXPECT_EQ(request_of("fsname=a\\b")->fsname, "a\\b");
}

TEST(MountOptions, EscapingIsTheWayBack) {
  const std::string value = R"(a,b\c\\,)";
  EXPECT_EQ(escape_option_value(value), R"(a\,b\\c\\\\\,)");
  EXPECT_EQ(request_of("fsname=" + escape_option_value(value))->fsname, value);
}

TEST(MountOptions, UnknownOnesAreOverlookedOnlyWhenAsked) {
  MountRequest request;
  ASSERT_TRUE(apply_option_list(request, "ro,frobnicate=1,xattr_lst=all",
                                UnknownOptions::kOverlook));
  EXPECT_EQ(request.overlooked_options,
            (std::vector<std::string>{"frobnicate=1", "xattr_lst=all"}));
  EXPECT_FALSE(
      apply_option_list(request, "frobnicate", UnknownOptions::kRefuse));
}

TEST(MountOptions, ABadValueIsRefusedThoughUnknownOnesAreOverlooked) {
  MountRequest request;
  EXPECT_FALSE(
      apply_option_list(request, "io=mmap", UnknownOptions::kOverlook));
}

struct RefusalRow {
  const char* list;
  const char* message;
};

class RefusedOptions : public testing::TestWithParam<RefusalRow> {};

TEST_P(RefusedOptions, AreNamedWithTheWayOut) {
  const Outcome<MountRequest> request = request_of(GetParam().list);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, ExitCode::kUsage);
  EXPECT_EQ(request.error().message, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, RefusedOptions,
    testing::Values(
        RefusalRow{"xattr_lst=all",
                   "unknown option 'xattr_lst'; did you mean 'xattr_list'?"},
        RefusalRow{"ro,log-file=/x",
                   "unknown option 'log-file'; did you mean 'log_file'?"},
        RefusalRow{"noattime",
                   "unknown option 'noattime'; did you mean 'noatime'?"},
        RefusalRow{"compression=lz4",
                   "unknown option 'compression'; 'pmemfs mount --help' lists "
                   "them all"},
        RefusalRow{"io=mmap",
                   "bad value 'mmap' of option 'io': it takes mapped, "
                   "passthrough or cached"},
        RefusalRow{"io", "option 'io' wants a value: io=MODE"},
        RefusalRow{"xattr_list=some",
                   "bad value 'some' of option 'xattr_list': it takes all or "
                   "none"},
        RefusalRow{"log_level=loud",
                   "bad value 'loud' of option 'log_level': it takes trace, "
                   "debug, info, warn, error or off"},
        RefusalRow{"attr_timeout=-1",
                   "bad value '-1' of option 'attr_timeout': it takes seconds, "
                   "0 or more, such as 1 or 0.5"},
        RefusalRow{"entry_timeout=1s",
                   "bad value '1s' of option 'entry_timeout': it takes "
                   "seconds, 0 or more, such as 1 or 0.5"},
        RefusalRow{"attr_timeout=nan",
                   "bad value 'nan' of option 'attr_timeout': it takes "
                   "seconds, 0 or more, such as 1 or 0.5"},
        RefusalRow{"attr_timeout=inf",
                   "bad value 'inf' of option 'attr_timeout': it takes "
                   "seconds, 0 or more, such as 1 or 0.5"},
        RefusalRow{"max_threads=0",
                   "bad value '0' of option 'max_threads': it takes a number "
                   "from 1 to 1000"},
        RefusalRow{"max_threads=99999999999",
                   "bad value '99999999999' of option 'max_threads': it takes "
                   "a number from 1 to 1000"},
        RefusalRow{"log_file=",
                   "bad value '' of option 'log_file': it takes the path of a "
                   "file"},
        RefusalRow{"fsname=",
                   "bad value '' of option 'fsname': it takes the name to show "
                   "as the source"},
        RefusalRow{"ro=1", "option 'ro' takes no value"},
        RefusalRow{"io_uring=yes", "option 'io_uring' takes no value"},
        RefusalRow{"defaults=1", "option 'defaults' takes no value"},
        RefusalRow{"subtype=x",
                   "option 'subtype' is not supported: the type of a mount is "
                   "always fuse.pmemfs"},
        RefusalRow{"remount,ro",
                   "option 'remount' is not supported: a mount cannot be "
                   "changed: unmount, then mount anew"}));

TEST(MountOptions, HaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const MountOption& option : mount_options()) {
    EXPECT_TRUE(names.insert(std::string(option.name)).second) << option.name;
    EXPECT_EQ(option.name.find('-'), std::string_view::npos) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
  }
  for (const std::string_view word : kernel_words()) {
    EXPECT_TRUE(names.emplace(word).second) << word;
  }
  for (const std::string_view word : ignored_words()) {
    EXPECT_TRUE(names.emplace(word).second) << word;
  }
}

TEST(MountOptions, AreLongOptionsWithDashes) {
  EXPECT_EQ(long_option(MountOption{"log_file", "FILE", "", 0, nullptr}),
            "--log-file");
}

}  // namespace
}  // namespace pmemfs
