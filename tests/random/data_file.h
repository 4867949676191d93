// One file of the data tester, as one thread has it open: makes the calls and
// holds what they answer against the model.
//
// Owns its descriptors and its mapping. One thread; the model and the bytes of
// a shared file are also others', who keep to other zones meanwhile.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pmem/unique_fd.h"
#include "random/data_model.h"
#include "random/data_operation.h"

namespace random_tests {

// The calls that a test of the tester breaks; as they are, the kernel's.
class FileCalls {
 public:
  FileCalls() = default;
  virtual ~FileCalls() = default;
  FileCalls(const FileCalls&) = delete;
  FileCalls& operator=(const FileCalls&) = delete;

  virtual int allocate(int fd, int mode, off_t offset, off_t length);
  virtual ssize_t read(int fd, char* to, std::size_t length, off_t offset);
};

// Where the files are.
struct DataPlace {
  std::string seen;     // the directory that is tested
  std::string beneath;  // the same without the mount; or the same
  bool has_zero_range = true;
  // Stores by a mapping are in the file at once, and not with msync(2).
  bool maps_the_file = true;
  std::shared_ptr<FileCalls> calls = std::make_shared<FileCalls>();
};

// Some of an endless row of bytes, none of which is zero.
[[nodiscard]] std::string_view bytes_named(std::uint64_t value,
                                           std::uint64_t length);

// A mapping by mmap(2), which it owns.
class MemoryMap {
 public:
  MemoryMap(int fd, std::uint64_t offset, std::uint64_t length, int protection,
            int flags);
  MemoryMap(const MemoryMap&) = delete;
  MemoryMap& operator=(const MemoryMap&) = delete;
  ~MemoryMap();

  [[nodiscard]] bool valid() const;
  [[nodiscard]] bool covers(std::uint64_t begin, std::uint64_t end) const {
    return begin >= begin_ && end <= begin_ + length_;
  }
  // Of the offset in the file.
  [[nodiscard]] char* at(std::uint64_t offset) const {
    return address_ + (offset - begin_);
  }
  [[nodiscard]] int sync(int flags) const;

 private:
  std::uint64_t begin_;  // in the file
  std::uint64_t length_;
  char* address_;
};

class DataFile {
 public:
  // `is_shared`: other threads have it open as well. The place and the model
  // outlive the object.
  DataFile(const DataPlace& place, std::string name, DataModel& model,
           bool is_shared);

  // Makes the call. Returns what was wrong, "" if nothing was. `holds_size`:
  // nobody else changes the size meanwhile.
  [[nodiscard]] std::string apply(const DataOperation& operation,
                                  bool holds_size);

  // copy_file_range(2) from this file to that.
  [[nodiscard]] std::string copy(DataFile& to, const DataOperation& operation,
                                 bool holds_size);

  // Closes everything and compares the file in both places with the model.
  [[nodiscard]] std::string finish();

 private:
  using Method = std::string (DataFile::*)(const DataOperation& operation);
  static const std::map<DataKind, Method>& methods();

  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };

  [[nodiscard]] std::string seen() const { return place_->seen + "/" + name_; }
  [[nodiscard]] std::string beneath() const {
    return place_->beneath + "/" + name_;
  }
  [[nodiscard]] Range transfer_range(std::uint64_t offset,
                                     std::uint64_t length) const;

  std::string open(std::uint64_t flags);
  std::string open_if_closed();
  void close();
  std::string compare_with(int fd, std::string_view where);
  std::string compare_beneath();
  std::string check_size(std::string_view after);
  std::string check_read(ssize_t got, const char* bytes, std::uint64_t offset,
                         std::uint64_t length) const;
  std::string wrote(ssize_t written, std::uint64_t offset,
                    std::string_view bytes);
  // Runs the code with a mapping of the range.
  template <typename Code>
  std::string with_mapping(std::uint64_t begin, std::uint64_t end,
                           const Code& code);

  std::string pread(const DataOperation& operation);
  std::string pwrite(const DataOperation& operation);
  std::string preadv(const DataOperation& operation);
  std::string pwritev(const DataOperation& operation);
  std::string read(const DataOperation& operation);
  std::string write(const DataOperation& operation);
  std::string append(const DataOperation& operation);
  std::string truncate(const DataOperation& operation);
  std::string ftruncate(const DataOperation& operation);
  std::string allocate(const DataOperation& operation);
  std::string map(const DataOperation& operation);
  std::string unmap(const DataOperation& operation);
  std::string store(const DataOperation& operation);
  std::string load(const DataOperation& operation);
  std::string load_private(const DataOperation& operation);
  std::string seek(const DataOperation& operation);
  std::string sync(const DataOperation& operation);
  std::string stat(const DataOperation& operation);
  std::string compare(const DataOperation& operation);
  std::string reopen(const DataOperation& operation);

  const DataPlace* place_;
  std::string name_;
  DataModel* model_;
  bool is_shared_;
  bool holds_size_ = true;

  pmem::UniqueFd fd_;
  pmem::UniqueFd appender_;
  pmem::UniqueFd reader_;
  std::optional<MemoryMap> mapping_;
  bool is_direct_ = false;  // transfers are whole pages
  bool has_unsynced_stores_ = false;
  std::uint64_t position_ = 0;  // of fd_
};

}  // namespace random_tests
