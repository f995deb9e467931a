#!/bin/sh
# `whypix launch`, undisturbed, misused, asked to end, and with a dead worker.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
. "$WHYPIX_SOURCE/tests/mpi/launch.sh"
make_job 12 300
run 2 1 whole.db || fail "undisturbed: exit code $?"

usage() { # MESSAGE WORD...
    message=$1
    shift
    "$WHYPIX" launch "$@" >log 2>&1
    [ $? = 2 ] || fail "launch $*: wrong exit code"
    grep -q "^whypix launch: .*$message" log || fail "launch $*: does not say '$message'"
}
usage 'got 0 arguments' -n 2
usage "option '--limits' is unknown" -n 2 job.yaml --limits 3
usage 'how many workers' job.yaml
usage "'-n'*: got '0'\|-n: got '0'" -n 0 job.yaml
usage 'options of mpirun end with' -n 2 --hostfile hosts job.yaml
usage 'no-such.yaml' -n 2 no-such.yaml
usage 'patience' -n 2 job.yaml --patience silence=never

launch 2 plain.db
wait_end undisturbed 0
same whole.db plain.db
[ "$(query plain.db 'SELECT group_concat(rank) FROM (SELECT DISTINCT rank FROM shard ORDER BY 1)')" = 1,2 ] || fail "rank 0 computed, or a worker did not"

# kill -9 of a worker; tests/full has the other faults.
launch 3 one.db
wait_for_images one.db 4
strike 'kill -9 of a worker' "$(worker_pid 2)"
recovered 'kill -9 of a worker'
[ "$(query one.db "SELECT count(*) FROM shard WHERE state = 'lost'")" -gt 0 ] || fail "no shard is recorded as lost"
[ "$(query one.db 'SELECT count(*) FROM run')" = 1 ] || fail "one dead worker of three is no reason to launch again"

# SIGUSR1: ends in peace, and the next launch completes it.
launch 2 usr1.db
wait_for_images usr1.db 2
not_over SIGUSR1
kill -USR1 "$background"
wait_end SIGUSR1 75
left=$(missing usr1.db)
[ "$left" -gt 0 ] || fail "SIGUSR1: nothing was left to do"
launch 2 usr1.db
wait_end 'SIGUSR1, resumed' 0
grep -q " $left images to do" log || fail "SIGUSR1, resumed: not $left images were done"
same whole.db usr1.db
