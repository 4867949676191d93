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
  // file system, several at a time.
  const bool is_whole = is(BackingKind::kDisk, MountedBy::kRoot);
  run(R"sh(
    set +x
    if [ "$WHOLE" = yes ]; then
      workers=1
      stressors=$(stress-ng --class 'filesystem?' 2>&1 | sed -n "s/^class 'filesystem' stressors: //p")
    else
      workers=2
      stressors='access chdir chmod chown copy-file dentry dir dirdeep dirmany fallocate
        filename flock fpunch fstat getdent hdd iomix link lockf open rename symlink utime xattr'
    fi
    mkdir "$M/stress" "$N/stress"
    # How it came out: passed, or what it says.
    outcome() {
      local status=0
      timeout 120 stress-ng "--$1" "$workers" --timeout 1 --verify --temp-path "$2" \
        --no-rand-seed > "$N/said" 2>&1 || status=$?
      if [ "$status" != 0 ] || grep -q 'skipp\|unsupported\| not supported' "$N/said"; then
        echo "status $status"
        cat "$N/said"
      else
        echo passed
      fi
    }
    worse=0
    number=0
    for stressor in $stressors; do
      mounted=$(outcome "$stressor" "$M/stress")
      if [ "$mounted" = passed ]; then
        number=$((number + 1))
        continue
      fi
      # FUSE does not pass on FIEMAP.
      [ "$stressor" != fiemap ] || continue
      beneath=$(outcome "$stressor" "$N/stress")
      if [ "$beneath" = passed ] || [ "${mounted%%$'\n'*}" != "${beneath%%$'\n'*}" ]; then
        printf '%s:\n%s\n' "$stressor" "$mounted" "beneath" "$beneath"
        worse=$((worse + 1))
      else
        echo "$stressor: neither here nor beneath: $(tail -n 1 <<< "$mounted")"
      fi
    done
    echo "$number passed, $worse only beneath"
    test "$number" -ge 20
    test "$worse" = 0
    test -z "$(ls -A "$M/stress")"
  )sh",
      {std::string("WHOLE=") + (is_whole ? "yes" : "no")});
}

}  // namespace
}  // namespace program_tests
