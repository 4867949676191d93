#include "support/backing.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "pmem/unique_fd.h"
#include "support/command.h"

namespace support {
namespace {

constexpr const char* kDiskParent = "/var/tmp";
constexpr const char* kTmpfsParent = "/dev/shm";

std::system_error failure(const std::string& doing) {
  return {errno, std::generic_category(), doing};
}

class SharedDirectory : public Backing {
 public:
  explicit SharedDirectory(const std::string& parent) : directory_(parent) {}
  const std::string& path() const override { return directory_.path(); }

 private:
  TempDir directory_;
};

// Something mounted for the length of a scope.
class ScopedMount {
 public:
  ScopedMount(const std::string& device, std::string target,
              const std::string& type, const std::string& options,
              unsigned long flags = 0)
      : target_(std::move(target)) {
    if (::mount(device.c_str(), target_.c_str(), type.c_str(), flags,
                options.c_str()) != 0) {
      throw failure("mounting " + type);
    }
  }
  ScopedMount(const ScopedMount&) = delete;
  ScopedMount& operator=(const ScopedMount&) = delete;
  // Detached, so that a test which left a file open still ends tidily.
  ~ScopedMount() { ::umount2(target_.c_str(), MNT_DETACH); }

 private:
  std::string target_;
};

// A loop device over a file, bound until nobody uses it any more. Others look
// for a free one at the same time, hence the attempts.
std::string bind_loop_device(const std::string& image,
                             pmem::UniqueFd& keeps_it) {
  const pmem::UniqueFd file(::open(image.c_str(), O_RDWR | O_CLOEXEC));
  const pmem::UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  struct loop_config config = {};
  config.fd = static_cast<__u32>(file.get());
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
  for (int attempt = 0; file.valid() && control.valid() && attempt < 100;
       ++attempt) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) {
      break;
    }
    const std::string device = "/dev/loop" + std::to_string(number);
    keeps_it = pmem::UniqueFd(::open(device.c_str(), O_RDWR | O_CLOEXEC));
    if (keeps_it.valid() &&
        ::ioctl(keeps_it.get(), LOOP_CONFIGURE, &config) == 0) {
      return device;
    }
  }
  throw failure("binding a loop device");
}

class OwnTmpfs : public Backing {
 public:
  explicit OwnTmpfs(std::uint64_t size_bytes)
      : directory_(kDiskParent),
        mount_("none", directory_.path(), "tmpfs",
               // Few inodes, so that a test can use them up.
               "mode=0755,nr_inodes=2000,size=" + std::to_string(size_bytes)) {}
  const std::string& path() const override { return directory_.path(); }

 private:
  TempDir directory_;
  ScopedMount mount_;
};

class OwnExt4 : public Backing {
 public:
  OwnExt4(std::uint64_t size_bytes, const Ext4Settings& settings)
      : directory_(kDiskParent), path_(directory_ / "mounted") {
    std::filesystem::create_directory(path_);
    // A test may have its file system used by others than root.
    std::filesystem::permissions(directory_.path(),
                                 std::filesystem::perms(0711));
    const std::string image = image_of_ext4(*this);
    make_image(image, size_bytes, settings.reserved_percent);
    pmem::UniqueFd device_fd;
    const std::string device = bind_loop_device(image, device_fd);
    mount_.emplace(device, path_, "ext4", "", settings.mount_flags);
  }
  const std::string& path() const override { return path_; }

 private:
  static void make_image(const std::string& image, std::uint64_t size_bytes,
                         unsigned reserved_percent) {
    const pmem::UniqueFd file(
        ::open(image.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file.valid() ||
        ::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0) {
      throw failure("making " + image);
    }
    const CommandResult made =
        run_command({"mkfs.ext4", "-q", "-F", "-m",
                     std::to_string(reserved_percent), "-b", "4096", image});
    if (made.exit_status != 0) {
      throw std::runtime_error("mkfs.ext4: " + made.output);
    }
  }

  TempDir directory_;
  std::string path_;
  std::optional<ScopedMount> mount_;
};

}  // namespace

std::string name_of(BackingKind kind) {
  return kind == BackingKind::kTmpfs ? "tmpfs" : "disk";
}

std::unique_ptr<Backing> make_directory_on(BackingKind kind) {
  return std::make_unique<SharedDirectory>(
      kind == BackingKind::kTmpfs ? kTmpfsParent : kDiskParent);
}

std::string cannot_make_file_systems() {
  return ::geteuid() == 0 ? ""
                          : "only root can make a file system of a given size";
}

std::unique_ptr<Backing> make_tmpfs(std::uint64_t size_bytes) {
  return std::make_unique<OwnTmpfs>(size_bytes);
}

std::unique_ptr<Backing> make_ext4(std::uint64_t size_bytes,
                                   const Ext4Settings& settings) {
  return std::make_unique<OwnExt4>(size_bytes, settings);
}

std::string image_of_ext4(const Backing& backing) {
  return backing.path() + "/../image";
}

}  // namespace support
