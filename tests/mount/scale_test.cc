// Many files: in one directory, in turn, and open at once.
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

struct DirectoryCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirectoryCloser>;

class Scale : public OnEachBacking {
 protected:
  // Resident memory of the daemon, in KiB.
  [[nodiscard]] std::size_t daemon_memory_kib() {
    std::ifstream status("/proc/" + std::to_string(daemon().daemon_pid()) +
                         "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) {
        return std::strtoul(line.c_str() + sizeof("VmRSS:"), nullptr, 10);
      }
    }
    ADD_FAILURE() << "the daemon's memory is not told";
    return 0;
  }
};
PMEMFS_ON_EACH_BACKING(Scale);

// --- one directory ---

constexpr std::size_t kMillion = 1'000'000;

std::string entry_name(std::size_t number) {
  return "entry-" + std::to_string(number);
}

// Which entry has the name; kMillion for what is none.
std::size_t entry_number(const std::string& name) {
  const std::string prefix = "entry-";
  return name.starts_with(prefix)
             ? std::strtoul(name.c_str() + prefix.size(), nullptr, 10)
             : kMillion;
}

void make_entries(const std::string& directory, std::size_t from,
                  std::size_t to) {
  const pmem::UniqueFd fd = open_file(directory, O_RDONLY | O_DIRECTORY);
  for (std::size_t number = from; number < to; ++number) {
    ASSERT_EQ(
        ::mknodat(fd.get(), entry_name(number).c_str(), S_IFREG | 0600, 0), 0)
        << number << ": " << std::strerror(errno);
  }
}

TEST_P(Scale, AMillionEntriesOfADirectoryAreEachListedOnce) {
  constexpr std::size_t kBeneath = kMillion * 9 / 10;
  ASSERT_EQ(::mkdir(mounted("d").c_str(), 0755), 0);
  ASSERT_NO_FATAL_FAILURE(make_entries(source("d"), 0, kBeneath));
  ASSERT_NO_FATAL_FAILURE(make_entries(mounted("d"), kBeneath, kMillion));

  const Directory directory(::opendir(mounted("d").c_str()));
  ASSERT_NE(directory, nullptr);
  std::vector<bool> seen(kMillion, false);
  std::map<long, std::string> places;  // and what comes there
  std::size_t listed = 0;
  long place = ::telldir(directory.get());
  while (const struct dirent* entry = ::readdir(directory.get())) {
    const std::size_t number = entry_number(entry->d_name);
    if (listed++ % (kMillion / 50) == 0) {
      places[place] = entry->d_name;
    }
    place = ::telldir(directory.get());
    if (number < kMillion) {
      ASSERT_FALSE(seen[number]) << entry->d_name << " is listed twice";
      ASSERT_EQ(entry->d_type, DT_REG);
      seen[number] = true;
    }
  }
  EXPECT_EQ(listed, kMillion + 2);
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true),
            static_cast<std::ptrdiff_t>(kMillion));

  for (auto at = places.rbegin(); at != places.rend(); ++at) {
    ::seekdir(directory.get(), at->first);
    const struct dirent* entry = ::readdir(directory.get());
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->d_name, at->second);
  }

  const pmem::UniqueFd fd = open_file(mounted("d"), O_RDONLY | O_DIRECTORY);
  for (std::size_t number = 0; number < kMillion; number += 1000) {
    ASSERT_EQ(::unlinkat(fd.get(), entry_name(number).c_str(), 0), 0);
  }
  EXPECT_FALSE(support::exists(source("d/" + entry_name(1000))));
  EXPECT_TRUE(support::exists(mounted("d/" + entry_name(1001))));
}

// --- in turn ---

