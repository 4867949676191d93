// Whether a flush really flushes its operand. No result shows it: a program
// whose flush instruction has the wrong address works until the power fails. So
// a child process runs the code instruction by instruction, and the machine
// code and the registers tell which cache lines were written back.
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "persist_backend.h"
#include "pmem/persist.h"
#include "support/instruction.h"
#include "support/sanitizers.h"
#include "support/streamed_lines.h"

namespace pmem {
namespace {

constexpr std::size_t kLine = kCacheLineBytes;

support::Registers general_registers(const user_regs_struct& from) {
  return {from.rax, from.rcx, from.rdx, from.rbx, from.rsp, from.rbp,
          from.rsi, from.rdi, from.r8,  from.r9,  from.r10, from.r11,
          from.r12, from.r13, from.r14, from.r15};
}

// An instruction of the 0F AE group that this test knows.
struct Step {
  std::string name;
  std::uint64_t address = 0;
};

std::optional<Step> step_at(const user_regs_struct& registers,
                            std::span<const std::uint8_t> code) {
  constexpr std::array<std::uint8_t, 2> kGroup = {0x0F, 0xAE};
  const auto found = support::decode(code, kGroup, general_registers(registers),
                                     registers.rip);
  if (!found) {
    return std::nullopt;
  }
  const bool prefixed = found->has_operand_size_prefix;
  if (found->address && found->opcode_extension == 7) {
    return Step{prefixed ? "clflushopt" : "clflush", *found->address};
  }
  if (found->address && found->opcode_extension == 6 && prefixed) {
    return Step{"clwb", *found->address};
  }
  if (!found->address && found->opcode_extension == 7 && !prefixed) {
    return Step{"sfence", 0};
  }
  return std::nullopt;
}

// Runs the code in a child, step by step, and gives the instructions of that
// group which it ran, in order. Nothing where tracing is not permitted.
std::optional<std::vector<Step>> trace(const std::function<void()>& code) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
      ::_exit(1);
    }
    ::raise(SIGSTOP);
    code();
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  if (!WIFSTOPPED(status)) {
    return std::nullopt;
  }
  std::vector<Step> steps;
  for (;;) {
    if (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0 ||
        ::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) {
      ADD_FAILURE() << "the child is lost: " << std::strerror(errno);
      return steps;
    }
    if (WSTOPSIG(status) == SIGSTOP) {
      break;
    }
    user_regs_struct registers = {};
    ::ptrace(PTRACE_GETREGS, child, nullptr, &registers);
    std::array<std::uint8_t, 15> machine_code = {};
    iovec to = {machine_code.data(), machine_code.size()};
    iovec from = {reinterpret_cast<void*>(registers.rip), machine_code.size()};
    const ssize_t length = ::process_vm_readv(child, &to, 1, &from, 1, 0);
    if (length <= 0) {
      continue;  // the kernel's page of system calls
    }
    const auto step = step_at(
        registers, {machine_code.data(), static_cast<std::size_t>(length)});
    if (step) {
      steps.push_back(*step);
    }
  }
  ::ptrace(PTRACE_CONT, child, nullptr, nullptr);
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return steps;
}

struct Range {
  std::size_t begin;
  std::size_t length;
};

std::vector<Range> ranges() {
  if (support::kHasSanitizer) {  // each instruction of theirs is a step, too
    return {{0, 1}, {63, 2}, {37, 200}, {0, 256}, {5, 1000}};
  }
  return {{0, 1},    {63, 1},  {0, 64},   {1, 64},   {63, 2},   {8, 8},
          {60, 8},   {0, 128}, {37, 200}, {0, 255},  {0, 256},  {1, 256},
          {17, 300}, {0, 512}, {5, 1000}, {64, 640}, {63, 4034}};
}

// The lines of a range, each with how often it is written back.
std::map<std::uint64_t, int> lines_of(const std::byte* begin,
                                      std::size_t length) {
  std::map<std::uint64_t, int> lines;
  const auto first = reinterpret_cast<std::uintptr_t>(begin) / kLine * kLine;
  const auto end = reinterpret_cast<std::uintptr_t>(begin) + length;
  for (std::uintptr_t line = first; line < end; line += kLine) {
    lines[line] = 1;
  }
  return lines;
}

