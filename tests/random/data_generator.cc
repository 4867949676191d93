#include "random/data_generator.h"

#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>
#include <array>

namespace random_tests {
namespace {

struct Weight {
  DataKind kind;
  unsigned per_thousand;
};

// What waits for a disk, and what compares whole files, is rare.
constexpr std::array kWeights = {
    Weight{DataKind::kPread, 170},    Weight{DataKind::kPwrite, 170},
    Weight{DataKind::kPreadv, 30},    Weight{DataKind::kPwritev, 30},
    Weight{DataKind::kRead, 40},      Weight{DataKind::kWrite, 40},
    Weight{DataKind::kAppend, 60},    Weight{DataKind::kTruncate, 15},
    Weight{DataKind::kFtruncate, 25}, Weight{DataKind::kAllocate, 100},
    Weight{DataKind::kMap, 10},       Weight{DataKind::kUnmap, 3},
    Weight{DataKind::kStore, 80},     Weight{DataKind::kLoad, 80},
    Weight{DataKind::kPrivate, 15},   Weight{DataKind::kCopy, 50},
    Weight{DataKind::kSeek, 40},      Weight{DataKind::kSync, 3},
    Weight{DataKind::kStat, 22},      Weight{DataKind::kCompare, 5},
    Weight{DataKind::kReopen, 12},
};

constexpr unsigned total_weight() {
  unsigned total = 0;
  for (const Weight& weight : kWeights) {
    total += weight.per_thousand;
  }
  return total;
}
static_assert(total_weight() == 1000);

bool only_reads(DataKind kind) {
  return kind == DataKind::kPread || kind == DataKind::kPreadv ||
         kind == DataKind::kLoad || kind == DataKind::kPrivate ||
         kind == DataKind::kSeek;
}

bool changes_size(DataKind kind) {
  return kind == DataKind::kAppend || kind == DataKind::kTruncate ||
         kind == DataKind::kFtruncate || kind == DataKind::kStat;
}

// Of a file that others use, too.
bool is_for_one_thread(DataKind kind) {
  return kind == DataKind::kRead || kind == DataKind::kWrite ||
         kind == DataKind::kCompare;
}

bool maps(DataKind kind) {
  return kind == DataKind::kMap || kind == DataKind::kStore ||
         kind == DataKind::kLoad || kind == DataKind::kPrivate;
}

}  // namespace

DataOperation DataGenerator::next() {
  DataOperation operation;
  operation.kind = next_kind();
  operation.file = next_file();
  const FileLayout& file = layout_->files[operation.file];
  if (file.is_shared() &&
      (is_for_one_thread(operation.kind) ||
       (maps(operation.kind) && !layout_->maps_shared_files))) {
    operation.kind = random_.one_in(2) ? DataKind::kPread : DataKind::kPwrite;
  }
  const Range range = next_range_of(operation.file, operation.kind);
  operation.offset = range.offset;
  operation.length = range.length;
  operation.flags = next_flags(operation.kind, file.is_shared());
  operation.value = random_.below(1 << 16);
  if (operation.kind == DataKind::kCopy) {
    operation.to_file = random_.one_in(3) ? operation.file : next_file();
    const Range to = next_range_of(operation.to_file, DataKind::kCopy);
    operation.to_offset = to.offset;
    operation.length = std::min(operation.length, to.length);
  }
  return operation;
}

DataKind DataGenerator::next_kind() {
  std::uint64_t left = random_.below(total_weight());
  for (const Weight& weight : kWeights) {
    if (left < weight.per_thousand) {
      return weight.kind;
    }
    left -= weight.per_thousand;
  }
  return DataKind::kPread;
}

// The large one is slow to compare.
std::uint64_t DataGenerator::next_file() {
  const std::uint64_t chosen = random_.below(100);
  const std::uint64_t last = layout_->files.size() - 1;
  return std::min<std::uint64_t>(last, chosen < 35   ? 0
                                       : chosen < 60 ? 1
                                       : chosen < 70 ? 2
                                       : chosen < 85 ? 3
                                                     : 4);
}

std::uint64_t DataGenerator::next_length(std::uint64_t most) {
  std::uint64_t length = 0;
  switch (random_.below(8)) {
    case 0:
    case 1:
    case 2:
      length = random_.between(1, 200);
      break;
    case 3:
    case 4:
      length = random_.between(1, 4) * kPage + random_.between(0, 2) - 1;
      break;
    case 5:
    case 6:
      length = random_.between(1, 5 * kPage);
      break;
    default:
      length = random_.between(1, 32 * kPage);
  }
  return std::clamp<std::uint64_t>(length, 1, most);
}

// Often at the edge of a page, or beside it.
DataGenerator::Range DataGenerator::next_range(std::uint64_t begin,
                                               std::uint64_t bytes) {
  const std::uint64_t length = next_length(bytes);
  std::uint64_t offset = begin + random_.below(bytes - length + 1);
  if (random_.one_in(3)) {
    offset = offset / kPage * kPage + random_.between(0, 2);
    offset = offset > begin ? offset - 1 : begin;
    offset = std::min(offset, begin + bytes - length);
  }
  return {offset, length};
}

std::uint64_t DataGenerator::own_stripe(const FileLayout& file) {
  const std::uint64_t count = file.stripes / layout_->threads;
  return random_.below(count) * layout_->threads + thread_;
}

DataGenerator::Range DataGenerator::next_range_of(std::uint64_t file,
                                                  DataKind kind) {
  const FileLayout& layout = layout_->files[file];
  if (!layout.is_shared()) {
    return next_range(0, layout.limit);
  }
  if (kind == DataKind::kMap) {
    return {0, layout.limit};
  }
  std::uint64_t zone = own_stripe(layout);
  if (changes_size(kind) || random_.one_in(12)) {
    zone = layout.stripes;
  } else if (only_reads(kind) && random_.one_in(2)) {
    zone = random_.below(layout.stripes);
  }
  return next_range(layout.zone_begin(zone), layout.zone_bytes(zone));
}

std::uint64_t DataGenerator::next_flags(DataKind kind, bool is_shared) {
  switch (kind) {
    case DataKind::kAllocate:
      return static_cast<std::uint64_t>(random_.one_of(
          {0, 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_KEEP_SIZE,
           FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
           FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
           FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
           FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_COLLAPSE_RANGE,
           FALLOC_FL_INSERT_RANGE}));
    case DataKind::kStore:
      return random_.one_in(100)  ? kStoreSyncs
             : random_.one_in(20) ? kStoreStarts
                                  : 0;
    case DataKind::kPread:
    case DataKind::kAppend:
    case DataKind::kSync:
      return random_.below(2);
    case DataKind::kReopen: {
      const std::uint64_t compares = random_.one_in(2) ? kComparing : 0;
      const std::uint64_t reader = random_.one_in(3) ? kWithReader : 0;
      if (is_shared) {
        return reader;
      }
      const int flags = random_.one_in(12)
                            ? random_.one_of({O_SYNC, O_DSYNC})
                            : random_.one_of({0, 0, 0, O_TRUNC, O_DIRECT,
                                              O_TRUNC | O_DIRECT});
      return static_cast<std::uint64_t>(flags) | compares | reader;
    }
    default:
      return 0;
  }
}

}  // namespace random_tests
