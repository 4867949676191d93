#include "random/tree_generator.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>

namespace random_tests {
namespace {

struct Weight {
  TreeKind kind;
  unsigned per_thousand;
};

constexpr std::array kWeights = {
    Weight{TreeKind::kCreate, 77},      Weight{TreeKind::kMkdir, 110},
    Weight{TreeKind::kMknod, 15},       Weight{TreeKind::kSymlink, 30},
    Weight{TreeKind::kLink, 40},        Weight{TreeKind::kRename, 120},
    Weight{TreeKind::kUnlink, 45},      Weight{TreeKind::kRmdir, 25},
    Weight{TreeKind::kChmod, 60},       Weight{TreeKind::kChown, 35},
    Weight{TreeKind::kLchown, 10},      Weight{TreeKind::kUtimens, 25},
    Weight{TreeKind::kTruncate, 20},    Weight{TreeKind::kSetxattr, 25},
    Weight{TreeKind::kGetxattr, 10},    Weight{TreeKind::kListxattr, 10},
    Weight{TreeKind::kRemovexattr, 10}, Weight{TreeKind::kStat, 30},
    Weight{TreeKind::kLstat, 50},       Weight{TreeKind::kRead, 15},
    Weight{TreeKind::kList, 20},        Weight{TreeKind::kReadlink, 10},
    Weight{TreeKind::kAccess, 10},      Weight{TreeKind::kUmask, 3},
    Weight{TreeKind::kClear, 8},        Weight{TreeKind::kCompare, 2},
    Weight{TreeKind::kOpen, 110},       Weight{TreeKind::kTmpfile, 10},
    Weight{TreeKind::kClose, 8},        Weight{TreeKind::kSlotRead, 15},
    Weight{TreeKind::kSlotWrite, 25},   Weight{TreeKind::kSlotTruncate, 8},
    Weight{TreeKind::kSlotAllocate, 6}, Weight{TreeKind::kSlotStat, 20},
    Weight{TreeKind::kSlotList, 8},     Weight{TreeKind::kSlotChmod, 8},
    Weight{TreeKind::kSlotChown, 6},    Weight{TreeKind::kSlotSetxattr, 4},
    Weight{TreeKind::kSlotLink, 10},    Weight{TreeKind::kSlotMkdir, 6},
    Weight{TreeKind::kSlotCreate, 6},   Weight{TreeKind::kSlotUnlink, 8},
};

constexpr unsigned total_weight() {
  unsigned total = 0;
  for (const Weight& weight : kWeights) {
    total += weight.per_thousand;
  }
  return total;
}

constexpr std::uint64_t kLongestName = 255;

// Directories are mostly called a or b.
bool names_directory(const std::string& path) {
  const std::size_t last = path.find_last_not_of('/');
  return path[last] < 'f';
}

}  // namespace

TreeKind TreeGenerator::next_kind() {
  std::uint64_t left = random_.below(total_weight());
  for (const Weight& weight : kWeights) {
    if (left < weight.per_thousand) {
      return weight.kind;
    }
    left -= weight.per_thousand;
  }
  return TreeKind::kLstat;
}

std::string TreeGenerator::next_name(bool of_directory) {
  if (random_.one_in(300)) {
    return std::string(kLongestName + random_.below(2), 'n');
  }
  const bool is_usual = !random_.one_in(25);
  const char name = of_directory == is_usual
                        ? static_cast<char>('a' + random_.below(2))
                        : static_cast<char>('f' + random_.below(4));
  return {name};
}

// Nothing goes up with `..`: the tests of confinement are elsewhere.
std::string TreeGenerator::next_path(bool of_directory) {
  std::string path;
  for (std::uint64_t up = random_.below(5); up < 3; up += 2) {
    path += next_name(true) + "/";
  }
  path += next_name(of_directory);
  return random_.one_in(60) ? path + "/" : path;
}

std::string TreeGenerator::next_path_for(TreeKind kind) {
  switch (kind) {
    case TreeKind::kMkdir:
    case TreeKind::kRmdir:
    case TreeKind::kList:
    case TreeKind::kTmpfile:
    case TreeKind::kClear:
      return next_path(true);
    case TreeKind::kSlotMkdir:
      return next_name(true);
    case TreeKind::kSlotCreate:
    case TreeKind::kSlotUnlink:
      return next_name(false);
    case TreeKind::kRename:
    case TreeKind::kUnlink:
    case TreeKind::kChmod:
    case TreeKind::kChown:
    case TreeKind::kUtimens:
    case TreeKind::kSetxattr:
    case TreeKind::kLstat:
      return next_path(random_.one_in(3));
    default:
      return next_path(random_.one_in(8));
  }
}

// None is the tree itself: with its mode a user could be locked out for good.
std::string TreeGenerator::next_target() {
  switch (random_.below(5)) {
    case 0:
      return "./" + next_name(true);
    case 1:
      return next_name(true) + "/" + next_name(false);
    default:
      return next_name(random_.one_in(2));
  }
}

std::string TreeGenerator::next_xattr() {
  switch (random_.below(6)) {
    case 0:
      return "trusted.a";
    case 1:
      return "system.posix_acl_access";
    case 2:
      return "system.posix_acl_default";
    case 3:
      return "user.b";
    default:
      return "user.a";
  }
}

// Mostly such that things go on.
std::uint64_t TreeGenerator::next_mode() {
  switch (random_.below(12)) {
    case 0:
      return random_.below(010000);
    case 1:
    case 2:
      return 0755 | random_.below(8) << 9;
    case 3:
    case 4:
      return 0644;
    case 5:
      return 0700;
    default:
      return 0777;
  }
}

std::uint64_t TreeGenerator::next_owner() {
  return random_.one_of<std::uint64_t>(
      {0, kUser, kUser, kStranger, kSameOwner});
}

std::uint64_t TreeGenerator::next_time() {
  return random_.one_in(4)   ? kTimeNow
         : random_.one_in(4) ? kTimeOmit
                             : random_.between(1, 1'000'000);
}

void TreeGenerator::fill(TreeOperation& operation) {
  const auto flags = [&](auto... choices) {
    operation.flags =
        random_.one_of<std::uint64_t>({static_cast<std::uint64_t>(choices)...});
  };
  switch (operation.kind) {
    case TreeKind::kMknod:
      operation.mode = next_mode() | random_.one_of<std::uint64_t>(
                                         {S_IFIFO, S_IFSOCK, S_IFREG});
      break;
    case TreeKind::kSymlink:
      operation.other = next_target();
      break;
    case TreeKind::kLink:
      operation.other = next_path_for(operation.kind);
      flags(0, 0, AT_SYMLINK_FOLLOW);
      break;
    case TreeKind::kRename:
      operation.other = next_path(names_directory(operation.path));
      flags(0U, 0U, 0U, 0U, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE,
            RENAME_NOREPLACE | RENAME_EXCHANGE);
      break;
    case TreeKind::kChown:
    case TreeKind::kLchown:
    case TreeKind::kSlotChown:
      // To change neither of them differs, as pmemfs(8) tells.
      operation.value = next_owner();
      operation.value2 = operation.value == kSameOwner ? kUser : next_owner();
      break;
    case TreeKind::kUtimens:
      operation.value = next_time();
      operation.value2 = next_time();
      break;
    case TreeKind::kSetxattr:
    case TreeKind::kSlotSetxattr:
      flags(0, 0, 0, XATTR_CREATE, XATTR_REPLACE);
      operation.other = next_xattr();
      operation.value = random_.below(300);
      break;
    case TreeKind::kGetxattr:
    case TreeKind::kRemovexattr:
      operation.other = next_xattr();
      break;
    case TreeKind::kAccess:
      operation.mode = random_.below(8);
      break;
    case TreeKind::kUmask:
      operation.mode = random_.one_of<std::uint64_t>({022, 022, 0, 077, 0113});
      break;
    case TreeKind::kOpen:
      flags(O_RDONLY, O_RDONLY, O_RDWR, O_RDWR, O_WRONLY, O_RDWR | O_CREAT,
            O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL,
            O_WRONLY | O_CREAT | O_TRUNC, O_RDWR | O_TRUNC, O_RDONLY | O_TRUNC,
            O_WRONLY | O_APPEND, O_RDONLY | O_DIRECTORY, O_RDONLY | O_DIRECTORY,
            O_RDONLY | O_NOFOLLOW, O_RDWR | O_NOFOLLOW | O_CREAT, O_PATH,
            O_PATH | O_NOFOLLOW);
      break;
    case TreeKind::kTmpfile:
      flags(O_RDWR, O_RDWR, O_WRONLY, O_RDWR | O_EXCL, O_RDONLY);
      break;
    case TreeKind::kTruncate:
    case TreeKind::kSlotTruncate:
    case TreeKind::kSlotWrite:
      operation.value = random_.below(20'000);
      operation.value2 = random_.below(5'000);
      break;
    // None that a file system refuses: pmemfs(8) tells what differs then.
    case TreeKind::kSlotAllocate:
      flags(0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE);
      operation.value = random_.below(20'000);
      operation.value2 = random_.below(9'000);
      break;
    case TreeKind::kSlotUnlink:
      flags(0, 0, AT_REMOVEDIR);
      break;
    default:
      break;
  }
}

TreeOperation TreeGenerator::next() {
  TreeOperation operation;
  operation.kind = next_kind();
  const std::uint64_t chosen = random_.below(10);
  operation.who = !rules_.has_root ? kUser
                  : chosen < 5     ? kRoot
                  : chosen < 9     ? kUser
                                   : kStranger;
  operation.slot = random_.below(kSlots);
  operation.path = next_path_for(operation.kind);
  operation.mode = next_mode();
  fill(operation);
  if (!rules_.locks && operation.kind == TreeKind::kUmask) {
    operation.mode &= ~std::uint64_t{0700};
  } else if (!rules_.locks) {
    operation.mode |= 0700;
  }
  return operation;
}

}  // namespace random_tests