TEST_P(Scale, AHundredThousandFilesAreOpenedInTurnAndForgotten) {
  constexpr int kFiles = 100'000;
  constexpr std::size_t kLittleKib = std::size_t{16} << 10;
  const std::size_t at_first = daemon_memory_kib();
  const auto path = [&](int number) { return mounted(std::to_string(number)); };
  for (int number = 0; number < kFiles; ++number) {
    const pmem::UniqueFd fd = open_file(path(number), O_WRONLY | O_CREAT);
    ASSERT_EQ(::write(fd.get(), "x", 1), 1) << number;
  }
  for (int number = 0; number < kFiles; ++number) {
    ASSERT_EQ(read_at(open_file(path(number), O_RDONLY).get(), 0, 10), "x")
        << number;
  }
  EXPECT_GT(daemon_memory_kib(), at_first + kLittleKib)
      << "they are known to the kernel, and so to the daemon";
  for (int number = 0; number < kFiles; ++number) {
    ASSERT_EQ(::unlink(path(number).c_str()), 0) << number;
  }
  EXPECT_TRUE(support::becomes_true(
      [&] { return daemon_memory_kib() < at_first + kLittleKib; },
      std::chrono::seconds(20)))
      << "from " << at_first << " to " << daemon_memory_kib() << " KiB";
}

// --- at once ---

std::vector<pmem::UniqueFd> open_at_once(const std::string& directory,
                                         std::size_t count) {
  std::vector<pmem::UniqueFd> open;
  while (open.size() < count) {
    const std::string path = directory + "/" + std::to_string(open.size());
    pmem::UniqueFd fd = open_file(path, O_RDWR | O_CREAT);
    if (!fd.valid()) {
      break;
    }
    open.push_back(std::move(fd));
  }
  return open;
}

void expect_content(const std::vector<pmem::UniqueFd>& files) {
  for (std::size_t number = 0; number < files.size(); ++number) {
    const std::string content = std::to_string(number);
    ASSERT_EQ(::pwrite(files[number].get(), content.data(), content.size(), 0),
              static_cast<ssize_t>(content.size()));
  }
  for (std::size_t number = 0; number < files.size(); ++number) {
    ASSERT_EQ(read_at(files[number].get(), 0, 100), std::to_string(number));
  }
}

TEST_P(Scale, FiftyThousandFilesAreOpenAtOnceOrWhatTheLimitAllows) {
  struct rlimit limit = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlim_t soft = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  // A quarter of the daemon's are for files that nobody has open.
  const std::size_t count =
      std::min<std::size_t>(50'000, limit.rlim_max / 4 * 3 - 100);
  std::cout << count << " files, with a limit of " << limit.rlim_max << '\n';
  {
    const std::vector<pmem::UniqueFd> files = open_at_once(mounted(), count);
    EXPECT_EQ(files.size(), count) << std::strerror(errno);
    expect_content(files);
  }
  limit.rlim_cur = soft;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
}

class DescriptorLimit : public MountTest,
                        public ::testing::WithParamInterface<BackingKind> {
 protected:
  void SetUp() override {
    mount(support::make_directory_on(GetParam()),
          {.wrapper = {"prlimit", "--nofile=500:500"}});
  }
};
PMEMFS_ON_EACH_BACKING(DescriptorLimit);

TEST_P(DescriptorLimit, IsToldByAnErrorAndInTheLogAndPasses) {
  {
    const std::vector<pmem::UniqueFd> files = open_at_once(mounted(), 1000);
    EXPECT_EQ(errno, ENFILE);
    EXPECT_GT(files.size(), 350U);
    EXPECT_LT(files.size(), 500U);
    expect_content(files);
    const std::string log = daemon().log();
    EXPECT_NE(log.find("all 500 are in use"), std::string::npos) << log;
    EXPECT_EQ(log.find("all 500", log.find("all 500") + 1), std::string::npos)
        << "told more than once: " << log;
  }
  EXPECT_EQ(content_of(mounted("0")), "0");
  EXPECT_EQ(open_at_once(mounted(), 300).size(), 300U);
}

}  // namespace
}  // namespace mount_tests
