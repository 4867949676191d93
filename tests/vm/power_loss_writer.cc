// Usage: power_loss_writer DEVICE EXT4 VIRTIO OUT check|write STREAM...
//
// Runs in a guest that will lose its power. DEVICE is a Device DAX, EXT4 and
// VIRTIO are folders, all through a mount of pmemfs. Checks that each record
// that OUT/acknowledged tells of is there, whole, and tells in OUT/found what
// is. `write` then goes on with writing, all streams at once, until the end of
// the guest, and tells in OUT/acknowledged each record that is acknowledged.
//
// Exit codes: 0, or 1 if something is not as it must be, for the reason shown.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pmem/unique_fd.h"
#include "vm/power_loss.h"

namespace vm::power_loss {
namespace {

constexpr std::uint64_t kSlots = 64;
constexpr std::uint64_t kSlotBytes = std::uint64_t{64} << 10;
constexpr std::uint64_t kHoleBytes = std::uint64_t{8} << 10;
constexpr std::uint64_t kHoles = 1 << 14;

[[noreturn]] void refuse(const std::string& doing) {
  throw std::runtime_error(doing + ": " + std::strerror(errno));
}

// A generator of noise that starts fast: SplitMix64 (Steele, Lea, Flood:
// "Fast splittable pseudorandom number generators").
class Noise {
 public:
  explicit Noise(std::uint64_t seed) : state_(seed) {}
  std::uint64_t operator()() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

// One stream and its file.
class Writer {
 public:
  Writer(std::size_t index, const std::string& place)
      : stream_(kStreams.at(index)), index_(index) {
    const bool is_device = stream_.place == Place::kDevice;
    path_ = is_device ? place : place + "/" + stream_.name;
    fd_ = pmem::UniqueFd(
        ::open(path_.c_str(), O_RDWR | (is_device ? 0 : O_CREAT), 0644));
    if (!fd_.valid()) {
      refuse(path_);
    }
    const std::uint64_t size = stream_.shape == Shape::kHoles
                                   ? kHoles * kHoleBytes
                                   : kSlots * kSlotBytes;
    if (stream_.shape == Shape::kHoles) {
      make_durable(::ftruncate(fd_.get(), static_cast<off_t>(size)));
    } else if (stream_.shape == Shape::kSlots && !is_device) {
      make_durable(::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)));
    }
  }

  // The number of the last record that is there. Throws std::runtime_error
  // when that is not what was acknowledged, or the one that was under way.
  [[nodiscard]] std::uint64_t check(std::uint64_t acknowledged) {
    const std::uint64_t first =
        stream_.shape == Shape::kSlots && acknowledged >= kSlots
            ? acknowledged + 2 - kSlots  // the one under way took a slot
            : 1;
    end_ = 0;
    for (std::uint64_t number = first; number <= acknowledged; ++number) {
      if (!is_there(number)) {
        throw std::runtime_error(std::string(stream_.name) + ": of " +
                                 std::to_string(acknowledged) +
                                 " acknowledged records number " +
                                 std::to_string(number) + " is not there");
      }
      end_ += bytes_of(number).size();
    }
    if (!is_there(acknowledged + 1)) {
      return acknowledged;
    }
    end_ += bytes_of(acknowledged + 1).size();
    return acknowledged + 1;
  }

  // What a torn record has left behind the last whole one goes.
  void cut_log() {
    if (stream_.shape == Shape::kLog) {
      make_durable(::ftruncate(fd_.get(), static_cast<off_t>(end_)));
    }
  }

  // Returns when the record is acknowledged.
  void write(std::uint64_t number) {
    const std::string bytes = bytes_of(number);
    const ssize_t written =
        ::pwrite(fd_.get(), bytes.data(), bytes.size(), offset_of(number));
    if (written != static_cast<ssize_t>(bytes.size())) {
      refuse("writing " + path_);
    }
    if (stream_.is_synced && ::fsync(fd_.get()) != 0) {
      refuse("fsync of " + path_);
    }
    end_ += bytes.size();
  }

 private:
  void make_durable(int result) {
    if (result != 0 || ::fsync(fd_.get()) != 0) {
      refuse(path_);
    }
  }

