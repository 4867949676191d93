// The fault guard: a fault under it is a value, a fault anywhere else is what
// it was before.
#include "pmem/fault_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pmem/mapping.h"
#include "support/child_process.h"
#include "support/guarded_buffer.h"
#include "support/row_name.h"
#include "support/temp_dir.h"

namespace pmem {
namespace {

using support::GuardedBuffer;

constexpr std::size_t kPage = 4096;

// Never 0, which is what a hole reads as, and never the mark below.
std::byte pattern(std::size_t offset) {
  return static_cast<std::byte>(1 + (offset * 7 + offset / kPage) % 200);
}

constexpr std::byte kUnread{0xEE};

// A file, its mapping, and the means to cut it short under the mapping.
class CutFile {
 public:
  // Throws where there is no such file to be had.
  CutFile(int fd, std::size_t length) : fd_(fd), mapping_(map(length)) {}

  // One in memory, with no name that could be left behind.
  explicit CutFile(std::size_t length)
      : CutFile(::memfd_create("cut", MFD_CLOEXEC), length) {}

  void set_length(std::size_t length) const {
    if (::ftruncate(fd_.get(), static_cast<off_t>(length)) != 0) {
      throw std::runtime_error(std::strerror(errno));
    }
  }

  [[nodiscard]] std::byte* data() const { return mapping_.address(); }
  [[nodiscard]] std::span<std::byte> bytes(std::size_t offset,
                                           std::size_t length) const {
    return mapping_.writable_bytes().subspan(offset, length);
  }
  [[nodiscard]] std::span<std::byte> bytes() const {
    return mapping_.writable_bytes();
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  [[nodiscard]] Mapping map(std::size_t length) const {
    set_length(length);
    Result<Source> source =
        Source::adopt(UniqueFd(::dup(fd_.get())), Access::kReadWrite);
    if (!source) {
      throw std::runtime_error(source.error().message());
    }
    Result<Mapping> mapping = Mapping::create(*source);
    if (!mapping) {
      throw std::runtime_error(mapping.error().message());
    }
    return std::move(*mapping);
  }

  UniqueFd fd_;
  Mapping mapping_;
};

std::vector<std::byte> pattern_bytes(std::size_t length) {
  std::vector<std::byte> bytes(length);
  for (std::size_t i = 0; i < length; ++i) {
    bytes[i] = pattern(i);
  }
  return bytes;
}

// Results of copies.

TEST(FaultGuard, CopiesBothWaysWithoutAFault) {
  const CutFile file(3 * kPage);
  const std::vector<std::byte> written = pattern_bytes(9000);
  EXPECT_FALSE(guarded_write(file.bytes(7, 9000), written));
  std::vector<std::byte> read(9000, kUnread);
  EXPECT_FALSE(guarded_read(read, file.bytes(7, 9000)));
  EXPECT_EQ(read, written);
}

TEST(FaultGuard, CopiesNothingOfLengthZero) {
  const CutFile file(kPage);
  file.set_length(0);
  EXPECT_FALSE(guarded_read({}, {}));
  EXPECT_FALSE(guarded_write(file.bytes(0, 0), {}));
  EXPECT_FALSE(guarded_durable_write(file.bytes(0, 0), {}));
  EXPECT_FALSE(guarded_durable_zero(file.bytes(0, 0)));
}

constexpr std::array<std::size_t, 5> kOffsets = {0, 1, 8, 33, 63};

template <typename Write>
void expect_exact_writes(const Write& write) {
  GuardedBuffer source(1200);
  source.fill_with_pattern();
  for (std::size_t length = 0; length <= 1100;
       length += length < 300 ? 1 : 53) {
    GuardedBuffer target(length + 64);
    for (const std::size_t to : kOffsets) {
      target.clear();
      ASSERT_FALSE(write(target.bytes().subspan(to, length),
                         source.bytes().subspan(to, length)));
      ASSERT_EQ(target.find_wrong(to, length,
                                  [&](std::size_t i) {
                                    return GuardedBuffer::pattern(to + i);
                                  }),
                "")
          << length << " bytes to " << to;
    }
  }
}

TEST(FaultGuard, WritesExactly) { expect_exact_writes(guarded_write); }

TEST(FaultGuard, ReadsExactly) { expect_exact_writes(guarded_read); }

TEST(FaultGuard, WritesDurablyAndExactly) {
  expect_exact_writes(guarded_durable_write);
}

TEST(FaultGuard, ZeroesDurablyAndExactly) {
  for (std::size_t length = 0; length <= 1100;
       length += length < 300 ? 1 : 53) {
    GuardedBuffer target(length + 64);
    for (const std::size_t to : kOffsets) {
      target.clear();
      ASSERT_FALSE(guarded_durable_zero(target.bytes().subspan(to, length)));
      ASSERT_EQ(target.find_wrong(to, length,
                                  [](std::size_t) { return std::byte{0}; }),
                "")
          << length << " bytes to " << to;
    }
  }
}

// Faults.

// Accesses [begin, begin+length) of a file of four pages that was cut to two.
struct FaultRow {
  const char* name;
  std::size_t begin;
  std::size_t length;
};

class EachFault : public ::testing::TestWithParam<FaultRow> {
 protected:
  void SetUp() override {
    std::ranges::copy(pattern_bytes(kCut), file_.data());
    file_.set_length(kCut);
  }

