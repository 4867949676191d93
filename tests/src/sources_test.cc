#include "src/sources.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/files.h"
#include "support/temp_dir.h"

namespace pmemfs {
namespace {

using support::TempDir;
using support::write_file;

// Makes a directory in a folder; returns its path.
std::string make_directory(const TempDir& folder, const std::string& name) {
  std::filesystem::create_directories(folder / name);
  return folder / name;
}

using Words = std::vector<std::string>;

std::string refusal(const Words& words) {
  const Outcome<Sources> sources = resolve_sources(words);
  if (sources) {
    return "(not refused)";
  }
  EXPECT_EQ(sources.error().code, ExitCode::kSourceRefused);
  return sources.error().message;
}

testing::AssertionResult tells(const std::string& message,
                               const std::string& part) {
  if (message.find(part) != std::string::npos) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure()
         << "'" << message << "' does not tell '" << part << "'";
}

TEST(SourceWords, WithoutEqualsArePaths) {
  const Outcome<SourceWord> source = parse_source("/srv/pmem0");
  ASSERT_TRUE(source);
  EXPECT_FALSE(source->name);
  EXPECT_EQ(source->path, "/srv/pmem0");
}

TEST(SourceWords, NameComesBeforeTheFirstEquals) {
  const Outcome<SourceWord> source = parse_source("logs=/srv/a=b");
  ASSERT_TRUE(source);
  EXPECT_EQ(source->name, "logs");
  EXPECT_EQ(source->path, "/srv/a=b");
}

TEST(SourceWords, ASlashBeforeTheEqualsMakesAPath) {
  const TempDir directory;
  const std::string path = make_directory(directory, "a=b");
  const Outcome<SourceWord> source = parse_source(path);
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_FALSE(source->name);
  EXPECT_EQ(source->path, path);
}

TEST(SourceWords, ASlashInTheNameOfWhatIsNotThereIsRefused) {
  EXPECT_TRUE(tells(refusal({"no/name=/tmp"}), "a name has no /"));
}

TEST(SourceWords, BadNamesAreRefused) {
  EXPECT_TRUE(tells(refusal({"=/tmp"}), "name of a source is empty"));
  EXPECT_TRUE(tells(refusal({".=/tmp"}), "'.' cannot be the name"));
  EXPECT_TRUE(tells(refusal({"..=/tmp"}), "'..' cannot be the name"));
  EXPECT_TRUE(tells(refusal({"a="}), "names nothing"));
  EXPECT_TRUE(tells(refusal({""}), "a source is empty"));
  EXPECT_TRUE(tells(refusal({std::string(256, 'n') + "=/tmp"}),
                    "longer than 255 bytes"));
}

TEST(Sources, TheWordDaxStandsForAllDevices) {
  const Outcome<Sources> alone = resolve_sources({"dax"});
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_EQ(alone->specs[0].kind, SourceKind::kAllDevices);
  EXPECT_EQ(alone->specs[0].name, "");
  EXPECT_EQ(alone->description, "dax");
  const Outcome<Sources> among = resolve_sources({"dax", "/tmp", "d=dax"});
  ASSERT_TRUE(among) << among.error().message;
  EXPECT_EQ(among->specs[0].name, "dax");
  EXPECT_EQ(among->specs[2].name, "d");
  EXPECT_EQ(among->specs[2].kind, SourceKind::kAllDevices);
}

TEST(Sources, TheWordAllStandsForEverything) {
  const Outcome<Sources> alone = resolve_sources({"all"});
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_EQ(alone->specs[0].kind, SourceKind::kEverything);
  EXPECT_EQ(alone->specs[0].name, "");
  EXPECT_EQ(alone->description, "all");
  const Outcome<Sources> among = resolve_sources({"all", "/tmp", "a=all"});
  ASSERT_TRUE(among) << among.error().message;
  EXPECT_EQ(among->specs[0].name, "all");
  EXPECT_EQ(among->specs[2].name, "a");
  EXPECT_EQ(among->specs[2].kind, SourceKind::kEverything);
  EXPECT_EQ(among->description, "all:/tmp:a=all");
}

TEST(SourceWords, FillersOfFstabAreRefusedWithTheWordThatIsMeant) {
  EXPECT_TRUE(tells(refusal({"none"}), "the source is all"));
}

TEST(SourceWords, ADeviceThatIsNotThereIsRefused) {
  EXPECT_TRUE(tells(refusal({"/dev/dax99.99"}), "does not exist"));
  EXPECT_TRUE(tells(refusal({"d=/dev/dax99.99"}), "does not exist"));
}

TEST(SourceWords, ADeviceThatIsNoDeviceDaxIsRefused) {
  EXPECT_TRUE(tells(refusal({"/dev/null"}), "no Device DAX"));
}

TEST(SourceWords, ADirectoryMayBeCalledDax) {
  const TempDir directory;
  EXPECT_TRUE(resolve_sources({make_directory(directory, "dax")}));
}

struct NameRow {
  const char* written;
  const char* resolved;
  const char* name;
};

class DefaultName : public testing::TestWithParam<NameRow> {};

TEST_P(DefaultName, IsTheLastComponent) {
  EXPECT_EQ(default_name(GetParam().written, GetParam().resolved),
            GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(
    Paths, DefaultName,
    testing::Values(NameRow{"/srv/pmem0", "/srv/pmem0", "pmem0"},
                    NameRow{"/srv/pmem0//", "/srv/pmem0", "pmem0"},
                    NameRow{"link", "/srv/pmem0", "link"},
                    NameRow{".", "/srv/pmem0", "pmem0"},
                    NameRow{"..", "/srv", "srv"},
                    NameRow{"a/..", "/srv", "srv"},
                    NameRow{"/srv/.", "/srv", "srv"}, NameRow{"/", "/", ""}));

TEST(Sources, ASingleUnnamedOneIsTheRoot) {
  const TempDir directory;
  const Outcome<Sources> sources = resolve_sources({directory.path()});
  ASSERT_TRUE(sources) << sources.error().message;
  ASSERT_EQ(sources->specs.size(), 1U);
  EXPECT_EQ(sources->specs[0].name, "");
  EXPECT_EQ(sources->specs[0].path, directory.path());
  EXPECT_EQ(sources->description, directory.path());
}

TEST(Sources, ASingleNamedOneKeepsItsName) {
  const TempDir directory;
  const Outcome<Sources> sources = resolve_sources({"n=" + directory.path()});
  ASSERT_TRUE(sources) << sources.error().message;
  ASSERT_EQ(sources->specs.size(), 1U);
  EXPECT_EQ(sources->specs[0].name, "n");
}

TEST(Sources, SeveralStandUnderTheirNames) {
  const TempDir directory;
  const std::string a = make_directory(directory, "a");
  const std::string b = make_directory(directory, "b");
  const Outcome<Sources> sources = resolve_sources({a, "logs=" + b});
  ASSERT_TRUE(sources) << sources.error().message;
  ASSERT_EQ(sources->specs.size(), 2U);
  EXPECT_EQ(sources->specs[0].name, "a");
  EXPECT_EQ(sources->specs[1].name, "logs");
  EXPECT_EQ(sources->specs[1].path, b);
  EXPECT_EQ(sources->description, a + ":logs=" + b);
}

TEST(Sources, AreResolvedButShownAndNamedAsWritten) {
  const TempDir directory;
  const std::string real = make_directory(directory, "real");
  const std::string other = make_directory(directory, "other");
  std::filesystem::create_symlink(real, directory / "link");
  const Outcome<Sources> sources = resolve_sources({directory / "link", other});
  ASSERT_TRUE(sources) << sources.error().message;
  EXPECT_EQ(sources->specs[0].name, "link");
  EXPECT_EQ(sources->specs[0].path, real);
  EXPECT_EQ(sources->description, (directory / "link") + ":" + other);
}

TEST(Sources, TwoOfOneNameAreRefused) {
  const TempDir directory;
  const std::string a = make_directory(directory, "a/x");
  const std::string b = make_directory(directory, "b/x");
  EXPECT_TRUE(tells(refusal({a, b}), "both be called 'x'"));
  EXPECT_TRUE(tells(refusal({"n=" + a, "n=" + b}), "both be called 'n'"));
  EXPECT_TRUE(tells(refusal({a, "x=" + b}), "both be called 'x'"));
  EXPECT_TRUE(resolve_sources({a, "y=" + b}));
}

TEST(Sources, TheRootDirectoryAmongSeveralNeedsAName) {
  const TempDir directory;
  EXPECT_TRUE(tells(refusal({"/", directory.path()}), "NAME=/"));
  EXPECT_TRUE(resolve_sources({"root=/", directory.path()}));
}

TEST(Sources, WhatIsNoDirectoryIsRefused) {
  const TempDir directory;
  write_file(directory / "file", "x");
  ASSERT_EQ(::mkfifo((directory / "fifo").c_str(), 0600), 0);
  EXPECT_TRUE(tells(refusal({directory / "none"}), "does not exist"));
  EXPECT_TRUE(tells(refusal({directory / "file"}),
                    "is a file, not a directory; mount the directory that it "
                    "lies in: " +
                        directory.path()));
  EXPECT_TRUE(tells(refusal({directory / "fifo"}), "is not a directory"));
  EXPECT_TRUE(tells(refusal({directory / "file/x"}), "Not a directory"));
  EXPECT_TRUE(tells(refusal({"/dev/null"}), "is a device"));
}

TEST(Sources, UnreadableOnesAreRefused) {
  if (::geteuid() == 0) {
    // Root reads every directory; tests/mount tries it as an ordinary user.
    EXPECT_TRUE(resolve_sources({"/root"}));
    return;
  }
  const TempDir directory;
  const std::string secret = make_directory(directory, "secret");
  ASSERT_EQ(::chmod(secret.c_str(), 0), 0);
  EXPECT_TRUE(tells(refusal({secret}), "cannot be read: Permission denied"));
  ASSERT_EQ(::chmod(secret.c_str(), 0700), 0);
}

}  // namespace
}  // namespace pmemfs
