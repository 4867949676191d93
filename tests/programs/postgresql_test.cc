// PostgreSQL under load, killed, and started again.
#include <gtest/gtest.h>

#include <string>

#include "programs/program_test.h"

namespace program_tests {
namespace {

class Postgresql : public ProgramTest {};
PMEMFS_IN_EACH_PLACE(Postgresql);

TEST_P(Postgresql, LosesNothingWhenKilledUnderLoad) {
  // Half of the places have the whole minute.
  const bool is_long = is(BackingKind::kDisk, MountedBy::kRoot) ||
                       is(BackingKind::kTmpfs, MountedBy::kUser);
  run(R"sh(
    PATH="$(printf '%s:' /usr/lib/postgresql/*/bin)$PATH"
    # The server refuses to be root.
    server() { "${ordinary[@]}" "$@"; }
    sql() { server psql -h "$N" -U p -XAtq -v ON_ERROR_STOP=1 -d postgres -c "$1"; }
    data="$M/data"
    log="$N/log"
    mkdir "$data" "$N/acknowledged"
    test "$UID" != 0 || chown nobody "$data" "$N" "$N/acknowledged"
    server initdb -D "$data" -A trust -U p --data-checksums --locale=C -E UTF8
    cat >> "$data/postgresql.conf" <<EOF
listen_addresses = ''
unix_socket_directories = '$N'
wal_sync_method = $WAL_SYNC_METHOD
shared_buffers = 16MB
max_wal_size = 64MB
min_wal_size = 32MB
checkpoint_timeout = 30s
log_checkpoints = on
jit = off
EOF
    start() {
      "${ordinary[@]}" postgres -D "$data" >> "$log" 2>&1 &
      postmaster=$!
      for try in $(seq 600); do
        ! server pg_isready -q -h "$N" || return 0
        kill -0 "$postmaster"
        sleep 0.1
      done
      return 1
    }
    postmaster=
    trap 'test -z "$postmaster" || { kill -9 "$postmaster"; tail -n 40 "$log"; }' EXIT

    set +x
    start
    set -x
    server pgbench -h "$N" -U p -i -q -s 4 postgres
    "${ordinary[@]}" pgbench -h "$N" -U p -n -c 8 -j 2 -T 100000 --log \
      --log-prefix="$N/acknowledged/log" postgres &
    load=$!
    sleep "$SECONDS_OF_LOAD"
    # Under load: the postmaster stands still, so that it does not clean up.
    kill -STOP "$postmaster"
    mapfile -t children < <(pgrep -P "$postmaster")
    test "${#children[@]}" -ge 8
    kill -9 "$postmaster" "${children[@]}"
    wait "$postmaster" && exit 1
    wait "$load" && exit 1
    for child in "${children[@]}"; do
      while kill -0 "$child" 2> /dev/null; do sleep 0.1; done
    done

    set +x
    start
    set -x
    grep -q 'database system was not properly shut down' "$log"
    grep -q 'redo done' "$log"
    acknowledged=$(cat "$N"/acknowledged/log.* | wc -l)
    kept=$(sql 'select count(*) from pgbench_history')
    echo "$acknowledged acknowledged, $kept kept"
    # Each client may have had one that was done and not yet told.
    test "$acknowledged" -gt 0
    test "$kept" -ge "$acknowledged"
    test "$kept" -le $((acknowledged + 8))
    test "$(sql 'select count(distinct balance) from (
        select sum(abalance) as balance from pgbench_accounts union all
        select sum(bbalance) from pgbench_branches union all
        select sum(tbalance) from pgbench_tellers union all
        select sum(delta) from pgbench_history) as sums')" = 1
    server pg_amcheck -h "$N" -U p --install-missing --heapallindexed --parent-check postgres
    # And on it goes.
    server pgbench -h "$N" -U p -n -c 4 -j 2 -t 50 postgres
    sql 'vacuum full pgbench_accounts'
    sql 'select count(*) from pgbench_accounts' | grep -qx 400000
    server pg_ctl stop -D "$data" -m fast -w
    wait "$postmaster"
    postmaster=
    server pg_checksums --check -D "$data"
    server pg_checksums --check -D "$S/data"
    server pg_controldata -D "$S/data" | grep -E '^Database cluster state: +shut down$'
    ! grep -E 'PANIC|could not|invalid page|corrupt' "$log"
  )sh",
      {std::string("SECONDS_OF_LOAD=") + (is_long ? "60" : "10"),
       std::string("WAL_SYNC_METHOD=") + (GetParam().by == MountedBy::kUser
                                              ? "open_datasync"
                                              : "fdatasync")});
}

}  // namespace
}  // namespace program_tests