  // The first byte of the row that is not there.
  [[nodiscard]] const std::byte* expected_address() const {
    return file_.data() + std::max(GetParam().begin, kCut);
  }
  [[nodiscard]] std::span<std::byte> row() const {
    return file_.bytes(GetParam().begin, GetParam().length);
  }

  static constexpr std::size_t kCut = 2 * kPage;
  CutFile file_{4 * kPage};
};

TEST_P(EachFault, OfAReadIsReportedBehindTheBytesThatWereThere) {
  std::vector<std::byte> read(GetParam().length, kUnread);
  const std::optional<Fault> fault = guarded_read(read, row());
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->address, expected_address());
  EXPECT_FALSE(fault->is_hardware_error);
  const auto done = static_cast<std::size_t>(fault->address - row().data());
  for (std::size_t i = 0; i < done; ++i) {
    ASSERT_EQ(read[i], pattern(GetParam().begin + i)) << i;
  }
}

template <typename Write>
void expect_fault_of_write(const Write& write, std::span<std::byte> to,
                           const std::byte* expected_address) {
  const std::vector<std::byte> ones(to.size(), std::byte{0xFF});
  const std::optional<Fault> fault = write(to, ones);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->address, expected_address);
  EXPECT_FALSE(fault->is_hardware_error);
  const auto done = static_cast<std::size_t>(fault->address - to.data());
  for (std::size_t i = 0; i < done; ++i) {
    ASSERT_EQ(to[i], std::byte{0xFF}) << i;
  }
}

TEST_P(EachFault, OfAWriteIsReportedBehindTheBytesThatWereWritten) {
  expect_fault_of_write(guarded_write, row(), expected_address());
}

TEST_P(EachFault, OfADurableWriteIsReportedBehindTheBytesThatWereWritten) {
  expect_fault_of_write(guarded_durable_write, row(), expected_address());
}

TEST_P(EachFault, OfZeroingIsReported) {
  const std::optional<Fault> fault = guarded_durable_zero(row());
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->address, expected_address());
  const auto done = static_cast<std::size_t>(fault->address - row().data());
  for (std::size_t i = 0; i < done; ++i) {
    ASSERT_EQ(row()[i], std::byte{0}) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    FaultGuard, EachFault,
    ::testing::Values(FaultRow{"AtTheFirstByte", 2 * kPage, kPage},
                      FaultRow{"OfOneByte", 3 * kPage + 17, 1},
                      FaultRow{"AfterTwoPages", 0, 3 * kPage},
                      FaultRow{"AfterOneByte", 2 * kPage - 1, 100},
                      FaultRow{"AfterWords", kPage, kPage + 8},
                      FaultRow{"AfterAnOddBeginning", 333, 2 * kPage},
                      // Lengths that may be copied by words, of which one
                      // straddles the end of what is there.
                      FaultRow{"InTheMiddleOfAWord", 2 * kPage - 5, 8},
                      FaultRow{"InTheMiddleOfALaterWord", 2 * kPage - 99, 352},
                      FaultRow{"AtTheLastByte", 0, 2 * kPage + 1}),
    support::RowName());

TEST(FaultGuard, WorksAgainAfterAFault) {
  const CutFile file(kPage);
  std::byte read{};
  for (int round = 0; round < 1000; ++round) {
    file.set_length(0);
    ASSERT_TRUE(guarded_read({&read, 1}, file.bytes(0, 1)));
    file.set_length(kPage);
    const std::byte written = pattern(static_cast<std::size_t>(round));
    ASSERT_FALSE(guarded_write(file.bytes(0, 1), {&written, 1}));
    ASSERT_FALSE(guarded_read({&read, 1}, file.bytes(0, 1)));
    ASSERT_EQ(read, written);
  }
}

TEST(FaultGuard, LeavesTheSignalMaskAlone) {
  const CutFile file(kPage);
  file.set_length(0);
  std::byte read{};
  ASSERT_TRUE(guarded_read({&read, 1}, file.bytes(0, 1)));
  sigset_t mask;
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, nullptr, &mask), 0);
  EXPECT_EQ(::sigismember(&mask, SIGBUS), 0);
}

