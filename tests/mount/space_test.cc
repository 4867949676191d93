// Full file systems: the writer is told, what was acknowledged is there, and
// the mount goes on.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "mount/mount_test.h"
#include "support/child_process.h"

namespace mount_tests {
namespace {

constexpr std::uint64_t kSpace = std::uint64_t{24} << 20;

class Space : public MountTest,
              public ::testing::WithParamInterface<BackingKind> {
 protected:
  void SetUp() override {
    if (!support::cannot_make_file_systems().empty()) {
      GTEST_SKIP() << support::cannot_make_file_systems();
    }
    mount(GetParam() == BackingKind::kTmpfs ? support::make_tmpfs(kSpace)
                                            : support::make_ext4(kSpace));
  }

  void TearDown() override {
    if (!IsSkipped()) {
      EXPECT_TRUE(daemon().daemon_is_alive());
    }
  }

  // Takes all space beside the mount, but for so many bytes.
  void fill_up(std::uint64_t but_for = 0) {
    const pmem::UniqueFd fd = open_file(native("filler"), O_RDWR | O_CREAT);
    ASSERT_TRUE(fd.valid());
    struct statvfs status = {};
    ASSERT_EQ(::statvfs(native().c_str(), &status), 0);
    off_t size = 0;
    for (off_t step = 1 << 20; step >= 4096;) {
      if (::fallocate(fd.get(), 0, size, step) == 0) {
        size += step;
      } else {
        ASSERT_EQ(errno, ENOSPC);
        step /= 2;
      }
    }
    ASSERT_EQ(::ftruncate(fd.get(), size - static_cast<off_t>(but_for)), 0);
    ASSERT_EQ(::fsync(fd.get()), 0);
  }

  void make_room() { ASSERT_EQ(::unlink(native("filler").c_str()), 0); }
};
PMEMFS_ON_EACH_BACKING(Space);

// Writes the text piece by piece from the offset on, until it is refused or
// through. Returns how much was acknowledged, and the errno of the end.
struct Written {
  std::size_t acknowledged = 0;
  int error = 0;
};

Written write_pieces(int fd, const std::string& text, std::size_t piece,
                     off_t offset = 0) {
  Written written;
  while (written.acknowledged < text.size()) {
    const std::size_t size =
        std::min(piece, text.size() - written.acknowledged);
    const ssize_t count =
        ::pwrite(fd, text.data() + written.acknowledged, size,
                 offset + static_cast<off_t>(written.acknowledged));
    if (count <= 0) {
      written.error = count == 0 ? -1 : errno;
      break;
    }
    written.acknowledged += static_cast<std::size_t>(count);
  }
  return written;
}

TEST_P(Space, AWriterIsToldAndWhatWasAcknowledgedIsThere) {
  for (const std::size_t piece : {65536U, 10007U, 1U << 20U}) {
    const std::string text = noise(2 * kSpace);
    const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
    const Written written = write_pieces(fd.get(), text, piece);
    EXPECT_EQ(written.error, ENOSPC) << std::strerror(written.error);
    EXPECT_GT(written.acknowledged, kSpace / 3);
    EXPECT_EQ(status_of(source("f")).st_size,
              static_cast<off_t>(written.acknowledged));
    const std::string acknowledged = text.substr(0, written.acknowledged);
    EXPECT_TRUE(content_of(mounted("f")) == acknowledged);
    EXPECT_TRUE(content_of(source("f")) == acknowledged);
    EXPECT_EQ(::fsync(fd.get()), 0) << std::strerror(errno);
    ASSERT_EQ(::unlink(mounted("f").c_str()), 0);
  }
  remount();
  write_file(mounted("g"), noise(1 << 20));
  EXPECT_TRUE(content_of(source("g")) == noise(1 << 20));
}

TEST_P(Space, AsMuchCanBeWrittenAsNatively) {
  const std::string text = noise(2 * kSpace);
  std::vector<std::size_t> acknowledged;
  for (const std::string& path : {native("f"), mounted("f")}) {
    const pmem::UniqueFd fd = open_file(path, O_RDWR | O_CREAT);
    acknowledged.push_back(write_pieces(fd.get(), text, 50000).acknowledged);
    ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
    ASSERT_EQ(::unlink(path.c_str()), 0);
    ASSERT_EQ(::fsync(fd.get()), 0);
  }
  // ext4 keeps some back while it has not chosen the blocks yet.
  EXPECT_GE(acknowledged[1] + (256U << 10U), acknowledged[0]);
}

TEST_P(Space, AnAppenderIsToldToo) {
  ASSERT_NO_FATAL_FAILURE(fill_up(300000));
  const pmem::UniqueFd fd =
      open_file(mounted("f"), O_WRONLY | O_CREAT | O_APPEND);
  std::string acknowledged;
  int error = 0;
  for (unsigned step = 0; step < 1000; ++step) {
    const std::string line = noise(1000, step);
    const ssize_t count = ::write(fd.get(), line.data(), line.size());
    if (count < 0) {
      error = errno;
      break;
    }
    acknowledged += line.substr(0, static_cast<std::size_t>(count));
  }
  EXPECT_EQ(error, ENOSPC);
  EXPECT_TRUE(content_of(mounted("f")) == acknowledged);
  EXPECT_TRUE(content_of(source("f")) == acknowledged);
  ASSERT_NO_FATAL_FAILURE(make_room());
  ASSERT_EQ(::write(fd.get(), "goes on", 7), 7);
  EXPECT_TRUE(content_of(source("f")) == acknowledged + "goes on");
}

TEST_P(Space, AStoreIntoAHoleIsRefusedAndLaterTaken) {
  constexpr off_t kSize = 4 << 20;
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(fd.get(), kSize), 0);
  ASSERT_EQ(::pwrite(fd.get(), "has blocks", 10, 1 << 20), 10);
  ASSERT_EQ(::fsync(fd.get()), 0);
  ASSERT_NO_FATAL_FAILURE(fill_up());
  const std::string text = noise(256 << 10);
  const Written refused = write_pieces(fd.get(), text, text.size(), 2 << 20);
  EXPECT_EQ(refused.error, ENOSPC) << std::strerror(refused.error);
  EXPECT_LT(refused.acknowledged, text.size());
  // Around it all is as before.
  EXPECT_EQ(status_of(mounted("f")).st_size, kSize);
  EXPECT_EQ(read_at(fd.get(), 1 << 20, 10), "has blocks");
  EXPECT_EQ(read_at(fd.get(), (2 << 20) - 8, 8), std::string(8, '\0'));
  EXPECT_TRUE(read_at(fd.get(), 2 << 20, refused.acknowledged) ==
              text.substr(0, refused.acknowledged));
  // Where there are blocks, stores are taken even now.
  EXPECT_EQ(::pwrite(fd.get(), "HAS", 3, 1 << 20), 3);
  EXPECT_EQ(read_at(fd.get(), 1 << 20, 10), "HAS blocks");
  ASSERT_NO_FATAL_FAILURE(make_room());
  const Written taken = write_pieces(fd.get(), text, text.size(), 2 << 20);
  EXPECT_EQ(taken.acknowledged, text.size()) << std::strerror(taken.error);
  EXPECT_TRUE(content_of(source("f")).substr(2 << 20, text.size()) == text);
}

TEST_P(Space, AHolePunchedAfterAStoreIsRefusedAsWell) {
  // What is known of blocks must be forgotten, whoever takes them away.
  for (const bool beneath : {false, true}) {
    write_file(mounted("f"), noise(1 << 20));
    const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR);
    const pmem::UniqueFd puncher =
        open_file(beneath ? source("f") : mounted("f"), O_RDWR);
    ASSERT_EQ(::pwrite(fd.get(), "known", 5, 0), 5);
    ASSERT_EQ(::fsync(fd.get()), 0);
    ASSERT_EQ(
        ::fallocate(puncher.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    0, 1 << 20),
        0);
    ASSERT_NO_FATAL_FAILURE(fill_up());
    const std::string text = noise(256 << 10, 9);
    const Written refused = write_pieces(fd.get(), text, text.size());
    EXPECT_EQ(refused.error, ENOSPC) << "punched beneath: " << beneath;
    EXPECT_TRUE(read_at(fd.get(), 0, refused.acknowledged) ==
                text.substr(0, refused.acknowledged));
    ASSERT_TRUE(daemon().daemon_is_alive());
    ASSERT_NO_FATAL_FAILURE(make_room());
    const Written taken = write_pieces(fd.get(), text, text.size());
    EXPECT_EQ(taken.acknowledged, text.size());
    EXPECT_TRUE(content_of(source("f")).substr(0, text.size()) == text);
    ASSERT_EQ(::unlink(mounted("f").c_str()), 0);
  }
}

