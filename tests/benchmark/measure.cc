#include "benchmark/measure.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace benchmarks {
namespace {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::duration<double, std::nano>;

constexpr std::size_t kFewestPairs = 5;
// Where one library is many times slower, its slices are this much longer.
constexpr double kLongestSlice = 20;

Nanoseconds time_of(const Slice& slice, const Library& library,
                    std::size_t calls) {
  const Clock::time_point begin = Clock::now();
  slice(library, calls);
  return Clock::now() - begin;
}

// So many that the faster library fills a slice.
std::size_t calls_in_a_slice(const Context& context, const Slice& slice) {
  const Nanoseconds wanted = context.plan.slice;
  std::size_t calls = 1;
  slice(context.libraries.ours, calls);
  slice(context.libraries.theirs, calls);
  for (;;) {
    const Nanoseconds ours = time_of(slice, context.libraries.ours, calls);
    const Nanoseconds theirs = time_of(slice, context.libraries.theirs, calls);
    const Nanoseconds faster = std::min(ours, theirs);
    const Nanoseconds slower = std::max(ours, theirs);
    if (faster * 2 >= wanted || slower >= wanted * kLongestSlice) {
      const double scale =
          std::min(wanted / faster, wanted * kLongestSlice / slower);
      return std::max<std::size_t>(
          1, static_cast<std::size_t>(static_cast<double>(calls) * scale));
    }
    calls *= 2;
  }
}

double median(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Measurement measure_pairs(const Context& context, const Slice& slice,
                          std::size_t calls, std::size_t pairs) {
  std::vector<double> ours;
  std::vector<double> theirs;
  std::vector<double> ratios;
  const Clock::time_point end = Clock::now() + context.plan.limit;
  while (ratios.size() < pairs &&
         (ratios.size() < kFewestPairs || Clock::now() < end)) {
    Nanoseconds our_time = {};
    Nanoseconds their_time = {};
    // Each is as often the first as the second.
    if (ratios.size() % 2 == 0) {
      our_time = time_of(slice, context.libraries.ours, calls);
      their_time = time_of(slice, context.libraries.theirs, calls);
    } else {
      their_time = time_of(slice, context.libraries.theirs, calls);
      our_time = time_of(slice, context.libraries.ours, calls);
    }
    ours.push_back(our_time.count() / static_cast<double>(calls));
    theirs.push_back(their_time.count() / static_cast<double>(calls));
    ratios.push_back(their_time / our_time);
  }
  return {median(ours), median(theirs), median(ratios)};
}

void run_case(benchmark::State& state, const Context& context,
              const MakeSlice& make_slice) {
  for ([[maybe_unused]] auto once : state) {
    try {
      const Measurement found = measure(context, make_slice());
      state.SetIterationTime(found.ours_ns * 1e-9);
      state.counters["ours_ns"] = found.ours_ns;
      state.counters["theirs_ns"] = found.theirs_ns;
      state.counters["ratio"] = found.ratio;
    } catch (const std::runtime_error& error) {
      state.SkipWithError(error.what());
    }
  }
}

}  // namespace

Measurement measure(const Context& context, const Slice& slice) {
  const std::size_t calls = calls_in_a_slice(context, slice);
  const Measurement found =
      measure_pairs(context, slice, calls, context.plan.pairs);
  if (found.ratio >= context.plan.confirm_below) {
    return found;
  }
  return measure_pairs(context, slice, calls, context.plan.pairs * 3);
}

void add_case(const Context& context, const std::string& name,
              const MakeSlice& make_slice) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [&context, make_slice](benchmark::State& state) {
                                 run_case(state, context, make_slice);
                               })
      ->Iterations(1)
      ->UseManualTime();
}

}  // namespace benchmarks