TEST(FaultGuard, GuardsAnyCode) {
  const CutFile file(2 * kPage);
  file.set_length(kPage);
  const auto sum = [&](std::size_t offset) {
    volatile int result = 0;
    const std::optional<Fault> fault = guard([&] {
      const volatile std::byte* byte = file.data() + offset;
      result = std::to_integer<int>(*byte) + 1;
    });
    return fault ? -1 : result;
  };
  EXPECT_EQ(sum(0), 1);
  EXPECT_EQ(sum(kPage), -1);
}

// There is no broken memory at hand, but a process may send itself the signal
// that the kernel would send.
void send_machine_check(int code, const void* address) {
  siginfo_t info = {};
  info.si_signo = SIGBUS;
  info.si_code = code;
  info.si_addr = const_cast<void*>(address);
  ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::gettid(), SIGBUS, &info);
}

TEST(FaultGuard, TellsAMachineCheckFromAMissingPage) {
  const std::byte broken{};
  const std::optional<Fault> fault =
      guard([&] { send_machine_check(BUS_MCEERR_AR, &broken); });
  ASSERT_TRUE(fault);
  EXPECT_TRUE(fault->is_hardware_error);
  EXPECT_EQ(fault->address, &broken);
}

// A full file system has no block for a hole.
TEST(FaultGuard, ReportsAHoleOfAFullFileSystem) {
  support::in_child([] {
    support::enter_private_mounts();
    if (testing::Test::IsSkipped() || testing::Test::HasFatalFailure()) {
      return;
    }
    const support::TempDir mountpoint;
    support::mount_fresh("tmpfs", mountpoint.path(), "size=64k");
    {
      const CutFile file(::open((mountpoint / "sparse").c_str(),
                                O_RDWR | O_CREAT | O_CLOEXEC, 0600),
                         1 << 20);
      const std::string filler = mountpoint / "filler";
      std::ofstream(filler) << std::string(128 << 10, 'x');
      const std::vector<std::byte> ones(2 * kPage, std::byte{1});

      for (const auto& write : {guarded_write, guarded_durable_write}) {
        const std::optional<Fault> fault =
            write(file.bytes(8 * kPage, 2 * kPage), ones);
        ASSERT_TRUE(fault);
        EXPECT_EQ(fault->address, file.data() + 8 * kPage);
        EXPECT_FALSE(fault->is_hardware_error);
      }
      EXPECT_TRUE(guarded_durable_zero(file.bytes(100, 100)));

      ASSERT_EQ(::unlink(filler.c_str()), 0);
      EXPECT_FALSE(guarded_write(file.bytes(8 * kPage, 2 * kPage), ones));
      EXPECT_TRUE(std::ranges::equal(file.bytes(8 * kPage, 2 * kPage), ones));
    }
    ::umount(mountpoint.path().c_str());
  });
}

