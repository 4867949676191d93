#include "random/data_file.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <sstream>
#include <utility>

#include "pmem/fault_guard.h"
#include "random/data_layout.h"
#include "random/seed.h"

namespace random_tests {
namespace {

constexpr std::uint64_t kRowBytes = std::uint64_t{1} << 20;

// The bytes, repeated so far that a piece can begin anywhere in the first part.
std::string make_row() {
  Random random(1);
  std::string row;
  for (std::uint64_t i = 0; i < kRowBytes; ++i) {
    row += static_cast<char>(random.between(1, 255));
  }
  return row + row;
}

// Of this thread, and fit for O_DIRECT.
std::span<char> buffer_of(std::uint64_t length) {
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  static thread_local std::unique_ptr<char, Free> buffer;
  static thread_local std::uint64_t room = 0;
  if (room < length) {
    room = (length + kPage - 1) / kPage * kPage * 2;
    buffer.reset(static_cast<char*>(std::aligned_alloc(kPage, room)));
  }
  return {buffer.get(), length};
}

std::string errno_words(std::string_view what) {
  return std::string(what) + ": " + ::strerrorname_np(errno);
}

std::string shown(char byte) {
  return std::to_string(
      static_cast<unsigned>(static_cast<unsigned char>(byte)));
}

// Where the bytes are not those that should be there.
std::string difference(std::string_view what, std::string_view expected,
                       std::string_view actual, std::uint64_t offset) {
  if (expected.size() != actual.size()) {
    return std::string(what) + " at " + std::to_string(offset) + ": " +
           std::to_string(actual.size()) + " bytes instead of " +
           std::to_string(expected.size());
  }
  if (expected == actual) {
    return "";
  }
  const auto [first, wrong] =
      std::mismatch(expected.begin(), expected.end(), actual.begin());
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    count += expected[i] == actual[i] ? 0U : 1U;
  }
  return std::string(what) + ": byte " +
         std::to_string(offset +
                        static_cast<std::uint64_t>(first - expected.begin())) +
         " is " + shown(*wrong) + " instead of " + shown(*first) + ", " +
         std::to_string(count) + " wrong of " +
         std::to_string(expected.size()) + " at " + std::to_string(offset);
}

std::uint64_t page_begin(std::uint64_t offset) {
  return offset / kPage * kPage;
}

std::uint64_t page_end(std::uint64_t offset) {
  return page_begin(offset + kPage - 1);
}

std::span<std::byte> as_bytes(char* begin, std::uint64_t length) {
  return std::as_writable_bytes(std::span(begin, length));
}

// Through the fault guard: what should not fault would else end the tester.
std::string load_from(const char* memory, std::span<char> to) {
  const auto from = std::as_bytes(std::span(memory, to.size()));
  return pmem::guarded_read(std::as_writable_bytes(to), from)
             ? "loading from the mapping faults"
             : "";
}

std::string store_to(char* memory, std::string_view bytes) {
  return pmem::guarded_write(as_bytes(memory, bytes.size()),
                             std::as_bytes(std::span(bytes)))
             ? "storing to the mapping faults"
             : "";
}

// The parts of a range for a vectored call: a few bytes, some, and the rest.
std::array<struct iovec, 3> parts_of(char* begin, std::uint64_t length) {
  const std::uint64_t first = std::min<std::uint64_t>(length, 100);
  const std::uint64_t second = (length - first) / 2;
  return {{{begin, first},
           {begin + first, second},
           {begin + first + second, length - first - second}}};
}

}  // namespace

int FileCalls::allocate(int fd, int mode, off_t offset, off_t length) {
  return ::fallocate(fd, mode, offset, length);
}

ssize_t FileCalls::read(int fd, char* to, std::size_t length, off_t offset) {
  return ::pread(fd, to, length, offset);
}

std::string_view bytes_named(std::uint64_t value, std::uint64_t length) {
  static const std::string kRow = make_row();
  return std::string_view(kRow).substr(value % (kRowBytes / 2), length);
}

// --- mappings ---------------------------------------------------------------

