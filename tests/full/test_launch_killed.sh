#!/bin/sh
# `whypix launch` when workers, rank 0 or mpirun are killed, a worker is stopped, or dies between two chunks of a result.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
. "$WHYPIX_SOURCE/tests/mpi/launch.sh"
make_job 20 300
run 2 1 whole.db || fail "undisturbed: exit code $?"

launch 4 two.db
wait_for_images two.db 4
strike 'kill -9 of two workers at once' "$(worker_pid 1)" "$(worker_pid 4)"
recovered 'kill -9 of two workers at once'
[ "$(query two.db 'SELECT count(*) FROM run')" = 1 ] || fail "two dead workers of four are no reason to launch again"

# More than half are dead: better launched again.
launch 3 most.db
wait_for_images most.db 4
strike 'kill -9 of two workers of three' "$(worker_pid 1)" "$(worker_pid 3)"
recovered 'kill -9 of two workers of three'
grep -q 'too many workers are gone; launching again (1 of 3)' log || fail "two dead workers of three: not launched again"

launch 2 rank0.db
wait_for_images rank0.db 4
strike 'kill -9 of rank 0' "$(rank0_pid)"
recovered 'kill -9 of rank 0'
grep -q 'rank 0 (process .*) died; launching again (1 of 3)' log || fail "kill -9 of rank 0: does not say what happened"

launch 2 mpirun.db
wait_for_images mpirun.db 4
strike 'kill -9 of mpirun' "$(mpirun_pid)"
recovered 'kill -9 of mpirun'
grep -q 'mpirun was killed by signal 9; launching again' log || fail "kill -9 of mpirun: does not say what happened"

# A stopped worker holds its images until it is taken for lost, and mpirun never returns by itself.
launch 3 stop.db
wait_for_images stop.db 4
stopped=$(worker_pid 2)
struck=$(now)
kill -STOP "$stopped"
not_over 'SIGSTOP of a worker'
sleep 0.2
[ "$(state_of "$stopped")" = T ] || fail "SIGSTOP of a worker: process $stopped was not stopped"
recovered 'SIGSTOP of a worker'
is_there "$stopped" && fail "SIGSTOP of a worker: process $stopped is still there"

# A worker that dies between two chunks of a result, once: the first to send a second chunk.
preload chunks <<'END'
#include <fcntl.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int MPI_Isend(const void *bytes, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request *request) {
    const unsigned char *b = bytes; /* magic, version, type (3: RESULT), 24 bytes, part, parts */
    unsigned part = 0;
    if (n > 40 && b[0] == 0x59 && b[2] == 3) memcpy(&part, b + 27, 4);
    if (part == 1) {
        int f = open(getenv("CHUNKS_FLAG"), O_CREAT | O_EXCL | O_WRONLY, 0644);
        if (f >= 0) {
            dprintf(f, "%d\n", (int)getpid());
            kill(getpid(), SIGKILL);
        }
    }
    return PMPI_Isend(bytes, n, type, to, tag, comm, request);
}
END
export CHUNKS_FLAG="$work/flag"
struck=$(now)
LD_PRELOAD=$work/chunks.so launch 3 chunks.db
recovered 'kill -9 between two chunks (since the launch)'
victim=$(cat flag) || fail "between two chunks: nobody was killed"
is_there "$victim" && fail "between two chunks: process $victim is still there"
[ "$(query chunks.db "SELECT count(*) FROM shard WHERE pid = $victim AND state = 'lost'")" -gt 0 ] || fail "between two chunks: process $victim was no worker"
