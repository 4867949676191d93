// A program built from its sources in the mount: configure, make, make check,
// make install. GNU sed is one whose own tests, with those of gnulib, ask a
// file system for much.
#include <gtest/gtest.h>

#include <string>

#include "programs/program_test.h"

namespace program_tests {
namespace {

class Building : public ProgramTest {};
PMEMFS_IN_EACH_PLACE(Building);

TEST_P(Building, SedIsConfiguredMadeCheckedAndInstalled) {
  need({"cc", "make", "xz"});
  if (IsSkipped()) {
    return;
  }
  const std::string archive = PMEMFS_SOURCES "/sed.tar.xz";
  if (!support::exists(archive)) {
    GTEST_SKIP() << archive << " is missing: scripts/test-sources fetches it";
  }
  // Built outside, too, for the difference.
  const bool is_compared = is(BackingKind::kDisk, MountedBy::kUser);
  run(R"sh(
    test "$UID" != 0 || chown nobody "$M" "$N"
    build() {
      "${ordinary[@]}" tar -C "$1" -xf "$ARCHIVE"
      cd "$1"/sed-*/
      "${ordinary[@]}" ./configure -q --disable-nls --prefix=/usr CFLAGS=-O0
      "${ordinary[@]}" make -j2 > "$N/made"
      "${ordinary[@]}" make -j2 check > "$N/checked" 2>&1 || {
        tail -n 300 "$N/checked"
        exit 1
      }
      "${ordinary[@]}" make install DESTDIR="$1/installed" > "$N/made"
    }
    # The tests and how they came out.
    outcomes() { grep -E '^[A-Z]+: ' "$1" | sort; }
    tell() { (cd "$1" && find . -printf '%p %y %m %U %s %l\n' | sort); }
    build "$M"
    grep '^# ' "$N/checked"
    test "$(outcomes "$N/checked" | grep -c '^PASS: ')" -gt 150
    test "$(outcomes "$N/checked" | grep -c '^FAIL\|^ERROR')" = 0
    test "$("$M/installed/usr/bin/sed" 's/a/b/' <<< banana)" = bbnana
    diff -r --no-dereference "$M/installed" "$S/installed"
    diff <(tell "$M/installed") <(tell "$S/installed")
    test "$BESIDE" = yes || exit 0
    mv "$N/checked" "$N/checked-in-mount"
    build "$N"
    # Nothing was found out otherwise, or left out.
    diff config.h "$M"/sed-*/config.h
    diff <(outcomes "$N/checked") <(outcomes "$N/checked-in-mount")
    diff <(tell "$N/installed") <(tell "$M/installed")
  )sh",
      {"ARCHIVE=" + archive,
       "MAKEFLAGS=", std::string("BESIDE=") + (is_compared ? "yes" : "no")});
}

}  // namespace
}  // namespace program_tests