  // Of any length and alignment, and no other record is like it.
  [[nodiscard]] std::string bytes_of(std::uint64_t number) const {
    Noise noise((std::uint64_t{index_ + 1} << 48) + number);
    const std::uint64_t most = stream_.shape == Shape::kSlots ? 20000 : 3000;
    const std::uint64_t kind = noise();
    // Every third one is a small one.
    const std::size_t length = 8 + noise() % (kind % 3 == 0 ? 100 : most);
    std::string bytes(length, '\0');
    for (std::size_t at = 0; at < length; at += sizeof(std::uint64_t)) {
      const std::uint64_t word = noise();
      std::memcpy(bytes.data() + at, &word,
                  std::min(sizeof(word), length - at));
    }
    return bytes;
  }

  [[nodiscard]] off_t offset_of(std::uint64_t number) const {
    const std::uint64_t into = number * 397 % 4096;
    switch (stream_.shape) {
      case Shape::kSlots:
        return static_cast<off_t>(number % kSlots * kSlotBytes + into);
      case Shape::kHoles:
        if (number >= kHoles) {
          throw std::runtime_error("no hole is left");
        }
        return static_cast<off_t>(number * kHoleBytes + into);
      case Shape::kLog:
        return static_cast<off_t>(end_);
    }
    return 0;
  }

  [[nodiscard]] bool is_there(std::uint64_t number) const {
    const std::string bytes = bytes_of(number);
    std::string found(bytes.size(), '\0');
    const ssize_t got =
        ::pread(fd_.get(), found.data(), found.size(), offset_of(number));
    if (got < 0) {
      refuse("reading " + path_);
    }
    return found == bytes;
  }

  Stream stream_;
  std::size_t index_;
  std::string path_;
  pmem::UniqueFd fd_;
  std::uint64_t end_ = 0;  // of the log
};

// Tells the host one number. The file system of OUT has no cache.
void acknowledge(int fd, std::size_t index, std::uint64_t number) {
  if (::pwrite(fd, &number, sizeof(number),
               static_cast<off_t>(index * sizeof(number))) != sizeof(number)) {
    refuse("telling the host");
  }
}

[[noreturn]] void write_on(Writer& writer, std::size_t index,
                           std::uint64_t number, int acknowledged) {
  try {
    for (;; ++number) {
      writer.write(number);
      acknowledge(acknowledged, index, number);
    }
  } catch (const std::exception& failure) {
    std::cerr << failure.what() << std::endl;
    std::_Exit(1);
  }
}

void run(const std::vector<std::string>& arguments) {
  const std::string out = arguments.at(4) + "/";
  const bool writes = arguments.at(5) == "write";
  Numbers acknowledged = load(out + kAcknowledged);
  Numbers found = acknowledged;
  std::vector<std::size_t> indices;
  std::vector<std::unique_ptr<Writer>> writers;
  for (std::size_t i = 6; i < arguments.size(); ++i) {
    const std::size_t index = std::stoul(arguments.at(i));
    const auto place = static_cast<std::size_t>(kStreams.at(index).place);
    writers.push_back(std::make_unique<Writer>(index, arguments.at(1 + place)));
    found.at(index) = writers.back()->check(acknowledged.at(index));
    indices.push_back(index);
  }
  save(out + kFound, found);
  if (!writes) {
    return;
  }
  const pmem::UniqueFd fd(
      ::open((out + kAcknowledged).c_str(), O_WRONLY | O_CREAT, 0644));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < writers.size(); ++i) {
    Writer& writer = *writers.at(i);
    const std::size_t index = indices.at(i);
    writer.cut_log();
    acknowledge(fd.get(), index, found.at(index));
    threads.emplace_back([&writer, index, next = found.at(index) + 1, &fd] {
      write_on(writer, index, next, fd.get());
    });
  }
  std::ofstream(out + kWriting).flush();
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
}  // namespace vm::power_loss

int main(int argc, char** argv) {
  try {
    vm::power_loss::run({argv, argv + argc});
    return 0;
  } catch (const std::exception& failure) {
    std::cerr << failure.what() << std::endl;
    return 1;
  }
}
