// The stressors of file systems that stress-ng has, with its own checks of what
// they read back and are answered.
#include <gtest/gtest.h>

#include <string>

#include "programs/program_test.h"

namespace program_tests {
namespace {

class StressNg : public ProgramTest {};
PMEMFS_IN_EACH_PLACE(StressNg);

TEST_P(StressNg, FindsNothingThatItDoesNotFindBeneath) {
  need({"stress-ng"});
  if (IsSkipped()) {
    return;
  }
  // The whole class in one place; in the others, those that are most about a
  // file system.
  const bool is_whole = is(BackingKind::kDisk, MountedBy::kRoot);
  run(R"sh(
    set +x
    if [ "$WHOLE" = yes ]; then
      stressors=$(stress-ng --class 'filesystem?' 2>&1 | sed -n "s/^class 'filesystem' stressors: //p")
    else
      stressors='access chdir chmod chown copy-file dentry dir dirdeep dirmany fallocate
        filename flock fpunch fstat getdent hdd iomix link lockf open rename symlink utime xattr'
    fi
    mkdir "$M/stress" "$N/stress" "$N/mounted" "$N/beneath"
    # attempt STRESSOR DIRECTORY FILE: how it came out goes to the file, in the
    # first line "passed", or else a status, and what it said after it.
    attempt() {
      local status=0 said
      said=$(timeout 120 stress-ng "--$1" 1 --timeout 1 --verify --temp-path "$2" \
        --no-rand-seed 2>&1) || status=$?
      if [ "$status" = 0 ] && ! grep -q 'skipp\|unsupported\| not supported' <<< "$said"; then
        echo passed > "$3"
      else
        printf 'status %s\n%s\n' "$status" "$said" > "$3"
      fi
    }
    export -f attempt
    printf '%s\n' $stressors |
      xargs -P 2 -I {} bash -c 'attempt {} "$M/stress" "$N/mounted/{}"'
    worse=0
    for stressor in $stressors; do
      read -r mounted < "$N/mounted/$stressor"
      # FUSE does not pass on FIEMAP.
      [ "$mounted" != passed ] && [ "$stressor" != fiemap ] || continue
      attempt "$stressor" "$N/stress" "$N/beneath/$stressor"
      read -r beneath < "$N/beneath/$stressor"
      if [ "$mounted" = "$beneath" ]; then
        echo "$stressor: the same beneath: $(tail -n 1 "$N/beneath/$stressor")"
      else
        tail -n 100 "$N/mounted/$stressor" "$N/beneath/$stressor"
        worse=$((worse + 1))
      fi
    done
    passed=$(grep -lx passed "$N"/mounted/* | wc -l)
    echo "$passed of $(wc -w <<< "$stressors") passed, $worse only beneath"
    test "$passed" -ge 20
    test "$worse" = 0
    find "$M/stress" -mindepth 1 | head -n 20
    rm -r "$M/stress"
    test ! -e "$S/stress"
  )sh",
      {std::string("WHOLE=") + (is_whole ? "yes" : "no")});
}

}  // namespace
}  // namespace program_tests
