// Trees and files that are copied in and out.
#include <gtest/gtest.h>

#include <string>

#include "programs/program_test.h"

namespace program_tests {
namespace {

class Copying : public ProgramTest {};
PMEMFS_IN_EACH_PLACE(Copying);

TEST_P(Copying, CpBringsATreeInAndBack) {
  run(R"sh(
    cp -r /usr/include "$M/in"
    diff -r --no-dereference /usr/include "$S/in"
    cp -r "$M/in" "$N/back"
    diff -r --no-dereference /usr/include "$N/back"
    rm -r "$M/in"
    test ! -e "$S/in"
  )sh");
}

TEST_P(Copying, CpKeepsModesTimesLinksAndHoles) {
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

TEST_P(Copying, TarPacksAndUnpacks) {
  need({"tar"});
  if (IsSkipped()) {
    return;
  }
  run(R"sh(
    # What root unpacks keeps its owners, what a user unpacks is the user's.
    difference() {
      tar -C "$1" -df "$2" > "$N/difference" || true
      test "$UID" = 0 || sed -i '/: [UG]id differs$/d' "$N/difference"
      test ! -s "$N/difference"
    }
    tar -C /usr -cf "$M/archive.tar" include/linux include/c++
    tar -C /usr -df "$M/archive.tar"
    mkdir "$M/unpacked"
    tar -C "$M/unpacked" -xpf "$M/archive.tar"
    difference "$M/unpacked" "$M/archive.tar"
    for tree in linux c++; do
      diff -r --no-dereference "/usr/include/$tree" "$S/unpacked/include/$tree"
    done
    tar -C "$M/unpacked" -cf "$N/again.tar" include
    difference "$M/unpacked" "$N/again.tar"
    difference /usr "$N/again.tar"
    tar -C "$M" --append -f "$M/archive.tar" unpacked/include/linux/fs.h
    tar -tf "$S/archive.tar" | tail -n 1 | grep -x unpacked/include/linux/fs.h
  )sh");
}

TEST_P(Copying, RsyncBringsChangesInPlaceAndAtTheEnd) {
  need({"rsync"});
  if (IsSkipped()) {
    return;
  }
  run(R"sh(
    rsync -a /usr/include/linux "$M/in/"
    test -z "$(rsync -anc --itemize-changes /usr/include/linux "$S/in/")"
    head -c 3000000 /dev/urandom > "$N/changing"
    rsync -a "$N/changing" "$M/"
    printf XXXX | dd of="$N/changing" bs=1 seek=1000000 conv=notrunc status=none
    head -c 1000 /dev/urandom >> "$N/changing"
    rsync -a --inplace --no-whole-file "$N/changing" "$M/"
    cmp "$N/changing" "$S/changing"
    head -c 1000 /dev/urandom >> "$N/changing"
    rsync -a --append-verify "$N/changing" "$M/"
    cmp "$N/changing" "$S/changing"
    rsync -a --delete /usr/include/c++/ "$M/in/linux/"
    diff -r --no-dereference /usr/include/c++ "$S/in/linux"
  )sh");
}

// Functions for scripts: `grow DIRECTORY` makes a tree with something of each
// kind in it, `tell DIRECTORY` prints all that is to be known of one.
constexpr const char* kTree = R"sh(
  grow() {
    mkdir "$1"
    cd "$1"
    mkdir -p directory/inner empty
    chmod 3770 empty
    head -c 300000 /dev/urandom > file
    chmod 4751 file
    ln file hard
    ln file directory/hard
    ln -s file soft
    ln -s /nowhere/../$'at \xff all' dangling
    mkfifo -m 640 fifo
    truncate -s 10M sparse
    printf data | dd of=sparse bs=1 seek=5M conv=notrunc status=none
    : > $'odd\nname \xff'
    : > "$(printf '%0255d' 7)"
    setfattr -n user.text -v 'of the file' file
    setfattr -n user.bytes -v 0x00ff0a file
    setfattr -n user.of -v directory directory
    setfacl -m u:1:rw,g:2:r,m::rw sparse
    setfacl -m u:1:rx,d:u:1:rwx,d:g:2:- directory
    if [ "$UID" = 0 ]; then
      mkdir of-others
      echo 1 > of-others/file
      chown -R 1:2 of-others
      ln -s nowhere of-others/link
      chown -h 3:4 of-others/link
      mknod -m 600 characters c 1 3
      mknod -m 660 blocks b 7 200
      setfattr -n trusted.note -v root file
      setfattr -h -n trusted.note -v link soft
    fi
    find . -exec touch -h -d '2010-11-12 13:14:15.5' '{}' +
    touch -d '2001-02-03 04:05:06.789012345' file
    touch -h -d '1969-07-20 20:17:40.25' soft dangling
    touch -d '2038-01-20 00:00:00.000000001' empty directory/inner
    cd "$N"
  }
  tell() {
    (
      cd "$1"
      find . -printf '%p %y %m %U %G %n %s %t %l\n' | sort
      find . ! -type d -links +1 -printf '%i %p\n' | sort |
        awk '{ if ($1 != i) print "--"; i = $1; print $2 }'
      find . ! -type l -print0 | sort -z | xargs -0 getfacl -P -n
      find . -print0 | sort -z |
        xargs -0 getfattr -h -d -m '^(user|trusted)\.(text|bytes|of|note)' -e hex
      find . -type f -exec sha256sum '{}' + | sort
      echo "is sparse: $(($(stat -c %b sparse) <= 64))"
    )
  }
)sh";

TEST_P(Copying, RsyncKeepsEverythingAndFindsNothingLeft) {
  need({"rsync", "setfacl", "setfattr"});
  if (IsSkipped()) {
    return;
  }
  run(std::string(kTree) + R"sh(
    # With a filter for attributes those of ACLs are no longer left out.
    copy() { rsync -aHAXS --filter='-x user.pmem.*' --filter='-x system.*' "$@"; }
    left() { copy -nc --itemize-changes --delete "$@"; }
    grow "$N/tree"
    copy "$N/tree" "$M/"
    test -z "$(left "$N/tree" "$M/")"
    test -z "$(left "$N/tree" "$S/")"
    diff <(tell "$N/tree") <(tell "$M/tree")
    copy "$M/tree/" "$N/back/"
    test -z "$(left "$M/tree/" "$N/back/")"
    test -z "$(left "$N/tree/" "$N/back/")"
    diff <(tell "$N/tree") <(tell "$N/back")
    # Changed, and copied again.
    echo more >> "$N/tree/file"
    setfattr -x user.text "$N/tree/file"
    setfacl -b "$N/tree/sparse"
    rm "$N/tree/soft"
    touch -d '2011-11-11 11:11:11.5' "$N/tree"
    test -n "$(left "$N/tree" "$M/")"
    copy --delete "$N/tree" "$M/"
    test -z "$(left "$N/tree" "$M/")"
    diff <(tell "$N/tree") <(tell "$M/tree")
  )sh");
}

TEST_P(Copying, RsyncNeedsNoFilterWhereTheListIsEmpty) {
  need({"rsync", "setfacl", "setfattr"});
  if (IsSkipped()) {
    return;
  }
  run(std::string(kTree) + R"sh(
    grow "$N/tree"
    for round in 1 2; do
      rsync -aHAXS --delete "$N/tree" "$M/"
      test -z "$(rsync -aHAXSnc --itemize-changes --delete "$N/tree" "$M/")"
      echo more >> "$N/tree/file"
    done
    rsync -aHAXS "$M/tree/" "$N/back/"
    test -z "$(getfattr -R -m '^user\.pmem' "$N/back")"
  )sh",
      {}, {"--xattr-list=none"});
}

TEST_P(Copying, TarKeepsEverything) {
  need({"tar", "setfacl", "setfattr"});
  if (IsSkipped()) {
    return;
  }
  run(std::string(kTree) + R"sh(
    archive() {
      tar --acls --xattrs --xattrs-include='user.*' --xattrs-include='trusted.*' \
        --xattrs-exclude='user.pmem.*' --sparse --numeric-owner -p "$@"
    }
    grow "$N/tree"
    archive -C "$N" -cf "$M/in.tar" tree
    archive -C "$M" -xf "$M/in.tar"
    diff <(tell "$N/tree") <(tell "$M/tree")
    diff <(tell "$N/tree") <(tell "$S/tree")
    archive -C "$M" -cf "$N/out.tar" tree
    mkdir "$N/back"
    archive -C "$N/back" -xf "$N/out.tar"
    diff <(tell "$N/tree") <(tell "$N/back/tree")
    archive -C "$M" -df "$N/out.tar"
    test "$(stat -c %b "$M/in.tar")" -le 2000
  )sh");
}

TEST_P(Copying, DdCopiesWithBlocksOfEverySize) {
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

}  // namespace
}  // namespace program_tests
