#include "random/tree_run.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <utility>

#include "random/operation_text.h"
#include "random/seed.h"
#include "random/shrink.h"

namespace random_tests {
namespace {

constexpr gid_t kSharedGroup = 23456;  // the user is in it, too

void become(std::uint64_t who) {
  static std::uint64_t current = kRoot;
  if (::getuid() != 0 || who == current) {
    return;
  }
  const uid_t user = tree_user_id(who);
  const std::array<gid_t, 2> groups = {user, kSharedGroup};
  if (::seteuid(0) != 0 ||
      ::setgroups(who == kUser ? groups.size() : 0, groups.data()) != 0 ||
      ::setegid(user) != 0 || ::seteuid(user) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "becoming another user");
  }
  current = who;
}

// The lines that only one of them has.
std::string lines_that_differ(const std::string& natively,
                              const std::string& otherwise,
                              const std::string& where) {
  const auto lines_of = [](const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream all(text);
    for (std::string line; std::getline(all, line);) {
      lines.push_back(line);
    }
    return lines;
  };
  const auto only_in = [](const std::vector<std::string>& lines,
                          const std::vector<std::string>& others,
                          const std::string& title) {
    std::string text;
    for (const std::string& line : lines) {
      if (std::find(others.begin(), others.end(), line) == others.end()) {
        text += "\n    " + title + ": " + line;
      }
    }
    return text;
  };
  const std::vector<std::string> native_lines = lines_of(natively);
  const std::vector<std::string> other_lines = lines_of(otherwise);
  return only_in(native_lines, other_lines, "natively") +
         only_in(other_lines, native_lines, where);
}

class Player {
 public:
  Player(const TreeRun& run, const std::string& name)
      : native_(make_tree(run.native, name)),
        seen_(run.make_place(run.seen + "/" + name)),
        beneath_(run.beneath + "/" + name) {
    if (::access(beneath_.c_str(), F_OK) != 0) {
      make_tree(run.beneath, name);
    }
    ::umask(022);
  }
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;
  ~Player() {
    become(kRoot);
    for (const std::string& tree : {native_.directory(), beneath_}) {
      std::error_code ignored;
      std::filesystem::remove_all(tree, ignored);
    }
  }

  // The difference, or "".
  std::string apply(const TreeOperation& operation) {
    if (operation.kind == TreeKind::kCompare) {
      return compare();
    }
    become(operation.who);
    const std::string natively = native_.perform(operation);
    const std::string seen = seen_->perform(operation);
    succeeded_ += natively.starts_with('E') ? 0U : 1U;
    return natively == seen
               ? ""
               : "natively " + natively + ", through the mount " + seen;
  }

  std::string compare() {
    become(kRoot);
    const std::string natively = tree_in(native_.directory());
    const std::string seen = tree_in(seen_->directory());
    if (natively != seen) {
      return "the trees differ:" +
             lines_that_differ(natively, seen, "through the mount");
    }
    const std::string beneath = tree_in(beneath_);
    return natively == beneath
               ? ""
               : "the tree beneath differs:" +
                     lines_that_differ(natively, beneath, "beneath");
  }

  [[nodiscard]] std::uint64_t succeeded() const { return succeeded_; }

 private:
  // Everybody may make things in it.
  static std::string make_tree(const std::string& parent,
                               const std::string& name) {
    become(kRoot);
    const std::string tree = parent + "/" + name;
    if (::mkdir(tree.c_str(), 0777) != 0 || ::chmod(tree.c_str(), 0777) != 0) {
      throw std::system_error(errno, std::generic_category(), "making " + tree);
    }
    return tree;
  }

  TreePlace native_;
  std::uint64_t succeeded_ = 0;
  std::unique_ptr<TreePlace> seen_;
  std::string beneath_;
};

}  // namespace

std::string play_tree(const TreeRun& run,
                      const std::vector<TreeOperation>& operations,
                      const std::string& name) {
  Player player(run, name);
  for (const TreeOperation& operation : operations) {
    std::string difference = player.apply(operation);
    if (!difference.empty()) {
      return to_text(operation) + ": " + difference;
    }
  }
  return player.compare();
}

TreeOutcome run_tree(const TreeRun& run) {
  const TreeRules rules = {.has_root = ::getuid() == 0, .locks = run.locks};
  std::uint64_t done = 0;
  std::uint64_t succeeded = 0;
  std::string difference;
  {
    Player player(run, "tree-" + std::to_string(run.seed));
    TreeGenerator generator(run.seed, rules);
    for (; done < run.operations && difference.empty(); ++done) {
      difference = player.apply(generator.next());
    }
    if (difference.empty()) {
      difference = player.compare();
    }
    succeeded = player.succeeded();
  }
  if (difference.empty()) {
    return {"", {}, succeeded};
  }
  const std::vector<TreeOperation> operations =
      first_tree_operations(run.seed, rules, done);
  unsigned attempt = 0;
  const auto fails = [&](const std::vector<TreeOperation>& fewer) {
    const std::string name =
        "again-" + std::to_string(run.seed) + "-" + std::to_string(++attempt);
    return run.is_alive() ? play_tree(run, fewer, name) : "";
  };
  Shrunk<TreeOperation> shrunk = shrink(operations, fails);
  std::ostringstream text;
  text << "operation " << done << ", " << to_text(operations.back()) << ": "
       << difference << '\n';
  if (shrunk.failure.empty()) {
    constexpr std::size_t kFew = 40;
    text << "It does not come again. The last operations were:\n"
         << to_text(internal::tail_of(operations,
                                      std::min(kFew, operations.size())));
    return {text.str(), {}, succeeded};
  }
  text << "By themselves these " << shrunk.operations.size()
       << " operations show it (" << shrunk.failure << "):\n"
       << to_text(shrunk.operations);
  return {text.str(), std::move(shrunk.operations), succeeded};
}

}  // namespace random_tests
