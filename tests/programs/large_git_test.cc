// git with a repository of 20,000 files, 300 commits and some large ones.
#include <gtest/gtest.h>

#include "programs/program_test.h"

namespace program_tests {
namespace {

class LargeGit : public ProgramTest {};
PMEMFS_IN_EACH_PLACE(LargeGit);

TEST_P(LargeGit, IsImportedClonedCheckedOutAndPackedAnew) {
  need({"git"});
  if (IsSkipped()) {
    return;
  }
  run(R"sh(
    test "$HOME" = "$N"
    git config --global user.name a
    git config --global user.email a@b
    git config --global core.fsync all
    # What fast-import reads: commit 1 makes the files, each of the others
    # changes some. The branch topic goes its own way from commit 200 on.
    history() {
      set +x
      for number in 1 2 3; do
        printf 'blob\nmark :%s\ndata 6000000\n' "$number"
        head -c 6000000 /dev/urandom
      done
      awk 'function file(number, text) {
             printf "M 100644 inline d%d/e%d/f%d\ndata %d\n%s\n", number % 40,
               number % 400, number, length(text), text
           }
           function branch(n) { return n > 200 && n % 2 ? "topic" : "main" }
           function parent(n) { return n > 201 ? n - 2 : n - 1 }
           BEGIN {
             for (n = 1; n <= 300; n++) {
               printf "commit refs/heads/%s\nmark :%d\n", branch(n), 1000 + n
               printf "committer c <c@d> %d +0000\ndata 6\nno %03d\n",
                 1700000000 + n * 60, n
               if (n > 1) {
                 printf "from :%d\n", 1000 + parent(n)
               }
               if (n <= 3) {
                 printf "M 100644 :%d large-%d\n", n, n
               }
               if (n == 1) {
                 for (f = 0; f < 20000; f++) file(f, "file " f "\n" f * f "\n")
               } else {
                 for (f = n; f < 20000; f += n == 299 ? 7 : 997) {
                   file(f, "file " f " of " n "\n" f * f "\n")
                 }
               }
             }
           }' < /dev/null
    }
    git init -q --bare -b main "$M/origin.git"
    history | git -C "$M/origin.git" fast-import --quiet
    test "$(git -C "$M/origin.git" rev-list --all --count)" = 300

    # Locally it links the packs.
    git clone -q "$M/origin.git" "$M/clone"
    test "$(find "$S/clone/.git/objects" -name '*.pack' -links 2 | wc -l)" = 1
    cd "$M/clone"
    test "$(git ls-files | wc -l)" = 20003
    test -z "$(git status --porcelain)"
    git checkout -q topic
    test -z "$(git status --porcelain)"
    test "$(git diff --name-only main topic | wc -l)" -gt 2000
    for number in 7 8 9; do
      echo "line $number" >> "d$number/e$number/f$number"
      git rm -q "d$number/e$((number + 40))/f$((number + 40))"
      head -c 2000000 /dev/urandom > large-1
      git add -A
      git commit -q -m "change $number"
    done
    git checkout -q main
    test -z "$(git -c core.preloadIndex=true -c index.threads=4 status --porcelain)"
    git merge -q -m merge -X ours topic
    git gc -q
    git repack -a -d -q
    git fsck --full --strict --no-progress
    test -z "$(git status --porcelain)"

    git clone -q --no-hardlinks --bare "$M/clone" "$M/copy.git"
    test "$(find "$M/copy.git/objects" -name '*.pack' -links 1 | wc -l)" = 1
    git -C "$M/copy.git" fsck --full --strict --no-progress
    # Outside it is the same, to each object.
    git clone -q --bare "file://$M/copy.git" "$N/back.git"
    git -C "$N/back.git" fsck --full --strict --no-progress
    test "$(git rev-parse main)" = "$(git -C "$N/back.git" rev-parse main)"
    test "$(git rev-list --all --count)" = 304
    rm -rf "$M/clone/d1"
    git checkout -q -- d1
    diff <(git ls-files -s) <(git --git-dir "$N/back.git" ls-tree -r main --format='%(objectmode) %(objectname) 0%x09%(path)')
  )sh",
      {"GIT_CONFIG_NOSYSTEM=1"});
}

}  // namespace
}  // namespace program_tests
