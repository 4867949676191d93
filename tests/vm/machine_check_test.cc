// Memory that breaks while it is read through a mount: a machine check in the
// daemon, as the CPU reports it and as the kernel hands it on. The host makes
// it (scripts/vm-machine-checks). No memory is broken in truth, so it is the
// kernel's record alone that keeps a place broken.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>

#include "support/command.h"
#include "support/files.h"
#include "support/mount_fixture.h"
#include "support/row_name.h"
#include "vm/guest.h"

namespace vm {
namespace {

using std::chrono::seconds;
using support::noise;
using support::open_file;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kFileBytes = 16 * kMiB;
// As long as one request of FUSE: the longer, the more often it is under way.
constexpr std::size_t kReadBytes = kMiB;
// The kernel's words to a daemon, whose threads are called so, that reads what
// is broken.
constexpr const char* kTold = "Sending SIGBUS to fuse_worker:";

[[noreturn]] void refuse(const std::string& doing) {
  throw std::system_error(errno, std::generic_category(), doing);
}

// A device or a file, mapped past pmemfs.
class NativeMapping {
 public:
  NativeMapping(const std::string& path, std::size_t length) : length_(length) {
    const pmem::UniqueFd fd = open_file(path, O_RDWR);
    void* address = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED,
                           fd.get(), 0);
    if (address == MAP_FAILED) {
      refuse("mmap of " + path);
    }
    address_ = static_cast<char*>(address);
  }
  NativeMapping(const NativeMapping&) = delete;
  NativeMapping& operator=(const NativeMapping&) = delete;
  ~NativeMapping() { ::munmap(address_, length_); }

  [[nodiscard]] char* at(std::size_t offset) const { return address_ + offset; }

  // As /proc/PID/pagemap tells it (Documentation/admin-guide/mm/pagemap.rst).
  [[nodiscard]] std::uint64_t physical_address_of(std::size_t offset) const {
    *static_cast<volatile char*>(at(offset));  // now it has one
    const pmem::UniqueFd fd = open_file("/proc/self/pagemap", O_RDONLY);
    std::uint64_t entry = 0;
    const auto page = reinterpret_cast<std::uintptr_t>(at(offset)) / kPage;
    if (::pread(fd.get(), &entry, sizeof(entry),
                static_cast<off_t>(page * sizeof(entry))) != sizeof(entry)) {
      refuse("reading pagemap");
    }
    constexpr std::uint64_t kNumberBits = (std::uint64_t{1} << 55) - 1;
    return (entry & kNumberBits) * kPage + offset % kPage;
  }

