#include "benchmark/report.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace benchmarks {
namespace {

constexpr double kAsFast = 0.97;  // what is less than this slower may be noise

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    const std::size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown CPU";
}

// Three significant digits, with the unit.
std::string duration(double ns) {
  struct Unit {
    double ns;
    const char* name;
  };
  constexpr std::array<Unit, 3> kUnits = {
      {{1e6, "ms"}, {1e3, "us"}, {1, "ns"}}};
  const auto* unit =
      std::find_if(kUnits.begin(), kUnits.end() - 1,
                   [ns](const Unit& candidate) { return ns >= candidate.ns; });
  const double value = ns / unit->ns;
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::array<char, 32> text = {};
  std::snprintf(text.data(), text.size(), "%.*f %s", decimals, value,
                unit->name);
  return text.data();
}

// From the working directory, if the file is below it.
std::string short_path(const std::string& path) {
  const std::string here = std::filesystem::current_path().string() + "/";
  return path.rfind(here, 0) == 0 ? path.substr(here.size()) : path;
}

std::string case_name(const std::string& function, const std::string& size,
                      const std::string& variant) {
  return function + "/" + size + (variant.empty() ? "" : "/" + variant);
}

// Appends what is not yet there.
void add_once(std::vector<std::string>& words, const std::string& word) {
  if (std::find(words.begin(), words.end(), word) == words.end()) {
    words.push_back(word);
  }
}

}  // namespace

bool Report::ReportContext(const Context& /*context*/) {
  const char* const lead = format_ == ReportFormat::kMarkdown ? "* " : "";
  std::printf("%sCPU: %s\n", lead, cpu_name().c_str());
  std::printf("%sours: %s\n", lead, short_path(libraries_.ours.path).c_str());
  std::printf("%stheirs: %s\n", lead,
              short_path(libraries_.theirs.path).c_str());
  std::printf("%sratio: theirs/ours; above 1, ours is faster\n\n", lead);
  if (format_ == ReportFormat::kText) {
    std::printf("%-46s %10s %10s %8s\n", "case", "ours", "theirs", "ratio");
  }
  std::fflush(stdout);
  return true;
}

void Report::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    const std::string& name = run.run_name.function_name;
    if (run.error_occurred) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), run.error_message.c_str());
      ++failures_;
      continue;
    }
    const std::size_t first = name.find('/');
    const std::size_t second = std::min(name.find('/', first + 1), name.size());
    Row row = {name.substr(0, first),
               name.substr(first + 1, second - first - 1),
               name.substr(std::min(second + 1, name.size())),
               run.counters.at("ours_ns"),
               run.counters.at("theirs_ns"),
               run.counters.at("ratio")};
    if (format_ == ReportFormat::kText) {
      std::printf("%-46s %10s %10s %8.3f%s\n", name.c_str(),
                  duration(row.ours_ns).c_str(),
                  duration(row.theirs_ns).c_str(), row.ratio,
                  row.ratio < kAsFast ? "  <" : "");
      std::fflush(stdout);
    }
    rows_.push_back(std::move(row));
  }
}

bool Report::finish() const {
  if (rows_.empty()) {
    std::fprintf(stderr, "no case was measured\n");
    return false;
  }
  if (format_ == ReportFormat::kMarkdown) {
    print_tables();
  }
  print_worst();
  return failures_ == 0;
}

void Report::print_tables() const {
  std::vector<std::string> functions;
  for (const Row& row : rows_) {
    add_once(functions, row.function);
  }
  for (const std::string& function : functions) {
    print_table(function);
  }
}

// A line for each size: the times of the first variant, all ratios.
void Report::print_table(const std::string& function) const {
  std::vector<std::string> sizes;
  std::vector<std::string> variants;
  for (const Row& row : rows_) {
    if (row.function == function) {
      add_once(sizes, row.size);
      add_once(variants, row.variant);
    }
  }
  const std::string& first = variants.front();
  std::printf("### %s\n\n| | ours, %s | theirs, %s |", function.c_str(),
              first.c_str(), first.c_str());
  for (const std::string& variant : variants) {
    std::printf(" %s |", variant.c_str());
  }
  std::printf("\n|--:|--:|--:|");
  for (std::size_t i = 0; i < variants.size(); ++i) {
    std::printf("--:|");
  }
  std::printf("\n");
  for (const std::string& size : sizes) {
    std::printf("| %s |", size.c_str());
    bool is_first = true;
    for (const std::string& variant : variants) {
      const auto row =
          std::find_if(rows_.begin(), rows_.end(), [&](const Row& candidate) {
            return candidate.function == function && candidate.size == size &&
                   candidate.variant == variant;
          });
      if (is_first && row != rows_.end()) {
        std::printf(" %s | %s |", duration(row->ours_ns).c_str(),
                    duration(row->theirs_ns).c_str());
      }
      is_first = false;
      if (row != rows_.end()) {
        std::printf(" %.2f |", row->ratio);
      } else {
        std::printf(" |");
      }
    }
    std::printf("\n");
  }
  std::printf("\n");
}

void Report::print_worst() const {
  const auto less = [](const Row& a, const Row& b) {
    return a.ratio < b.ratio;
  };
  const auto slower =
      std::count_if(rows_.begin(), rows_.end(),
                    [](const Row& row) { return row.ratio < kAsFast; });
  std::vector<Row> sorted = rows_;
  std::sort(sorted.begin(), sorted.end(), less);
  const Row& worst = sorted.front();
  if (format_ == ReportFormat::kText) {
    std::printf("\n");
  }
  std::printf("%zu cases, %td below %.2f, median ratio %.2f\n", sorted.size(),
              slower, kAsFast, sorted[sorted.size() / 2].ratio);
  if (format_ == ReportFormat::kMarkdown) {
    std::printf("\n");
  }
  std::printf("worst ratio: %.2f (%s)\n", worst.ratio,
              case_name(worst.function, worst.size, worst.variant).c_str());
}

}  // namespace benchmarks