MemoryMap::MemoryMap(int fd, std::uint64_t offset, std::uint64_t length,
                     int protection, int flags)
    : begin_(page_begin(offset)),
      length_(page_end(offset + length) - begin_),
      address_(static_cast<char*>(::mmap(nullptr, length_, protection, flags,
                                         fd, static_cast<off_t>(begin_)))) {}

MemoryMap::~MemoryMap() {
  if (valid()) {
    ::munmap(address_, length_);
  }
}

bool MemoryMap::valid() const { return address_ != MAP_FAILED; }

int MemoryMap::sync(int flags) const {
  return ::msync(address_, length_, flags);
}

// --- opening and closing ----------------------------------------------------

DataFile::DataFile(const DataPlace& place, std::string name, DataModel& model,
                   bool is_shared)
    : place_(&place),
      name_(std::move(name)),
      model_(&model),
      is_shared_(is_shared) {}

std::string DataFile::open(std::uint64_t flags) {
  // First, so that what is open for reading has to become writable.
  if ((flags & kWithReader) != 0) {
    reader_ = pmem::UniqueFd(::open(seen().c_str(), O_RDONLY | O_CLOEXEC));
    if (!reader_.valid()) {
      return errno_words("open for reading");
    }
  }
  const int open_flags = static_cast<int>(flags & 0xFFFFFFFFU);
  fd_ = pmem::UniqueFd(
      ::open(seen().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | open_flags, 0644));
  if (!fd_.valid()) {
    return errno_words("open");
  }
  position_ = 0;
  is_direct_ = (open_flags & O_DIRECT) != 0;
  if ((open_flags & O_TRUNC) != 0) {
    model_->truncate(0);
  }
  return "";
}

std::string DataFile::open_if_closed() { return fd_.valid() ? "" : open(0); }

void DataFile::close() {
  mapping_.reset();
  appender_ = pmem::UniqueFd();
  reader_ = pmem::UniqueFd();
  fd_ = pmem::UniqueFd();
  has_unsynced_stores_ = false;
}

std::string DataFile::reopen(const DataOperation& operation) {
  const bool compares = (operation.flags & kComparing) != 0 && !is_shared_;
  close();
  std::string wrong = compares ? compare_beneath() : "";
  if (wrong.empty()) {
    wrong = open(operation.flags);
  }
  if (wrong.empty() && compares) {
    wrong = compare_with(fd_.get(), "reopened, the file");
  }
  return wrong.empty() ? check_size("reopening") : wrong;
}

std::string DataFile::finish() {
  close();
  std::string wrong = compare_beneath();
  if (wrong.empty()) {
    const pmem::UniqueFd fd(::open(seen().c_str(), O_RDONLY | O_CLOEXEC));
    wrong = fd.valid() ? compare_with(fd.get(), "at the end, the file")
                       : errno_words("open at the end");
  }
  return wrong;
}

// --- comparing --------------------------------------------------------------

std::string DataFile::compare_with(int fd, std::string_view where) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0 ||
      static_cast<std::uint64_t>(status.st_size) != model_->size()) {
    return std::string(where) + " has " + std::to_string(status.st_size) +
           " bytes instead of " + std::to_string(model_->size());
  }
  constexpr std::uint64_t kAtOnce = 64 * kPage;
  const std::span<char> buffer = buffer_of(kAtOnce);
  for (std::uint64_t at = 0;; at += kAtOnce) {
    const std::string_view expected = model_->bytes(at, kAtOnce);
    const ssize_t got =
        ::pread(fd, buffer.data(), kAtOnce, static_cast<off_t>(at));
    if (got < 0) {
      return errno_words(where);
    }
    std::string wrong = difference(
        where, expected, {buffer.data(), static_cast<std::size_t>(got)}, at);
    if (!wrong.empty() || expected.size() < kAtOnce) {
      return wrong;
    }
  }
}

