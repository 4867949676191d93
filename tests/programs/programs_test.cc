// Other people's programs on a mount, each with what it is used for. The
// scripts print what they do; variables of theirs:
//   M  a directory in the mount    S  the same one beneath it
//   N  a directory beside the mount, on the same file system
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "mount/mount_test.h"

namespace mount_tests {
namespace {

class Programs : public OnEachBacking {
 protected:
  // Skips when one of them is not installed; the caller returns when
  // IsSkipped().
  static void need(const std::vector<std::string>& programs) {
    for (const std::string& program : programs) {
      if (support::run_command({"which", program}).exit_status != 0) {
        GTEST_SKIP() << program << " is not installed";
      }
    }
  }

  // Runs a script to its end; the test fails when one of its commands does.
  // Returns what it printed.
  std::string run(const std::string& script) {
    const support::CommandResult ran = support::run_command(
        {"bash", "-e", "-u", "-x", "-o", "pipefail", "-c", script},
        {"M=" + daemon().path(), "S=" + source(), "N=" + native(),
         "HOME=" + native(), "LC_ALL=C", "TZ=UTC", "GIT_CONFIG_NOSYSTEM=1",
         "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=c",
         "GIT_COMMITTER_EMAIL=c@d", "PS4=> "});
    std::cout << ran.output << std::flush;
    EXPECT_EQ(ran.exit_status, 0);
    return ran.output;
  }
};
PMEMFS_ON_EACH_BACKING(Programs);

TEST_P(Programs, CpBringsATreeInAndBack) {
  run(R"sh(
    cp -r /usr/include "$M/in"
    diff -r --no-dereference /usr/include "$S/in"
    cp -r "$M/in" "$N/back"
    diff -r --no-dereference /usr/include "$N/back"
    rm -r "$M/in"
    test ! -e "$S/in"
  )sh");
}

TEST_P(Programs, CpKeepsModesTimesLinksAndHoles) {
  // With -a, the attributes of pmemfs come along where the copy goes out, and
  // cannot be set where it comes back in: that must not stop it.
  run(R"sh(
    mkdir "$N/tree"
    cd "$N/tree"
    echo text > file
    chmod 4751 file
    touch -d '2001-02-03 04:05:06.789012345' file
    ln file hard
    ln -s file soft
    mkfifo fifo
    truncate -s 10M sparse
    printf data | dd of=sparse bs=1 seek=5M conv=notrunc status=none
    head -c 100000 /dev/urandom > random
    list() { (cd "$1" && find . -printf '%p %y %m %n %s %t %l\n' | sort); }
    cp -a "$N/tree" "$M/copied"
    diff <(list "$N/tree" | sed 1d) <(list "$M/copied" | sed 1d)
    diff -r --no-dereference -x fifo "$N/tree" "$M/copied"
    test "$(stat -c %i "$M/copied/file")" = "$(stat -c %i "$M/copied/hard")"
    cp -a "$M/copied" "$N/back"
    diff <(list "$N/tree" | sed 1d) <(list "$N/back" | sed 1d)
    cp -a "$N/back" "$M/again"
    diff <(list "$N/tree" | sed 1d) <(list "$M/again" | sed 1d)
    cp --sparse=always "$M/copied/sparse" "$M/holes"
    cmp "$N/tree/sparse" "$M/holes"
    test "$(stat -c %b "$M/holes")" -le 64
    mv "$M/copied" "$M/moved"
    mv "$M/moved" "$N/moved-out"
    diff <(list "$N/tree" | sed 1d) <(list "$N/moved-out" | sed 1d)
  )sh");
}

TEST_P(Programs, TarPacksAndUnpacks) {
  need({"tar"});
  if (IsSkipped()) {
    return;
  }
  run(R"sh(
    tar -C /usr -cf "$M/archive.tar" include/linux include/c++
    tar -C /usr -df "$M/archive.tar"
    mkdir "$M/unpacked"
    tar -C "$M/unpacked" -xpf "$M/archive.tar"
    tar -C "$M/unpacked" -df "$M/archive.tar"
    for tree in linux c++; do
      diff -r --no-dereference "/usr/include/$tree" "$S/unpacked/include/$tree"
    done
    tar -C "$M/unpacked" -cf "$N/again.tar" include
    tar -C "$M/unpacked" -df "$N/again.tar"
    tar -C /usr -df "$N/again.tar"
    tar -C "$M" --append -f "$M/archive.tar" unpacked/include/linux/fs.h
    tar -tf "$S/archive.tar" | tail -n 1 | grep -x unpacked/include/linux/fs.h
  )sh");
}

TEST_P(Programs, RsyncFindsNothingLeftToDo) {
  need({"rsync"});
  if (IsSkipped()) {
    return;
  }
  const std::string output = run(R"sh(
    rsync -a /usr/include/linux /usr/include/c++ "$M/in/"
    rsync -a "$M/in/" "$N/back/"
    echo "left: $(rsync -anc --itemize-changes /usr/include/linux /usr/include/c++ "$M/in/" | tr '\n' ';')"
    echo "left: $(rsync -anc --itemize-changes "$M/in/" "$N/back/" | tr '\n' ';')"
    echo "left: $(rsync -anc --itemize-changes /usr/include/linux /usr/include/c++ "$S/in/" | tr '\n' ';')"
    # Changes in place and additions at the end, of files that are there.
    head -c 3000000 /dev/urandom > "$N/changing"
    rsync -a "$N/changing" "$M/"
    printf XXXX | dd of="$N/changing" bs=1 seek=1000000 conv=notrunc status=none
    head -c 1000 /dev/urandom >> "$N/changing"
    rsync -a --inplace --no-whole-file "$N/changing" "$M/"
    cmp "$N/changing" "$S/changing"
    rsync -a --append-verify "$N/changing" "$M/"
    rsync -a --delete /usr/include/linux/ "$M/in/"
    diff -r --no-dereference /usr/include/linux "$S/in"
  )sh");
  std::size_t empty = 0;
  for (std::size_t at = 0;
       (at = output.find("\nleft: \n", at)) != std::string::npos; ++at) {
    ++empty;
  }
  EXPECT_EQ(empty, 3U);
}

TEST_P(Programs, GitClonesCommitsAndChecks) {
  need({"git"});
  if (IsSkipped()) {
    return;
  }
  run(R"sh(
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

TEST_P(Programs, SqliteKeepsItsDatabaseWhole) {
  need({"sqlite3"});
  if (IsSkipped()) {
    return;
  }
  run(R"sh(
    for mode in delete truncate persist wal; do
      database="$M/$mode.db"
      test "$(sqlite3 "$database" "pragma journal_mode=$mode")" = "$mode"
      sqlite3 "$database" 'create table t (id integer primary key, text, bytes)'
      sqlite3 "$database" "
        with recursive n(i) as (select 1 union all select i + 1 from n limit 10000)
        insert into t select i, 'row ' || i, randomblob(i % 300) from n;"
      # Transactions of their own, one undone.
      for number in 1 2 3 4 5; do
        sqlite3 "$database" "
          update t set text = text || ' changed' where id % 7 = $number;"
      done
      sqlite3 "$database" 'begin; delete from t; rollback;'
      sqlite3 "$database" 'begin; delete from t where id > 9000; commit; vacuum;'
      test "$(sqlite3 "$database" 'select count(*) from t')" = 9000
      test "$(sqlite3 "$database" 'pragma integrity_check')" = ok
      test "$(sqlite3 "$S/$mode.db" 'pragma integrity_check')" = ok
      test "$(sqlite3 "$database" 'select count(*) from t where text like "%changed"')" \
        = "$(sqlite3 "$S/$mode.db" 'select count(*) from t where text like "%changed"')"
    done
  )sh");
}

TEST_P(Programs, SqliteWritersAndReadersShareADatabase) {
  need({"sqlite3"});
  if (IsSkipped()) {
    return;
  }
  run(R"sh(
    for mode in delete wal; do
      database="$M/shared-$mode.db"
      sqlite3 "$database" "pragma journal_mode=$mode; create table t (who, number)"
      write() {
        for number in $(seq 1 40); do
          echo ".timeout 60000
            insert into t values ('$1', $number);" | sqlite3 -bail "$database"
        done
      }
      read_on() {
        for number in $(seq 1 30); do
          printf '.timeout 60000\npragma integrity_check;\n' |
            sqlite3 -bail "$database" | grep -qx ok
        done
      }
      set +x
      write a & writer_a=$!
      write b & writer_b=$!
      read_on & reader=$!
      wait $writer_a
      wait $writer_b
      wait $reader
      set -x
      test "$(sqlite3 "$database" 'select count(*), count(distinct who || number) from t')" = '80|80'
      test "$(sqlite3 "$database" 'pragma integrity_check')" = ok
    done
  )sh");
}

TEST_P(Programs, DdCopiesWithBlocksOfEverySize) {
  run(R"sh(
    head -c 5000003 /dev/urandom > "$N/data"
    sum() { sha256sum < "$1"; }
    dd if="$N/data" of="$M/bytes" bs=1 count=5000 status=none
    cmp "$S/bytes" <(head -c 5000 "$N/data")
    dd if="$M/bytes" of="$N/bytes" bs=1 status=none
    cmp "$N/bytes" "$S/bytes"
    for size in 4k 1M 777; do
      dd if="$N/data" of="$M/data-$size" bs=$size status=none
      test "$(sum "$N/data")" = "$(sum "$S/data-$size")"
      dd if="$M/data-$size" of="$N/data-$size" bs=$size status=none
      test "$(sum "$N/data")" = "$(sum "$N/data-$size")"
    done
    # At the end, and in the middle of what is there.
    for part in 1 2 3; do
      dd if="$N/data" of="$M/appended" bs=4k oflag=append conv=notrunc status=none
    done
    test "$(cat "$N/data" "$N/data" "$N/data" | sha256sum)" = "$(sum "$S/appended")"
    dd if="$N/data" of="$M/appended" bs=1000 seek=7 count=3 conv=notrunc status=none
    dd if="$N/data" of="$N/expected" bs=1000 seek=7 count=3 conv=notrunc status=none
    test "$(dd if="$M/appended" bs=1000 skip=7 count=3 status=none | sha256sum)" \
      = "$(head -c 3000 "$N/data" | sha256sum)"
    test "$(stat -c %s "$M/appended")" = 15000009
    # Synchronously, directly, and with holes.
    dd if="$N/data" of="$M/synced" bs=64k conv=fsync oflag=dsync status=none
    test "$(sum "$N/data")" = "$(sum "$S/synced")"
    dd if=/dev/zero of="$M/direct" bs=1M count=4 oflag=direct status=none
    dd if="$M/direct" iflag=direct bs=1M status=none | cmp - <(head -c 4M /dev/zero)
    dd if=/dev/zero of="$M/holes" bs=1M count=4 conv=sparse status=none
    test "$(stat -c %s "$M/holes")" = 4194304
    dd if="$N/data" of="$M/full" bs=1M conv=nocreat status=none && exit 1
    dd if="$N/data" of="$M/data-4k" bs=1M conv=excl status=none && exit 1
    echo refused, as it should be
  )sh");
}

TEST_P(Programs, LsDuAndDfAgreeWithTheBackingDirectory) {
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

TEST_P(Programs, GetfattrShowsTheAttributes) {
  need({"getfattr", "setfattr"});
  if (IsSkipped()) {
    return;
  }
  const std::string output = run(R"sh(
    truncate -s 10M "$M/file"
    setfattr -n user.own -v mine "$M/file"
    getfattr --absolute-names -d "$M/file"
    test "$(getfattr --only-values -n user.pmem.mapped_length "$M/file")" = 10485760
    setfattr -n user.pmem.sparse -v 0 "$M/file" && exit 1
    cp -a "$M/file" "$N/copy"
    cp -a "$N/copy" "$M/back"
    test "$(getfattr --only-values -n user.own "$S/back")" = mine
  )sh");
  for (const char* line :
       {"\nuser.pmem.is_pmem=\"0\"\n", "\nuser.pmem.sparse=\"1\"\n",
        "\nuser.pmem.mapped_length=\"10485760\"\n",
        "\nuser.pmem.kind=\"file\"\n", "\nuser.own=\"mine\"\n"}) {
    EXPECT_NE(output.find(line), std::string::npos) << line;
  }
}

TEST_P(Programs, OthersFindWhatTheyExpect) {
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
}  // namespace mount_tests
