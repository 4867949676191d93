// sqlite: byte range locks, journals, and a mapped index of the log.
#include <gtest/gtest.h>

#include "programs/program_test.h"

namespace program_tests {
namespace {

class Sqlite : public ProgramTest {};
PMEMFS_IN_EACH_PLACE(Sqlite);

TEST_P(Sqlite, SqliteKeepsItsDatabaseWhole) {
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

TEST_P(Sqlite, SqliteWritersAndReadersShareADatabase) {
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

// Killed where it is sure to leave something behind: the cache has spilled into
// the database, the journal is hot.
TEST_P(Sqlite, WhatATransactionLeftWhenKilledIsTakenBack) {
  need({"sqlite3"});
  if (IsSkipped()) {
    return;
  }
  run(R"sh(
    for mode in delete truncate persist wal; do
      database="$M/killed-$mode.db"
      sqlite3 "$database" "
        pragma journal_mode=$mode;
        create table t (id integer primary key, bytes);
        with recursive n(i) as (select 1 union all select i + 1 from n limit 2000)
        insert into t select i, randomblob(500) from n;"
      content() { sqlite3 "$1" 'select id, hex(bytes) from t order by id' | sha256sum; }
      before="$(content "$database")"
      # The shell command is a child of sqlite3.
      sqlite3 "$database" 'pragma cache_size=5' 'begin' \
        'update t set bytes = randomblob(500)' '.shell kill -9 $PPID' && exit 1
      test -s "$S/killed-$mode.db-$(test "$mode" = wal && echo wal || echo journal)"
      test "$(content "$database")" = "$before"
      test "$(sqlite3 "$database" 'pragma integrity_check')" = ok
      sqlite3 "$database" 'begin; delete from t where id > 1000; commit'
      test "$(sqlite3 "$S/killed-$mode.db" 'select count(*) from t')" = 1000
    done
  )sh");
}

TEST_P(Sqlite, WhatWasAcknowledgedOutlivesKillsAmongManyProcesses) {
  need({"sqlite3"});
  if (IsSkipped()) {
    return;
  }
  run(R"sh(
    set +x
    for mode in delete wal; do
      database="$M/bank-$mode.db"
      sqlite3 "$database" "
        pragma journal_mode=$mode;
        create table account (id integer primary key, balance integer);
        with recursive n(i) as (select 1 union all select i + 1 from n limit 100)
        insert into account select i, 1000 from n;
        create table history (who, number, amount integer);"
      # Moves money about for ever, and prints the number of each move that is done.
      move() {
        local number=0
        printf '.timeout 60000\npragma cache_size=5;\n'
        while echo "begin immediate;
            update account set balance = balance - $number where id = 1 + ($number * 7) % 100;
            insert into history values ('$1', $number, $number);
            update account set balance = balance + $number where id = 1 + ($number * 13) % 100;
            commit;
            select '$number';"; do
          number=$((number + 1))
        done 2> /dev/null
      }
      for round in 1 2 3; do
        clients=()
        for client in 1 2 3; do
          move "$round-$client" |
            stdbuf -oL sqlite3 -bail "$database" > "$N/done-$mode-$round-$client" & clients+=($!)
        done
        # They are killed one after the other once there is something to lose.
        until test "$(cat "$N/done-$mode-$round"-* | wc -l)" -ge 20; do
          kill -0 "${clients[@]}"
          sleep 0.05
        done
        for client in "${clients[@]}"; do
          sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
          kill -9 "$client"
          wait "$client" && exit 1
        done
        test "$(sqlite3 "$database" 'pragma integrity_check')" = ok
        test "$(sqlite3 "$database" 'select sum(balance) from account')" = 100000
        for client in 1 2 3; do
          sort "$N/done-$mode-$round-$client" > "$N/acknowledged"
          sqlite3 "$database" "select number from history where who = '$round-$client'" |
            sort > "$N/kept"
          # At most the last one was done and not yet told.
          test -z "$(comm -23 "$N/acknowledged" "$N/kept")"
          test "$(comm -13 "$N/acknowledged" "$N/kept" | wc -l)" -le 1
          echo "$mode, round $round, client $client: $(wc -l < "$N/kept") kept"
        done
      done
      test "$(sqlite3 "$S/bank-$mode.db" 'pragma integrity_check')" = ok
    done
  )sh");
}

}  // namespace
}  // namespace program_tests
