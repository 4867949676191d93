#include "pmem/dax_device.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>

#include "pmem/unique_fd.h"
#include "sysfs.h"

namespace pmem {
namespace {

std::string device_directory(dev_t device, const std::string& sysfs_root) {
  return sysfs_root + "/dev/char/" + std::to_string(::major(device)) + ":" +
         std::to_string(::minor(device));
}

// What a link of the device leads to; "" when there is no such link.
std::string link_target(const std::string& path) {
  const std::optional<std::string> target = real_path(path);
  return target ? last_component(*target) : "";
}

bool is_on_bus(const std::string& directory) {
  const std::optional<std::string> subsystem =
      real_path(directory + "/subsystem");
  return !subsystem || subsystem->ends_with("/bus/dax");
}

// Since Linux 5.1 the device has `align`; before, the region above it did.
std::optional<std::int64_t> read_align(const std::string& directory) {
  for (const char* name : {"/align", "/dax_region/align",
                           "/../dax_region/align", "/../../dax_region/align"}) {
    const std::optional<std::int64_t> align = read_number(directory + name);
    if (align && *align > 0) {
      return align;
    }
  }
  return std::nullopt;
}

std::optional<int> read_node(const std::string& path) {
  const std::optional<std::int64_t> node = read_number(path);
  return node ? std::optional<int>(static_cast<int>(*node)) : std::nullopt;
}

// The region is one of the directories above the device's.
std::optional<std::string> find_deep_flush(std::string directory) {
  while (directory.size() > 1) {
    directory.resize(directory.rfind('/'));
    std::string path = directory + "/deep_flush";
    if (::access(path.c_str(), F_OK) == 0) {
      return path;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string DaxDevice::mode() const {
  if (driver == "device_dax" || (!is_on_bus && driver.empty())) {
    return "devdax";
  }
  if (driver == "kmem") {
    return "system-ram";
  }
  if (driver == "fsdev_dax") {
    return "famfs";
  }
  return driver.empty() ? "unbound" : driver;
}

bool is_dax_device(dev_t device, const std::string& sysfs_root) {
  return link_target(device_directory(device, sysfs_root) + "/subsystem") ==
         "dax";
}

std::uint64_t binding_of(dev_t device, const std::string& sysfs_root) {
  const std::string directory = device_directory(device, sysfs_root);
  struct stat status = {};
  if (::lstat((directory + "/driver").c_str(), &status) == 0) {
    return status.st_ino;
  }
  // Where there are no drivers, the device itself is what comes and goes.
  const bool is_of_class =
      link_target(directory + "/subsystem") == "dax" && !is_on_bus(directory);
  return is_of_class && ::stat(directory.c_str(), &status) == 0 ? status.st_ino
                                                                : 0;
}

Result<DaxDevice> read_dax_device(dev_t device, const std::string& sysfs_root) {
  const std::string link = device_directory(device, sysfs_root);
  const std::optional<std::string> directory = real_path(link);
  if (!directory || !is_dax_device(device, sysfs_root)) {
    return fail(ENODEV, "looking for a Device DAX at " + link);
  }
  DaxDevice facts;
  facts.number = device;
  facts.name = last_component(*directory);
  facts.driver = link_target(*directory + "/driver");
  facts.is_on_bus = is_on_bus(*directory);
  facts.binding = binding_of(device, sysfs_root);
  const std::optional<std::int64_t> size = read_number(*directory + "/size");
  if (!size || *size < 0) {
    return fail(EIO, "reading the size of the Device DAX at " + *directory);
  }
  facts.size_bytes = static_cast<std::uint64_t>(*size);
  const std::optional<std::int64_t> align = read_align(*directory);
  if (!align) {
    return fail(EIO,
                "reading the alignment of the Device DAX at " + *directory);
  }
  facts.align_bytes = static_cast<std::uint64_t>(*align);
  facts.numa_node = read_node(*directory + "/numa_node");
  facts.target_node = read_node(*directory + "/target_node");
  return facts;
}

Result<DaxDevice> find_dax_device(const std::string& name,
                                  const std::string& sysfs_root) {
  unsigned major_number = 0;
  unsigned minor_number = 0;
  const std::optional<std::string> number =
      name.find('/') == std::string::npos
          ? read_attribute(sysfs_root + "/bus/dax/devices/" + name + "/dev")
          : std::nullopt;
  if (!number || std::sscanf(number->c_str(), "%u:%u", &major_number,
                             &minor_number) != 2) {
    return fail(ENODEV, "looking for the Device DAX " + name);
  }
  Result<DaxDevice> device =
      read_dax_device(::makedev(major_number, minor_number), sysfs_root);
  if (device && device->name != name) {
    return fail(ENODEV, "looking for the Device DAX " + name);
  }
  return device;
}

Result<void> flush_region(dev_t device, const std::string& sysfs_root) {
  const std::optional<std::string> directory =
      real_path(device_directory(device, sysfs_root));
  const std::optional<std::string> path =
      directory ? find_deep_flush(*directory) : std::nullopt;
  if (!path) {
    return {};
  }
  const std::optional<std::string> wanted = read_attribute(*path);
  if (!wanted) {
    const int code = errno;
    return fail(code, "reading " + *path);
  }
  if (*wanted == "0") {
    return {};
  }
  const UniqueFd fd(::open(path->c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() || ::write(fd.get(), "1", 1) != 1) {
    const int code = errno;
    return fail(code, "writing to " + *path);
  }
  return {};
}

}  // namespace pmem