 private:
  char* address_ = nullptr;
  std::size_t length_;
};

// Where a process has that offset of a file mapped.
std::uint64_t address_in(pid_t process, const std::string& path,
                         std::size_t offset) {
  std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
  std::uint64_t found = 0;
  std::string line;
  while (std::getline(maps, line)) {
    std::istringstream columns(line);
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t at = 0;
    std::string permissions;
    columns >> std::hex >> begin;
    columns.ignore(1) >> end >> permissions >> at;
    const bool is_the_file = line.find(path) != std::string::npos;
    if (is_the_file && offset >= at && offset < at + (end - begin)) {
      found = begin + (offset - at);
    }
  }
  return found;
}

// Has the CPU report memory as broken while a program copies from between those
// addresses of it.
void make_machine_check(std::uint64_t physical, std::uint64_t begin,
                        std::uint64_t end) {
  const std::string request = "/out/machine-check";
  std::ofstream(request + ".new") << std::hex << std::showbase << physical
                                  << ' ' << begin << ' ' << end << '\n';
  std::rename((request + ".new").c_str(), request.c_str());
  const std::string answer = request + ".done";
  EXPECT_TRUE(support::becomes_true([&] { return support::exists(answer); },
                                    seconds(60)));
  EXPECT_EQ(support::content_of(answer), "yes\n");
  ::unlink(answer.c_str());
}

std::string kernel_log() {
  std::string log(std::size_t{1} << 18, '\0');
  const int length =
      ::klogctl(3 /* read all */, log.data(), static_cast<int>(log.size()));
  log.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
  return log;
}

std::size_t count_in_kernel_log(const std::string& words) {
  const std::string log = kernel_log();
  std::size_t count = 0;
  for (std::size_t at = log.find(words); at != std::string::npos;
       at = log.find(words, at + 1)) {
    ++count;
  }
  return count;
}

struct Outcome {
  ssize_t count = 0;
  int error = 0;
  bool has_right_bytes = false;
};

struct Kind {
  std::string name;
  std::string variable;
  bool is_device;
  std::size_t page_bytes;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

// A device, or a file on a file system with DAX, full of noise; and it through
// a mount. What a test breaks stays broken: each has a place of its own.
class MachineCheck : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam().is_device) {
      std::memcpy(native().at(0), bytes_.data(), bytes_.size());
    } else if (!support::exists(beneath_)) {
      support::write_file(beneath_, bytes_);
    }
    fd_ = open_file(mounted(), O_RDONLY);
    ASSERT_TRUE(fd_.valid()) << std::strerror(errno);
  }

  [[nodiscard]] NativeMapping native() const { return {beneath_, kFileBytes}; }
  [[nodiscard]] std::string beneath() const { return beneath_; }
  [[nodiscard]] std::string mounted() const {
    return mount_ / beneath_.substr(beneath_.rfind('/') + 1);
  }
  [[nodiscard]] support::MountedPmemfs& mount() { return mount_; }

  // One read through the mount.
  [[nodiscard]] Outcome read(std::size_t offset,
                             std::size_t length = kReadBytes) const {
    std::string into(length, '\0');
    Outcome outcome;
    outcome.count = ::pread(fd_.get(), into.data(), into.size(),
                            static_cast<off_t>(offset));
    outcome.error = outcome.count < 0 ? errno : 0;
    const auto got =
        static_cast<std::size_t>(std::max<ssize_t>(0, outcome.count));
    outcome.has_right_bytes = into.compare(0, got, bytes_, offset, got) == 0;
    return outcome;
  }

  void expect_whole(std::size_t offset, std::size_t length) const {
    const Outcome outcome = read(offset, length);
    EXPECT_EQ(outcome.count, static_cast<ssize_t>(length))
        << offset << ' ' << std::strerror(outcome.error);
    EXPECT_TRUE(outcome.has_right_bytes) << offset;
  }

  // Reads from `begin` again and again until not all is read, while the memory
  // at `broken` is reported as broken to the daemon.
  [[nodiscard]] Outcome read_while_it_breaks(std::size_t begin,
                                             std::size_t broken) {
    EXPECT_EQ(read(begin).count, static_cast<ssize_t>(kReadBytes));
    const std::uint64_t address =
        address_in(mount_.daemon_pid(), beneath_, begin);
    EXPECT_NE(address, 0U);
    const std::uint64_t physical = native().physical_address_of(broken);
    std::atomic<bool> is_over = false;
    Outcome outcome;
    std::thread reader([&] {
      do {
        outcome = read(begin);
        EXPECT_TRUE(outcome.has_right_bytes);
      } while (!is_over && outcome.count == static_cast<ssize_t>(kReadBytes));
      is_over = true;
    });
    make_machine_check(physical, address, address + kReadBytes);
    EXPECT_TRUE(
        support::becomes_true([&] { return is_over.load(); }, seconds(10)))
        << "all reads were whole\n"
        << kernel_log();
    is_over = true;
    reader.join();
    return outcome;
  }

 private:
  const std::string bytes_ = noise(kFileBytes, 21);
  // A file is made by the first test and stays for the others, because the file
  // system would give its broken blocks to the next one.
  const std::string beneath_ =
      place(GetParam().variable) + (GetParam().is_device ? "" : "/file");
  support::MountedPmemfs mount_ = support::MountedPmemfs(
      {place(GetParam().variable)}, {.arguments = {"-o", "io=mapped"}});
  pmem::UniqueFd fd_;
};

TEST_P(MachineCheck, AtTheBeginningOfAReadIsEio) {
  const std::size_t broken = 5 * kMiB + 7 * kPage;
  const std::size_t signals_before = count_in_kernel_log(kTold);
  const Outcome outcome = read_while_it_breaks(broken, broken);
  EXPECT_EQ(outcome.count, -1);
  EXPECT_EQ(outcome.error, EIO);
  EXPECT_GT(count_in_kernel_log(kTold), signals_before) << kernel_log();
  EXPECT_TRUE(mount().daemon_is_alive());
}

