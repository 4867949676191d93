// pmem_is_pmem with 1, 100 and 10,000 mappings, pmem_map_file with pmem_unmap.
//
// The original remembers only mappings that are persistent memory, ours all of
// them. So that the question is the same for both, the mappings of
// pmem_is_pmem are made with MAP_SYNC pretended (map_sync.h): every one is
// remembered by the library that made it, and answered 1. Each library has as
// many of its own, each of a file of its own, and is asked for them in the same
// random order; or for memory that it never mapped.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "benchmark/cases.h"
#include "benchmark/map_sync.h"
#include "support/temp_dir.h"

namespace benchmarks {
namespace {

constexpr std::size_t kFileBytes = 4096;

[[noreturn]] void fail(const Library& library, const std::string& doing) {
  throw std::runtime_error(doing + ": " + library.errormsg());
}

// Files of one page on tmpfs, mapped by one library. Their names are gone as
// soon as they are mapped, so that nothing stays behind whatever happens.
class Mappings {
 public:
  Mappings(const Library& library, std::size_t count) : library_(library) {
    const support::TempDir directory("/dev/shm");
    const PretendedMapSync pretended;
    for (std::size_t i = 0; i < count; ++i) {
      add(directory / "file");
    }
  }
  Mappings(const Mappings&) = delete;
  Mappings& operator=(const Mappings&) = delete;
  ~Mappings() {
    for (void* const address : addresses_) {
      library_.unmap(address, kFileBytes);
    }
  }

  [[nodiscard]] const void* operator[](std::size_t i) const {
    return addresses_[i];
  }

 private:
  void add(const std::string& path) {
    int is_pmem = 0;
    void* const address =
        library_.map_file(path.c_str(), kFileBytes,
                          PMEM_FILE_CREATE | PMEM_FILE_EXCL | PMEM_FILE_SPARSE,
                          0600, nullptr, &is_pmem);
    if (address == nullptr) {
      fail(library_, "mapping " + path);
    }
    addresses_.push_back(address);
    ::unlink(path.c_str());
    if (is_pmem != 1) {
      throw std::runtime_error(library_.path +
                               " does not take MAP_SYNC memory for pmem");
    }
  }

  const Library& library_;
  std::vector<void*> addresses_;
};

std::vector<std::size_t> random_order(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  return order;
}

// What one library is asked: addresses in turn, and what it must answer.
struct Questions {
  explicit Questions(const Library& library, std::size_t count)
      : mappings(library, count) {}
  Mappings mappings;
  std::vector<const void*> addresses;
  int answer = 0;
};

void ask(const Library& library, const Questions& questions,
         std::size_t calls) {
  const std::size_t count = questions.addresses.size();
  std::size_t at = 0;
  bool is_right = true;
  for (std::size_t i = 0; i < calls; ++i) {
    is_right = is_right && library.is_pmem(questions.addresses[at],
                                           kFileBytes) == questions.answer;
    at = at + 1 == count ? 0 : at + 1;
  }
  if (!is_right) {
    throw std::runtime_error("a wrong answer of " + library.path);
  }
}

// What is asked about: the mappings; or memory that no library has mapped, this
// program's data (below all mappings) or its stack (above them).
enum class Subject { kMapped, kData, kStack };

std::vector<const void*> addresses_of(const Mappings& mappings,
                                      std::size_t count, Subject subject) {
  switch (subject) {
    case Subject::kData:
      return {&kFileBytes};
    case Subject::kStack:
      return {__builtin_frame_address(0)};
    case Subject::kMapped:
      break;
  }
  std::vector<const void*> addresses;
  for (const std::size_t i : random_order(count)) {
    addresses.push_back(mappings[i]);
  }
  return addresses;
}

std::shared_ptr<Questions> prepare(const Library& library, std::size_t count,
                                   Subject subject) {
  auto questions = std::make_shared<Questions>(library, count);
  questions->answer = subject == Subject::kMapped ? 1 : 0;
  questions->addresses = addresses_of(questions->mappings, count, subject);
  return questions;
}

Slice lookups(const Context& context, std::size_t count, Subject subject) {
  const Library* const ours = &context.libraries.ours;
  const auto our_questions = prepare(*ours, count, subject);
  const auto their_questions =
      prepare(context.libraries.theirs, count, subject);
  return [=](const Library& library, std::size_t calls) {
    ask(library, &library == ours ? *our_questions : *their_questions, calls);
  };
}

// One existing file, mapped and unmapped. `pretended` is null where MAP_SYNC is
// refused, as tmpfs does.
Slice maps(const std::shared_ptr<PretendedMapSync>& pretended,
           std::size_t file_bytes) {
  const auto directory = std::make_shared<support::TempDir>("/dev/shm");
  const std::string path = *directory / "file";
  std::vector<char> content(file_bytes, 'x');
  FILE* const file = std::fopen(path.c_str(), "w");
  const bool is_written =
      file != nullptr &&
      std::fwrite(content.data(), 1, file_bytes, file) == file_bytes;
  if (file == nullptr || std::fclose(file) != 0 || !is_written) {
    throw std::runtime_error("making " + path);
  }
  return
      [directory, pretended, path](const Library& library, std::size_t calls) {
        for (std::size_t i = 0; i < calls; ++i) {
          std::size_t length = 0;
          int is_pmem = 0;
          void* const address =
              library.map_file(path.c_str(), 0, 0, 0, &length, &is_pmem);
          if (address == nullptr || library.unmap(address, length) != 0) {
            fail(library, "mapping and unmapping " + path);
          }
        }
      };
}

}  // namespace

void add_mapping_cases(const Context& context) {
  for (const std::size_t count : {1U, 100U, 10000U}) {
    const std::string name = "pmem_is_pmem/" + std::to_string(count);
    add_case(context, name + "/mapped", [&context, count] {
      return lookups(context, count, Subject::kMapped);
    });
    add_case(context, name + "/data", [&context, count] {
      return lookups(context, count, Subject::kData);
    });
    add_case(context, name + "/stack", [&context, count] {
      return lookups(context, count, Subject::kStack);
    });
  }
  const std::string name = "pmem_map_file,pmem_unmap/";
  for (const std::size_t kibibytes : {4U, 1024U}) {
    const std::string size = kibibytes == 4 ? "4Ki" : "1Mi";
    add_case(context, name + size + "/page_cache",
             [kibibytes] { return maps(nullptr, kibibytes << 10); });
    add_case(context, name + size + "/map_sync", [kibibytes] {
      return maps(std::make_shared<PretendedMapSync>(), kibibytes << 10);
    });
  }
}

}  // namespace benchmarks
