// The man page tells of everything that the program knows.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "src/mount_options.h"
#include "support/files.h"

namespace pmemfs {
namespace {

using support::content_of;

// The page's text, without the backslashes that roff wants before dashes.
std::string man_page() {
  std::string text = content_of(PMEMFS_MAN_PAGE);
  std::erase(text, '\\');
  return text;
}

TEST(ManPage, TellsEveryOption) {
  const std::string page = man_page();
  ASSERT_FALSE(page.empty()) << PMEMFS_MAN_PAGE;
  for (const MountOption& option : mount_options()) {
    EXPECT_NE(page.find(long_option(option)), std::string::npos) << option.name;
  }
  for (const std::string_view word : kernel_words()) {
    EXPECT_NE(page.find(word), std::string::npos) << word;
  }
  for (const std::string_view word : ignored_words()) {
    EXPECT_NE(page.find(word), std::string::npos) << word;
  }
}

TEST(ManPage, TellsEveryExitCode) {
  const std::string page = man_page();
  const std::size_t begin = page.find(".SH EXIT STATUS");
  ASSERT_NE(begin, std::string::npos);
  const std::string section =
      page.substr(begin, page.find("\n.SH ", begin + 1) - begin);
  for (int code = 0; code <= static_cast<int>(ExitCode::kNothingFound);
       ++code) {
    EXPECT_NE(section.find("\n.B " + std::to_string(code) + "\n"),
              std::string::npos)
        << code;
  }
}

}  // namespace
}  // namespace pmemfs
