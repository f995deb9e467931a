#!/bin/sh
# Ending early in peace: SIGUSR1 to mpirun, SIGTERM and SIGINT to a run alone give 75; the next run completes it.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
make_job 14 250
run 2 1 whole.db || fail "undisturbed: exit code $?"

drained() { # SIGNAL DB COMMAND...
    signal=$1 db=$2
    shift 2
    in_background "$@"
    wait_for_images "$db" 3
    kill -0 "$background" || fail "$signal: the run was over"
    kill "-$signal" "$background"
    wait "$background"
    code=$?
    [ "$code" = 75 ] || fail "$signal: exit code $code, 75 wanted"
    grep -q '^interrupted: .*run the same command again' log || fail "$signal: does not say that it was interrupted"
    left=$(missing "$db")
    [ "$left" -gt 0 ] || fail "$signal: nothing was left to do"
    [ "$(query "$db" "SELECT count(*) FROM shard WHERE state = 'running'")" = 0 ] || fail "$signal: shards are still open"
    [ "$(query "$db" "SELECT state FROM run ORDER BY id DESC LIMIT 1")" = interrupted ] || fail "$signal: the run row does not say interrupted"
    run 2 2 "$db" || fail "$signal: resumed: exit code $?"
    grep -q " $left images to do" log || fail "$signal: not $left images were done"
    same whole.db "$db"
}

drained USR1 usr1.db mpirun -n 2 "$WHYPIX" run job.yaml --db usr1.db --threads 1
drained TERM term.db "$WHYPIX" run job.yaml --db term.db --threads 1
drained INT int.db "$WHYPIX" run job.yaml --db int.db --threads 1
