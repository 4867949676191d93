// Operations as lines of text, to be read by people and to be played again:
//
//   pwrite file=1 offset=4000 length=97 value=3
//
// Fields that are 0 or empty are left out. An Operation has a `kind`, whose
// names are Operation::kNames, and fields that Operation::for_each_field()
// visits: numbers and words without blanks. Free functions; any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace random_tests {

namespace internal {

struct FieldWriter {
  std::ostringstream& text;

  void operator()(const char* name, const std::uint64_t& number) const {
    if (number != 0) {
      text << ' ' << name << '=' << number;
    }
  }
  void operator()(const char* name, const std::string& word) const {
    if (!word.empty()) {
      text << ' ' << name << '=' << word;
    }
  }
};

struct FieldReader {
  const std::string& name;
  const std::string& value;
  bool& is_known;

  void operator()(const char* field, std::uint64_t& number) const {
    if (name == field) {
      number = std::stoull(value);
      is_known = true;
    }
  }
  void operator()(const char* field, std::string& word) const {
    if (name == field) {
      word = value;
      is_known = true;
    }
  }
};

}  // namespace internal

template <typename Operation>
std::string to_text(const Operation& operation) {
  std::ostringstream text;
  text << Operation::kNames.at(static_cast<std::size_t>(operation.kind));
  Operation::for_each_field(operation, internal::FieldWriter{text});
  return text.str();
}

template <typename Operation>
std::string to_text(const std::vector<Operation>& operations) {
  std::string text;
  for (const Operation& operation : operations) {
    text += "  " + to_text(operation) + "\n";
  }
  return text;
}

// Throws std::runtime_error for what is none.
template <typename Operation>
Operation operation_from(const std::string& line) {
  std::istringstream words(line);
  std::string word;
  words >> word;
  const auto* const kind =
      std::find(Operation::kNames.begin(), Operation::kNames.end(), word);
  if (kind == Operation::kNames.end()) {
    throw std::runtime_error("no operation: " + line);
  }
  Operation operation;
  operation.kind = static_cast<decltype(operation.kind)>(
      std::distance(Operation::kNames.begin(), kind));
  while (words >> word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const std::string value =
        equals == std::string::npos ? "" : word.substr(equals + 1);
    bool is_known = false;
    Operation::for_each_field(operation,
                              internal::FieldReader{name, value, is_known});
    if (!is_known) {
      throw std::runtime_error("no field " + name + ": " + line);
    }
  }
  return operation;
}

// Those of a file, one a line.
template <typename Operation>
std::vector<Operation> operations_of_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error(path + " cannot be read");
  }
  std::vector<Operation> operations;
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of(' ') != std::string::npos) {
      operations.push_back(operation_from<Operation>(line));
    }
  }
  return operations;
}

}  // namespace random_tests
