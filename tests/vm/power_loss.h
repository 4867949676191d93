// What power_loss_test, on the host, and power_loss_writer, in the guests that
// it boots and kills, know of each other: the streams of records, and the files
// in the folder that both see. One thread.
//
// A stream is a sequence of records, numbered from 1. One is written when the
// one before has been acknowledged, that is, when the host knows its number.
#pragma once

#include <array>
#include <cstdint>
#include <fstream>
#include <string>

namespace vm::power_loss {

enum class Place { kDevice, kExt4, kVirtio };
enum class Shape {
  kSlots,  // each record goes to the next slot of a file that has them all
  kHoles,  // the same in a sparse file, in slots of which none is used twice
  kLog,    // each record is appended
};

struct Stream {
  const char* name;
  Place place;
  Shape shape;
  bool is_synced;  // a record is acknowledged after fsync, not after write
};

inline constexpr std::array kStreams = {
    Stream{"device", Place::kDevice, Shape::kSlots, false},
    Stream{"ext4", Place::kExt4, Shape::kSlots, false},
    Stream{"ext4-holes", Place::kExt4, Shape::kHoles, false},
    Stream{"ext4-log", Place::kExt4, Shape::kLog, false},
    Stream{"ext4-synced", Place::kExt4, Shape::kSlots, true},
    Stream{"ext4-log-synced", Place::kExt4, Shape::kLog, true},
    Stream{"virtio-synced", Place::kVirtio, Shape::kSlots, true},
    Stream{"virtio-log-synced", Place::kVirtio, Shape::kLog, true},
    // This one is not durable: page granularity, and no fsync.
    Stream{"virtio-log", Place::kVirtio, Shape::kLog, false},
};
inline constexpr std::size_t kNotDurable = kStreams.size() - 1;

// The number of the last record of each stream.
using Numbers = std::array<std::uint64_t, kStreams.size()>;

// In /out of the guest, which is a folder of the host.
inline constexpr const char* kAcknowledged = "acknowledged";  // Numbers
inline constexpr const char* kFound = "found";                // Numbers
inline constexpr const char* kWriting = "writing";  // there when it has begun

inline void save(const std::string& file, const Numbers& numbers) {
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(numbers.data()), sizeof(numbers));
}

// Zeros when there is no such file.
[[nodiscard]] inline Numbers load(const std::string& file) {
  Numbers numbers{};
  std::ifstream(file, std::ios::binary)
      .read(reinterpret_cast<char*>(numbers.data()), sizeof(numbers));
  return numbers;
}

}  // namespace vm::power_loss
