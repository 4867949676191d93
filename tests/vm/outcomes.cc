#include "vm/outcomes.h"

#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

namespace vm {
namespace {

std::string full_name(const ::testing::TestInfo& test) {
  return std::string(test.test_suite_name()) + "." + test.name();
}

const char* outcome_of(const ::testing::TestResult& result) {
  return result.Skipped() ? "skipped" : result.Passed() ? "passed" : "failed";
}

std::string in_one_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    line += c == '\n' || c == '\t' ? ' ' : c;
  }
  return line;
}

// What GoogleTest printed of its failures, or of being skipped.
std::string why(const ::testing::TestResult& result) {
  std::string all;
  for (int i = 0; i < result.total_part_count(); ++i) {
    const ::testing::TestPartResult& part = result.GetTestPartResult(i);
    if (part.failed() || part.skipped()) {
      all += all.empty() ? "" : "; ";
      all += part.message();
    }
  }
  return in_one_line(all);
}

class TableWriter : public ::testing::EmptyTestEventListener {
 public:
  explicit TableWriter(const std::string& table) : table_(table) {}

  void OnTestEnd(const ::testing::TestInfo& test) override {
    table_ << outcome_of(*test.result()) << '\t' << full_name(test) << '\t'
           << why(*test.result()) << std::endl;
  }

  void OnTestProgramEnd(const ::testing::UnitTest& /*all*/) override {
    table_ << "ended\t-\t" << std::endl;
  }

 private:
  std::ofstream table_;
};

int tell(const std::string& outcome, const std::string& test,
         const std::string& reason) {
  if (outcome == "passed") {
    std::cout << "[       OK ] " << test << " (in the guest)\n";
    return 0;
  }
  if (outcome == "skipped" || outcome == "unavailable") {
    std::cout << "the guest: Skipped\n"
              << reason << "\n\n[  SKIPPED ] " << test << '\n';
    return 0;
  }
  std::cout << reason << "\n[  FAILED  ] " << test << " (in the guest)\n";
  return 1;
}

}  // namespace

::testing::TestEventListener* make_table_writer(const std::string& table) {
  return new TableWriter(table);
}

int report(const std::string& table, const std::string& test) {
  std::ifstream rows(table);
  std::string row;
  while (std::getline(rows, row)) {
    std::istringstream columns(row);
    std::string outcome;
    std::string name;
    std::string reason;
    std::getline(columns, outcome, '\t');
    std::getline(columns, name, '\t');
    std::getline(columns, reason);
    if (name == test || outcome == "unavailable") {
      return tell(outcome, test, reason);
    }
  }
  return tell("failed", test,
              "the guest did not come to this test, as its console tells");
}

}  // namespace vm
