// Devices that change under a mount: they lose their driver, become memory of
// the system, are destroyed and made anew. The mount shows it within a second,
// who has such a device open gets an error and nothing worse, and a device that
// nobody has open is never in the way of ndctl(1) and daxctl(1).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/command.h"
#include "support/files.h"
#include "support/row_name.h"
#include "vm/device_mount.h"
#include "vm/guest.h"

namespace vm {
namespace {

using support::open_file;
using support::read_at;
using support::run_command;

constexpr std::chrono::milliseconds kASecond(1000);

void run(const std::vector<std::string>& command) {
  expect_success(run_command(command));
}

// The number of a region of NVDIMMs, or of a region of special memory.
std::string region_of(const pmem::DaxDevice& device) {
  return device.name.substr(3, device.name.find('.') - 3);
}

class ComeAndGo : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { shared_mount.emplace(); }
  static void TearDownTestSuite() { shared_mount.reset(); }

  void TearDown() override { EXPECT_TRUE(mount().daemon_is_alive()); }

  static DeviceMount& mount() { return *shared_mount; }
  [[nodiscard]] static std::string file(const GuestDevice& device) {
    return mount().file(device);
  }

  [[nodiscard]] static std::set<std::string> names() {
    std::set<std::string> found;
    for (const auto& entry :
         std::filesystem::directory_iterator(mount().path())) {
      found.insert(entry.path().filename().string());
    }
    return found;
  }

  // By name, and among the names of the directory.
  [[nodiscard]] static bool is_shown(const std::string& name) {
    const bool is_found = support::exists(mount() / name);
    const bool is_listed = names().contains(name);
    return is_found && is_listed;
  }
  [[nodiscard]] static bool is_hidden(const std::string& name) {
    const bool is_found = support::exists(mount() / name);
    const bool is_listed = names().contains(name);
    return !is_found && !is_listed;
  }
  static void expect_shown(const std::string& name) {
    EXPECT_TRUE(support::becomes_true([&] { return is_shown(name); }, kASecond))
        << name;
  }
  static void expect_hidden(const std::string& name) {
    EXPECT_TRUE(
        support::becomes_true([&] { return is_hidden(name); }, kASecond))
        << name;
  }

  // What people do to see what there is, which must not hold the devices.
  static void look_around() {
    run({"ls", "-l", mount().path()});
    run({"getfattr", "-R", "-d", mount().path()});
    run({"sh", "-c", "stat " + mount().path() + "/*"});
    run({"df", mount().path()});
  }

  static void expect_usable(const GuestDevice& device) {
    const pmem::UniqueFd fd = open_file(file(device), O_RDWR);
    ASSERT_TRUE(fd.valid()) << std::strerror(errno);
    EXPECT_EQ(::pwrite(fd.get(), "usable", 6, 4093), 6) << std::strerror(errno);
    EXPECT_EQ(read_at(fd.get(), 4093, 6), "usable");
    EXPECT_EQ(::fsync(fd.get()), 0) << std::strerror(errno);
    EXPECT_EQ(support::status_of(file(device)).st_size, device.end());
  }