// Of a device with huge pages the kernel does not tell which part is broken:
// the read ends where it is, and the emulator reports at a moment of its own.
TEST_P(MachineCheck, WithinAReadLeavesAtMostTheBytesBeforeIt) {
  const std::size_t broken = 9 * kMiB + 100 * kPage;
  const std::size_t begin = broken - 50 * kPage - 77;
  const std::size_t signals_before = count_in_kernel_log(kTold);
  const Outcome outcome = read_while_it_breaks(begin, broken);
  const bool is_huge = GetParam().page_bytes == 2 * kMiB;
  if (outcome.count < 0) {
    EXPECT_EQ(outcome.error, EIO);
    EXPECT_TRUE(is_huge);
  } else if (is_huge) {
    EXPECT_LT(outcome.count, static_cast<ssize_t>(kReadBytes));
  } else {
    EXPECT_EQ(outcome.count, static_cast<ssize_t>(broken - begin));
  }
  EXPECT_GT(count_in_kernel_log(kTold), signals_before) << kernel_log();
  EXPECT_TRUE(mount().daemon_is_alive());
}

// The kernel has added it to its list of bad blocks meanwhile.
TEST_P(MachineCheck, LeavesABadBlockAndAllElseReadable) {
  const std::size_t broken = 3 * kMiB + 20 * kPage;
  ASSERT_EQ(read_while_it_breaks(broken, broken).error, EIO);
  // Who opens a device has the list looked at.
  const pmem::UniqueFd fd = open_file(mounted(), O_RDONLY);
  EXPECT_TRUE(support::becomes_true(
      [&] { return read(broken, 1).error == EIO; }, seconds(5)));
  expect_whole(broken - kMiB, kMiB);
  expect_whole(broken + kPage, kMiB);
  expect_whole(kFileBytes - kMiB, kMiB);
  expect_whole(broken - 100, 100);
  EXPECT_EQ(read(broken - 100, kPage).count, 100);
  EXPECT_EQ(read(broken + kPage - 1, 1).error, EIO);
  if (!GetParam().is_device) {
    support::write_file(mount() / "other", "other");
    EXPECT_EQ(support::content_of(mount() / "other"), "other");
  }
}

// Has the kernel take a page for broken, by madvise. Nothing is: it can be read
// again, and is on no list. How the process ended, as waitpid(2) tells.
int poison_in_another_process(const std::string& path, std::size_t offset) {
  const pid_t child = ::fork();
  if (child == 0) {
    const NativeMapping mapping(path, kFileBytes);
    [[maybe_unused]] const char touched =
        *static_cast<volatile char*>(mapping.at(offset));
    ::madvise(mapping.at(offset), kPage, MADV_HWPOISON);
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

void expect_killed_by_sigbus(int status) {
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) << status;
}

TEST_P(MachineCheck, PoisonThatAnotherProcessMeetsIsNoneOfTheReaders) {
  const std::size_t broken = 12 * kMiB + 33 * kPage;
  expect_whole(broken, kReadBytes);
  expect_killed_by_sigbus(poison_in_another_process(beneath(), broken));
  EXPECT_TRUE(mount().daemon_is_alive());
  expect_whole(broken, kReadBytes);
}

// Where the administrator wants programs to know at once what has broken.
TEST_P(MachineCheck, NewsOfPoisonAreNotTheEndOfTheDaemon) {
  const std::size_t broken = 14 * kMiB + 33 * kPage;
  const std::string setting = "/proc/sys/vm/memory_failure_early_kill";
  expect_whole(broken, kReadBytes);
  support::write_file(setting, "1");
  const std::size_t news_before = count_in_kernel_log("SIGBUS to pmemfs:");
  expect_killed_by_sigbus(poison_in_another_process(beneath(), broken));
  support::write_file(setting, "0");
  EXPECT_GT(count_in_kernel_log("SIGBUS to pmemfs:"), news_before);
  EXPECT_TRUE(mount().daemon_is_alive());
  expect_whole(broken, kReadBytes);
}

INSTANTIATE_TEST_SUITE_P(
    On, MachineCheck,
    ::testing::Values(Kind{"DeviceDax2M", "DEVDAX", true, 2 * kMiB},
                      Kind{"DeviceDax4K", "DEVDAX4K", true, kPage},
                      Kind{"Ext4WithDax", "EXT4", false, kPage}),
    support::RowName());

}  // namespace
}  // namespace vm
