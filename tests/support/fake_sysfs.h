// A tree in a temporary folder that looks like /sys where pmemfs reads it:
// Device DAX by device number, and regions of persistent memory.
//
// The links are relative, so that the tree can also be mounted over /sys.
#pragma once

#include <sys/sysmacros.h>
#include <sys/types.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "support/temp_dir.h"

namespace support {

// The attributes of a Device DAX, as text. What is unset is not in the tree.
struct FakeDax {
  std::string name = "dax0.0";
  std::optional<std::string> driver = "device_dax";
  std::optional<std::string> size = "4194304";
  std::optional<std::string> align = "2097152";
  std::optional<std::string> numa_node = std::nullopt;
  std::optional<std::string> target_node = std::nullopt;
};

class FakeSysfs {
 public:
  [[nodiscard]] const std::string& root() const { return root_.path(); }

  // A device as Linux shows it since 5.1: on the bus `dax`.
  void add_dax(dev_t number, const FakeDax& dax) {
    add_dax_of_bus(number, "devices/platform/hmem.0/" + dax.name, dax);
  }

  // A device of a region of persistent memory, of which add_region() makes the
  // rest.
  void add_dax_of_region(dev_t number, const std::string& region,
                         const FakeDax& dax) {
    add_dax_of_bus(
        number,
        region_directory(region) + "/" + dax.name + "-namespace/" + dax.name,
        dax);
  }

  // A device of the bus leaves.
  void remove_dax(const std::string& name) {
    std::filesystem::remove(root_ / ("bus/dax/devices/" + name));
  }

  // A device of add_dax() loses its driver. The link stays beside, so that no
  // other gets its inode, as none of sysfs does.
  void unbind_dax(const std::string& name) {
    const std::string link = root_ / ("devices/platform/hmem.0/" + name);
    std::filesystem::rename(link + "/driver",
                            link + "/driver." + std::to_string(++unbound_));
  }

  // It gets it again.
  void bind_dax(const std::string& name,
                const std::string& driver = "device_dax") {
    link("devices/platform/hmem.0/" + name + "/driver",
         "bus/dax/drivers/" + driver);
  }

  // A device of the class `dax`, as older kernels have it: the alignment is
  // with the region, which is a parent of the device.
  void add_dax_of_class(dev_t number, const FakeDax& dax,
                        const std::string& region = "region0") {
    const std::string parent = region_directory(region) + "/" + dax.name;
    const std::string directory = parent + "/dax/" + dax.name;
    add_device(number, directory, "class/dax");
    write_attributes(directory, dax);
    write_optional(parent + "/dax_region/align", dax.align);
  }

  // A character device of another kind, such as "mem".
  void add_char_device(dev_t number, const std::string& name,
                       const std::string& subsystem) {
    add_device(number, "devices/virtual/" + subsystem + "/" + name,
               "class/" + subsystem);
  }

  // A region of persistent memory; without a domain the attribute is missing.
  void add_region(const std::string& name,
                  const std::optional<std::string>& persistence_domain) {
    link("bus/nd/devices/" + name, region_directory(name));
    write_optional(region_directory(name) + "/persistence_domain",
                   persistence_domain);
  }

  // The folder of a region, relative to the root.
  [[nodiscard]] static std::string region_directory(const std::string& name) {
    return "devices/platform/ndbus0/" + name;
  }

  // Paths are relative to the root.
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  void make_directory(const std::string& path) {
    std::filesystem::create_directories(root_ / path);
  }

  void link(const std::string& path, const std::string& target) {
    const std::filesystem::path from = root_ / path;
    std::filesystem::create_directories(from.parent_path());
    make_directory(target);
    std::filesystem::create_symlink(std::filesystem::path(root_ / target)
                                        .lexically_relative(from.parent_path()),
                                    from);
  }

 private:
  void add_dax_of_bus(dev_t number, const std::string& directory,
                      const FakeDax& dax) {
    add_device(number, directory, "bus/dax");
    link("bus/dax/devices/" + dax.name, directory);
    write(directory + "/dev", std::to_string(::major(number)) + ":" +
                                  std::to_string(::minor(number)) + "\n");
    write_attributes(directory, dax);
    write_optional(directory + "/align", dax.align);
    if (dax.driver) {
      link(directory + "/driver", "bus/dax/drivers/" + *dax.driver);
    }
  }

  void add_device(dev_t number, const std::string& directory,
                  const std::string& subsystem) {
    make_directory(directory);
    link(directory + "/subsystem", subsystem);
    link("dev/char/" + std::to_string(::major(number)) + ":" +
             std::to_string(::minor(number)),
         directory);
  }

  void write_attributes(const std::string& directory, const FakeDax& dax) {
    write_optional(directory + "/size", dax.size);
    write_optional(directory + "/numa_node", dax.numa_node);
    write_optional(directory + "/target_node", dax.target_node);
  }

  void write_optional(const std::string& path,
                      const std::optional<std::string>& text) {
    if (text) {
      write(path, text->empty() ? "" : *text + "\n");
    }
  }

  TempDir root_;
  int unbound_ = 0;
};

}  // namespace support
