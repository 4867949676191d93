#include "random/data_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <tuple>
#include <utility>

#include "pmem/unique_fd.h"

namespace random_tests {
namespace {

void make_file(const std::string& path, std::uint64_t size) {
  const pmem::UniqueFd fd(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    throw std::system_error(errno, std::generic_category(), "making " + path);
  }
}

bool only_reads(DataKind kind) {
  return kind == DataKind::kPread || kind == DataKind::kPreadv ||
         kind == DataKind::kLoad || kind == DataKind::kPrivate ||
         kind == DataKind::kSeek || kind == DataKind::kStat;
}

bool needs_no_zone(DataKind kind) {
  return kind == DataKind::kMap || kind == DataKind::kUnmap ||
         kind == DataKind::kSync || kind == DataKind::kReopen;
}

}  // namespace

// --- shared -----------------------------------------------------------------

SharedFiles::SharedFiles(const DataPlace& place, const DataLayout& layout,
                         const std::string& prefix)
    : prefix_(prefix), files_(layout.files.size()) {
  for (std::uint64_t i = 0; i < layout.files.size(); ++i) {
    const FileLayout& file = layout.files[i];
    if (file.is_shared()) {
      files_[i] = std::make_unique<File>(file);
      files_[i]->model.extend(file.tail_begin());
      make_file(place.beneath + "/" + name(i), file.tail_begin());
    }
  }
}

std::string SharedFiles::name(std::uint64_t file) const {
  return prefix_ + "shared-" + std::to_string(file);
}

// In one order, so that two threads never wait for each other.
SharedFiles::Lock::Lock(SharedFiles& files, std::vector<Zone> zones)
    : files_(&files), zones_(std::move(zones)) {
  const auto place = [](const Zone& zone) {
    // Of one zone that is wanted twice, the one to change comes first.
    return std::tuple(zone.file, zone.zone, !zone.is_to_change);
  };
  std::sort(zones_.begin(), zones_.end(),
            [&](const Zone& a, const Zone& b) { return place(a) < place(b); });
  const auto twice = std::unique(zones_.begin(), zones_.end(),
                                 [](const Zone& a, const Zone& b) {
                                   return a.file == b.file && a.zone == b.zone;
                                 });
  zones_.erase(twice, zones_.end());
  for (const Zone& zone : zones_) {
    std::shared_mutex& mutex = files_->files_[zone.file]->zones[zone.zone];
    zone.is_to_change ? mutex.lock() : mutex.lock_shared();
  }
}

SharedFiles::Lock::~Lock() {
  for (const Zone& zone : zones_) {
    std::shared_mutex& mutex = files_->files_[zone.file]->zones[zone.zone];
    zone.is_to_change ? mutex.unlock() : mutex.unlock_shared();
  }
}

// --- of one thread ----------------------------------------------------------

DataFiles::DataFiles(const DataPlace& place, const DataLayout& layout,
                     SharedFiles& shared, const std::string& prefix)
    : layout_(&layout), shared_(&shared) {
  for (std::uint64_t i = 0; i < layout.files.size(); ++i) {
    const FileLayout& file = layout.files[i];
    if (file.is_shared()) {
      files_.push_back(std::make_unique<DataFile>(place, shared.name(i),
                                                  shared.model(i), true));
      continue;
    }
    models_.push_back(std::make_unique<DataModel>(file.limit));
    const std::string name = prefix + std::to_string(i);
    make_file(place.beneath + "/" + name, 0);
    files_.push_back(
        std::make_unique<DataFile>(place, name, *models_.back(), false));
  }
}

void DataFiles::need_zone(const DataOperation& operation, std::uint64_t file,
                          std::uint64_t offset, bool is_to_change,
                          std::vector<SharedFiles::Zone>& zones) const {
  const FileLayout& layout = layout_->files[file];
  if (layout.is_shared() && !needs_no_zone(operation.kind)) {
    zones.push_back({file, layout.zone_of(offset), is_to_change});
  }
}

std::string DataFiles::apply(const DataOperation& operation) {
  const bool copies = operation.kind == DataKind::kCopy;
  std::vector<SharedFiles::Zone> zones;
  need_zone(operation, operation.file, operation.offset,
            !copies && !only_reads(operation.kind), zones);
  if (copies) {
    need_zone(operation, operation.to_file, operation.to_offset, true, zones);
  }
  const SharedFiles::Lock lock(*shared_, std::move(zones));
  const auto holds_size = [&](std::uint64_t file, std::uint64_t offset) {
    const FileLayout& layout = layout_->files[file];
    return !layout.is_shared() ||
           (!needs_no_zone(operation.kind) && offset >= layout.tail_begin());
  };
  return copies ? files_[operation.file]->copy(
                      *files_[operation.to_file], operation,
                      holds_size(operation.to_file, operation.to_offset))
                : files_[operation.file]->apply(
                      operation, holds_size(operation.file, operation.offset));
}

std::string DataFiles::finish(bool with_shared_files) {
  for (std::uint64_t i = 0; i < files_.size(); ++i) {
    if (layout_->files[i].is_shared() && !with_shared_files) {
      continue;
    }
    std::string wrong = files_[i]->finish();
    if (!wrong.empty()) {
      return "file " + std::to_string(i) + ": " + wrong;
    }
  }
  return "";
}

}  // namespace random_tests
