// Copies and fills. Successive calls go to successive places, as an appended
// log or a table of records does: the same few lines over and over would
// measure how soon a line can be written again after a flush. Small copies go
// round in a window that fits the second-level cache; large ones stay in one
// place, which is as large as a cache or larger.
#include <algorithm>
#include <array>
#include <string>

#include "benchmark/cases.h"
#include "benchmark/size_name.h"

namespace benchmarks {
namespace {

constexpr std::array<std::size_t, 20> kSizes = {
    8,     16,    32,        63,      64,       100,         128,
    200,   255,   256,       512,     1000,     1024,        4096,
    16384, 65536, 256 << 10, 1 << 20, 16 << 20, kLargestCopy};

constexpr std::size_t kWindowBytes = 256 << 10;
constexpr std::size_t kCallsPerDrain = 16;

using Copy = decltype(Library::memcpy_persist) Library::*;
using Fill = decltype(Library::memset_persist) Library::*;

// The places that calls of one case go to in turn.
class Ring {
 public:
  explicit Ring(std::size_t bytes_per_call)
      : stride_((bytes_per_call + 63) / 64 * 64 + 64),
        places_(std::max<std::size_t>(1, kWindowBytes / stride_)) {}

  // The offset of the next place.
  [[nodiscard]] std::size_t next() {
    const std::size_t place = at_;
    at_ = at_ + 1 == places_ ? 0 : at_ + 1;
    return place * stride_;
  }

 private:
  std::size_t stride_;
  std::size_t places_;
  std::size_t at_ = 0;
};

// Drains as a program does that has several things to make durable together.
class Drainer {
 public:
  Drainer(const Library& library, bool is_needed)
      : library_(library), is_needed_(is_needed) {}
  Drainer(const Drainer&) = delete;
  Drainer& operator=(const Drainer&) = delete;
  ~Drainer() {
    if (is_needed_) {
      library_.drain();
    }
  }

  void after_a_call() {
    if (is_needed_ && ++calls_ % kCallsPerDrain == 0) {
      library_.drain();
    }
  }

 private:
  const Library& library_;
  bool is_needed_;
  std::size_t calls_ = 0;
};

struct Form {
  const char* name;
  Copy copy;
  bool needs_drain;
};

struct FillForm {
  const char* name;
  Fill fill;
  bool needs_drain;
};

struct Alignment {
  const char* name;
  std::size_t target;
  std::size_t source;
};

constexpr std::array<Alignment, 5> kAlignments = {{
    {"dest+0", 0, 0},
    {"dest+1", 1, 0},
    {"dest+8", 8, 0},
    {"dest+37", 37, 0},
    {"src+13", 0, 13},
}};

// Of targets, where both ends move together or there is one only.
constexpr std::array<std::size_t, 4> kOffsets = {0, 1, 8, 37};

Slice copies_apart(const Form& form, std::byte* to, const std::byte* from,
                   std::size_t size) {
  return [=](const Library& library, std::size_t calls) {
    const auto copy = library.*form.copy;
    Drainer drainer(library, form.needs_drain);
    Ring ring(size);
    for (std::size_t i = 0; i < calls; ++i) {
      const std::size_t place = ring.next();
      copy(to + place, from + place, size);
      drainer.after_a_call();
    }
  };
}

// Both ends in the target's memory, `shift` apart: positive is a move towards
// lower addresses, which a front-to-back copy can do.
Slice copies_overlapping(const Form& form, std::byte* base, std::size_t size,
                         std::ptrdiff_t shift) {
  const auto distance = static_cast<std::size_t>(shift < 0 ? -shift : shift);
  std::byte* const to = shift < 0 ? base + distance : base;
  const std::byte* const from = shift < 0 ? base : base + distance;
  return [=](const Library& library, std::size_t calls) {
    const auto copy = library.*form.copy;
    Drainer drainer(library, form.needs_drain);
    Ring ring(size + distance);
    for (std::size_t i = 0; i < calls; ++i) {
      const std::size_t place = ring.next();
      copy(to + place, from + place, size);
      drainer.after_a_call();
    }
  };
}

Slice fills(const FillForm& form, std::byte* to, std::size_t size) {
  return [=](const Library& library, std::size_t calls) {
    const auto fill = library.*form.fill;
    Drainer drainer(library, form.needs_drain);
    Ring ring(size);
    for (std::size_t i = 0; i < calls; ++i) {
      fill(to + ring.next(), 0x5a, size);
      drainer.after_a_call();
    }
  };
}

std::string case_name(const std::string& function, std::size_t size,
                      const std::string& variant) {
  return function + "/" + size_name(size) + "/" + variant;
}

void add_copies_apart(const Context& context, const Memory& memory,
                      const Form& form) {
  for (const std::size_t size : kSizes) {
    for (const Alignment& alignment : kAlignments) {
      std::byte* const to = memory.target() + alignment.target;
      const std::byte* const from = memory.source() + alignment.source;
      add_case(context, case_name(form.name, size, alignment.name),
               [=] { return copies_apart(form, to, from, size); });
    }
  }
}

// Moved by half the length, and by 8 bytes as an insertion into an array.
void add_overlapping_moves(const Context& context, const Memory& memory,
                           const Form& form, bool is_backward) {
  const std::string function =
      std::string(form.name) + (is_backward ? ".backward" : ".forward");
  for (const std::size_t size : kSizes) {
    const auto half = static_cast<std::ptrdiff_t>(size / 2);
    for (const std::size_t offset : kOffsets) {
      std::byte* const base = memory.target() + offset;
      const std::string place = "dest+" + std::to_string(offset);
      const std::ptrdiff_t shift = is_backward ? -half : half;
      add_case(context, case_name(function, size, place),
               [=] { return copies_overlapping(form, base, size, shift); });
    }
    if (size > 8) {
      std::byte* const base = memory.target();
      const std::ptrdiff_t shift = is_backward ? -8 : 8;
      add_case(context, case_name(function, size, "by_8"),
               [=] { return copies_overlapping(form, base, size, shift); });
    }
  }
}

void add_fills(const Context& context, const Memory& memory,
               const FillForm& form) {
  for (const std::size_t size : kSizes) {
    for (const std::size_t offset : kOffsets) {
      std::byte* const to = memory.target() + offset;
      add_case(context,
               case_name(form.name, size, "dest+" + std::to_string(offset)),
               [=] { return fills(form, to, size); });
    }
  }
}

}  // namespace

void add_copy_cases(const Context& context, const Memory& memory) {
  const Form memmove_persist = {"pmem_memmove_persist",
                                &Library::memmove_persist, false};
  add_copies_apart(context, memory,
                   {"pmem_memcpy_persist", &Library::memcpy_persist, false});
  add_copies_apart(context, memory, memmove_persist);
  add_overlapping_moves(context, memory, memmove_persist, false);
  add_overlapping_moves(context, memory, memmove_persist, true);
  add_fills(context, memory,
            {"pmem_memset_persist", &Library::memset_persist, false});
  add_copies_apart(context, memory,
                   {"pmem_memcpy_nodrain", &Library::memcpy_nodrain, true});
  add_copies_apart(context, memory,
                   {"pmem_memmove_nodrain", &Library::memmove_nodrain, true});
  add_fills(context, memory,
            {"pmem_memset_nodrain", &Library::memset_nodrain, true});
}

}  // namespace benchmarks
