#include "fs/top_directory.h"

#include <dirent.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "fs/listed_directory.h"

namespace pmemfs {

using pmem::fail;
using pmem::pass_on;
using pmem::Result;

TopDirectory::TopDirectory(ino_t inode, std::vector<Member> members)
    : inode_(inode), members_(std::move(members)), made_() {
  ::clock_gettime(CLOCK_REALTIME, &made_);
}

Result<struct stat> TopDirectory::attributes() {
  struct stat status = {};
  status.st_ino = inode_;
  status.st_mode = S_IFDIR | 0555;
  status.st_nlink = 2 + members_.size();
  status.st_uid = ::geteuid();
  status.st_gid = ::getegid();
  status.st_blksize = 4096;
  status.st_atim = status.st_mtim = status.st_ctim = made_;
  return status;
}

Result<struct statvfs> TopDirectory::file_system_status() {
  struct statvfs sum = {};
  sum.f_bsize = sum.f_frsize = 4096;
  sum.f_namemax = 255;
  std::set<unsigned long> counted;
  for (const Member& member : members_) {
    Result<struct statvfs> one = member.source->file_system_status();
    if (!one) {
      return pass_on(one);
    }
    if (!counted.insert(one->f_fsid).second) {
      continue;
    }
    const auto in_our_blocks = [&](fsblkcnt_t blocks) {
      return blocks * one->f_frsize / sum.f_frsize;
    };
    sum.f_blocks += in_our_blocks(one->f_blocks);
    sum.f_bfree += in_our_blocks(one->f_bfree);
    sum.f_bavail += in_our_blocks(one->f_bavail);
    sum.f_files += one->f_files;
    sum.f_ffree += one->f_ffree;
    sum.f_favail += one->f_favail;
  }
  return sum;
}

Result<Entry> TopDirectory::lookup(const char* name) {
  const auto found =
      std::find_if(members_.begin(), members_.end(),
                   [&](const Member& member) { return member.name == name; });
  if (found == members_.end()) {
    return fail(ENOENT, "lookup");
  }
  return found->source->root();
}

Result<std::unique_ptr<DirectoryStream>> TopDirectory::open_directory() {
  std::vector<ListedDirectory::Item> items = {{".", inode_, DT_DIR},
                                              {"..", inode_, DT_DIR}};
  for (const Member& member : members_) {
    if (member.source->is_there()) {
      items.push_back(
          {member.name, member.source->inode(), member.source->type()});
    }
  }
  return std::make_unique<ListedDirectory>(std::move(items));
}

}  // namespace pmemfs
