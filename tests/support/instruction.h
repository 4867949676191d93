// Decoding of the few x86-64 instructions that the tests look at one by one:
// what an instruction with a ModRM byte has for operands. Prefixes, REX, ModRM,
// SIB and displacement as in chapter 2 of Intel's Software Developer's Manual,
// volume 2. No VEX, no EVEX, no address-size prefix.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace support {

// General registers by their number in machine code: rax, rcx, rdx, rbx, rsp,
// rbp, rsi, rdi, r8 to r15.
using Registers = std::array<std::uint64_t, 16>;

struct Instruction {
  std::size_t length_bytes = 0;
  bool has_operand_size_prefix = false;  // 66
  unsigned reg = 0;                      // of ModRM, with REX.R
  unsigned opcode_extension = 0;         // of ModRM, without REX.R
  std::optional<std::uint64_t> address;  // of the memory operand, if it is one
};

namespace internal {

struct Cursor {
  std::span<const std::uint8_t> code;
  std::size_t at = 0;

  [[nodiscard]] bool is_at_end() const { return at >= code.size(); }
  std::uint8_t next() { return is_at_end() ? 0 : code[at++]; }
  std::int64_t next_displacement(std::size_t bytes) {
    std::int32_t wide = 0;
    if (bytes == 1) {
      return static_cast<std::int8_t>(next());
    }
    std::array<std::uint8_t, 4> raw = {};
    for (std::uint8_t& byte : raw) {
      byte = next();
    }
    std::memcpy(&wide, raw.data(), sizeof wide);
    return wide;
  }
};

}  // namespace internal

// The instruction at the beginning of `code` if its opcode is `opcode` (such as
// 0F AE); nothing for any other. `instruction_pointer` is where it lies.
inline std::optional<Instruction> decode(std::span<const std::uint8_t> code,
                                         std::span<const std::uint8_t> opcode,
                                         const Registers& registers,
                                         std::uint64_t instruction_pointer) {
  internal::Cursor cursor{code};
  Instruction instruction;
  std::uint8_t byte = cursor.next();
  while (byte == 0x66 || byte == 0x3E) {  // 3E: a segment override without use
    instruction.has_operand_size_prefix |= byte == 0x66;
    byte = cursor.next();
  }
  unsigned rex = 0;
  if ((byte & 0xF0) == 0x40) {
    rex = byte;
    byte = cursor.next();
  }
  for (std::size_t i = 0; i < opcode.size(); ++i) {
    if (byte != opcode[i]) {
      return std::nullopt;
    }
    byte = cursor.next();
  }
  const unsigned mod = byte >> 6;
  const unsigned rm = byte & 7U;
  instruction.opcode_extension = (byte >> 3) & 7U;
  instruction.reg = instruction.opcode_extension | ((rex & 4U) << 1);
  if (mod == 3) {
    instruction.length_bytes = cursor.at;
    return instruction;
  }
  std::uint64_t address = 0;
  bool is_relative = false;
  std::size_t displacement_bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;
  if (rm == 4) {
    const unsigned sib = cursor.next();
    const unsigned index = ((sib >> 3) & 7U) | ((rex & 2U) << 2);
    const unsigned base = (sib & 7U) | ((rex & 1U) << 3);
    if (index != 4) {
      address += registers.at(index) << (sib >> 6);
    }
    if ((base & 7U) == 5 && mod == 0) {
      displacement_bytes = 4;
    } else {
      address += registers.at(base);
    }
  } else if (rm == 5 && mod == 0) {
    is_relative = true;
    displacement_bytes = 4;
  } else {
    address += registers.at(rm | ((rex & 1U) << 3));
  }
  if (displacement_bytes > 0) {
    address += static_cast<std::uint64_t>(
        cursor.next_displacement(displacement_bytes));
  }
  instruction.length_bytes = cursor.at;
  if (is_relative) {
    address += instruction_pointer + instruction.length_bytes;
  }
  instruction.address = address;
  return instruction;
}

}  // namespace support
