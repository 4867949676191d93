#include "fs/open_devices.h"

#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <string_view>

namespace pmemfs {
namespace {

using pmem::UniqueFd;

const struct sockaddr* to_generic(const struct sockaddr_nl& address) {
  return static_cast<const struct sockaddr*>(
      static_cast<const void*>(&address));
}

// What the kernel itself announces; invalid where that cannot be had.
UniqueFd open_announcements() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                       NETLINK_KOBJECT_UEVENT));
  struct sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;
  if (fd.valid() &&
      ::bind(fd.get(), to_generic(address), sizeof(address)) != 0) {
    fd = UniqueFd();
  }
  return fd;
}

// Reads all that has come. Whether a Device DAX was concerned, or might have
// been: what came too fast is lost (ENOBUFS).
bool concerns_devices(int announcements) {
  using std::string_view_literals::operator""sv;
  bool found = false;
  std::array<char, 8192> message = {};
  for (;;) {
    const ssize_t length =
        ::recv(announcements, message.data(), message.size(), 0);
    if (length < 0 && errno != ENOBUFS && errno != EINTR) {
      return found;
    }
    found = found || length < 0 ||
            std::string_view(message.data(), static_cast<std::size_t>(length))
                    .find("\0SUBSYSTEM=dax\0"sv) != std::string_view::npos;
  }
}

}  // namespace

OpenDevices::~OpenDevices() {
  if (thread_.joinable()) {
    ::eventfd_write(end_.get(), 1);
    thread_.join();
  }
}

void OpenDevices::add(const std::shared_ptr<DaxData>& data) {
  const pmem::Lock lock(mutex_);
  std::erase_if(
      data_, [](const std::weak_ptr<DaxData>& held) { return held.expired(); });
  data_.push_back(data);
  if (!has_started_) {
    has_started_ = true;
    start();
  }
}

void OpenDevices::check() {
  const pmem::Lock lock(mutex_);
  std::erase_if(data_, [](const std::weak_ptr<DaxData>& held) {
    const std::shared_ptr<DaxData> data = held.lock();
    return data == nullptr || !data->check_binding();
  });
}

// Signals are for the other threads.
void OpenDevices::start() {
  announcements_ = open_announcements();
  end_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!announcements_.valid() || !end_.valid()) {
    return;
  }
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ =
      std::thread(&OpenDevices::listen, this, announcements_.get(), end_.get());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void OpenDevices::listen(int announcements, int end) {
  std::array waited_for = {
      pollfd{.fd = announcements, .events = POLLIN, .revents = 0},
      pollfd{.fd = end, .events = POLLIN, .revents = 0}};
  while (::poll(waited_for.data(), waited_for.size(), -1) >= 0 ||
         errno == EINTR) {
    if (waited_for[1].revents != 0) {
      return;
    }
    if (waited_for[0].revents != 0 && concerns_devices(announcements)) {
      check();
    }
  }
}

}  // namespace pmemfs