  // Of a file that was open when its device went.
  static void expect_lost(int fd) {
    std::array<char, 10> bytes = {};
    EXPECT_EQ(::pread(fd, bytes.data(), bytes.size(), 0), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_EQ(::pwrite(fd, "x", 1, 4096), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_EQ(::fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 10), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_EQ(::fsync(fd), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_EQ(::fdatasync(fd), -1);
    EXPECT_EQ(errno, EIO);
    struct stat status = {};
    EXPECT_TRUE(::fstat(fd, &status) == 0 || errno == ENXIO || errno == EIO ||
                errno == ENOENT)
        << std::strerror(errno);
  }

 private:
  static inline std::optional<DeviceMount> shared_mount;
};

// --- without a driver -------------------------------------------------------

TEST_F(ComeAndGo, AnOpenDeviceThatIsUnboundIsLetGoOfAtOnce) {
  const GuestDevice device("DEVDAX4K");
  const pmem::UniqueFd fd = open_file(file(device), O_RDWR);
  EXPECT_EQ(::pwrite(fd.get(), "before", 6, 0), 6);
  {
    const Unbound unbound(device.name());
    // Nobody has asked anything of it.
    EXPECT_TRUE(becomes_free(device.node));
    expect_lost(fd.get());
    EXPECT_EQ(attribute_of(file(device), "user.pmem.mode"), "unbound");
    EXPECT_EQ(attribute_of(file(device), "user.pmem.is_pmem"), "0");
    EXPECT_FALSE(open_file(file(device), O_RDONLY).valid());
    EXPECT_EQ(errno, ENXIO);
    expect_shown(device.name());
  }
  // What was open stays lost, and does no harm to what is opened now.
  expect_lost(fd.get());
  const pmem::UniqueFd again = open_file(file(device), O_RDWR);
  EXPECT_EQ(read_at(again.get(), 0, 6), "before");
  expect_lost(fd.get());
}

TEST_F(ComeAndGo, ADeviceCanBeUsedAfterWhatWasOpenBeforeIsClosed) {
  const GuestDevice device("DEVDAX");
  pmem::UniqueFd fd = open_file(file(device), O_RDWR);
  {
    const Unbound unbound(device.name());
    EXPECT_TRUE(becomes_free(device.node));
  }
  fd = pmem::UniqueFd();
  for (int i = 0; i < 3; ++i) {
    expect_usable(device);
  }
}

// The process that has mapped the file through the mount ends by SIGBUS, at
// worst.
TEST_F(ComeAndGo, AMappedDeviceThatIsUnboundHarmsItsProcessAlone) {
  const GuestDevice device("DEVDAX4K");
  device.map().fill('x', 0, kMiB);
  std::array<int, 2> to_child = {};
  std::array<int, 2> to_parent = {};
  ASSERT_EQ(::pipe2(to_child.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(to_parent.data(), O_CLOEXEC), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const int fd = ::open(file(device).c_str(), O_RDWR);
    const bool is_shared = !mount().has_no_shared_mmap();
    auto* bytes = static_cast<volatile char*>(
        ::mmap(nullptr, kMiB, PROT_READ | PROT_WRITE,
               is_shared ? MAP_SHARED : MAP_PRIVATE, fd, 0));
    const bool is_mapped = fd >= 0 && bytes != MAP_FAILED && bytes[0] == 'x';
    char word = is_mapped ? 'y' : 'n';
    if (::write(to_parent[1], &word, 1) != 1 ||
        ::read(to_child[0], &word, 1) != 1) {
      ::_exit(2);
    }
    ::_exit(bytes[kMiB / 2] == 'x' ? 1 : 3);
  }
  char word = ' ';
  EXPECT_EQ(::read(to_parent[0], &word, 1), 1);
  EXPECT_EQ(word, 'y');
  int status = 0;
  {
    const Unbound unbound(device.name());
    EXPECT_EQ(::write(to_child[1], "g", 1), 1);
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(becomes_free(device.node));
  }
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS)
      << std::hex << status;
  for (const int fd : {to_child[0], to_child[1], to_parent[0], to_parent[1]}) {
    ::close(fd);
  }
  expect_usable(device);
}

// Threads that read, write and sync a file of their own opening, over and over,
// for the length of a scope.
class Workers {
 public:
  Workers(const std::string& file, off_t size, unsigned count)
      : file_(file), size_(size) {
    for (unsigned seed = 1; seed <= count; ++seed) {
      threads_.emplace_back([this, seed] { work(seed); });
    }
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() { end(); }

  void end() {
    is_over_ = true;
    for (std::thread& thread : threads_) {
      thread.join();
    }
    threads_.clear();
  }

  [[nodiscard]] int successes() const { return successes_; }
  [[nodiscard]] int errors() const { return errors_; }
  // An errno that nobody expects of a device that goes; or 0.
  [[nodiscard]] int surprise() const { return surprise_; }

 private:
  void work(unsigned seed) {
    std::mt19937 random(seed);
    while (!is_over_) {
      const int fd = ::open(file_.c_str(), O_RDWR | O_CLOEXEC);
      count(fd);
      if (fd >= 0) {
        use(fd, random);
        ::close(fd);
      }
    }
  }

  void use(int fd, std::mt19937& random) {
    std::vector<char> bytes(std::size_t{64} << 10, 'w');
    for (int i = 0; i < 20 && !is_over_; ++i) {
      const auto at = static_cast<off_t>(random()) % (size_ - 1);
      count(::pread(fd, bytes.data(), bytes.size(), at));
      count(::pwrite(fd, bytes.data(), bytes.size(), at));
    }
    count(::fsync(fd));
  }

  void count(ssize_t result) {
    const int error = result < 0 ? errno : 0;
    ++(error == 0 ? successes_ : errors_);
    if (error != 0 && error != EIO && error != ENXIO) {
      surprise_ = error;
    }
  }

  const std::string file_;
  const off_t size_;
  std::atomic<bool> is_over_ = false;
  std::atomic<int> successes_ = 0;
  std::atomic<int> errors_ = 0;
  std::atomic<int> surprise_ = 0;
  std::vector<std::thread> threads_;
};

// Whatever comes in between, each call succeeds or is one of the two errors.
TEST_F(ComeAndGo, ManyReadersAndWritersAtWorkSeeErrorsAndNothingWorse) {
  const GuestDevice device("DEVDAX");
  Workers workers(file(device), device.end(), 4);
  const auto more = [](const auto& count, int before) {
    return support::becomes_true([&] { return count() > before + 20; },
                                 std::chrono::seconds(10));
  };
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(more([&] { return workers.successes(); }, workers.successes()));
    const Unbound unbound(device.name());
    EXPECT_TRUE(becomes_free(device.node));
    EXPECT_TRUE(more([&] { return workers.errors(); }, workers.errors()));
  }
  workers.end();
  EXPECT_EQ(workers.surprise(), 0) << std::strerror(workers.surprise());
  expect_usable(device);
}

// --- memory of the system ---------------------------------------------------

class SystemRam : public ComeAndGo {
 protected:
  static void SetUpTestSuite() {
    ComeAndGo::SetUpTestSuite();
    // The payload's file tree is not the one with the guest's modules.
    run({"modprobe", "-d", "/proc/1/root", "kmem"});
    // Else daxctl refuses, as it could not give the memory back.
    support::write_file("/sys/devices/system/memory/auto_online_blocks",
                        "offline");
  }

  static void reconfigure(const GuestDevice& device, const std::string& mode) {
    run({"daxctl", "reconfigure-device", "--mode=" + mode,
         mode == "system-ram" ? "--no-online" : "--force", device.name()});
  }
};

TEST_F(SystemRam, IsShownWithItsModeAndWhyItCannotBeOpened) {
  const GuestDevice device("HMEM");
  look_around();
  reconfigure(device, "system-ram");
  const std::string path = file(device);
  EXPECT_TRUE(support::becomes_true(
      [&] { return attribute_of(path, "user.pmem.mode") == "system-ram"; },
      kASecond));
  EXPECT_EQ(attribute_of(path, "user.pmem.is_pmem"), "0");
  EXPECT_EQ(attribute_of(path, "user.pmem.granularity"), "page");
  EXPECT_EQ(attribute_of(path, "user.pmem.kind"), "devdax");
  EXPECT_EQ(attribute_of(path, "user.pmem.mapped_length"), "0");
  const std::string reason = attribute_of(path, "user.pmem.reason");
  EXPECT_NE(reason.find("system-ram"), std::string::npos) << reason;
  EXPECT_EQ(support::status_of(path).st_size, device.end());
  expect_shown(device.name());
  for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR}) {
    EXPECT_FALSE(open_file(path, flags).valid());
    EXPECT_EQ(errno, ENXIO);
  }
  look_around();
  reconfigure(device, "devdax");
  EXPECT_TRUE(support::becomes_true(
      [&] { return attribute_of(path, "user.pmem.mode") == "devdax"; },
      kASecond));
  EXPECT_EQ(attribute_of(path, "user.pmem.is_pmem"), "1");
  expect_usable(device);
}

TEST_F(SystemRam, IsAnErrorToThoseWhoHadItOpen) {
  const GuestDevice device("HMEM");
  const pmem::UniqueFd fd = open_file(file(device), O_RDWR);
  EXPECT_EQ(::pwrite(fd.get(), "before", 6, 0), 6);
  reconfigure(device, "system-ram");
  expect_lost(fd.get());
  EXPECT_FALSE(open_file(file(device), O_RDWR).valid());
  EXPECT_EQ(errno, ENXIO);
  reconfigure(device, "devdax");
  expect_lost(fd.get());
  expect_usable(device);
}

// --- destroyed and made anew ------------------------------------------------

class Namespace : public ComeAndGo {
 protected:
  void SetUp() override { look_around(); }

