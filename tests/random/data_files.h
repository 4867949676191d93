// The files of the data tester: those of one thread, and those that all share.
//
// SharedFiles: any thread. DataFiles: one thread; what it refers to outlives
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "random/data_file.h"
#include "random/data_layout.h"
#include "random/data_model.h"
#include "random/data_operation.h"

namespace random_tests {

// What the threads have in common.
class SharedFiles {
 public:
  // Makes the shared files of the layout, with their stripes, beneath. Throws
  // std::system_error.
  SharedFiles(const DataPlace& place, const DataLayout& layout,
              const std::string& prefix);

  // Of a shared file, by its number in the layout.
  [[nodiscard]] DataModel& model(std::uint64_t file) {
    return files_[file]->model;
  }
  [[nodiscard]] std::string name(std::uint64_t file) const;

  struct Zone {
    std::uint64_t file = 0;
    std::uint64_t zone = 0;
    bool is_to_change = false;
  };
  // Held for one operation, which lies in these zones.
  class Lock {
   public:
    Lock(SharedFiles& files, std::vector<Zone> zones);
    ~Lock();
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    SharedFiles* files_;
    std::vector<Zone> zones_;
  };

 private:
  struct File {
    explicit File(const FileLayout& layout)
        : model(layout.limit), zones(layout.stripes + 1) {}
    DataModel model;
    std::vector<std::shared_mutex> zones;
  };

  std::string prefix_;
  std::vector<std::unique_ptr<File>> files_;  // none for a thread's own
};

class DataFiles {
 public:
  DataFiles(const DataPlace& place, const DataLayout& layout,
            SharedFiles& shared, const std::string& prefix);

  // What was wrong, "" if nothing was.
  [[nodiscard]] std::string apply(const DataOperation& operation);

  // Closes all and compares; of the shared ones when no other thread is left.
  [[nodiscard]] std::string finish(bool with_shared_files);

 private:
  void need_zone(const DataOperation& operation, std::uint64_t file,
                 std::uint64_t offset, bool is_to_change,
                 std::vector<SharedFiles::Zone>& zones) const;

  const DataLayout* layout_;
  SharedFiles* shared_;
  std::vector<std::unique_ptr<DataModel>> models_;  // of the thread's own
  std::vector<std::unique_ptr<DataFile>> files_;
};

}  // namespace random_tests
