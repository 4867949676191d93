// The report: a row for each case as it was run, or Markdown tables for the
// documents, and last of all the worst ratio.
#pragma once

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "benchmark/library.h"

namespace benchmarks {

enum class ReportFormat { kText, kMarkdown };

class Report : public benchmark::BenchmarkReporter {
 public:
  Report(const Libraries& libraries, ReportFormat format)
      : libraries_(libraries), format_(format) {}

  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;

  // Prints what comes after all rows. REQUIRES: all cases have been run.
  // Returns whether there was at least one case, and none failed.
  [[nodiscard]] bool finish() const;

 private:
  struct Row {
    std::string function;
    std::string size;
    std::string variant;
    double ours_ns;
    double theirs_ns;
    double ratio;
  };

  void print_tables() const;
  void print_table(const std::string& function) const;
  void print_worst() const;

  const Libraries& libraries_;
  ReportFormat format_;
  std::vector<Row> rows_;
  std::size_t failures_ = 0;
};

}  // namespace benchmarks