  // For the tests that come after one that has failed.
  void TearDown() override {
    ComeAndGo::TearDown();
    if (!support::exists(device_.node)) {
      make("devdax");
    }
  }

  [[nodiscard]] std::string name() const {
    return "namespace" + region_of(device_.facts) + ".0";
  }
  static void destroy(const std::string& name) {
    run({"ndctl", "destroy-namespace", "-f", name});
  }
  void make(const std::string& mode) const {
    run({"ndctl", "create-namespace", "-m", mode, "-r",
         "region" + region_of(device_.facts)});
  }
  void change(const std::string& mode) const {
    run({"ndctl", "create-namespace", "-f", "-e", name(), "-m", mode});
  }
  // Whoever asks for it now finds another device by the old name.
  void expect_as_before() const {
    expect_shown(device_.name());
    const GuestDevice now("DEVDAX");
    EXPECT_EQ(now.size(), device_.size());
    expect_usable(now);
  }

  const GuestDevice device_{"DEVDAX"};
};

TEST_F(Namespace, ThatIsDestroyedAndMadeLeavesTheTreeAndComesBack) {
  destroy(name());
  expect_hidden(device_.name());
  EXPECT_FALSE(open_file(file(device_), O_RDONLY).valid());
  EXPECT_EQ(errno, ENOENT);
  make("devdax");
  expect_as_before();
}

TEST_F(Namespace, ThatIsDestroyedIsAnErrorToThoseWhoHaveItOpen) {
  const pmem::UniqueFd fd = open_file(file(device_), O_RDWR);
  EXPECT_EQ(::pwrite(fd.get(), "before", 6, 0), 6);
  destroy(name());
  expect_lost(fd.get());
  expect_hidden(device_.name());
  make("devdax");
  expect_lost(fd.get());
  expect_as_before();
  expect_lost(fd.get());
}

TEST_F(Namespace, ThatIsMadeABlockDeviceLeavesTheTreeAndComesBack) {
  change("fsdax");
  expect_hidden(device_.name());
  change("devdax");
  expect_as_before();
}

// --- split ------------------------------------------------------------------

class SplitDevice : public ComeAndGo {
 protected:
  static void resize(const GuestDevice& device, const std::string& size) {
    run({"daxctl", "disable-device", device.name()});
    run({"daxctl", "reconfigure-device", "-s", size, device.name()});
    run({"daxctl", "enable-device", device.name()});
  }
};

TEST_F(SplitDevice, ShowsItsPartsAndTheirSizes) {
  const GuestDevice whole("HMEM");
  const std::string second = "dax" + region_of(whole.facts) + ".1";
  const pmem::UniqueFd before = open_file(file(whole), O_RDWR);
  look_around();
  resize(whole, "64M");
  const auto size_is = [&](const std::string& name, std::size_t size) {
    return support::becomes_true(
        [&] {
          return support::status_of(mount() / name).st_size ==
                 static_cast<off_t>(size);
        },
        kASecond);
  };
  EXPECT_TRUE(size_is(whole.name(), 64 * kMiB));
  expect_lost(before.get());
  expect_usable(GuestDevice("HMEM"));
  expect_hidden(second);
  run({"daxctl", "create-device", "-s", "96M"});
  expect_shown(second);
  EXPECT_TRUE(size_is(second, 96 * kMiB));
  {
    const pmem::UniqueFd fd = open_file(mount() / second, O_RDWR);
    EXPECT_EQ(::pwrite(fd.get(), "end and beyond", 14, 96 * kMiB - 3), 3);
    EXPECT_EQ(read_at(fd.get(), 96 * kMiB - 3, 10), "end");
    EXPECT_EQ(attribute_of(mount() / second, "user.pmem.is_pmem"), "1");
  }
  look_around();
  run({"daxctl", "disable-device", second});
  EXPECT_EQ(attribute_of(mount() / second, "user.pmem.mode"), "unbound");
  run({"daxctl", "destroy-device", second});
  expect_hidden(second);
  resize(whole, "256M");
  EXPECT_TRUE(size_is(whole.name(), whole.size()));
  expect_usable(whole);
}

}  // namespace
}  // namespace vm
