// The installed library as those meet it who build and run programs with it.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "package/shell.h"
#include "support/files.h"

namespace package_tests {
namespace {

using support::content_of;
using Words = std::set<std::string>;

// The first group of every match; ^ is the beginning of a line.
Words matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern,
                         std::regex::ECMAScript | std::regex::multiline);
  Words found;
  for (auto at = std::sregex_iterator(text.begin(), text.end(), regex);
       at != std::sregex_iterator(); ++at) {
    found.insert((*at)[1]);
  }
  return found;
}

// "pmem_unmap@@LIBPMEM_1.0" and the like, with the version nodes.
Words exported_by(const std::string& library) {
  return matches(Shell().run("nm -D --defined-only '" + library + "'"),
                 "^[0-9a-f]+ [A-Za-z] (\\S+)");
}

std::vector<std::filesystem::path> installed_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(kPrefix)) {
    if (!entry.is_directory()) {
      files.push_back(entry.path());
    }
  }
  return files;
}

bool is_below(const std::filesystem::path& path, const std::string& folder) {
  return path.string().rfind(folder + "/", 0) == 0;
}

// What the client of this folder prints, split into its answers and the
// library that gave them.
struct ClientRun {
  explicit ClientRun(const std::string& output) {
    const std::string mark = "library: ";
    const std::size_t at = output.find(mark);
    answers = output.substr(0, at);
    if (at != std::string::npos) {
      library = output.substr(at + mark.size(),
                              output.find('\n', at) - at - mark.size());
    }
  }
  std::string answers;
  std::string library;
};

std::string real_path(const std::string& path) {
  return std::filesystem::canonical(path);
}

TEST(Package, InstallsIntoFoldersOfItsOwn) {
  const std::vector<std::string> expected = {
      kLibraries + "/libpmem.so",
      kLibraries + "/libpmem.so.1",
      kLibraries + "/libpmem.a",
      kLibraries + "/pkgconfig/libpmem.pc",
      kLibraries + "/cmake/libpmem-config.cmake",
      kLibraries + "/cmake/libpmem-config-version.cmake",
      kHeaders + "/libpmem.h",
      kManuals + "/man3/pmem_map_file.3",
      kManuals + "/man3/pmem_is_pmem.3",
      kManuals + "/man3/pmem_unmap.3",
      kManuals + "/man7/libpmem.7"};
  for (const std::string& file : expected) {
    EXPECT_TRUE(std::filesystem::exists(file)) << file;
  }
  for (const auto& file : installed_files()) {
    EXPECT_TRUE(is_below(file, kLibraries) || is_below(file, kHeaders) ||
                is_below(file, kManuals))
        << file;
  }
}

TEST(Package, NamesNoFolderOfTheBuild) {
  std::size_t count = 0;
  for (const auto& file : installed_files()) {
    const std::string content = content_of(file);
    EXPECT_EQ(content.find(kSource + "/"), std::string::npos) << file;
    EXPECT_EQ(content.find(kBuild + "/"), std::string::npos) << file;
    // Where install.cmake said that it was going to be.
    EXPECT_EQ(content.find("/opt/pmemfs"), std::string::npos) << file;
    ++count;
  }
  EXPECT_GT(count, 8U);
}

TEST(SharedLibrary, ExportsWhatTheOriginalExports) {
  if (!std::filesystem::exists(kDistributionLibrary)) {
    GTEST_SKIP() << "the distribution's libpmem1 is not installed";
  }
  const Words theirs = exported_by(kDistributionLibrary);
  EXPECT_EQ(theirs.size(), 24U);  // 23 functions and the version node
  EXPECT_EQ(exported_by(kLibraries + "/libpmem.so.1"), theirs);
}