// Threads.

TEST(FaultGuardThreads, EachGetsItsOwnFault) {
  constexpr std::size_t kThreads = 8;
  const CutFile file(kThreads * kPage);
  file.set_length(0);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::byte byte{};
      for (std::size_t round = 0; round < 500; ++round) {
        const std::span<std::byte> mine = file.bytes(i * kPage + round, 1);
        const std::optional<Fault> fault =
            round % 2 == 0 ? guarded_read({&byte, 1}, mine)
                           : guarded_write(mine, {&byte, 1});
        if (!fault || fault->address != mine.data()) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
}

// Eight threads read and write what a ninth cuts short and extends again.
class TruncationStorm {
 public:
  explicit TruncationStorm(const CutFile& file) : file_(file) {}

  void run() {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i) {
      threads.emplace_back([this, i] { read_on(i); });
      threads.emplace_back([this, i] { write_on(100 + i); });
    }
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (int round = 0; (round < 200 || !has_seen_all()) &&
                        std::chrono::steady_clock::now() < deadline;
         ++round) {
      for (const std::size_t length :
           {std::size_t{0}, kLength, std::size_t{5000}, kLength, 3 * kPage,
            kLength - 1, std::size_t{1}, kLength}) {
        file_.set_length(length);
      }
    }
    done_ = true;
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_TRUE(has_seen_all());
    EXPECT_EQ(wrong_, 0);
  }

  static constexpr std::size_t kLength = 16 * kPage;

 private:
  struct Piece {
    std::size_t offset;
    std::size_t length;
  };

  static Piece any_piece(std::minstd_rand& random) {
    const std::size_t offset = random() % kLength;
    return {offset, 1 + random() % std::min(8 * kPage, kLength - offset)};
  }

  [[nodiscard]] bool has_seen_all() const {
    return whole_reads_ > 200 && cut_reads_ > 200 && whole_writes_ > 200 &&
           cut_writes_ > 200;
  }

  // How many bytes come before the fault, which must be within the piece. (A
  // flush faults at the beginning of the cache line: `slack` bytes early.)
  std::size_t done_before(const std::optional<Fault>& fault, const Piece& piece,
                          std::size_t slack = 0) {
    if (!fault) {
      return piece.length;
    }
    const std::byte* begin = file_.data() + piece.offset;
    if (fault->address < begin - slack ||
        fault->address >= begin + piece.length) {
      ++wrong_;
    }
    return fault->address <= begin
               ? 0
               : static_cast<std::size_t>(fault->address - begin);
  }

  void read_on(unsigned seed) {
    std::minstd_rand random(seed + 1);
    std::vector<std::byte> buffer(8 * kPage);
    while (!done_) {
      const Piece piece = any_piece(random);
      const std::span<std::byte> read(buffer.data(), piece.length);
      std::ranges::fill(read, kUnread);
      const std::optional<Fault> fault =
          guarded_read(read, file_.bytes(piece.offset, piece.length));
      ++(fault ? cut_reads_ : whole_reads_);
      const std::size_t done = done_before(fault, piece);
      for (std::size_t i = 0; i < done; ++i) {
        if (read[i] != std::byte{0} && read[i] != pattern(piece.offset + i)) {
          ++wrong_;
        }
      }
    }
  }

  void write_on(unsigned seed) {
    std::minstd_rand random(seed + 1);
    while (!done_) {
      const Piece piece = any_piece(random);
      const std::span<const std::byte> from(source_.data() + piece.offset,
                                            piece.length);
      const std::span<std::byte> to = file_.bytes(piece.offset, piece.length);
      const bool is_durable = seed % 2 != 0;
      const std::optional<Fault> fault = is_durable
                                             ? guarded_durable_write(to, from)
                                             : guarded_write(to, from);
      ++(fault ? cut_writes_ : whole_writes_);
      done_before(fault, piece, is_durable ? piece.offset % 64 : 0);
    }
  }

  const CutFile& file_;
  const std::vector<std::byte> source_ = pattern_bytes(kLength);
  std::atomic<bool> done_ = false;
  std::atomic<int> whole_reads_ = 0;
  std::atomic<int> cut_reads_ = 0;
  std::atomic<int> whole_writes_ = 0;
  std::atomic<int> cut_writes_ = 0;
  std::atomic<int> wrong_ = 0;
};

