// The ways in which reads and writes are served: each moves the same bytes, and
// the line at the start says which one it became.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

constexpr const char* kUringSwitch = "/sys/module/fuse/parameters/enable_uring";

// io_uring switched on in the kernel for the length of a scope. One test at a
// time: others would switch it off again.
class UringSwitchedOn {
 public:
  UringSwitchedOn() : switch_(open_file(kUringSwitch, O_RDWR)) {
    if (!switch_.valid()) {
      why_not_ = std::string(kUringSwitch) + ": " + std::strerror(errno);
      return;
    }
    ::flock(switch_.get(), LOCK_EX);
    before_ = read_at(switch_.get(), 0, 1);
    if (::pwrite(switch_.get(), "Y", 1, 0) != 1) {
      why_not_ = std::string("switching it on: ") + std::strerror(errno);
    }
  }
  UringSwitchedOn(const UringSwitchedOn&) = delete;
  UringSwitchedOn& operator=(const UringSwitchedOn&) = delete;
  ~UringSwitchedOn() {
    if (!before_.empty()) {
      [[maybe_unused]] const ssize_t ignored =
          ::pwrite(switch_.get(), before_.data(), 1, 0);
    }
  }
  [[nodiscard]] const std::string& why_not() const { return why_not_; }

 private:
  pmem::UniqueFd switch_;
  std::string before_;
  std::string why_not_;
};

