// The ways by which programs read and write a file, on a device: each works as
// on a regular file of a fixed size, or is the error that such a file gives.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/command.h"
#include "support/files.h"
#include "support/row_name.h"
#include "support/temp_dir.h"
#include "vm/device_mount.h"
#include "vm/guest.h"

namespace vm {
namespace {

using support::content_of;
using support::noise;
using support::open_file;
using support::read_at;
using support::run_command;
using support::write_file;

class DeviceIo : public ::testing::Test {
 protected:
  explicit DeviceIo(const std::string& variable = "DEVDAX4K")
      : guest_device_(variable) {}

  static void SetUpTestSuite() { shared_mount.emplace(); }
  static void TearDownTestSuite() { shared_mount.reset(); }

  void SetUp() override {
    fd_ = open_file(file(), O_RDWR);
    ASSERT_TRUE(fd_.valid()) << std::strerror(errno);
    device_.fill('#', 0, kMiB);
    device_.fill('#', size() - kMiB, kMiB);
  }

  [[nodiscard]] std::string file() const {
    return shared_mount->file(guest_device_);
  }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::size_t size() const { return guest_device_.size(); }
  [[nodiscard]] off_t end() const { return guest_device_.end(); }
  [[nodiscard]] const NativeMapping& device() const { return device_; }
  [[nodiscard]] std::string scratch(const std::string& name) const {
    return scratch_ / name;
  }

  // Another device of the same mount.
  [[nodiscard]] static pmem::UniqueFd open_other() {
    return open_file(shared_mount->file(GuestDevice("DEVDAX")), O_RDWR);
  }

 private:
  static inline std::optional<DeviceMount> shared_mount;

