// Small things that tests do to files. Free functions; any thread.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "pmem/unique_fd.h"

namespace support {

// open(2), without following into a child; invalid when it is refused.
[[nodiscard]] inline pmem::UniqueFd open_file(const std::string& path,
                                              int flags, mode_t mode = 0644) {
  return pmem::UniqueFd(::open(path.c_str(), flags | O_CLOEXEC, mode));
}

// The whole file; fails the test, and returns what it got, when it cannot be
// read.
[[nodiscard]] inline std::string content_of(const std::string& path) {
  const pmem::UniqueFd fd = open_file(path, O_RDONLY);
  EXPECT_TRUE(fd.valid()) << path << ": " << std::strerror(errno);
  std::string content;
  std::vector<char> chunk(std::size_t{128} << 10);
  ssize_t got = 0;
  while (fd.valid() &&
         (got = ::read(fd.get(), chunk.data(), chunk.size())) > 0) {
    content.append(chunk.data(), static_cast<std::size_t>(got));
  }
  EXPECT_EQ(got, 0) << path << ": " << std::strerror(errno);
  return content;
}

// Makes the file, or replaces what is in it, through write(2).
inline void write_file(const std::string& path, const std::string& content) {
  const pmem::UniqueFd fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  ASSERT_TRUE(fd.valid()) << path << ": " << std::strerror(errno);
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t written =
        ::write(fd.get(), content.data() + done, content.size() - done);
    ASSERT_GT(written, 0) << path << ": " << std::strerror(errno);
    done += static_cast<std::size_t>(written);
  }
}

// lstat(2); fails the test when there is no such file.
[[nodiscard]] inline struct stat status_of(const std::string& path) {
  struct stat status = {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0)
      << path << ": " << std::strerror(errno);
  return status;
}

[[nodiscard]] inline bool exists(const std::string& path) {
  struct stat status = {};
  return ::lstat(path.c_str(), &status) == 0;
}

// Bytes that look random and are the same for the same seed.
[[nodiscard]] inline std::string noise(std::size_t size, unsigned seed = 1) {
  std::mt19937_64 generator(seed);
  std::string bytes;
  bytes.reserve(size + sizeof(std::uint64_t));
  while (bytes.size() < size) {
    const std::uint64_t word = generator();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  bytes.resize(size);
  return bytes;
}

// pread(2) of so many bytes, or as many as there are; "" when it is refused.
[[nodiscard]] inline std::string read_at(int fd, off_t offset,
                                         std::size_t size) {
  std::string bytes(size, '\0');
  const ssize_t got = ::pread(fd, bytes.data(), size, offset);
  bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return bytes;
}

}  // namespace support
