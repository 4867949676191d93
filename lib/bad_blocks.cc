#include "pmem/bad_blocks.h"

#include <fcntl.h>
#include <linux/ndctl.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "pmem/unique_fd.h"
#include "sysfs.h"

namespace pmem {
namespace {

tl::unexpected<Error> no_list(const std::string& directory) {
  return fail(EOPNOTSUPP, "looking for a list of bad blocks at " + directory);
}

std::string device_link(const char* kind, dev_t number,
                        const std::string& sysfs_root) {
  return sysfs_root + "/dev/" + kind + "/" + std::to_string(::major(number)) +
         ":" + std::to_string(::minor(number));
}

// The nearest directory above this one that has an entry of the name.
std::optional<std::string> find_above(std::string directory, const char* name) {
  while (directory.size() > 1) {
    directory.resize(directory.rfind('/'));
    if (::access((directory + "/" + name).c_str(), F_OK) == 0) {
      return directory;
    }
  }
  return std::nullopt;
}

Result<std::uint64_t> read_size(const std::string& path) {
  errno = 0;
  const std::optional<std::int64_t> number = read_number(path);
  const int code = errno;
  if (!number || *number < 0) {
    return fail(code != 0 ? code : EIO, "reading " + path);
  }
  return static_cast<std::uint64_t>(*number);
}

// Takes a number and the blank or newline behind it from the text.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc()) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
  text.remove_prefix(std::min<std::size_t>(text.size(), 1));
  return number;
}

// Each line has the first block and how many there are.
Result<BadBlocks> read_list(const std::string& path) {
  const std::optional<std::string> text = read_attribute(path);
  if (!text) {
    const int code = errno;
    return fail(code, "reading " + path);
  }
  BadBlocks blocks;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::optional<std::uint64_t> first = take_number(rest);
    const std::optional<std::uint64_t> count = take_number(rest);
    if (!first || !count) {
      return fail(EIO, "reading " + path);
    }
    blocks.push_back({*first * kBadBlockBytes, *count * kBadBlockBytes});
  }
  return blocks;
}

// Of ranges in something larger, the part in [offset, offset + length), counted
// from there.
BadBlocks part_of(BadBlocks blocks, std::uint64_t offset,
                  std::uint64_t length) {
  std::sort(blocks.begin(), blocks.end(),
            [](const BadRange& a, const BadRange& b) {
              return a.offset_bytes < b.offset_bytes;
            });
  BadBlocks part;
  for (const BadRange& block : blocks) {
    const std::uint64_t begin = std::max(block.offset_bytes, offset);
    const std::uint64_t end = std::min(block.end_bytes(), offset + length);
    if (begin >= end) {
      continue;
    }
    const BadRange shifted = {begin - offset, end - begin};
    if (!part.empty() && part.back().end_bytes() >= shifted.offset_bytes) {
      part.back().length_bytes =
          std::max(part.back().end_bytes(), shifted.end_bytes()) -
          part.back().offset_bytes;
    } else {
      part.push_back(shifted);
    }
  }
  return part;
}

// Where the device is in the physical address space.
Result<std::uint64_t> address_of(const DaxDevice& device,
                                 const std::string& sysfs_root) {
  return read_size(device_link("char", device.number, sysfs_root) +
                   "/resource");
}

// --- the bus of the NVDIMMs -------------------------------------------------

