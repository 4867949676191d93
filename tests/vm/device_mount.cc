#include "vm/device_mount.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "support/files.h"
#include "vm/guest.h"

namespace vm {
namespace {

constexpr const char* kDriver = "/sys/bus/dax/drivers/device_dax";

}  // namespace

NativeMapping::NativeMapping(const std::string& node, std::size_t size)
    : size_(size) {
  const pmem::UniqueFd fd = support::open_file(node, O_RDWR);
  void* address =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), node);
  }
  bytes_ = static_cast<char*>(address);
}

NativeMapping::~NativeMapping() { ::munmap(bytes_, size_); }

void NativeMapping::write(std::size_t offset, const std::string& bytes) const {
  std::memcpy(bytes_ + offset, bytes.data(), bytes.size());
}

void NativeMapping::fill(char byte, std::size_t offset,
                         std::size_t length) const {
  std::memset(bytes_ + offset, byte, length);
}

void NativeMapping::fill_with_noise(std::size_t offset, std::size_t length,
                                    unsigned seed) const {
  const std::string piece = support::noise(kMiB + 7, seed);
  for (std::size_t done = 0; done < length; done += piece.size()) {
    std::memcpy(bytes_ + offset + done, piece.data(),
                std::min(piece.size(), length - done));
  }
}

bool NativeMapping::holds(char byte, std::size_t offset,
                          std::size_t length) const {
  return std::all_of(bytes_ + offset, bytes_ + offset + length,
                     [byte](char found) { return found == byte; });
}

GuestDevice::GuestDevice(const std::string& variable)
    : node(place(variable)), facts(facts_of(node)) {}

std::string attribute_of(const std::string& path, const std::string& name) {
  std::array<char, 4096> value = {};
  const ssize_t length =
      ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  if (length < 0) {
    return std::string("<") + ::strerrorname_np(errno) + ">";
  }
  return {value.data(), static_cast<std::size_t>(length)};
}

bool is_held(const std::string& node) {
  for (const auto& process : std::filesystem::directory_iterator("/proc")) {
    std::error_code error;
    std::ifstream maps(process.path() / "maps");
    const std::string text{std::istreambuf_iterator<char>(maps), {}};
    if (text.find(node) != std::string::npos) {
      return true;
    }
    for (const auto& fd :
         std::filesystem::directory_iterator(process.path() / "fd", error)) {
      if (std::filesystem::read_symlink(fd.path(), error) == node) {
        return true;
      }
    }
  }
  return false;
}

bool becomes_free(const std::string& node) {
  return support::becomes_true([&] { return !is_held(node); },
                               std::chrono::seconds(5));
}

void expect_status(int status, const support::CommandResult& ran) {
  EXPECT_EQ(ran.exit_status, status) << ran.output;
}

void expect_success(const support::CommandResult& ran) {
  expect_status(0, ran);
}

Unbound::Unbound(std::string name) : name_(std::move(name)) {
  support::write_file(std::string(kDriver) + "/unbind", name_);
}

Unbound::~Unbound() {
  support::write_file(std::string(kDriver) + "/bind", name_);
}

}  // namespace vm