TEST_P(Space, AllocationIsRefusedWithTheSizeAsItWas) {
  expect_same([](Account& account) {
    write_file(account / "f", noise(5000));
    const pmem::UniqueFd fd = open_file(account / "f", O_RDWR);
    account.call("fallocate", ::fallocate(fd.get(), 0, 0, off_t{kSpace} * 2));
    account.value("size", status_of(account / "f").st_size);
    account.content("content", content_of(account / "f"));
    account.call("keeping the size", ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE,
                                                 0, off_t{kSpace} * 2));
    account.value("size", status_of(account / "f").st_size);
    ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
    account.call("a sparse one", ::ftruncate(fd.get(), off_t{kSpace} * 8));
    account.value("size", status_of(account / "f").st_size);
  });
}

TEST_P(Space, WritersSideBySideAreAllTold) {
  std::vector<std::thread> writers;
  std::vector<Written> written(4);
  const std::string text = noise(kSpace);
  for (std::size_t number = 0; number < written.size(); ++number) {
    writers.emplace_back([&, number] {
      const pmem::UniqueFd fd =
          open_file(mounted(std::to_string(number)), O_RDWR | O_CREAT);
      written[number] = write_pieces(fd.get(), text, 30000 + number * 1111);
    });
  }
  for (std::thread& writer : writers) {
    writer.join();
  }
  for (std::size_t number = 0; number < written.size(); ++number) {
    EXPECT_EQ(written[number].error, ENOSPC);
    EXPECT_TRUE(content_of(source(std::to_string(number))) ==
                text.substr(0, written[number].acknowledged));
  }
}

