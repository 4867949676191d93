// What is used in the shell every day.
#include <gtest/gtest.h>

#include "programs/program_test.h"

namespace program_tests {
namespace {

class Everyday : public ProgramTest {};
PMEMFS_IN_EACH_PLACE(Everyday);

TEST_P(Everyday, LsDuAndDfAgreeWithTheBackingDirectory) {
  run(R"sh(
    cp -r /usr/include/linux "$M/linux"
    cd "$M"
    ln -s linux link
    ln linux/fs.h hard
    truncate -s 1G sparse
    fallocate -l 3M allocated
    mkfifo fifo
    mkdir -m 1770 sticky
    sync "$M/linux"
    diff <(cd "$S" && ls -lAiR --time-style=full-iso) <(cd "$M" && ls -lAiR --time-style=full-iso)
    diff <(cd "$S" && du -a . | sort) <(cd "$M" && du -a . | sort)
    diff <(cd "$S" && du -a --apparent-size -b . | sort) <(cd "$M" && du -a --apparent-size -b . | sort)
    diff <(cd "$S" && find . -printf '%p %i %m %U %G %n %s %b %T@ %C@\n' | sort) \
      <(cd "$M" && find . -printf '%p %i %m %U %G %n %s %b %T@ %C@\n' | sort)
    test "$(df --output=size,itotal "$S" | tail -n 1)" = "$(df --output=size,itotal "$M" | tail -n 1)"
    # What is used changes under us: others write to the file system, too.
    below=$(df --output=used -B1M "$S" | tail -n 1)
    used=$(df --output=used -B1M "$M" | tail -n 1)
    above=$(df --output=used -B1M "$S" | tail -n 1)
    test $((used >= below - 512 && used <= above + 512)) = 1
  )sh");
}

TEST_P(Everyday, GetfattrShowsTheAttributes) {
  need({"getfattr", "setfattr"});
  if (IsSkipped()) {
    return;
  }
  run(R"sh(
    truncate -s 10M "$M/file"
    setfattr -n user.own -v mine "$M/file"
    getfattr --absolute-names -d "$M/file" > "$N/shown"
    for line in 'user.pmem.is_pmem="0"' 'user.pmem.sparse="1"' 'user.own="mine"' \
      'user.pmem.mapped_length="10485760"' 'user.pmem.kind="file"'; do
      grep -Fqx "$line" "$N/shown"
    done
    test "$(getfattr --only-values -n user.pmem.mapped_length "$M/file")" = 10485760
    setfattr -n user.pmem.sparse -v 0 "$M/file" && exit 1
    cp -a "$M/file" "$N/copy"
    cp -a "$N/copy" "$M/back"
    test "$(getfattr --only-values -n user.own "$S/back")" = mine
  )sh");
}

TEST_P(Everyday, OthersFindWhatTheyExpect) {
  run(R"sh(
    # Editing in place, sorting, compressing, truncating, locking, unpacking.
    seq 1 20000 > "$M/numbers"
    sed -i 's/7/seven/g' "$M/numbers"
    seq 1 20000 | sed 's/7/seven/g' | cmp - "$S/numbers"
    sort -r -T "$M" -S 100k -o "$M/numbers" "$M/numbers"
    seq 1 20000 | sed 's/7/seven/g' | sort -r | cmp - "$S/numbers"
    gzip -k "$M/numbers"
    zcat "$M/numbers.gz" | cmp - "$M/numbers"
    : > "$M/numbers"
    test ! -s "$S/numbers"
    flock "$M/lock" echo locked
    echo 'int main() { return 42; }' > "$M/program.c"
    install -m 755 /bin/true "$M/true"
    "$M/true"
    cat "$M/numbers.gz" "$M/true" > "$M/together"
    split -b 1000 "$M/together" "$M/part-"
    cat "$M"/part-* | cmp - "$S/together"
    find "$M" -name 'part-*' -delete
    test "$(ls "$M" | wc -l)" = "$(ls "$S" | wc -l)"
    tail -c 100 "$M/together" | cmp - <(tail -c 100 "$S/together")
    shred -n 1 -u "$M/together"
    test ! -e "$S/together"
  )sh");
}

}  // namespace
}  // namespace program_tests
