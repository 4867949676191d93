// Records what the library under test stores, flushes and fences, through the
// hook that is compiled into a build of its own (lib/persist_hook.h).
//
// One recorder at a time, and only for the thread that made it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace support {

struct StoreEvent {
  enum class Kind { kStore, kStream, kFlush, kFence };

  Kind kind = Kind::kFence;
  std::size_t begin = 0;         // in the watched memory; of a flush: its line
  std::vector<std::byte> bytes;  // what a store or stream wrote
};

class StoreRecorder {
 public:
  // Watches the memory until the recorder dies. Events elsewhere are left out.
  explicit StoreRecorder(std::span<const std::byte> watched);
  ~StoreRecorder();
  StoreRecorder(const StoreRecorder&) = delete;
  StoreRecorder& operator=(const StoreRecorder&) = delete;

  [[nodiscard]] const std::vector<StoreEvent>& events() const {
    return events_;
  }

  // Called by the hook.
  void add(StoreEvent::Kind kind, const std::byte* begin, std::size_t length);
  void add_fence() { events_.push_back({}); }

 private:
  std::span<const std::byte> watched_;
  std::vector<StoreEvent> events_;
};

}  // namespace support
