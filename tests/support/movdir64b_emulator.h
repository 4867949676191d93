// MOVDIR64B for CPUs without it: the invalid-opcode fault is answered by doing
// what the instruction would have done. Slow, but the code under test is the
// code that runs on a CPU that has it.
#pragma once

#include <gtest/gtest.h>
#include <ucontext.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <span>

#include "support/instruction.h"

namespace support {

// In effect as long as it lives; one at a time.
class Movdir64bEmulator {
 public:
  Movdir64bEmulator() {
    struct sigaction action = {};
    action.sa_sigaction = emulate;
    action.sa_flags = SA_SIGINFO;
    EXPECT_EQ(::sigaction(SIGILL, &action, &before_), 0);
  }
  ~Movdir64bEmulator() { ::sigaction(SIGILL, &before_, nullptr); }
  Movdir64bEmulator(const Movdir64bEmulator&) = delete;
  Movdir64bEmulator& operator=(const Movdir64bEmulator&) = delete;

 private:
  static Registers registers_of(const greg_t* saved) {
    constexpr std::array kOrder = {
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
        REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    Registers registers = {};
    for (std::size_t i = 0; i < kOrder.size(); ++i) {
      registers.at(i) = static_cast<std::uint64_t>(saved[kOrder.at(i)]);
    }
    return registers;
  }

  static void emulate(int /*signal*/, siginfo_t* /*info*/, void* context) {
    constexpr std::array<std::uint8_t, 3> kOpcode = {0x0F, 0x38, 0xF8};
    constexpr std::size_t kLongestInstruction = 15;
    greg_t* saved = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    const auto pointer = static_cast<std::uint64_t>(saved[REG_RIP]);
    const Registers registers = registers_of(saved);
    const auto found = decode(
        {reinterpret_cast<const std::uint8_t*>(pointer), kLongestInstruction},
        kOpcode, registers, pointer);
    const std::uint64_t to = found ? registers.at(found->reg) : 1;
    if (!found || !found->address || !found->has_operand_size_prefix ||
        to % 64 != 0) {
      std::signal(SIGILL, SIG_DFL);  // happens again, and ends the process
      return;
    }
    // All of it is read before any of it is written.
    std::array<std::uint8_t, 64> line;
    std::memcpy(line.data(), reinterpret_cast<const void*>(*found->address),
                line.size());
    std::memcpy(reinterpret_cast<void*>(to), line.data(), line.size());
    saved[REG_RIP] += static_cast<greg_t>(found->length_bytes);
  }

  struct sigaction before_ = {};
};

}  // namespace support