TEST(SharedLibrary, NeedsNothingButLibc) {
  const std::string header = Shell().run("readelf -d $L/libpmem.so.1");
  Words needed = matches(header, R"(\(NEEDED\)[^\[]*\[([^\]]+)\])");
  needed.erase("ld-linux-x86-64.so.2");  // libc's other half
  EXPECT_EQ(needed, Words{"libc.so.6"});
  EXPECT_EQ(matches(header, R"(\(SONAME\)[^\[]*\[([^\]]+)\])"),
            Words{"libpmem.so.1"});
  EXPECT_EQ(matches(header, R"(\((RPATH|RUNPATH|TEXTREL)\))"), Words{});
}

// A plugin, such as fio's engine of this name, brings the library into a thread
// of a program that has long been running, and takes it out again before the
// thread ends.
TEST(SharedLibrary, CanBeLoadedAndUnloadedByAThread) {
  const Shell shell;
  EXPECT_EQ(shell.run(R"(
      cat >$T/load.c <<'END'
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static void* use(void* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  const char* (*check_version)(unsigned, unsigned);
  if (library == NULL) {
    puts(dlerror());
    return NULL;
  }
  *(void**)&check_version = dlsym(library, "pmem_check_version");
  puts(check_version(3, 0));
  puts(dlclose(library) == 0 ? "closed" : dlerror());
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t thread;
  return argc != 2 || pthread_create(&thread, NULL, use, argv[1]) != 0 ||
         pthread_join(thread, NULL) != 0;
}
END
      $C -pthread -o $T/load $T/load.c
      $T/load $L/libpmem.so.1)"),
            "libpmem major version mismatch (need 3, found 1)\nclosed\n");
}

TEST(StaticLibrary, DefinesTheInterfaceAndNothingElse) {
  const Words defined =
      matches(Shell().run("nm -g --defined-only $L/libpmem.a"),
              "^[0-9a-f]+ [A-Za-z] (\\S+)");
  Words functions;
  for (const std::string& symbol : exported_by(kLibraries + "/libpmem.so.1")) {
    if (symbol.find('@') != std::string::npos) {
      functions.insert(symbol.substr(0, symbol.find('@')));
    }
  }
  EXPECT_EQ(functions.size(), 23U);
  EXPECT_EQ(defined, functions);
}

TEST(PkgConfig, ServesThoseWhoAskForAReleaseOfTheOriginal) {
  const Shell shell;
  shell.run(R"(
      export PKG_CONFIG_PATH=$L/pkgconfig
      pkg-config --exists 'libpmem >= 1.4'
      pkg-config --exists 'libpmem >= 1.12'
      ! pkg-config --exists 'libpmem >= 2.0')");
  // The same wherever the tree lies.
  EXPECT_EQ(shell.run(R"(
      cp -r $P $T/moved
      cd $T/moved$(echo $L | sed "s|^$P||")/pkgconfig
      PKG_CONFIG_PATH=$PWD pkg-config --variable=includedir libpmem |
        xargs realpath --relative-to=$T/moved)"),
            std::filesystem::relative(kHeaders, kPrefix).string() + "\n");
}