TEST_P(Space, CreatingOnAFullFileSystemIsRefusedAsNatively) {
  ASSERT_NO_FATAL_FAILURE(fill_up());
  expect_same([](Account& account) {
    // Until its inodes are gone, or the blocks of the directory.
    int made = 0;
    long answer = 0;
    for (; answer >= 0 && made < 100000; ++made) {
      answer = ::mkdir((account / std::to_string(made)).c_str(), 0755);
    }
    account.call("mkdir", answer);
    for (int number = 0; number < made; ++number) {
      ::rmdir((account / std::to_string(number)).c_str());
    }
  });
}

// --- what is reserved for root ---

class ReservedSpace : public MountTest {
 protected:
  static constexpr uid_t kUser = 12345;

  void SetUp() override {
    if (!support::cannot_make_file_systems().empty()) {
      GTEST_SKIP() << support::cannot_make_file_systems();
    }
    mount(support::make_ext4(kSpace, {.reserved_percent = 30}));
    let_others_in();
  }

  // A user takes space until he is refused: how much that is, and the errno.
  // Through the mount it is what he gets natively.
  void expect_same_for_user(
      const std::function<Written(const std::string& path)>& take) {
    // Metadata may lie a little otherwise.
    constexpr std::size_t kAbout = std::size_t{1} << 20;
    const Written natively = taken_by_user(native("taken"), take);
    const Written through_mount = taken_by_user(mounted("taken"), take);
    EXPECT_EQ(natively.error, ENOSPC);
    EXPECT_EQ(through_mount.error, ENOSPC);
    EXPECT_GT(natively.acknowledged, kSpace / 4);
    EXPECT_LT(through_mount.acknowledged, natively.acknowledged + kAbout);
    EXPECT_GT(through_mount.acknowledged + kAbout, natively.acknowledged);
  }

 private:
  static Written taken_by_user(
      const std::string& path,
      const std::function<Written(const std::string& path)>& take) {
    const support::TempDir notes;
    const pmem::UniqueFd note = open_file(notes / "note", O_RDWR | O_CREAT);
    support::in_child([&] {
      support::become_user(kUser, kUser);
      const Written taken = take(path);
      ASSERT_EQ(::pwrite(note.get(), &taken, sizeof(taken), 0),
                static_cast<ssize_t>(sizeof(taken)));
    });
    ::unlink(path.c_str());
    Written taken;
    EXPECT_EQ(::pread(note.get(), &taken, sizeof(taken), 0),
              static_cast<ssize_t>(sizeof(taken)));
    return taken;
  }
};

TEST_F(ReservedSpace, IsNotForWhatAUserAppends) {
  expect_same_for_user([](const std::string& path) {
    const pmem::UniqueFd fd = open_file(path, O_RDWR | O_CREAT);
    return write_pieces(fd.get(), noise(kSpace), 65536);
  });
}

TEST_F(ReservedSpace, IsNotForHolesThatAUserFills) {
  expect_same_for_user([](const std::string& path) {
    const pmem::UniqueFd fd = open_file(path, O_RDWR | O_CREAT);
    EXPECT_EQ(::ftruncate(fd.get(), kSpace), 0);
    return write_pieces(fd.get(), noise(kSpace), 65536);
  });
}

TEST_F(ReservedSpace, IsNotForWhatAUserAllocates) {
  expect_same_for_user([](const std::string& path) {
    constexpr std::size_t kPiece = 65536;
    const pmem::UniqueFd fd = open_file(path, O_RDWR | O_CREAT);
    Written taken;
    while (::fallocate(fd.get(), 0, static_cast<off_t>(taken.acknowledged),
                       kPiece) == 0) {
      taken.acknowledged += kPiece;
    }
    taken.error = errno;
    return taken;
  });
}

TEST_F(ReservedSpace, IsForRoot) {
  const pmem::UniqueFd fd = open_file(mounted("f"), O_RDWR | O_CREAT);
  const Written written = write_pieces(fd.get(), noise(kSpace), 65536);
  EXPECT_EQ(written.error, ENOSPC);
  EXPECT_GT(written.acknowledged, kSpace * 2 / 3);
}

}  // namespace
}  // namespace mount_tests