// A command to the platform's firmware, by the bus that the device hangs on.
class Bus {
 public:
  static Result<Bus> open(const DaxDevice& device,
                          const std::string& sysfs_root,
                          const std::string& dev_root) {
    const std::string link = device_link("char", device.number, sysfs_root);
    const std::optional<std::string> directory = real_path(link);
    const std::optional<std::string> bus =
        directory ? find_above(*directory, "commands") : std::nullopt;
    const std::optional<std::string> commands =
        bus ? read_attribute(*bus + "/commands") : std::nullopt;
    if (!commands ||
        (*commands + " ").find("clear_error ") == std::string::npos) {
      return fail(EOPNOTSUPP, "clearing bad blocks of " + device.name);
    }
    // The bus N has the node ndctlN.
    const std::string name = last_component(*bus);
    const std::string path =
        dev_root + "/ndctl" +
        name.substr(std::min(name.find_first_of("0123456789"), name.size()));
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd.valid()) {
      const int code = errno;
      return fail(code, "opening " + path);
    }
    return Bus(std::move(fd));
  }

  // The unit, in bytes, in which errors are cleared at these addresses.
  [[nodiscard]] Result<std::uint64_t> unit(std::uint64_t address,
                                           std::uint64_t length) const {
    struct nd_cmd_ars_cap query = {};
    query.address = address;
    query.length = length;
    if (::ioctl(fd_.get(), ND_IOCTL_ARS_CAP, &query) != 0) {
      return fail_errno("asking for the unit of clearing bad blocks");
    }
    if ((query.status & kStatusMask) != 0) {
      return fail(EIO, "asking for the unit of clearing bad blocks");
    }
    return std::max<std::uint64_t>(query.clear_err_unit, 1);
  }

  [[nodiscard]] Result<void> clear(std::uint64_t address,
                                   std::uint64_t length) const {
    struct nd_cmd_clear_error command = {};
    command.address = address;
    command.length = length;
    if (::ioctl(fd_.get(), ND_IOCTL_CLEAR_ERROR, &command) != 0) {
      return fail_errno("clearing bad blocks");
    }
    if ((command.status & kStatusMask) != 0 || command.cleared < length) {
      return fail(EIO, "clearing bad blocks");
    }
    return {};
  }

 private:
  // The upper half has more about a status that is none.
  static constexpr std::uint32_t kStatusMask = 0xffff;

  explicit Bus(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace

Result<BadBlocks> bad_blocks_of(const DaxDevice& device,
                                const std::string& sysfs_root) {
  const std::string link = device_link("char", device.number, sysfs_root);
  const std::optional<std::string> directory = real_path(link);
  const std::optional<std::string> region =
      directory ? find_above(*directory, "badblocks") : std::nullopt;
  if (!region) {
    return no_list(link);
  }
  Result<BadBlocks> blocks = read_list(*region + "/badblocks");
  if (!blocks || blocks->empty()) {
    return blocks;
  }
  Result<std::uint64_t> region_address = read_size(*region + "/resource");
  if (!region_address) {
    return pass_on(region_address);
  }
  Result<std::uint64_t> address = address_of(device, sysfs_root);
  if (!address) {
    return pass_on(address);
  }
  if (*address < *region_address) {
    return fail(EIO, "placing " + device.name + " in its region");
  }
  return part_of(std::move(*blocks), *address - *region_address,
                 device.size_bytes);
}

Result<BadBlocks> bad_blocks_of_block_device(dev_t number,
                                             const std::string& sysfs_root) {
  const std::string link = device_link("block", number, sysfs_root);
  const std::optional<std::string> device = real_path(link);
  if (!device) {
    return no_list(link);
  }
  const bool is_partition =
      ::access((*device + "/partition").c_str(), F_OK) == 0;
  const std::string disk =
      is_partition ? device->substr(0, device->rfind('/')) : *device;
  if (::access((disk + "/badblocks").c_str(), F_OK) != 0) {
    return no_list(disk);
  }
  Result<BadBlocks> blocks = read_list(disk + "/badblocks");
  if (!blocks || blocks->empty()) {
    return blocks;
  }
  Result<std::uint64_t> length = read_size(*device + "/size");
  if (!length) {
    return pass_on(length);
  }
  Result<std::uint64_t> start =
      is_partition ? read_size(*device + "/start") : std::uint64_t{0};
  if (!start) {
    return pass_on(start);
  }
  return part_of(std::move(*blocks), *start * kBadBlockBytes,
                 *length * kBadBlockBytes);
}

Result<void> clear_bad_blocks(const DaxDevice& device, BadRange range,
                              BadRange allowed, const std::string& sysfs_root,
                              const std::string& dev_root) {
  Result<Bus> bus = Bus::open(device, sysfs_root, dev_root);
  if (!bus) {
    return pass_on(bus);
  }
  Result<std::uint64_t> address = address_of(device, sysfs_root);
  if (!address) {
    return pass_on(address);
  }
  Result<std::uint64_t> unit =
      bus->unit(*address + range.offset_bytes, range.length_bytes);
  if (!unit) {
    return pass_on(unit);
  }
  const std::uint64_t begin = (*address + range.offset_bytes) / *unit * *unit;
  const std::uint64_t end =
      (*address + range.end_bytes() + *unit - 1) / *unit * *unit;
  if (begin < *address + allowed.offset_bytes ||
      end > *address + allowed.end_bytes()) {
    return fail(EINVAL, "clearing a part of " + std::to_string(*unit) +
                            " bytes that can only be cleared together");
  }
  return bus->clear(begin, end - begin);
}

std::string in_words(const BadBlocks& blocks) {
  std::string words;
  for (const BadRange& block : blocks) {
    words += (words.empty() ? "" : " ") + std::to_string(block.offset_bytes) +
             "+" + std::to_string(block.length_bytes);
  }
  return words.empty() ? "none" : words;
}

}  // namespace pmem