TEST(PkgConfig, BuildsWithTheSharedLibrary) {
  const Shell shell;
  const ClientRun run(shell.run(R"(
      export PKG_CONFIG_PATH=$L/pkgconfig
      $C -o $T/client $S/client.c $(pkg-config --cflags --libs libpmem)
      LD_LIBRARY_PATH=$L $T/client $T)"));
  EXPECT_NE(run.answers.find("mapped: 1048576"), std::string::npos);
  EXPECT_EQ(run.library, real_path(kLibraries + "/libpmem.so.1"));
}

TEST(PkgConfig, BuildsWithTheStaticLibrary) {
  const Shell shell;
  shell.run(R"(
      export PKG_CONFIG_PATH=$L/pkgconfig
      flags=$(pkg-config --cflags --static --libs libpmem)
      $C -o $T/shared $S/client.c $(pkg-config --cflags --libs libpmem)
      $C -o $T/static $S/client.c ${flags/-lpmem/-Wl,-Bstatic -lpmem -Wl,-Bdynamic}
      $C -static -o $T/all_static $S/client.c $flags)");
  const ClientRun shared(shell.run("LD_LIBRARY_PATH=$L $T/shared $T"));
  const ClientRun linked(shell.run("$T/static $T"));
  const ClientRun all_linked(shell.run("$T/all_static $T"));
  EXPECT_EQ(linked.library, "none");
  EXPECT_EQ(all_linked.library, "none");
  EXPECT_EQ(linked.answers, shared.answers);
  EXPECT_EQ(all_linked.answers, shared.answers);
}

// A project in C alone, to which nothing of how the library is written shows.
TEST(CMakePackage, BuildsWithBothLibraries) {
  const Shell shell;
  shell.run(R"(
      mkdir $T/project
      cat >$T/project/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.16)
project(client LANGUAGES C)
find_package(libpmem 1.12 CONFIG REQUIRED)
foreach(kind IN ITEMS libpmem libpmem_static)
  add_executable(client_of_${kind} client.c)
  target_link_libraries(client_of_${kind} PRIVATE libpmem::${kind})
endforeach()
get_target_property(libraries libpmem::libpmem INTERFACE_LINK_LIBRARIES)
message(STATUS "libpmem brings along: ${libraries}.")
END
      cp $S/client.c $T/project
      $CMAKE -S $T/project -B $T/build -D CMAKE_PREFIX_PATH=$L
      $CMAKE --build $T/build)");
  const ClientRun shared(shell.run("$T/build/client_of_libpmem $T"));
  const ClientRun linked(shell.run("$T/build/client_of_libpmem_static $T"));
  EXPECT_EQ(shared.library, real_path(kLibraries + "/libpmem.so.1"));
  EXPECT_EQ(linked.library, "none");
  EXPECT_EQ(linked.answers, shared.answers);
  EXPECT_NE(shell.run("$CMAKE $T/build").find("brings along: libraries-NOT"),
            std::string::npos);
}

TEST(CMakePackage, RefusesAnotherMajorVersion) {
  const Shell shell;
  const std::string output = shell.run(R"(
      mkdir $T/project
      cat >$T/project/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.16)
project(client LANGUAGES C)
find_package(libpmem 2 CONFIG QUIET)
message(STATUS "found: ${libpmem_FOUND}")
END
      $CMAKE -S $T/project -B $T/build -D CMAKE_PREFIX_PATH=$L)");
  EXPECT_NE(output.find("found: 0"), std::string::npos) << output;
}

// Programs built for one library, run with the other.
class Exchanged : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kDistributionLibrary) ||
        !std::filesystem::exists("/usr/include/libpmem.h")) {
      GTEST_SKIP() << "the distribution's libpmem-dev is not installed";
    }
  }

  // Runs $T/client with our library, and with the distribution's.
  void compare_libraries() const {
    const ClientRun ours(shell_.run("LD_LIBRARY_PATH=$L $T/client $T"));
    const ClientRun theirs(shell_.run("$T/client $T"));
    EXPECT_EQ(ours.library, real_path(kLibraries + "/libpmem.so.1"));
    EXPECT_EQ(theirs.library, real_path(kDistributionLibrary));
    EXPECT_EQ(ours.answers, theirs.answers);
    EXPECT_NE(ours.answers.find("unmap: 0"), std::string::npos);
  }

  [[nodiscard]] const Shell& shell() const { return shell_; }

 private:
  Shell shell_;
};

TEST_F(Exchanged, AProgramBuiltForTheOriginalRunsOnOurs) {
  shell().run(R"(
      $C -o $T/client $S/client.c $(pkg-config --cflags --libs libpmem))");
  compare_libraries();
}

TEST_F(Exchanged, AProgramBuiltForOursRunsOnTheOriginal) {
  shell().run(R"(
      export PKG_CONFIG_PATH=$L/pkgconfig
      $C -o $T/client $S/client.c $(pkg-config --cflags --libs libpmem))");
  compare_libraries();
}

}  // namespace
}  // namespace package_tests
