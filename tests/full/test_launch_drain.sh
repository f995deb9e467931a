#!/bin/sh
# `whypix launch` ends in peace on SIGUSR1, SIGTERM and Ctrl-C: exit code 75, nothing left open, and the next launch
# completes it. Asked twice it ends at once.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
. "$WHYPIX_SOURCE/tests/mpi/launch.sh"
make_job 20 300
run 2 1 whole.db || fail "undisturbed: exit code $?"

drained() { # SIGNAL TARGET DB: TARGET '' or '-' (the process group, as Ctrl-C does)
    launch 2 "$3"
    wait_for_images "$3" 4
    not_over "$1"
    struck=$(now)
    kill -s "$1" -- "$2$background"
    wait_end "SIG$1" 75
    echo "SIG$1: drained after $(echo "$(now) $struck" | awk '{ printf "%.1f s", $1 - $2 }')"
    left=$(missing "$3")
    [ "$left" -gt 0 ] || fail "SIG$1: nothing was left to do"
    [ "$(query "$3" "SELECT count(*) FROM shard WHERE state = 'running'")" = 0 ] || fail "SIG$1: shards are still open"
    [ "$(query "$3" "SELECT state FROM run ORDER BY id DESC LIMIT 1")" = interrupted ] || fail "SIG$1: the run row does not say interrupted"
    launch 2 "$3"
    wait_end "SIG$1, resumed" 0
    grep -q " $left images to do" log || fail "SIG$1, resumed: not $left images were done"
    same whole.db "$3"
}
drained USR1 '' usr1.db
drained TERM '' term.db
drained INT - int.db

# One launch at a time for one database.
launch 2 twice.db
wait_for_images twice.db 1
"$WHYPIX" launch -n 1 job.yaml --db twice.db >second 2>&1 && fail "a second launch on the same database was allowed"
grep -q 'is running already' second || fail "a second launch does not say why it may not"
wait_end 'with a second one' 0
same whole.db twice.db

# Before rank 0 could hear it.
launch 2 early.db
for _ in $(seq 200); do [ -n "$(mpirun_pid)" ] && break; sleep 0.02; done
kill -USR1 "$background"
wait_end 'SIGUSR1 at once' 75
launch 2 early.db
wait_end 'SIGUSR1 at once, resumed' 0
same whole.db early.db

launch 2 urgent.db
wait_for_images urgent.db 2
not_over 'SIGINT twice'
kill -INT "$background"
sleep 0.3
kill -INT "$background" 2>/dev/null
wait_end 'SIGINT twice' 75 20
launch 2 urgent.db
wait_end 'SIGINT twice, resumed' 0
same whole.db urgent.db
