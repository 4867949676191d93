#include "posix/words.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>

namespace posix_tests {
namespace {

const std::map<std::string, long>& flag_names() {
  static const std::map<std::string, long> kNames = {
      {"RDONLY", O_RDONLY},
      {"WRONLY", O_WRONLY},
      {"RDWR", O_RDWR},
      {"CREAT", O_CREAT},
      {"EXCL", O_EXCL},
      {"TRUNC", O_TRUNC},
      {"APPEND", O_APPEND},
      {"NONBLOCK", O_NONBLOCK},
      {"DIRECTORY", O_DIRECTORY},
      {"NOFOLLOW", O_NOFOLLOW},
      {"PATH", O_PATH},
      {"TMPFILE", O_TMPFILE},
      {"SYNC", O_SYNC},
      {"DSYNC", O_DSYNC},
      {"DIRECT", O_DIRECT},
      {"NOATIME", O_NOATIME},
      {"SET", SEEK_SET},
      {"CUR", SEEK_CUR},
      {"END", SEEK_END},
      {"DATA", SEEK_DATA},
      {"HOLE", SEEK_HOLE},
      {"KEEP_SIZE", FALLOC_FL_KEEP_SIZE},
      {"PUNCH_HOLE", FALLOC_FL_PUNCH_HOLE},
      {"ZERO_RANGE", FALLOC_FL_ZERO_RANGE},
      {"COLLAPSE_RANGE", FALLOC_FL_COLLAPSE_RANGE},
      {"INSERT_RANGE", FALLOC_FL_INSERT_RANGE},
      {"UNSHARE_RANGE", FALLOC_FL_UNSHARE_RANGE},
      {"NOREPLACE", RENAME_NOREPLACE},
      {"EXCHANGE", RENAME_EXCHANGE},
      {"WHITEOUT", RENAME_WHITEOUT},
      {"CREATE", XATTR_CREATE},
      {"REPLACE", XATTR_REPLACE},
      {"SH", LOCK_SH},
      {"EX", LOCK_EX},
      {"UN", LOCK_UN},
      {"NB", LOCK_NB},
      {"R_OK", R_OK},
      {"W_OK", W_OK},
      {"X_OK", X_OK},
      {"F_OK", F_OK},
      {"RWF_DSYNC", RWF_DSYNC},
      {"RWF_SYNC", RWF_SYNC},
      {"RWF_NOWAIT", RWF_NOWAIT},
      {"RWF_APPEND", RWF_APPEND},
      {"RWF_NOAPPEND", 0x20},
      {"RWF_DONTCACHE", 0x80},
      {"GETFSUUID", 0x80111500},
      {"CHOWN", CAP_CHOWN},
      {"DAC_OVERRIDE", CAP_DAC_OVERRIDE},
      {"DAC_READ_SEARCH", CAP_DAC_READ_SEARCH},
      {"FOWNER", CAP_FOWNER},
      {"FSETID", CAP_FSETID},
      {"MKNOD", CAP_MKNOD},
      {"root", 0},
      {"user", kUser},
      {"stranger", kStranger},
      {"IMMUTABLE", FS_IMMUTABLE_FL},
      {"APPEND_ONLY", FS_APPEND_FL},
      {"NODUMP", FS_NODUMP_FL},
      {"NOATIME_FLAG", FS_NOATIME_FL},
      {"MS_ASYNC", MS_ASYNC},
      {"MS_SYNC", MS_SYNC},
      {"MS_INVALIDATE", MS_INVALIDATE},
  };
  return kNames;
}

}  // namespace

Words split(const std::string& call) {
  std::istringstream words(call);
  Words found;
  for (std::string word; words >> word;) {
    found.push_back(word);
  }
  return found;
}

std::string decoded(const std::string& word) {
  std::string text;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '%' && i + 2 < word.size()) {
      text += static_cast<char>(std::stoi(word.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else if (word[i] == '{' && !text.empty()) {
      const std::size_t end = word.find('}', i);
      const std::size_t count = std::stoul(word.substr(i + 1, end - i - 1));
      text.append(count - 1, text.back());
      i = end;
    } else {
      text += word[i];
    }
  }
  return text;
}

long number(const std::string& word) {
  long value = 0;
  std::istringstream parts(word);
  for (std::string part; std::getline(parts, part, '|');) {
    const auto named = flag_names().find(part);
    std::size_t used = 0;
    value |=
        named != flag_names().end() ? named->second : std::stol(part, &used, 0);
    if (named == flag_names().end() && used != part.size()) {
      throw std::runtime_error("no number: " + word);
    }
  }
  return value;
}

unsigned id(const std::string& word) {
  return static_cast<unsigned>(number(word));
}

mode_t mode(const Words& words, std::size_t at, mode_t otherwise) {
  return at < words.size() ? id(words[at]) : otherwise;
}

bool has(const Words& words, std::size_t at, const char* word) {
  return at < words.size() && words[at] == word;
}

timespec time_of(const std::string& word) {
  if (word == "now" || word == "omit") {
    return {.tv_sec = 0, .tv_nsec = word == "now" ? UTIME_NOW : UTIME_OMIT};
  }
  constexpr long kSomeNanoseconds = 7;
  const std::size_t point = word.find('.');
  return {.tv_sec = number(word.substr(0, point)),
          .tv_nsec = point == std::string::npos
                         ? kSomeNanoseconds
                         : std::stol(word.substr(point + 1))};
}

mode_t type_of(const std::string& word) {
  static const std::map<std::string, mode_t> kTypes = {{"fifo", S_IFIFO},
                                                       {"sock", S_IFSOCK},
                                                       {"chr", S_IFCHR},
                                                       {"blk", S_IFBLK},
                                                       {"reg", S_IFREG}};
  return kTypes.at(word);
}

std::string shown(const std::string& bytes) {
  constexpr std::size_t kFew = 40;
  const bool is_plain = std::all_of(
      bytes.begin(), bytes.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (is_plain && bytes.size() <= kFew) {
    return "\"" + bytes + "\"";
  }
  return std::to_string(bytes.size()) + " bytes, hash " +
         std::to_string(std::hash<std::string>()(bytes));
}

std::string shown(const char* bytes, ssize_t length) {
  return shown(std::string(bytes, static_cast<std::size_t>(length)));
}

std::string shown(const timespec& time) {
  constexpr time_t kHour = 3600;
  const time_t now = std::time(nullptr);
  return time.tv_sec > now - kHour && time.tv_sec < now + kHour
             ? "now"
             : std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
}

std::string describe(const struct stat& status) {
  std::ostringstream text;
  text << std::oct << status.st_mode << std::dec << " links " << status.st_nlink
       << " owner " << status.st_uid << ":" << status.st_gid;
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
    text << " device " << ::major(status.st_rdev) << ":"
         << ::minor(status.st_rdev);
  } else if (!S_ISDIR(status.st_mode)) {
    text << " size " << status.st_size;
  }
  return text.str();
}

}  // namespace posix_tests
