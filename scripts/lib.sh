# shellcheck shell=bash
# What the scripts beside this file share; they source it, nobody runs it.

project_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Messages of tools are read here and there: one language. Plain users lack sbin.
export LC_ALL=C.UTF-8
export PATH="${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin"
# The cache of built libraries; CMake reads the same variable.
export PMEMFS_DEPS_DIR="${PMEMFS_DEPS_DIR:-$project_root/.deps}"
[[ $PMEMFS_DEPS_DIR = /* ]] || PMEMFS_DEPS_DIR=$PWD/$PMEMFS_DEPS_DIR

note() { printf '%s\n' "${0##*/}: $*" >&2; }

die() {
  note "$@"
  exit 1
}

# usage: prints the comment block at the top of the calling script.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# our_sources GLOB...: the C and C++ files of the project that match.
our_sources() {
  local patterns=() directory glob
  for glob in "$@"; do
    patterns+=(-o -name "$glob")
  done
  for directory in lib fs src tests; do
    if [[ -d $project_root/$directory ]]; then
      find "$project_root/$directory" -type f \( "${patterns[@]:1}" \)
    fi
  done | sort
}

twice() { "$@" || { note "once more: $*" && sleep 5 && "$@"; }; }

libfuse_minimum=$(sed -n 's/^set(PMEMFS_FUSE3_MINIMUM \(.*\))$/\1/p' \
  "$project_root/cmake/fuse3.cmake")

# have_libfuse: is one new enough here, ours or the system's? As CMake sees it.
have_libfuse() {
  local pkgconfig path=""
  for pkgconfig in "$PMEMFS_DEPS_DIR"/libfuse-*/lib/pkgconfig; do
    path+="$pkgconfig:"
  done
  PKG_CONFIG_PATH="$path${PKG_CONFIG_PATH:-}" \
    pkg-config --exists "fuse3 >= $libfuse_minimum" 2>/dev/null
}

# enough_libfuse VERSION: is this Debian version of it new enough?
enough_libfuse() { dpkg --compare-versions "$1" ge "$libfuse_minimum"; }

# for_preset PRESET COMMAND...: runs a command that starts programs of that build.
# The sanitizers of gcc 12 and clang 14 die now and then where the kernel spreads
# addresses over more than 28 bits (only root may read how many they are).
for_preset() {
  local preset=$1
  shift
  if [[ $preset = [at]san && $(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null) != 28 ]] &&
    setarch -R true 2>/dev/null; then
    setarch -R "$@"
  else
    "$@"
  fi
}

# enter_work_folder: makes $work, which goes when the script ends, and goes there.
enter_work_folder() {
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work" # apt downloads as a user of its own
  mkdir -p "$work"/apt/{lists,cache/archives}/partial
  cd "$work" || exit
}

# private_apt PROGRAM ARGUMENT...: apt with lists of its own, in $work.
private_apt() {
  local program=$1
  shift
  "$program" -q -o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" \
    -o APT::Update::Error-Mode=any -o Acquire::Languages=none "$@"
}

# source_apt PROGRAM ARGUMENT...: private apt that knows only $work/debian.sources.
source_apt() {
  private_apt "$@" -o Dir::Etc::SourceList="$work/debian.sources" \
    -o Dir::Etc::SourceParts=/nonexistent
}

# archive_address: that of Debian's archive or the mirror of it that this machine uses;
# nothing if none of its package sources is.
archive_address() {
  local apt address
  # Where the machine's own lists were cleared, private ones tell.
  for apt in "" private_apt; do
    [[ -z $apt ]] || logged "apt-get update" private_apt apt-get update || true
    # shellcheck disable=SC2016 # apt expands it
    address=$($apt apt-get indextargets --format '$(REPO_URI)' \
      'Origin: Debian' 'Label: Debian' 'Component: main' | sort -u | head -n 1)
    [[ -z $address ]] || break
  done
  echo "$address"
}

# read_sources ADDRESS SUITE: makes source_apt know the source packages of a suite.
read_sources() {
  printf '%s\n' "Types: deb-src" "URIs: $1" "Suites: $2" "Components: main" \
    "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" >"$work/debian.sources"
  logged "reading Debian $2" twice source_apt apt-get update
}

# logged WHAT COMMAND...: shows the output only if the command fails; it goes to $work/log.
logged() {
  local what=$1
  shift
  "$@" >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    note "$what failed (see above)"
    return 1
  }
}

# copy_libraries ROOT PROGRAM...: the shared libraries that programs need, to the same
# paths below ROOT. What is no program, or needs none, adds nothing.
copy_libraries() {
  local root=$1 library
  shift
  { ldd "$@" 2>/dev/null || true; } |
    sed -n 's/^.* => \(\/[^ ]*\) (.*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u |
    while read -r library; do
      install -D -m 755 "$(readlink -f "$library")" "$root$library"
    done
}

# pack_cpio FOLDER: a file system image of it as the kernel unpacks it, to standard output.
pack_cpio() {
  (cd "$1" && find . -mindepth 1 -print0 | cpio --null --create --format newc --owner 0:0 --quiet)
}
