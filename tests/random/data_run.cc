#include "random/data_run.h"

#include <atomic>
#include <exception>
#include <filesystem>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

#include "random/data_files.h"
#include "random/data_generator.h"
#include "random/operation_text.h"
#include "random/seed.h"
#include "random/shrink.h"

namespace random_tests {
namespace {

// One thread's part of a run.
struct Part {
  std::uint64_t done = 0;  // operations, with the one that failed
  std::string failure;
};

void work(const DataRun& run, std::uint64_t thread, DataFiles& files,
          std::atomic<bool>& has_failed, Part& part) {
  DataGenerator generator(run.seed, run.layout, thread);
  const std::uint64_t count = run.operations / run.layout.threads;
  try {
    while (part.done < count && part.failure.empty() && !has_failed) {
      const DataOperation operation = generator.next();
      ++part.done;
      part.failure = files.apply(operation);
    }
  } catch (const std::exception& error) {
    part.failure = error.what();
  }
  if (!part.failure.empty()) {
    has_failed = true;
  }
}

// The last operations of a thread.
std::string tail_of(const DataRun& run, std::uint64_t thread,
                    std::uint64_t done) {
  constexpr std::size_t kFew = 20;
  const std::vector<DataOperation> all =
      first_operations(run.seed, run.layout, thread, done);
  return to_text(internal::tail_of(all, std::min(kFew, all.size())));
}

std::string shrunk_to(const DataRun& run, std::uint64_t thread,
                      std::uint64_t done) {
  unsigned attempt = 0;
  const auto fails = [&](const std::vector<DataOperation>& operations) {
    return run.is_alive()
               ? play_data(run, operations,
                           "again-" + std::to_string(++attempt) + "-")
               : "";
  };
  const Shrunk<DataOperation> shrunk =
      shrink(first_operations(run.seed, run.layout, thread, done), fails);
  if (shrunk.failure.empty()) {
    return "It does not come again with this thread alone.\n";
  }
  return "Alone, these " + std::to_string(shrunk.operations.size()) +
         " operations show it: " + shrunk.failure + "\n" +
         to_text(shrunk.operations);
}

std::string report(const DataRun& run, const std::vector<Part>& parts) {
  std::ostringstream text;
  for (std::uint64_t thread = 0; thread < parts.size(); ++thread) {
    const Part& part = parts[thread];
    if (part.failure.empty()) {
      continue;
    }
    text << "thread " << thread << ", operation " << part.done << ": "
         << part.failure << "\n"
         << (run.is_alive() ? shrunk_to(run, thread, part.done)
                            : "The file system does not answer any more.\n")
         << "The last operations in the run were:\n";
    for (std::uint64_t other = 0; other < parts.size(); ++other) {
      text << " thread " << other << ":\n"
           << tail_of(run, other, parts[other].done);
    }
    break;
  }
  std::string words = text.str();
  return words.empty() ? ""
                       : how_to_repeat(run.seed, run.operations) + "\n" + words;
}

}  // namespace

std::string play_data(const DataRun& run,
                      const std::vector<DataOperation>& operations,
                      const std::string& prefix) {
  std::string failure;
  {
    SharedFiles shared(run.place, run.layout, prefix);
    DataFiles files(run.place, run.layout, shared, prefix);
    for (const DataOperation& operation : operations) {
      failure = files.apply(operation);
      if (!failure.empty()) {
        break;
      }
    }
    if (failure.empty()) {
      failure = files.finish(true);
    }
  }
  for (std::uint64_t i = 0; i < run.layout.files.size(); ++i) {
    for (const std::string& name :
         {prefix + std::to_string(i), prefix + "shared-" + std::to_string(i)}) {
      std::error_code ignored;
      std::filesystem::remove(run.place.seen + "/" + name, ignored);
    }
  }
  return failure;
}

std::string run_data(const DataRun& run) {
  SharedFiles shared(run.place, run.layout, "");
  std::vector<std::unique_ptr<DataFiles>> files;
  std::vector<Part> parts(run.layout.threads);
  for (std::uint64_t thread = 0; thread < run.layout.threads; ++thread) {
    files.push_back(
        std::make_unique<DataFiles>(run.place, run.layout, shared,
                                    "thread-" + std::to_string(thread) + "-"));
  }
  std::atomic<bool> has_failed = false;
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < run.layout.threads; ++thread) {
    threads.emplace_back([&, thread] {
      work(run, thread, *files[thread], has_failed, parts[thread]);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (std::uint64_t thread = 0; thread < parts.size() && !has_failed;
       ++thread) {
    parts[thread].failure = files[thread]->finish(thread + 1 == parts.size());
    has_failed = !parts[thread].failure.empty();
  }
  files.clear();
  return report(run, parts);
}

}  // namespace random_tests
