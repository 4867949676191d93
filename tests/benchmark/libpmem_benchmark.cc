// Usage: libpmem_benchmark [--pairs=N] [--slice-us=N] [--markdown]
//          [--ours=LIBRARY] [--theirs=LIBRARY] [--benchmark_filter=REGEX ...]
//
// Compares this build's libpmem with the distribution's, both in this process,
// case by case. It is a report, not a test: the exit code is 0 whatever the
// ratios are, and 1 when it could not measure.
#include <benchmark/benchmark.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "benchmark/cases.h"
#include "benchmark/report.h"

namespace {

using benchmarks::ReportFormat;

struct Options {
  std::string ours = PMEMFS_BUILT_LIBPMEM;
  std::string theirs = PMEMFS_DISTRIBUTION_LIBPMEM;
  benchmarks::Plan plan;
  ReportFormat format = ReportFormat::kText;
};

// The value of `--name=value`, if that is what the argument is.
std::optional<std::string> value_of(std::string_view argument,
                                    std::string_view name) {
  if (argument.substr(0, name.size()) != name ||
      argument.substr(name.size(), 1) != "=") {
    return std::nullopt;
  }
  return std::string(argument.substr(name.size() + 1));
}

// Throws std::runtime_error.
long positive_number(const std::string& text, const std::string& option) {
  long number = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number <= 0) {
    throw std::runtime_error(option + " wants a number above 0");
  }
  return number;
}

// Takes an argument that is one of ours.
bool take(const std::string& argument, Options& options) {
  if (argument == "--markdown") {
    options.format = ReportFormat::kMarkdown;
  } else if (const auto pairs = value_of(argument, "--pairs")) {
    options.plan.pairs =
        static_cast<std::size_t>(positive_number(*pairs, "--pairs"));
  } else if (const auto slice = value_of(argument, "--slice-us")) {
    options.plan.slice =
        std::chrono::microseconds(positive_number(*slice, "--slice-us"));
  } else if (const auto ours = value_of(argument, "--ours")) {
    options.ours = *ours;
  } else if (const auto theirs = value_of(argument, "--theirs")) {
    options.theirs = *theirs;
  } else {
    return false;
  }
  return true;
}

// Our arguments; what is left in the list is Google Benchmark's.
Options take_options(std::vector<char*>& arguments) {
  Options options;
  const auto end = std::remove_if(
      arguments.begin() + 1, arguments.end(),
      [&options](const char* argument) { return take(argument, options); });
  arguments.erase(end, arguments.end());
  return options;
}

// Both libraries find the same caches, and no move to another CPU falls into a
// slice. The last CPU is the one that fewest interrupts go to.
void stay_on_one_cpu() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
    return;
  }
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu) {
    if (CPU_ISSET(static_cast<unsigned>(cpu), &allowed)) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(static_cast<unsigned>(cpu), &one);
      ::sched_setaffinity(0, sizeof(one), &one);
      return;
    }
  }
}

bool run(std::vector<char*> arguments) {
  const Options options = take_options(arguments);
  auto count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) {
    return false;
  }
  // Both are to look for themselves. They read it at their first call.
  ::unsetenv("PMEM_IS_PMEM_FORCE");
  stay_on_one_cpu();
  const benchmarks::Context context = {
      benchmarks::load_libraries(options.ours, options.theirs), options.plan};
  const benchmarks::Memory memory;
  benchmarks::add_copy_cases(context, memory);
  benchmarks::add_persist_cases(context, memory);
  benchmarks::add_mapping_cases(context);
  benchmarks::Report report(context.libraries, options.format);
  benchmark::RunSpecifiedBenchmarks(&report);
  return report.finish();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::vector<char*>(argv, argv + argc)) ? EXIT_SUCCESS
                                                      : EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "libpmem_benchmark: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
