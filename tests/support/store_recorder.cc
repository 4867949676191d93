#include "support/store_recorder.h"

#include <cstdint>

#include "persist_hook.h"

namespace support {
namespace {

thread_local StoreRecorder* recorder = nullptr;

}  // namespace

StoreRecorder::StoreRecorder(std::span<const std::byte> watched)
    : watched_(watched) {
  recorder = this;
}

StoreRecorder::~StoreRecorder() { recorder = nullptr; }

void StoreRecorder::add(StoreEvent::Kind kind, const std::byte* begin,
                        std::size_t length) {
  const auto offset = reinterpret_cast<std::uintptr_t>(begin) -
                      reinterpret_cast<std::uintptr_t>(watched_.data());
  if (offset >= watched_.size()) {
    return;
  }
  StoreEvent event = {kind, offset, {}};
  if (kind != StoreEvent::Kind::kFlush) {
    const std::span<const std::byte> stored = watched_.subspan(
        offset,
        length <= watched_.size() - offset ? length : watched_.size() - offset);
    event.bytes.assign(stored.begin(), stored.end());
  }
  events_.push_back(std::move(event));
}

}  // namespace support

namespace pmem::store_hook {

using support::recorder;
using support::StoreEvent;

void stored(const std::byte* to, std::size_t length_bytes) {
  if (recorder != nullptr) {
    recorder->add(StoreEvent::Kind::kStore, to, length_bytes);
  }
}

void streamed(const std::byte* to, std::size_t length_bytes) {
  if (recorder != nullptr) {
    recorder->add(StoreEvent::Kind::kStream, to, length_bytes);
  }
}

void flushed(const std::byte* line) {
  if (recorder != nullptr) {
    recorder->add(StoreEvent::Kind::kFlush, line, 0);
  }
}

void fenced() {
  if (recorder != nullptr) {
    recorder->add_fence();
  }
}

}  // namespace pmem::store_hook
