// How two libraries are compared on a machine that others use at the same time:
// in many short slices that take turns, so that whatever slows the machine down
// slows both; the ratio of each pair of slices; and of those the median, which
// the odd interrupted slice does not move.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "benchmark/library.h"

namespace benchmarks {

struct Plan {
  std::size_t pairs = 41;
  std::chrono::nanoseconds slice = std::chrono::microseconds(250);
  // For one case. At least a few pairs are measured all the same.
  std::chrono::nanoseconds limit = std::chrono::seconds(2);
  // What falls below is measured once more, for longer, and then that counts:
  // among a thousand cases some look slow by chance alone.
  double confirm_below = 0.97;
};

struct Measurement {
  double ours_ns = 0;    // one call, median of the slices
  double theirs_ns = 0;  // the same
  double ratio = 0;      // median of theirs/ours: above 1, ours is faster
};

// Makes so many calls into a library, always at the same addresses in the same
// order.
using Slice = std::function<void(const Library& library, std::size_t calls)>;

// Prepares a case; what it needs ends with the slice that it returns.
// May throw std::runtime_error.
using MakeSlice = std::function<Slice()>;

struct Context {
  Libraries libraries;
  Plan plan;
};

[[nodiscard]] Measurement measure(const Context& context, const Slice& slice);

// Hands a case to Google Benchmark, under a name of the form
// FUNCTION/SIZE[/VARIANT]. REQUIRES: the context outlives the run.
void add_case(const Context& context, const std::string& name,
              const MakeSlice& make_slice);

}  // namespace benchmarks
