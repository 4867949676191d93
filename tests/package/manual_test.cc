// The manual pages of the library: they tell of everything, and their examples
// compile and run.
#include <gtest/gtest.h>

#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "package/shell.h"
#include "support/files.h"

namespace package_tests {
namespace {

using support::content_of;

const std::vector<std::string>& manuals() {
  static const std::vector<std::string> kManuals = {
      kSource + "/docs/libpmem.7",
      kSource + "/docs/pmem_is_pmem.3",
      kSource + "/docs/pmem_map_file.3",
      kSource + "/docs/pmem_unmap.3",
  };
  return kManuals;
}

TEST(Manual, TellsEveryFunctionOfTheHeader) {
  const std::string header = content_of(kSource + "/lib/include/libpmem.h");
  const std::string page = content_of(manuals().front());
  const std::regex declaration(R"(\b(pmem_[a-z_]+)\((?!\)|[0-9]))");
  std::size_t count = 0;
  for (auto at =
           std::sregex_iterator(header.begin(), header.end(), declaration);
       at != std::sregex_iterator(); ++at) {
    EXPECT_NE(page.find((*at)[1]), std::string::npos) << (*at)[1];
    ++count;
  }
  EXPECT_GE(count, 20U);
}

TEST(Manual, TellsEveryVariableThatTheLibraryReads) {
  const std::string page = content_of(manuals().front());
  const std::string found = Shell().run(
      "cd $S/../../lib\n"
      "grep -ohE '\"PMEM_[A-Z0-9_]+\"' *.cc | tr -d '\"' | sort -u |"
      " grep -v '^PMEM_FILE_'");
  ASSERT_NE(found.find("PMEM_IS_PMEM_FORCE\n"), std::string::npos) << found;
  std::istringstream names(found);
  std::string name;
  while (std::getline(names, name)) {
    EXPECT_NE(page.find(name), std::string::npos) << name;
  }
}

// The program between .EX and .EE that begins with an #include.
std::string example_of(const std::string& page) {
  const std::string begin = "\n.EX\n#include";
  const std::size_t from = page.find(begin);
  if (from == std::string::npos) {
    return "";
  }
  const std::size_t code = from + std::string("\n.EX\n").size();
  std::string program = page.substr(code, page.find("\n.EE", code) - code + 1);
  program = std::regex_replace(program, std::regex(R"(\\-)"), "-");
  program = std::regex_replace(program, std::regex(R"(\\\(aq)"), "'");
  return std::regex_replace(program, std::regex(R"(\\e)"), "\\");
}

TEST(Manual, HasExamplesThatCompileAndRun) {
  std::size_t count = 0;
  for (const std::string& manual : manuals()) {
    const std::string program = example_of(content_of(manual));
    if (program.empty()) {
      continue;
    }
    SCOPED_TRACE(manual);
    ++count;
    const Shell shell;
    support::write_file(shell.folder() + "/example.c", program);
    const std::string output = shell.run(R"(
        export PKG_CONFIG_PATH=$L/pkgconfig LD_LIBRARY_PATH=$L
        cd $T
        $C -o example example.c $(pkg-config --cflags --libs libpmem)
        ./example $T/region
        grep -c 'hello, persistent memory' $T/region)");
    EXPECT_EQ(output, "1\n");
  }
  EXPECT_GE(count, 1U);
}

}  // namespace
}  // namespace package_tests