std::string DataFile::compare_beneath() {
  const pmem::UniqueFd fd(::open(beneath().c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return errno_words("open beneath");
  }
  return compare_with(fd.get(), "beneath, the file");
}

std::string DataFile::compare(const DataOperation& /*operation*/) {
  std::string wrong = compare_with(fd_.get(), "the file");
  if (wrong.empty() && !has_unsynced_stores_) {
    wrong = compare_beneath();
  }
  return wrong;
}

std::string DataFile::check_size(std::string_view after) {
  if (!holds_size_) {
    return "";
  }
  struct stat status = {};
  if (::fstat(fd_.get(), &status) != 0) {
    return errno_words("fstat");
  }
  if (static_cast<std::uint64_t>(status.st_size) != model_->size()) {
    return "after " + std::string(after) + " the size is " +
           std::to_string(status.st_size) + " instead of " +
           std::to_string(model_->size());
  }
  return "";
}

std::string DataFile::stat(const DataOperation& /*operation*/) {
  struct stat status = {};
  if (::stat(seen().c_str(), &status) != 0) {
    return errno_words("stat");
  }
  if (static_cast<std::uint64_t>(status.st_size) != model_->size()) {
    return "stat tells the size " + std::to_string(status.st_size) +
           " instead of " + std::to_string(model_->size());
  }
  return check_size("stat");
}

// --- reading ----------------------------------------------------------------

DataFile::Range DataFile::transfer_range(std::uint64_t offset,
                                         std::uint64_t length) const {
  if (!is_direct_) {
    return {offset, length};
  }
  const std::uint64_t begin = page_begin(offset);
  return {begin, std::min(page_end(begin + length), model_->limit()) - begin};
}

std::string DataFile::check_read(ssize_t got, const char* bytes,
                                 std::uint64_t offset,
                                 std::uint64_t length) const {
  if (got < 0) {
    return errno_words("reading");
  }
  return difference("reading", model_->bytes(offset, length),
                    {bytes, static_cast<std::size_t>(got)}, offset);
}

std::string DataFile::pread(const DataOperation& operation) {
  const auto [offset, length] =
      transfer_range(operation.offset, operation.length);
  const std::span<char> buffer = buffer_of(length);
  const bool by_reader = reader_.valid() && operation.flags != 0;
  const ssize_t got =
      place_->calls->read(by_reader ? reader_.get() : fd_.get(), buffer.data(),
                          length, static_cast<off_t>(offset));
  return check_read(got, buffer.data(), offset, length);
}

std::string DataFile::preadv(const DataOperation& operation) {
  if (is_direct_) {
    return pread(operation);  // its parts are not aligned
  }
  const std::span<char> buffer = buffer_of(operation.length);
  const auto parts = parts_of(buffer.data(), operation.length);
  const ssize_t got = ::preadv(fd_.get(), parts.data(), parts.size(),
                               static_cast<off_t>(operation.offset));
  return check_read(got, buffer.data(), operation.offset, operation.length);
}

std::string DataFile::read(const DataOperation& operation) {
  const auto [offset, length] = transfer_range(position_, operation.length);
  const std::span<char> buffer = buffer_of(length);
  if (::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_SET) < 0) {
    return errno_words("lseek");
  }
  const ssize_t got = ::read(fd_.get(), buffer.data(), length);
  std::string wrong = check_read(got, buffer.data(), offset, length);
  position_ = offset + (got < 0 ? 0 : static_cast<std::uint64_t>(got));
  return wrong;
}

// --- writing ----------------------------------------------------------------

std::string DataFile::wrote(ssize_t written, std::uint64_t offset,
                            std::string_view bytes) {
  if (written < 0) {
    return errno_words("writing");
  }
  if (static_cast<std::uint64_t>(written) != bytes.size()) {
    return "writing: " + std::to_string(written) + " of " +
           std::to_string(bytes.size()) + " bytes";
  }
  const bool grows = offset + bytes.size() > model_->size();
  model_->write(offset, bytes);
  return grows ? check_size("writing") : "";
}

std::string DataFile::pwrite(const DataOperation& operation) {
  const auto [offset, length] =
      transfer_range(operation.offset, operation.length);
  const std::span<char> buffer = buffer_of(length);
  const std::string_view bytes = bytes_named(operation.value, length);
  std::copy(bytes.begin(), bytes.end(), buffer.begin());
  const ssize_t written =
      ::pwrite(fd_.get(), buffer.data(), length, static_cast<off_t>(offset));
  return wrote(written, offset, bytes);
}

