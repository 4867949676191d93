// pmem_persist of lines that are dirty (a word was stored into each; the store
// is in the time of both libraries) and of lines that are not.
#include <algorithm>
#include <array>
#include <string>

#include "benchmark/cases.h"
#include "benchmark/size_name.h"

namespace benchmarks {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kWindowBytes = 256 << 10;
constexpr std::array<std::size_t, 11> kSizes = {
    kLine, 128,   256,       512,       1024,   4096,
    16384, 65536, 256 << 10, 512 << 10, 1 << 20};

void touch(std::byte* begin, std::size_t size) {
  for (std::size_t at = 0; at < size; at += kLine) {
    *static_cast<volatile std::byte*>(begin + at) = std::byte{1};
  }
}

Slice persists(std::byte* begin, std::size_t size, bool is_dirty) {
  return [=](const Library& library, std::size_t calls) {
    const std::size_t places = std::max<std::size_t>(1, kWindowBytes / size);
    std::size_t place = 0;
    for (std::size_t i = 0; i < calls; ++i) {
      std::byte* const at = begin + place * size;
      if (is_dirty) {
        touch(at, size);
      }
      library.persist(at, size);
      place = place + 1 == places ? 0 : place + 1;
    }
  };
}

}  // namespace

void add_persist_cases(const Context& context, const Memory& memory) {
  for (const std::size_t size : kSizes) {
    const std::string name = "pmem_persist/" + size_name(size);
    std::byte* const begin = memory.target();
    add_case(context, name + "/dirty",
             [=] { return persists(begin, size, true); });
    add_case(context, name + "/dirty,addr+37",
             [=] { return persists(begin + 37, size, true); });
    add_case(context, name + "/clean",
             [=] { return persists(begin, size, false); });
  }
}

}  // namespace benchmarks
