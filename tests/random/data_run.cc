#include "random/data_run.h"

#include <atomic>
#include <exception>
#include <filesystem>
#include <memory>
#include <sstream>
#include <thread>
#include <utility>
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

Shrunk<DataOperation> shrink_part(const DataRun& run, std::uint64_t thread,
                                  std::uint64_t done) {
  unsigned attempt = 0;
  const auto fails = [&](const std::vector<DataOperation>& operations) {
    const std::string prefix = "again-" + std::to_string(++attempt) + "-";
    return run.is_alive() ? play_data(run, operations, prefix) : "";
  };
  return shrink(first_operations(run.seed, run.layout, thread, done), fails);
}

// What a thread found, and what the others did meanwhile.
DataOutcome report_on(const DataRun& run, const std::vector<Part>& parts,
                      std::uint64_t failed) {
  std::ostringstream text;
  text << how_to_repeat(run.seed, run.operations) << "\nthread " << failed
       << ", operation " << parts[failed].done << ": " << parts[failed].failure
       << '\n';
  Shrunk<DataOperation> shrunk;
  if (!run.is_alive()) {
    text << "The file system does not answer any more.\n";
  } else {
    shrunk = shrink_part(run, failed, parts[failed].done);
  }
  if (shrunk.failure.empty()) {
    text << "It does not come again with this thread alone. The last "
            "operations of all were:\n";
    for (std::uint64_t thread = 0; thread < parts.size(); ++thread) {
      text << " thread " << thread << ":\n"
           << tail_of(run, thread, parts[thread].done);
    }
    return {text.str(), {}};
  }
  text << "By themselves these " << shrunk.operations.size()
       << " operations show it (" << shrunk.failure << "):\n"
       << to_text(shrunk.operations);
  return {text.str(), std::move(shrunk.operations)};
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

DataOutcome run_data(const DataRun& run) {
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
  for (std::uint64_t thread = 0; thread < parts.size(); ++thread) {
    if (!parts[thread].failure.empty()) {
      return report_on(run, parts, thread);
    }
  }
  return {};
}

}  // namespace random_tests