std::string DataFile::pwritev(const DataOperation& operation) {
  if (is_direct_) {
    return pwrite(operation);
  }
  const std::string_view bytes = bytes_named(operation.value, operation.length);
  // writev's parts are not const, though they are only read.
  const auto parts =
      parts_of(const_cast<char*>(bytes.data()), operation.length);
  const ssize_t written = ::pwritev(fd_.get(), parts.data(), parts.size(),
                                    static_cast<off_t>(operation.offset));
  return wrote(written, operation.offset, bytes);
}

std::string DataFile::write(const DataOperation& operation) {
  const std::uint64_t wanted = std::min(position_, model_->limit() - kPage);
  auto [offset, length] = transfer_range(wanted, operation.length);
  length = std::min(length, model_->limit() - offset);
  if (::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_SET) < 0) {
    return errno_words("lseek");
  }
  const std::span<char> buffer = buffer_of(length);
  const std::string_view bytes = bytes_named(operation.value, length);
  std::copy(bytes.begin(), bytes.end(), buffer.begin());
  std::string wrong =
      wrote(::write(fd_.get(), buffer.data(), length), offset, bytes);
  position_ = offset + length;
  return wrong;
}

std::string DataFile::append(const DataOperation& operation) {
  if (!appender_.valid()) {
    appender_ =
        pmem::UniqueFd(::open(seen().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    if (!appender_.valid()) {
      return errno_words("open for appending");
    }
  }
  const std::uint64_t end = model_->size();
  const std::string_view bytes = bytes_named(
      operation.value, std::min(operation.length, model_->limit() - end));
  // With O_APPEND pwrite(2) appends on Linux, too.
  const ssize_t written =
      operation.flags != 0
          ? ::pwrite(appender_.get(), bytes.data(), bytes.size(),
                     static_cast<off_t>(operation.offset))
          : ::write(appender_.get(), bytes.data(), bytes.size());
  return wrote(written, end, bytes);
}

// --- length and blocks ------------------------------------------------------

std::string DataFile::truncate(const DataOperation& operation) {
  if (::truncate(seen().c_str(), static_cast<off_t>(operation.offset)) != 0) {
    return errno_words("truncate");
  }
  model_->truncate(operation.offset);
  return check_size("truncate");
}

std::string DataFile::ftruncate(const DataOperation& operation) {
  if (::ftruncate(fd_.get(), static_cast<off_t>(operation.offset)) != 0) {
    return errno_words("ftruncate");
  }
  model_->truncate(operation.offset);
  return check_size("ftruncate");
}

std::string DataFile::allocate(const DataOperation& operation) {
  const auto mode = static_cast<int>(operation.flags);
  const bool zeroes = (mode & FALLOC_FL_ZERO_RANGE) != 0;
  const bool is_refused =
      (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) != 0 ||
      (zeroes && !place_->has_zero_range);
  const int done = place_->calls->allocate(
      fd_.get(), mode, static_cast<off_t>(operation.offset),
      static_cast<off_t>(operation.length));
  if (is_refused) {
    return done == 0             ? "fallocate is not refused"
           : errno == EOPNOTSUPP ? check_size("a refused fallocate")
                                 : errno_words("refused fallocate");
  }
  if (done != 0) {
    return errno_words("fallocate");
  }
  if (zeroes || (mode & FALLOC_FL_PUNCH_HOLE) != 0) {
    model_->zero(operation.offset, operation.length);
  }
  if ((mode & FALLOC_FL_KEEP_SIZE) == 0) {
    model_->extend(operation.offset + operation.length);
  }
  return check_size("fallocate");
}

// --- memory -----------------------------------------------------------------

std::string DataFile::map(const DataOperation& operation) {
  mapping_.emplace(fd_.get(), operation.offset, operation.length,
                   PROT_READ | PROT_WRITE, MAP_SHARED);
  if (!mapping_->valid()) {
    std::string wrong = errno_words("mmap");
    mapping_.reset();
    return wrong;
  }
  return "";
}

std::string DataFile::unmap(const DataOperation& /*operation*/) {
  mapping_.reset();
  return "";
}

template <typename Code>
std::string DataFile::with_mapping(std::uint64_t begin, std::uint64_t end,
                                   const Code& code) {
  if (begin >= end) {
    return "";
  }
  if (mapping_ && mapping_->covers(begin, end)) {
    return code(*mapping_);
  }
  const MemoryMap mapping(fd_.get(), begin, end - begin, PROT_READ | PROT_WRITE,
                          MAP_SHARED);
  return mapping.valid() ? code(mapping) : errno_words("mmap");
}

std::string DataFile::store(const DataOperation& operation) {
  const std::uint64_t begin = operation.offset;
  const std::string_view bytes = bytes_named(
      operation.value, model_->bytes(begin, operation.length).size());
  return with_mapping(
      begin, begin + bytes.size(), [&](const MemoryMap& mapping) {
        std::string wrong = store_to(mapping.at(begin), bytes);
        if (!wrong.empty()) {
          return wrong;
        }
        model_->write(begin, bytes);
        has_unsynced_stores_ |= !place_->maps_the_file;
        if (operation.flags != 0 &&
            mapping.sync(operation.flags == kStoreSyncs ? MS_SYNC : MS_ASYNC) !=
                0) {
          return errno_words("msync");
        }
        return wrong;
      });
}

// To the end of the last page of the file.
std::string DataFile::load(const DataOperation& operation) {
  const std::uint64_t begin = operation.offset;
  const std::uint64_t end =
      std::min(begin + operation.length, page_end(model_->size()));
  return with_mapping(begin, end, [&](const MemoryMap& mapping) {
    const std::span<char> buffer = buffer_of(end - begin);
    std::string wrong = load_from(mapping.at(begin), buffer);
    return wrong.empty()
               ? difference("loading", model_->memory(begin, end - begin),
                            {buffer.data(), buffer.size()}, begin)
               : wrong;
  });
}

std::string DataFile::load_private(const DataOperation& operation) {
  const std::uint64_t begin = operation.offset;
  const std::string_view expected = model_->bytes(begin, operation.length);
  if (expected.empty()) {
    return "";
  }
  const MemoryMap mapping(fd_.get(), begin, expected.size(),
                          PROT_READ | PROT_WRITE, MAP_PRIVATE);
  if (!mapping.valid()) {
    return errno_words("private mmap");
  }
  const std::span<char> buffer = buffer_of(expected.size());
  std::string wrong = load_from(mapping.at(begin), buffer);
  if (wrong.empty()) {
    wrong = difference("loading privately", expected,
                       {buffer.data(), buffer.size()}, begin);
  }
  // These stay private: whatever looks at the file later would see them.
  return wrong.empty() ? store_to(mapping.at(begin),
                                  bytes_named(operation.value, expected.size()))
                       : wrong;
}

// --- between files, holes, durability ---------------------------------------

std::string DataFile::copy(DataFile& to, const DataOperation& operation,
                           bool holds_size) {
  std::string wrong = open_if_closed();
  if (wrong.empty()) {
    wrong = to.open_if_closed();
  }
  if (!wrong.empty()) {
    return wrong;
  }
  to.holds_size_ = holds_size;
  auto from_offset = static_cast<loff_t>(operation.offset);
  auto to_offset = static_cast<loff_t>(operation.to_offset);
  const std::string bytes(model_->bytes(operation.offset, operation.length));
  const bool overlaps = this == &to &&
                        operation.to_offset + bytes.size() > operation.offset &&
                        operation.to_offset < operation.offset + bytes.size();
  const ssize_t copied = ::copy_file_range(
      fd_.get(), &from_offset, to.fd_.get(), &to_offset, operation.length, 0);
  if (overlaps) {
    return copied >= 0       ? "copying onto itself is not refused"
           : errno == EINVAL ? ""
                             : errno_words("copying onto itself");
  }
  if (copied < 0) {
    return errno_words("copy_file_range");
  }
  const auto count = static_cast<std::uint64_t>(copied);
  if (count > bytes.size() || (count == 0) != bytes.empty()) {
    return "copy_file_range: " + std::to_string(count) + " of " +
           std::to_string(bytes.size()) + " bytes";
  }
  to.model_->write(operation.to_offset,
                   std::string_view(bytes).substr(0, count));
  return to.check_size("copy_file_range");
}

// No data is in what is told to be a hole, and there is an end to it.
std::string DataFile::seek(const DataOperation& operation) {
  const bool may_have_stores =
      has_unsynced_stores_ || (is_shared_ && !place_->maps_the_file);
  if (may_have_stores && ::fsync(fd_.get()) != 0) {
    return errno_words("fsync before lseek");
  }
  has_unsynced_stores_ = false;
  const std::uint64_t size = model_->size();
  const std::uint64_t end = std::min(operation.offset + operation.length, size);
  std::string wrong;
  std::uint64_t at = operation.offset;
  if (at >= size && holds_size_ &&
      (::lseek(fd_.get(), static_cast<off_t>(at), SEEK_HOLE) >= 0 ||
       errno != ENXIO)) {
    wrong = "SEEK_HOLE beyond the end is not ENXIO";
  }
  while (wrong.empty() && at < end) {
    const off_t data = ::lseek(fd_.get(), static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno != ENXIO) {
      wrong = errno_words("SEEK_DATA");
      break;
    }
    const std::uint64_t next =
        data < 0 ? end : std::min(end, static_cast<std::uint64_t>(data));
    if ((data >= 0 && static_cast<std::uint64_t>(data) < at) ||
        !model_->is_zero(at, next)) {
      wrong = "SEEK_DATA from " + std::to_string(at) + " skips data before " +
              std::to_string(next);
      break;
    }
    if (next == end) {
      break;
    }
    const off_t hole = ::lseek(fd_.get(), data, SEEK_HOLE);
    if (hole <= data) {
      wrong = "SEEK_HOLE from data at " + std::to_string(data) + " tells " +
              std::to_string(hole);
      break;
    }
    at = static_cast<std::uint64_t>(hole);
  }
  if (::lseek(fd_.get(), static_cast<off_t>(position_), SEEK_SET) < 0) {
    return errno_words("lseek");
  }
  return wrong;
}

std::string DataFile::sync(const DataOperation& operation) {
  if ((operation.flags != 0 ? ::fdatasync(fd_.get()) : ::fsync(fd_.get())) !=
      0) {
    return errno_words("fsync");
  }
  has_unsynced_stores_ = false;
  return "";
}

// --- dispatch ---------------------------------------------------------------

const std::map<DataKind, DataFile::Method>& DataFile::methods() {
  static const std::map<DataKind, Method> kMethods = {
      {DataKind::kPread, &DataFile::pread},
      {DataKind::kPwrite, &DataFile::pwrite},
      {DataKind::kPreadv, &DataFile::preadv},
      {DataKind::kPwritev, &DataFile::pwritev},
      {DataKind::kRead, &DataFile::read},
      {DataKind::kWrite, &DataFile::write},
      {DataKind::kAppend, &DataFile::append},
      {DataKind::kTruncate, &DataFile::truncate},
      {DataKind::kFtruncate, &DataFile::ftruncate},
      {DataKind::kAllocate, &DataFile::allocate},
      {DataKind::kMap, &DataFile::map},
      {DataKind::kUnmap, &DataFile::unmap},
      {DataKind::kStore, &DataFile::store},
      {DataKind::kLoad, &DataFile::load},
      {DataKind::kPrivate, &DataFile::load_private},
      {DataKind::kSeek, &DataFile::seek},
      {DataKind::kSync, &DataFile::sync},
      {DataKind::kStat, &DataFile::stat},
      {DataKind::kCompare, &DataFile::compare},
      {DataKind::kReopen, &DataFile::reopen},
  };
  return kMethods;
}

std::string DataFile::apply(const DataOperation& operation, bool holds_size) {
  holds_size_ = holds_size;
  std::string wrong = open_if_closed();
  return wrong.empty() ? (this->*methods().at(operation.kind))(operation)
                       : wrong;
}

}  // namespace random_tests