class IoMode : public MountTest,
               public ::testing::WithParamInterface<BackingKind> {
 protected:
  void mount_with(const std::vector<std::string>& options) {
    support::MountSettings settings;
    settings.arguments = options;
    settings.arguments.insert(settings.arguments.end(),
                              {"--log-file", log_directory_ / "log"});
    settings.environment = environment_;
    mount(support::make_directory_on(GetParam()), settings);
  }

  // The thread sanitizer sees what read(2) and write(2) of /dev/fuse order, but
  // not what the kernel orders through the rings: every node would be a race.
  void expect_no_race_reports() {
    environment_ = {"TSAN_OPTIONS=report_bugs=0"};
  }

  // The line that the daemon wrote when it started.
  [[nodiscard]] std::string start_line() const {
    std::ifstream log(log_directory_ / "log");
    for (std::string line; std::getline(log, line);) {
      if (line.find("mounted ") != std::string::npos) {
        return line;
      }
    }
    return "";
  }

  void expect_in_start_line(const std::string& words) const {
    EXPECT_NE(start_line().find(words), std::string::npos)
        << "'" << words << "' is not in: " << start_line();
  }

  // Everything that a program does to a file, held against the backing file.
  void expect_round_trip() {
    write_file(mounted("f"), noise(3'000'001));
    EXPECT_TRUE(content_of(mounted("f")) == noise(3'000'001));
    EXPECT_TRUE(content_of(source("f")) == noise(3'000'001));

    std::string model = noise(3'000'001);
    const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
    std::mt19937 generator(3);
    const auto random = [&](std::size_t below) {
      return std::uniform_int_distribution<std::size_t>(0,
                                                        below - 1)(generator);
    };
    for (unsigned step = 0; step < 200; ++step) {
      const std::size_t offset = random(model.size());
      const std::string piece = noise(random(100000) + 1, step);
      ASSERT_EQ(::pwrite(fd.get(), piece.data(), piece.size(),
                         static_cast<off_t>(offset)),
                static_cast<ssize_t>(piece.size()));
      model.resize(std::max(model.size(), offset + piece.size()));
      model.replace(offset, piece.size(), piece);
      const std::size_t at = random(model.size());
      ASSERT_TRUE(read_at(fd.get(), static_cast<off_t>(at), 100000) ==
                  model.substr(at, 100000))
          << "step " << step;
    }
    const pmem::UniqueFd appender =
        open_file(mounted("f"), O_WRONLY | O_APPEND);
    ASSERT_EQ(::write(appender.get(), "appended", 8), 8);
    model += "appended";
    ASSERT_EQ(::ftruncate(fd.get(), 2'000'000), 0);
    model.resize(2'000'000);
    ASSERT_EQ(::ftruncate(fd.get(), 2'100'000), 0);
    model.resize(2'100'000);
    ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          1000, 50000),
              0);
    model.replace(1000, 50000, 50000, '\0');
    ASSERT_EQ(::fsync(fd.get()), 0);
    EXPECT_TRUE(content_of(mounted("f")) == model);
    EXPECT_TRUE(content_of(source("f")) == model);
    EXPECT_EQ(status_of(mounted("f")).st_size, 2'100'000);
    EXPECT_EQ(status_of(mounted("f")).st_mtim.tv_nsec,
              status_of(source("f")).st_mtim.tv_nsec);
  }

  // Several files at once, each by a thread of its own.
  void expect_files_side_by_side() {
    std::vector<std::thread> threads;
    for (unsigned number = 0; number < 4; ++number) {
      threads.emplace_back([this, number] {
        const std::string name = "file-" + std::to_string(number);
        for (unsigned round = 0; round < 10; ++round) {
          const std::string text = noise(200000, number * 100 + round);
          write_file(mounted(name), text);
          EXPECT_TRUE(content_of(mounted(name)) == text);
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }

 private:
  support::TempDir log_directory_{"/var/tmp"};
  std::vector<std::string> environment_;
};
PMEMFS_ON_EACH_BACKING(IoMode);

TEST_P(IoMode, MappedMovesTheBytesAndSaysSo) {
  mount_with({});
  if (IsSkipped()) {
    return;
  }
  expect_in_start_line("over /dev/fuse");
  expect_in_start_line("reads and writes through mappings");
  if (::geteuid() == 0) {
    expect_in_start_line("mmap of the backing file (passthrough)");
  }
  expect_round_trip();
  expect_files_side_by_side();
}

TEST_P(IoMode, CachedMovesTheBytesAndSaysSo) {
  mount_with({"-o", "io=cached"});
  if (IsSkipped()) {
    return;
  }
  expect_in_start_line("reads and writes through the page cache");
  expect_round_trip();
  expect_files_side_by_side();
}

TEST_P(IoMode, PassthroughMovesTheBytesAndSaysSo) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root may pass through";
  }
  mount_with({"-o", "io=passthrough"});
  if (IsSkipped()) {
    return;
  }
  expect_in_start_line("reads and writes by the kernel (passthrough)");
  expect_round_trip();
  expect_files_side_by_side();
}

TEST_P(IoMode, IoUringMovesTheBytesAndSaysSo) {
  const UringSwitchedOn uring;
  if (!uring.why_not().empty()) {
    GTEST_SKIP() << "the kernel does not offer io_uring: " << uring.why_not();
  }
  expect_no_race_reports();
  mount_with({"-o", "io_uring"});
  if (IsSkipped()) {
    return;
  }
  expect_in_start_line("over io_uring");
  expect_round_trip();
  expect_files_side_by_side();
  daemon().end();
}

TEST_P(IoMode, IoUringAndTheOthersGoTogether) {
  const UringSwitchedOn uring;
  if (!uring.why_not().empty()) {
    GTEST_SKIP() << "the kernel does not offer io_uring: " << uring.why_not();
  }
  expect_no_race_reports();
  mount_with({"-o", "io_uring,io=cached"});
  if (IsSkipped()) {
    return;
  }
  expect_in_start_line("over io_uring");
  expect_in_start_line("reads and writes through the page cache");
  expect_round_trip();
  daemon().end();
}

TEST_P(IoMode, WithoutTheKernelsIoUringThereIsDevFuseAndAReason) {
  const UringSwitchedOn uring;
  if (!uring.why_not().empty()) {
    GTEST_SKIP() << "its switch cannot be turned: " << uring.why_not();
  }
  const pmem::UniqueFd kernel_switch = open_file(kUringSwitch, O_RDWR);
  ASSERT_EQ(::pwrite(kernel_switch.get(), "N", 1, 0), 1);
  mount_with({"-o", "io_uring"});
  if (IsSkipped()) {
    return;
  }
  expect_in_start_line("over /dev/fuse");
  expect_in_start_line("enable_uring");
  expect_round_trip();
}

TEST_P(IoMode, CachedShowsWhatWasWrittenBeneathAtTheNextOpen) {
  mount_with({"-o", "io=cached,attr_timeout=0"});
  if (IsSkipped()) {
    return;
  }
  write_file(mounted("f"), "before");
  EXPECT_EQ(content_of(mounted("f")), "before");
  write_file(source("f"), "after!");
  EXPECT_EQ(content_of(mounted("f")), "after!");
  write_file(source("f"), "and longer");
  EXPECT_EQ(content_of(mounted("f")), "and longer");
}

}  // namespace
}  // namespace mount_tests