std::map<std::uint64_t, int> flushed_lines(const std::vector<Step>& steps,
                                           const std::string& instruction) {
  std::map<std::uint64_t, int> lines;
  for (const Step& step : steps) {
    if (step.name == "sfence") {
      continue;
    }
    EXPECT_EQ(step.name, instruction);
    ++lines[step.address / kLine * kLine];
  }
  return lines;
}

class FlushInstructions : public ::testing::TestWithParam<const FlushBackend*> {
 protected:
  void SetUp() override {
    if (!GetParam()->is_supported()) {
      GTEST_SKIP() << "this CPU has no " << GetParam()->name;
    }
    if (!trace([] {})) {
      GTEST_SKIP() << "no process may be traced here: " << std::strerror(errno);
    }
  }

  alignas(kLine) std::array<std::byte, 4352> target_ = {};
  std::array<std::byte, 4352> source_ = {};
};

TEST_P(FlushInstructions, FlushEachLineOfTheRangeOnce) {
  const FlushBackend& backend = *GetParam();
  for (const Range& range : ranges()) {
    std::byte* begin = target_.data() + range.begin;
    const auto steps = trace([&] { backend.flush(begin, range.length); });
    ASSERT_EQ(flushed_lines(*steps, backend.name),
              lines_of(begin, range.length))
        << range.length << " bytes at +" << range.begin;
  }
}

TEST_P(FlushInstructions, FlushWhatEachBackendCopiesAndFills) {
  const FlushBackend& backend = *GetParam();
  for (const CopyBackend* copier :
       {&kAvx512f, &kAvx, &kSse2, &kPortable, &kLibc}) {
    if (!copier->is_supported()) {
      continue;
    }
    const CopyFunctions& functions = copier->with(backend.kind);
    for (const Range& range : ranges()) {
      std::byte* begin = target_.data() + range.begin;
      const auto copied =
          trace([&] { functions.copy(begin, source_.data(), range.length); });
      ASSERT_EQ(flushed_lines(*copied, backend.name),
                lines_of(begin, range.length))
          << copier->name << ": copy of " << range.length << " bytes to +"
          << range.begin;
      const auto filled =
          trace([&] { functions.fill(begin, 1, range.length); });
      ASSERT_EQ(flushed_lines(*filled, backend.name),
                lines_of(begin, range.length))
          << copier->name << ": fill of " << range.length << " bytes at +"
          << range.begin;
    }
  }
}

// What does not fill a line goes through the caches; the lines between do not.
TEST_P(FlushInstructions, FlushTheEndsOfStreams) {
  const FlushBackend& backend = *GetParam();
  for (const CopyBackend* copier : {&kAvx512f, &kAvx, &kSse2}) {
    if (!copier->is_supported()) {
      continue;
    }
    const CopyFunctions& functions = copier->with(backend.kind);
    for (const Range& range : ranges()) {
      std::byte* begin = target_.data() + range.begin;
      std::map<std::uint64_t, int> ends = lines_of(begin, range.length);
      const auto address = reinterpret_cast<std::uintptr_t>(begin);
      std::erase_if(ends, [&](const auto& line) {
        return support::streams_line(*copier, line.first, address,
                                     address + range.length);
      });
      const auto copied = trace(
          [&] { functions.stream_copy(begin, source_.data(), range.length); });
      ASSERT_EQ(flushed_lines(*copied, backend.name), ends)
          << copier->name << ": copy of " << range.length << " bytes to +"
          << range.begin;
      const auto filled =
          trace([&] { functions.stream_fill(begin, 1, range.length); });
      ASSERT_EQ(flushed_lines(*filled, backend.name), ends)
          << copier->name << ": fill of " << range.length << " bytes at +"
          << range.begin;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Persist, FlushInstructions,
                         ::testing::Values(&kClwb, &kClflushopt, &kClflush),
                         [](const auto& row) {
                           return std::string(row.param->name);
                         });

TEST(FenceInstruction, ComesBehindTheFlushes) {
  alignas(kLine) static std::array<std::byte, 256> memory = {};
  const auto steps = trace([] { persist(memory.data(), 256); });
  if (!steps) {
    GTEST_SKIP() << "no process may be traced here";
  }
  ASSERT_FALSE(steps->empty());
  EXPECT_EQ(steps->back().name, "sfence");
}

}  // namespace
}  // namespace pmem
