// git: many small files, renamed into place, linked and mapped.
#include <gtest/gtest.h>

#include <string>

#include "programs/program_test.h"

namespace program_tests {
namespace {

class Git : public ProgramTest {
 protected:
  void git(const std::string& script) {
    need({"git"});
    if (!IsSkipped()) {
      run(script,
          {"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b",
           "GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@d"});
    }
  }
};
PMEMFS_IN_EACH_PLACE(Git);

TEST_P(Git, GitClonesCommitsAndChecks) {
  git(R"sh(
    git init -q -b main "$N/origin"
    for commit in $(seq 1 150); do
      echo "commit refs/heads/main"
      echo "committer c <c@d> $((1700000000 + commit)) +0000"
      echo "data 8"
      printf 'no. %03d\n\n' "$commit"
      for file in 1 2 3; do
        echo "M 100644 inline directory-$((commit % 7))/file-$commit-$file"
        text="$(seq "$commit" $((commit * file * 10)))"
        echo "data ${#text}"
        echo "$text"
      done
    done 2> /dev/null | git -C "$N/origin" fast-import --quiet
    git -C "$N/origin" reset -q --hard
    git clone -q "file://$N/origin" "$M/clone"
    cd "$M/clone"
    git fsck --full --strict
    test "$(git rev-list --count HEAD)" = 150
    test "$(git ls-files | wc -l)" = 450
    test -z "$(git status --porcelain)"
    git checkout -q -b topic HEAD~20
    for number in 1 2 3; do
      echo "line $number" >> directory-1/file-1-1
      git commit -q -a -m "change $number"
    done
    git mv directory-2/file-2-1 moved
    git commit -q -m move
    git merge -q -m merge main
    git stash list
    git gc -q --aggressive --prune=now
    git fsck --full --strict
    test -z "$(git status --porcelain)"
    git clone -q "$M/clone" "$N/back"
    git -C "$N/back" fsck --full
    diff -r -x .git "$M/clone" "$N/back"
    git clone -q "$M/clone" "$M/linked"
    git -C "$M/linked" fsck --full
    git worktree add -q "$M/worktree" main
    test -z "$(git -C "$M/worktree" status --porcelain)"
  )sh");
}

}  // namespace
}  // namespace program_tests