void survive_truncation(const CutFile& file) {
  TruncationStorm(file).run();
  file.set_length(TruncationStorm::kLength);
  const std::vector<std::byte> written =
      pattern_bytes(TruncationStorm::kLength);
  EXPECT_FALSE(guarded_write(file.bytes(), written));
  EXPECT_TRUE(std::ranges::equal(file.bytes(), written));
}

TEST(FaultGuardThreads, SurviveTruncationInMemory) {
  survive_truncation(CutFile(TruncationStorm::kLength));
}

TEST(FaultGuardThreads, SurviveTruncationOnDisk) {
  const support::TempDir directory;
  survive_truncation(CutFile(
      ::open((directory / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600),
      TruncationStorm::kLength));
}

// What is not under a guard. The handler is installed once per process, over
// what was there then, so that each scenario needs a process of its own: the
// "threadsafe" style starts this program anew.

using ::testing::ExitedWithCode;
using ::testing::KilledBySignal;

class FaultGuardDeathTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

void expect(bool condition, const char* what) {
  if (!condition) {
    std::fprintf(stderr, "not so: %s\n", what);
    ::_exit(1);
  }
}

// What the process had arranged before the first guard.
void arrange(const struct sigaction& action) {
  const rlimit no_core = {0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  expect(::sigaction(SIGBUS, &action, nullptr) == 0, "sigaction succeeds");
}

void arrange(void (*handler)(int), int flags = 0) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  arrange(action);
}

// Two pages of which the second is not there, and a guard that has seen it.
const CutFile& cut_file() {
  static const auto* const kFile = new CutFile(2 * kPage);
  kFile->set_length(kPage);
  std::byte read{};
  expect(guarded_read({&read, 1}, kFile->bytes(kPage, 1)).has_value(),
         "the guard catches");
  return *kFile;
}

void fault(const CutFile& file) {
  *const_cast<volatile std::byte*>(file.data() + kPage) = std::byte{7};
}

[[noreturn]] void succeed() { ::_exit(0); }

// A handler that repairs what it is called for, so that the access succeeds
// when it is repeated.
namespace recorded {
const CutFile* file_to_extend = nullptr;
volatile std::sig_atomic_t calls = 0;
volatile std::sig_atomic_t signal_number = 0;
volatile std::sig_atomic_t code = 0;
void* volatile address = nullptr;
sigset_t mask;
volatile pid_t thread = 0;
}  // namespace recorded

void record(int signal_number) {
  recorded::calls = recorded::calls + 1;
  recorded::signal_number = signal_number;
  recorded::thread = ::gettid();
  ::pthread_sigmask(SIG_SETMASK, nullptr, &recorded::mask);
  if (recorded::file_to_extend != nullptr &&
      ::ftruncate(recorded::file_to_extend->fd(), 2 * kPage) != 0) {
    ::_exit(2);
  }
}

void record_with_info(int signal_number, siginfo_t* info, void* context) {
  record(signal_number);
  recorded::code = info->si_code;
  recorded::address = info->si_addr;
  expect(context != nullptr, "the handler gets the context");
}

struct sigaction recording_action(int flags) {
  struct sigaction action = {};
  action.sa_flags = flags | SA_SIGINFO;
  action.sa_sigaction = record_with_info;
  return action;
}

TEST_F(FaultGuardDeathTest, LeavesAFaultElsewhereDeadly) {
  EXPECT_EXIT(
      {
        arrange(SIG_DFL);
        fault(cut_file());
        succeed();
      },
      KilledBySignal(SIGBUS), "");
}

TEST_F(FaultGuardDeathTest, LeavesASentSignalDeadly) {
  EXPECT_EXIT(
      {
        arrange(SIG_DFL);
        (void)cut_file();
        ::kill(::getpid(), SIGBUS);
        succeed();
      },
      KilledBySignal(SIGBUS), "");
}

TEST_F(FaultGuardDeathTest, DoesNotTakeASentSignalForAFault) {
  EXPECT_EXIT(
      {
        arrange(SIG_DFL);
        (void)cut_file();
        (void)guard([] { ::raise(SIGBUS); });
        succeed();
      },
      KilledBySignal(SIGBUS), "");
}

TEST_F(FaultGuardDeathTest, LeavesASentSignalIgnored) {
  EXPECT_EXIT(
      {
        arrange(SIG_IGN);
        const CutFile& file = cut_file();
        ::kill(::getpid(), SIGBUS);
        ::raise(SIGBUS);
        std::byte read{};
        expect(guarded_read({&read, 1}, file.bytes(kPage, 1)).has_value(),
               "the guard still catches");
        succeed();
      },
      ExitedWithCode(0), "");
}

TEST_F(FaultGuardDeathTest, LeavesAMachineCheckThatOnlyInformsIgnored) {
  EXPECT_EXIT(
      {
        arrange(SIG_IGN);
        const CutFile& file = cut_file();
        send_machine_check(BUS_MCEERR_AO, file.data());
        expect(!guard([&] { send_machine_check(BUS_MCEERR_AO, file.data()); }),
               "it is no fault of the guarded code");
        succeed();
      },
      ExitedWithCode(0), "");
}

// As the kernel has it: a fault cannot be ignored.
TEST_F(FaultGuardDeathTest, LeavesAFaultDeadlyWhereSignalsAreIgnored) {
  EXPECT_EXIT(
      {
        arrange(SIG_IGN);
        fault(cut_file());
        succeed();
      },
      KilledBySignal(SIGBUS), "");
}

TEST_F(FaultGuardDeathTest, CallsTheHandlerThatWasThere) {
  EXPECT_EXIT(
      {
        arrange(record);
        const CutFile& file = cut_file();
        expect(recorded::calls == 0, "a guarded fault is not the handler's");
        recorded::file_to_extend = &file;
        fault(file);
        expect(recorded::calls == 1, "the handler was called once");
        expect(recorded::signal_number == SIGBUS, "with the signal");
        expect(file.data()[kPage] == std::byte{7}, "the access was repeated");
        succeed();
      },
      ExitedWithCode(0), "");
}

TEST_F(FaultGuardDeathTest, CallsAHandlerWithWhatTheKernelSaid) {
  EXPECT_EXIT(
      {
        arrange(recording_action(0));
        const CutFile& file = cut_file();
        recorded::file_to_extend = &file;
        fault(file);
        expect(recorded::calls == 1, "the handler was called once");
        expect(recorded::signal_number == SIGBUS, "with the signal");
        expect(recorded::code == BUS_ADRERR, "with the code");
        expect(recorded::address == file.data() + kPage, "with the address");
        succeed();
      },
      ExitedWithCode(0), "");
}

TEST_F(FaultGuardDeathTest, CallsTheHandlerForASentSignal) {
  EXPECT_EXIT(
      {
        arrange(recording_action(0));
        const CutFile& file = cut_file();
        ::kill(::getpid(), SIGBUS);
        expect(recorded::calls == 1, "the handler was called");
        expect(recorded::code == SI_USER, "with the code");
        expect(!guard([] { ::raise(SIGBUS); }), "under a guard as well");
        expect(recorded::calls == 2, "the handler was called again");
        file.set_length(kPage);
        std::byte read{};
        expect(guarded_read({&read, 1}, file.bytes(kPage, 1)).has_value(),
               "the guard still catches");
        expect(recorded::calls == 2, "and the handler is not called for it");
        succeed();
      },
      ExitedWithCode(0), "");
}

// A broken page that nobody is accessing now.
TEST_F(FaultGuardDeathTest, CallsTheHandlerForAMachineCheckThatOnlyInforms) {
  EXPECT_EXIT(
      {
        arrange(recording_action(0));
        const CutFile& file = cut_file();
        expect(!guard([&] { send_machine_check(BUS_MCEERR_AO, file.data()); }),
               "it is no fault of the guarded code");
        expect(recorded::calls == 1, "the handler was called");
        expect(recorded::code == BUS_MCEERR_AO, "with the code");
        succeed();
      },
      ExitedWithCode(0), "");
}

TEST_F(FaultGuardDeathTest, RunsTheHandlerUnderItsMask) {
  EXPECT_EXIT(
      {
        struct sigaction action = recording_action(0);
        ::sigaddset(&action.sa_mask, SIGUSR1);
        arrange(action);
        (void)cut_file();
        ::raise(SIGBUS);
        expect(recorded::calls == 1, "the handler was called");
        expect(::sigismember(&recorded::mask, SIGUSR1) == 1,
               "what it asked for is blocked in it");
        expect(::sigismember(&recorded::mask, SIGBUS) == 1,
               "so is the signal itself");
        expect(::sigismember(&recorded::mask, SIGUSR2) == 0, "nothing else is");
        sigset_t after;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
        expect(::sigismember(&after, SIGUSR1) == 0, "unblocked afterwards");
        expect(::sigismember(&after, SIGBUS) == 0, "unblocked afterwards");
        succeed();
      },
      ExitedWithCode(0), "");
}

TEST_F(FaultGuardDeathTest, RunsAHandlerOpenToItselfIfItWantsSo) {
  EXPECT_EXIT(
      {
        arrange(recording_action(SA_NODEFER));
        (void)cut_file();
        ::raise(SIGBUS);
        expect(recorded::calls == 1, "the handler was called");
        expect(::sigismember(&recorded::mask, SIGBUS) == 0,
               "SIGBUS is not blocked in it");
        succeed();
      },
      ExitedWithCode(0), "");
}

TEST_F(FaultGuardDeathTest, CallsAHandlerOnceThatIsForOneCall) {
  EXPECT_EXIT(
      {
        arrange(record, static_cast<int>(SA_RESETHAND));
        (void)cut_file();
        ::raise(SIGBUS);
        std::fprintf(stderr, "calls: %d\n", static_cast<int>(recorded::calls));
        ::raise(SIGBUS);
        succeed();
      },
      KilledBySignal(SIGBUS), "calls: 1");
}

TEST_F(FaultGuardDeathTest, DoesNotCatchForAnotherThread) {
  EXPECT_EXIT(
      {
        arrange(recording_action(0));
        const CutFile& file = cut_file();
        recorded::file_to_extend = &file;
        std::atomic<bool> is_guarding = false;
        std::atomic<bool> may_end = false;
        std::thread other([&] {
          expect(!guard([&] {
            is_guarding = true;
            while (!may_end) {
            }
          }),
                 "the other's guard sees no fault");
        });
        while (!is_guarding) {
        }
        fault(file);
        may_end = true;
        other.join();
        expect(recorded::calls == 1, "the handler was called");
        expect(recorded::thread == ::gettid(), "in the thread of the fault");
        succeed();
      },
      ExitedWithCode(0), "");
}

TEST_F(FaultGuardDeathTest, DiesOfAFaultWhileAnotherThreadIsGuarded) {
  EXPECT_EXIT(
      {
        arrange(SIG_DFL);
        const CutFile& file = cut_file();
        std::atomic<bool> is_guarding = false;
        std::thread other([&] {
          (void)guard([&] {
            is_guarding = true;
            for (;;) {
              ::usleep(1000);
            }
          });
        });
        while (!is_guarding) {
        }
        fault(file);
        succeed();
      },
      KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace pmem
