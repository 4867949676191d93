// The Device DAX of the guest as files of a mount, and beside pmemfs: mapped
// natively, and with their drivers. For tests; one thread unless it says so.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "pmem/dax_device.h"
#include "support/command.h"
#include "support/mount_fixture.h"

namespace vm {

inline constexpr std::size_t kMiB = std::size_t{1} << 20;

// The device itself, mapped past pmemfs: what another process sees. Owns the
// mapping. Throws std::system_error.
class NativeMapping {
 public:
  NativeMapping(const std::string& node, std::size_t size);
  NativeMapping(const NativeMapping&) = delete;
  NativeMapping& operator=(const NativeMapping&) = delete;
  ~NativeMapping();

  [[nodiscard]] std::string read(std::size_t offset, std::size_t length) const {
    return {bytes_ + offset, length};
  }
  void write(std::size_t offset, const std::string& bytes) const;
  void fill(char byte, std::size_t offset, std::size_t length) const;
  // Repeats itself, but not at a multiple of anything.
  void fill_with_noise(std::size_t offset, std::size_t length,
                       unsigned seed) const;
  [[nodiscard]] bool holds(char byte, std::size_t offset,
                           std::size_t length) const;
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] char* bytes() const { return bytes_; }

 private:
  char* bytes_ = nullptr;
  std::size_t size_;
};

// One device of the guest, by the name that guest.h knows.
struct GuestDevice {
  explicit GuestDevice(const std::string& variable);

  std::string node;
  pmem::DaxDevice facts;

  [[nodiscard]] const std::string& name() const { return facts.name; }
  [[nodiscard]] std::size_t size() const { return facts.size_bytes; }
  [[nodiscard]] off_t end() const { return static_cast<off_t>(size()); }
  [[nodiscard]] NativeMapping map() const { return {node, size()}; }
};

// A mount of all devices.
class DeviceMount {
 public:
  explicit DeviceMount(const std::vector<std::string>& sources = {"dax"})
      : mount_(sources) {}

  [[nodiscard]] std::string file(const GuestDevice& device) const {
    return mount_ / device.name();
  }
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return mount_ / name;
  }
  [[nodiscard]] const std::string& path() const { return mount_.path(); }
  [[nodiscard]] std::string start_line() const { return mount_.log(); }
  // A kernel older than 6.6, as the start line tells.
  [[nodiscard]] bool has_no_shared_mmap() const {
    return start_line().find("no shared mmap") != std::string::npos;
  }
  [[nodiscard]] bool daemon_is_alive() { return mount_.daemon_is_alive(); }

 private:
  support::MountedPmemfs mount_;
};

// The value of an extended attribute, or the name of the errno in angle
// brackets.
[[nodiscard]] std::string attribute_of(const std::string& path,
                                       const std::string& name);

// Whether some process has the node open or mapped.
[[nodiscard]] bool is_held(const std::string& node);

// It is not, within some seconds: what is closed is released a little later.
[[nodiscard]] bool becomes_free(const std::string& node);

// Fails the test unless the program ended with this status.
void expect_status(int status, const support::CommandResult& ran);
void expect_success(const support::CommandResult& ran);

// Takes a device from its driver until the end of the scope.
class Unbound {
 public:
  explicit Unbound(std::string name);
  Unbound(const Unbound&) = delete;
  Unbound& operator=(const Unbound&) = delete;
  ~Unbound();

 private:
  std::string name_;
};

}  // namespace vm