  const GuestDevice guest_device_;
  const NativeMapping device_ = guest_device_.map();
  const support::TempDir scratch_ = support::TempDir("/dev/shm");
  pmem::UniqueFd fd_;
};

TEST_F(DeviceIo, ReadAndWriteMoveThePosition) {
  ASSERT_EQ(::lseek(fd(), 4090, SEEK_SET), 4090);
  EXPECT_EQ(::write(fd(), "position", 8), 8);
  EXPECT_EQ(::lseek(fd(), 0, SEEK_CUR), 4098);
  ASSERT_EQ(::lseek(fd(), -3, SEEK_END), end() - 3);
  EXPECT_EQ(::write(fd(), "12345", 5), 3);
  EXPECT_EQ(::write(fd(), "45", 2), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(::lseek(fd(), 0, SEEK_CUR), end());
  std::array<char, 8> bytes = {};
  EXPECT_EQ(::read(fd(), bytes.data(), bytes.size()), 0);
  ASSERT_EQ(::lseek(fd(), 4090, SEEK_SET), 4090);
  EXPECT_EQ(::read(fd(), bytes.data(), bytes.size()), 8);
  EXPECT_EQ(std::string(bytes.data(), 8), "position");
  EXPECT_EQ(::lseek(fd(), -1, SEEK_SET), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(device().read(size() - 3, 3), "123");
}

TEST_F(DeviceIo, NothingIsDoneOfNoBytes) {
  for (const off_t offset : {off_t{0}, end(), end() + 1}) {
    EXPECT_EQ(::pwrite(fd(), "x", 0, offset), 0) << std::strerror(errno);
    char byte = ' ';
    EXPECT_EQ(::pread(fd(), &byte, 0, offset), 0) << std::strerror(errno);
  }
}

TEST_F(DeviceIo, EachDescriptorIsForWhatItWasOpenedFor) {
  const pmem::UniqueFd reader = open_file(file(), O_RDONLY);
  const pmem::UniqueFd writer = open_file(file(), O_WRONLY);
  char byte = 'x';
  EXPECT_EQ(::write(reader.get(), &byte, 1), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(::read(writer.get(), &byte, 1), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(::fallocate(reader.get(), 0, 0, 5), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(::fsync(reader.get()), 0) << std::strerror(errno);
  EXPECT_EQ(::write(writer.get(), &byte, 1), 1) << std::strerror(errno);
}

TEST_F(DeviceIo, OpenKnowsThatItIsARegularFileThatIsThere) {
  EXPECT_TRUE(open_file(file(), O_RDWR | O_CREAT).valid());
  EXPECT_FALSE(open_file(file(), O_RDWR | O_CREAT | O_EXCL).valid());
  EXPECT_EQ(errno, EEXIST);
  EXPECT_FALSE(open_file(file(), O_RDONLY | O_DIRECTORY).valid());
  EXPECT_EQ(errno, ENOTDIR);
  EXPECT_TRUE(open_file(file(), O_RDWR | O_NOFOLLOW | O_NONBLOCK).valid());
}

// No part of the device is cached anywhere: nothing has to be aligned.
TEST_F(DeviceIo, ODirectTakesAnyOffsetAndLength) {
  const pmem::UniqueFd direct = open_file(file(), O_RDWR | O_DIRECT);
  ASSERT_TRUE(direct.valid()) << std::strerror(errno);
  EXPECT_EQ(::pwrite(direct.get(), "direct", 6, 4093), 6);
  EXPECT_EQ(device().read(4092, 8), "#direct#");
  EXPECT_EQ(read_at(direct.get(), 4093, 6), "direct");
  const std::string page = noise(4096);
  EXPECT_EQ(::pwrite(direct.get(), page.data(), page.size(), 8192), 4096);
  EXPECT_TRUE(device().read(8192, 4096) == page);
  EXPECT_EQ(read_at(direct.get(), end() - 5, 4096).size(), 5U);
  EXPECT_EQ(::pwrite(direct.get(), page.data(), 4096, end() - 5), 5);
}

// Behind the end there is no place, wherever the position was.
TEST_F(DeviceIo, OAppendIsNoSpace) {
  const pmem::UniqueFd appending = open_file(file(), O_WRONLY | O_APPEND);
  EXPECT_EQ(::write(appending.get(), "x", 1), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(::pwrite(appending.get(), "x", 1, 0), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_TRUE(device().holds('#', 0, kMiB));
}

TEST_F(DeviceIo, OAppendAfterOTruncAppendsToWhatWasWritten) {
  write_file(scratch("in"), "appended");
  const support::CommandResult ran =
      run_command({"sh", "-c",
                   "{ echo one; echo two; } > " + file() + "; cat " +
                       scratch("in") + " >> " + file()});
  // The shell that appends opens without O_TRUNC.
  EXPECT_NE(ran.exit_status, 0);
  EXPECT_EQ(device().read(0, 9), "one\ntwo\n#");
  const pmem::UniqueFd appending =
      open_file(file(), O_WRONLY | O_APPEND | O_TRUNC);
  EXPECT_EQ(::write(appending.get(), "first", 5), 5);
  EXPECT_EQ(::write(appending.get(), "second", 6), 6);
  EXPECT_EQ(device().read(0, 12), "firstsecond#");
}

TEST_F(DeviceIo, VectorsAreReadAndWrittenInOrder) {
  std::string first = "first";
  std::string second = "second";
  std::array parts = {iovec{first.data(), first.size()},
                      iovec{second.data(), second.size()}};
  EXPECT_EQ(::pwritev(fd(), parts.data(), 2, 4094), 11);
  EXPECT_EQ(device().read(4093, 13), "#firstsecond#");
  std::string got_first(4, ' ');
  std::string got_second(7, ' ');
  parts = {iovec{got_first.data(), got_first.size()},
           iovec{got_second.data(), got_second.size()}};
  EXPECT_EQ(::preadv(fd(), parts.data(), 2, 4094), 11);
  EXPECT_EQ(got_first + got_second, "firstsecond");
  parts = {iovec{first.data(), first.size()},
           iovec{second.data(), second.size()}};
  EXPECT_EQ(::pwritev(fd(), parts.data(), 2, end() - 7), 7);
  EXPECT_EQ(device().read(size() - 8, 8), "#firstse");
  EXPECT_EQ(::preadv(fd(), parts.data(), 2, end() - 7), 7);
  EXPECT_EQ(::preadv(fd(), parts.data(), 2, end()), 0);
  EXPECT_EQ(::pwritev(fd(), parts.data(), 2, end()), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(::pwritev2(fd(), parts.data(), 1, 0, RWF_DSYNC), 5)
      << std::strerror(errno);
}

TEST_F(DeviceIo, BadAddressesAndOffsetsAreErrorsOfTheCaller) {
  void* nowhere =
      ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(nowhere, MAP_FAILED);
  EXPECT_EQ(::pread(fd(), nowhere, 10, 0), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(::pwrite(fd(), nowhere, 10, 0), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(::munmap(nowhere, 4096), 0);
  char byte = 'x';
  EXPECT_EQ(::pread(fd(), &byte, 1, -1), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::pwrite(fd(), &byte, 1, -1), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::ftruncate(fd(), -1), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::fallocate(fd(), 0, -1, 5), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::fallocate(fd(), 0, 0, 0), -1);
  EXPECT_EQ(errno, EINVAL);
  // A hole does not move the end, so that this has to be said.
  EXPECT_EQ(::fallocate(fd(), FALLOC_FL_PUNCH_HOLE, 0, 10), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
  EXPECT_TRUE(device().holds('#', 0, kMiB));
}

TEST_F(DeviceIo, PosixFallocateAsksWhetherThereIsRoom) {
  EXPECT_EQ(::posix_fallocate(fd(), 0, end()), 0);
  EXPECT_EQ(::posix_fallocate(fd(), end() - 4, 5), ENOSPC);
  EXPECT_TRUE(device().holds('#', 0, kMiB));
}

TEST_F(DeviceIo, CopyFileRangeCopiesBetweenDevices) {
  const pmem::UniqueFd other = open_other();
  device().fill_with_noise(0, 300000, 21);
  loff_t from = 5;
  loff_t to = 4095;
  std::size_t done = 0;
  while (done < 200001) {
    const ssize_t copied =
        ::copy_file_range(fd(), &from, other.get(), &to, 200001 - done, 0);
    ASSERT_GT(copied, 0) << std::strerror(errno);
    done += static_cast<std::size_t>(copied);
  }
  EXPECT_TRUE(read_at(other.get(), 4095, done) == device().read(5, done));
  from = 0;
  to = support::status_of(file()).st_size - 10;
  EXPECT_EQ(::copy_file_range(fd(), &from, other.get(), &to, 1000, 0), 10);
  from = 0;
  EXPECT_EQ(::copy_file_range(fd(), &from, other.get(), &to, 1000, 0), -1);
  EXPECT_EQ(errno, ENOSPC);
}

TEST_F(DeviceIo, CopyFileRangeCopiesInsideOne) {
  device().write(0, "original");
  loff_t from = 0;
  loff_t to = 5000;
  EXPECT_EQ(::copy_file_range(fd(), &from, fd(), &to, 8, 0), 8)
      << std::strerror(errno);
  EXPECT_EQ(device().read(4999, 10), "#original#");
  from = 0;
  to = 4;  // the ranges overlap
  EXPECT_EQ(::copy_file_range(fd(), &from, fd(), &to, 8, 0), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(DeviceIo, CopyFileRangeToAnotherFileSystemIsLeftToTheCaller) {
  write_file(scratch("file"), noise(10000, 22));
  const pmem::UniqueFd file = open_file(scratch("file"), O_RDWR);
  for (const auto& [from, to] :
       {std::pair(fd(), file.get()), std::pair(file.get(), fd())}) {
    loff_t from_position = 0;
    loff_t to_position = 0;
    EXPECT_EQ(::copy_file_range(from, &from_position, to, &to_position, 100, 0),
              -1);
    EXPECT_EQ(errno, EXDEV);
  }
}

TEST_F(DeviceIo, SendfileSendsFromAndTo) {
  const std::string bytes = noise(70001, 23);
  write_file(scratch("in"), bytes);
  const pmem::UniqueFd file = open_file(scratch("in"), O_RDWR);
  ASSERT_EQ(::lseek(fd(), 777, SEEK_SET), 777);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t sent = ::sendfile(fd(), file.get(), nullptr, bytes.size());
    ASSERT_GT(sent, 0) << std::strerror(errno);
    done += static_cast<std::size_t>(sent);
  }
  EXPECT_TRUE(device().read(777, bytes.size()) == bytes);
  const pmem::UniqueFd out =
      open_file(scratch("out"), O_RDWR | O_CREAT | O_TRUNC);
  off_t from = end() - 100;
  EXPECT_EQ(::sendfile(out.get(), fd(), &from, 5000), 100)
      << std::strerror(errno);
  EXPECT_EQ(from, end());
  EXPECT_EQ(content_of(scratch("out")), std::string(100, '#'));
}

TEST_F(DeviceIo, SpliceMovesThroughAPipe) {
  std::array<int, 2> pipe = {};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const pmem::UniqueFd pipe_out(pipe[0]);
  const pmem::UniqueFd pipe_in(pipe[1]);
  device().write(4093, "spliced");
  loff_t from = 4093;
  EXPECT_EQ(::splice(fd(), &from, pipe_in.get(), nullptr, 7, 0), 7)
      << std::strerror(errno);
  loff_t to = 9001;
  EXPECT_EQ(::splice(pipe_out.get(), nullptr, fd(), &to, 7, 0), 7)
      << std::strerror(errno);
  EXPECT_EQ(device().read(9000, 9), "#spliced#");
  from = end() - 3;
  EXPECT_EQ(::splice(fd(), &from, pipe_in.get(), nullptr, 7, 0), 3);
  to = end() - 2;
  EXPECT_EQ(::splice(pipe_out.get(), nullptr, fd(), &to, 3, 0), 2);
  EXPECT_EQ(::splice(pipe_out.get(), nullptr, fd(), &to, 1, 0), -1);
  EXPECT_EQ(errno, ENOSPC);
}

// Linux's own asynchronous I/O, as databases use it.
class Aio {
 public:
  Aio() { EXPECT_EQ(::syscall(SYS_io_setup, 8, &context_), 0); }
  Aio(const Aio&) = delete;
  Aio& operator=(const Aio&) = delete;
  ~Aio() { ::syscall(SYS_io_destroy, context_); }

  // The count, or the errno as a negative number.
  std::int64_t run(std::uint16_t what, int fd, std::string& bytes,
                   off_t offset) const {
    iocb block = {};
    block.aio_fildes = static_cast<std::uint32_t>(fd);
    block.aio_lio_opcode = what;
    block.aio_buf = reinterpret_cast<std::uint64_t>(bytes.data());
    block.aio_nbytes = bytes.size();
    block.aio_offset = offset;
    iocb* blocks = &block;
    if (::syscall(SYS_io_submit, context_, 1, &blocks) != 1) {
      return -errno;
    }
    io_event event = {};
    EXPECT_EQ(::syscall(SYS_io_getevents, context_, 1, 1, &event, nullptr), 1);
    return event.res;
  }

 private:
  aio_context_t context_ = 0;
};

TEST_F(DeviceIo, AsynchronousReadsAndWritesComeToTheSame) {
  Aio aio;
  std::string bytes = noise(5001, 24);
  EXPECT_EQ(aio.run(IOCB_CMD_PWRITE, fd(), bytes, 4095), 5001);
  EXPECT_TRUE(device().read(4095, 5001) == bytes);
  std::string got(5001, ' ');
  EXPECT_EQ(aio.run(IOCB_CMD_PREAD, fd(), got, 4095), 5001);
  EXPECT_TRUE(got == bytes);
  EXPECT_EQ(aio.run(IOCB_CMD_PREAD, fd(), got, end() - 5), 5);
  EXPECT_EQ(aio.run(IOCB_CMD_PWRITE, fd(), got, end() - 5), 5);
  EXPECT_EQ(aio.run(IOCB_CMD_PREAD, fd(), got, end()), 0);
  EXPECT_EQ(aio.run(IOCB_CMD_PWRITE, fd(), got, end()), -ENOSPC);
}

TEST_F(DeviceIo, LocksAreThoseOfAnyFile) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  EXPECT_EQ(::fcntl(fd(), F_SETLK, &lock), 0) << std::strerror(errno);
  EXPECT_EQ(::syncfs(fd()), 0) << std::strerror(errno);
  EXPECT_EQ(::posix_fadvise(fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
}

// --- against a model --------------------------------------------------------

// A device, and what it must hold: the model in memory of windows at its
// beginning, around a multiple of its alignment, and at its end.
struct Device {
  std::string name;
  std::string variable;
};

void PrintTo(const Device& row, std::ostream* out) { *out << row.name; }

class AgainstAModel : public DeviceIo,
                      public ::testing::WithParamInterface<Device> {
 protected:
  AgainstAModel() : DeviceIo(GetParam().variable) {}

  static constexpr std::size_t kOperations = 4000;
  static constexpr std::size_t kMost = 20000;

  // The model of the whole device would take too long to compare.
  struct Window {
    std::size_t begin;
    std::string bytes;
  };

  void SetUp() override {
    DeviceIo::SetUp();
    for (const std::size_t begin :
         {std::size_t{0}, 2 * kMiB - 3 * kMost, size() - 3 * kMost}) {
      device().fill_with_noise(begin, kWindow, static_cast<unsigned>(begin));
      windows_.push_back({begin, device().read(begin, kWindow)});
    }
  }

  void do_one() {
    Window& window = windows_.at(pick(windows_.size()));
    const std::size_t at = pick(kWindow + 100);
    const std::size_t length = pick(2) == 0 ? pick(100) : pick(kMost);
    // What the device has of the range; windows but the last end before it.
    const bool is_last = window.begin + kWindow == size();
    if (!is_last && at + length > kWindow) {
      return;
    }
    const std::size_t room = at < kWindow ? kWindow - at : 0;
    const auto offset = static_cast<off_t>(window.begin + at);
    switch (pick(6)) {
      case 0:
      case 1:
        read_some(window, at, std::min(length, room), length, offset);
        break;
      case 2:
      case 3:
        write_some(window, at, std::min(length, room), length, offset);
        break;
      case 4:
        zero_some(window, at, length <= room, length, offset);
        break;
      default:
        store_some(window, at, std::min(length, room));
        break;
    }
  }

  void compare() const {
    for (const Window& window : windows_) {
      EXPECT_TRUE(device().read(window.begin, kWindow) == window.bytes)
          << window.begin;
      EXPECT_TRUE(read_at(fd(), static_cast<off_t>(window.begin), kWindow) ==
                  window.bytes)
          << window.begin;
    }
  }

  std::mt19937_64& random() { return random_; }

 private:
  static constexpr std::size_t kWindow = 3 * kMost;

  std::size_t pick(std::size_t below) { return random_() % below; }

  void read_some(const Window& window, std::size_t at, std::size_t count,
                 std::size_t length, off_t offset) {
    const std::string got = read_at(fd(), offset, length);
    ASSERT_TRUE(got ==
                (count == 0 ? std::string() : window.bytes.substr(at, count)))
        << "read " << offset << ' ' << length;
  }

  void write_some(Window& window, std::size_t at, std::size_t count,
                  std::size_t length, off_t offset) {
    const std::string bytes = noise(length, static_cast<unsigned>(random_()));
    const ssize_t written = ::pwrite(fd(), bytes.data(), length, offset);
    if (count == 0 && length > 0) {
      ASSERT_TRUE(written == -1 && errno == ENOSPC) << offset << ' ' << length;
      return;
    }
    ASSERT_EQ(written, static_cast<ssize_t>(count)) << offset << ' ' << length;
    if (count > 0) {
      window.bytes.replace(at, count, bytes, 0, count);
    }
  }

  void zero_some(Window& window, std::size_t at, bool fits, std::size_t length,
                 off_t offset) {
    constexpr std::array kModes = {FALLOC_FL_ZERO_RANGE,
                                   FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                                   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE};
    const int done = ::fallocate(fd(), kModes.at(pick(kModes.size())), offset,
                                 static_cast<off_t>(length));
    if (length == 0 || !fits) {
      const int expected = length == 0 ? EINVAL : ENOSPC;
      ASSERT_TRUE(done == -1 && errno == expected) << offset << ' ' << length;
      return;
    }
    ASSERT_EQ(done, 0) << offset << ' ' << length << std::strerror(errno);
    window.bytes.replace(at, length, length, '\0');
  }

  // What another process does to the device.
  void store_some(Window& window, std::size_t at, std::size_t count) {
    const std::string bytes = noise(count, static_cast<unsigned>(random_()));
    if (count > 0) {
      device().write(window.begin + at, bytes);
      window.bytes.replace(at, count, bytes);
    }
  }

  std::mt19937_64 random_;
  std::vector<Window> windows_;
};

TEST_P(AgainstAModel, AnyOffsetAndLengthDoWhatTheyShould) {
  const char* wanted = std::getenv("PMEMFS_VM_SEED");
  const std::uint64_t seed = wanted == nullptr || *wanted == '\0'
                                 ? std::random_device()()
                                 : std::stoull(wanted);
  SCOPED_TRACE("PMEMFS_VM_SEED=" + std::to_string(seed));
  std::cout << "PMEMFS_VM_SEED=" << seed << '\n';
  random().seed(seed);
  for (std::size_t i = 0; i < kOperations && !HasFatalFailure(); ++i) {
    do_one();
    if (i % 500 == 499) {
      compare();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(On, AgainstAModel,
                         ::testing::Values(Device{"Aligned2M", "DEVDAX"},
                                           Device{"Aligned4K", "DEVDAX4K"},
                                           Device{"WithoutRegion", "HMEM"}),
                         support::RowName());

}  // namespace
}  // namespace vm
