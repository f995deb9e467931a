#!/bin/sh
# kill -9 in the middle, of rank 0, of another rank, of a run without mpirun: what was committed stays, and the next run
# completes it to the same bytes as an undisturbed one.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
make_job 16 250
run 2 1 whole.db || fail "undisturbed: exit code $?"

# kill_rank RANK DB: the process that the shard table names
kill_rank() {
    pid=$(query "$2" "SELECT pid FROM shard WHERE rank = $1 ORDER BY id DESC LIMIT 1")
    kill -0 "$pid" || fail "rank $1 (process $pid) was not alive"
    kill -KILL "$pid"
    for _ in $(seq 200); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.05
    done
    fail "rank $1 (process $pid) survived SIGKILL"
}

broken_off() { # DB: after the kill
    left=$(missing "$1")
    [ "$left" -gt 0 ] || fail "$1 was complete before the kill: nothing tested"
    [ "$left" -lt 16 ] || fail "$1 kept nothing"
    [ "$(query "$1" 'PRAGMA integrity_check')" = ok ] || fail "$1 is damaged"
}

for victim in 0 1; do
    db=killed-$victim.db
    in_background mpirun -n 2 "$WHYPIX" run job.yaml --db "$db" --threads 1
    wait_for_images "$db" 4
    kill_rank "$victim" "$db"
    wait "$background" && fail "mpirun says that all is well with rank $victim dead"
    broken_off "$db"
    run 3 2 "$db" || fail "resumed after rank $victim: exit code $?"
    same whole.db "$db"
done

# Again and again, so that most images are computed after a kill.
in_background "$WHYPIX" run job.yaml --db often.db --threads 1
for n in 3 6 9; do
    wait_for_images often.db "$n"
    kill -0 "$background" || fail "was not alive"
    kill -KILL "$background"
    wait "$background"
    broken_off often.db
    in_background "$WHYPIX" run job.yaml --db often.db --threads 1
done
wait "$background" || fail "the fourth start: exit code $?"
same whole.db often.db
