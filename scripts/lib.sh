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
