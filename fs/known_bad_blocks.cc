#include "fs/known_bad_blocks.h"

#include <algorithm>
#include <utility>

namespace pmemfs {
namespace {

using pmem::BadBlocks;
using pmem::BadRange;

std::uint64_t round_up_to_block(std::uint64_t offset) {
  return (offset + pmem::kBadBlockBytes - 1) / pmem::kBadBlockBytes *
         pmem::kBadBlockBytes;
}

std::uint64_t round_down_to_block(std::uint64_t offset) {
  return offset / pmem::kBadBlockBytes * pmem::kBadBlockBytes;
}

}  // namespace

KnownBadBlocks::KnownBadBlocks(pmem::DaxDevice device, std::string sysfs_root,
                               std::string dev_root)
    : device_(std::move(device)),
      sysfs_root_(std::move(sysfs_root)),
      dev_root_(std::move(dev_root)) {
  look();
}

std::uint64_t KnownBadBlocks::readable(std::uint64_t offset_bytes,
                                       std::uint64_t length_bytes) {
  look_when_due();
  const std::optional<BadRange> bad = first_in(offset_bytes, length_bytes);
  if (!bad) {
    return length_bytes;
  }
  return std::max(bad->offset_bytes, offset_bytes) - offset_bytes;
}

std::uint64_t KnownBadBlocks::writable(std::uint64_t offset_bytes,
                                       std::uint64_t length_bytes) {
  look_when_due();
  std::optional<BadRange> bad = first_in(offset_bytes, length_bytes);
  while (bad) {
    const std::uint64_t begin = std::max(bad->offset_bytes, offset_bytes);
    const std::uint64_t end =
        std::min(bad->end_bytes(), offset_bytes + length_bytes);
    const std::uint64_t whole_begin = round_up_to_block(begin);
    const std::uint64_t whole_end = round_down_to_block(end);
    const bool is_overwritten = begin == whole_begin && whole_begin < whole_end;
    if (!is_overwritten ||
        !pmem::clear_bad_blocks(device_, {whole_begin, whole_end - whole_begin},
                                {offset_bytes, length_bytes}, sysfs_root_,
                                dev_root_)) {
      return begin - offset_bytes;
    }
    look();
    bad = first_in(offset_bytes, length_bytes);
    if (bad && bad->offset_bytes < whole_end) {
      return begin - offset_bytes;  // the kernel still calls it bad
    }
  }
  return length_bytes;
}

void KnownBadBlocks::look_when_due() {
  if (looks_.is_due()) {
    look();
  }
}

void KnownBadBlocks::look() {
  const pmem::Lock lock(mutex_);
  looks_.put_off();
  const pmem::Result<BadBlocks> found =
      pmem::bad_blocks_of(device_, sysfs_root_);
  const BadBlocks* const known = blocks_.load();
  if (!found || (known == nullptr ? found->empty() : *found == *known)) {
    return;  // nothing new, or nobody tells
  }
  if (found->empty()) {
    blocks_.store(nullptr, std::memory_order_release);
    return;
  }
  lists_.push_back(std::make_unique<const BadBlocks>(*found));
  blocks_.store(lists_.back().get(), std::memory_order_release);
}

std::optional<BadRange> KnownBadBlocks::first_in(
    std::uint64_t offset_bytes, std::uint64_t length_bytes) const {
  const BadBlocks* const blocks = blocks_.load(std::memory_order_acquire);
  if (blocks == nullptr) {
    return std::nullopt;
  }
  const auto first = std::partition_point(
      blocks->begin(), blocks->end(),
      [&](const BadRange& block) { return block.end_bytes() <= offset_bytes; });
  if (first == blocks->end() ||
      first->offset_bytes >= offset_bytes + length_bytes) {
    return std::nullopt;
  }
  return *first;
}

}  // namespace pmemfs
