#!/bin/bash
# slurm/whypix.sbatch on a real Slurm: to the end, over its time limit, requeued, told to stop, cancelled, capped. Whatever
# happened on the way, the database is that of an undisturbed run.
set -u
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
. "$WHYPIX_SOURCE/tests/slurm/lab.sh"
images=40
lab_start loopback 2
make_job $images 300
run 2 1 whole.db || fail "undisturbed: exit code $?"
export WHYPIX

show() { sed 's/^/  | /' "$1" >&2; }
# submit NAME [OPTION OF sbatch...]: the job's number in $id, its output in NAME.log
submit() {
    name=$1
    shift
    id=$(sbatch --parsable --ntasks-per-node=2 --cpus-per-task=1 --output="$name.log" "$@" "$WHYPIX_SOURCE/slurm/whypix.sbatch" \
        "${job:-job.yaml}" --db "$name.db") || fail "sbatch refused $name"
}
said() { grep -q "$1" "$name.log" || { show "$name.log"; fail "$name.log does not say '$1'"; }; }
ended() { # STATE CODE
    got="$(lab_field "$id" JobState) $(lab_field "$id" ExitCode)"
    [ "$got" = "$1 $2:0" ] || { show "$name.log"; fail "$name ended as $got, want $1 $2:0"; }
    lab_quiet
}
unfinished() { # the fault came in time: some images, not all
    left=$(missing "$name.db")
    [ "$left" -gt 0 ] && [ "$left" -lt $images ] || fail "$name: $left of $images images were missing at the fault: nothing tested"
}
committed() { # N: until so many images are
    (wait_for_images "$name.db" "$1") || { show "$name.log"; fail "see above"; }
}
# From now on until the database has grown again.
recovered() { # FAULT SINCE
    before=$((images - left))
    committed $((before + 1))
    echo "recovery: $1: $(since "$2") s"
}

# ---- undisturbed
submit plain
lab_over "$id" 120
ended COMPLETED 0
said "2 tasks x 1 threads, restart 0"
same whole.db plain.db

# ---- scancel --signal=USR1: it drains, says 75, stays away; the same command goes on
submit told
committed 3
t=$(now)
scancel --batch --signal=USR1 "$id"
lab_over "$id" 60
echo "drained after $(since "$t") s"
ended FAILED 75
unfinished
said "SIGUSR1: running images will be finished"
t=$(now)
submit told
recovered "scancel --signal=USR1, submitted again" "$t"
lab_over "$id" 120
ended COMPLETED 0
same whole.db told.db

# ---- scontrol requeue in the middle
submit again
committed 3
unfinished
t=$(now)
scontrol requeue "$id"
lab_until "$id" 60 PENDING
lab_until "$id" 60 RUNNING
left=$(missing again.db)
recovered "scontrol requeue" "$t"
lab_over "$id" 120
ended COMPLETED 0
said "restart 1"
[ "$(query again.db 'SELECT count(*) FROM run')" = 2 ] || fail "again.db knows of $(query again.db 'SELECT count(*) FROM run') runs, want 2"
same whole.db again.db

# ---- time is nearly up: it drains and requeues itself. slurmctld looks at the time every half minute only, so this job is
# slower than that.
sed -e 's/name: tiny$/name: slow/' -e 's/samples: 300/samples: 4500/' job.yaml >slow.yaml
timeout 200 mpirun -n 2 "$WHYPIX" run slow.yaml --db slow.db --threads 1 >log 2>&1 || fail "slow, undisturbed: exit code $?"
job=slow.yaml submit late --time=1 --signal=B:USR2@55 --ntasks-per-node=1
lab_over "$id" 400
ended COMPLETED 0
said "time is nearly up: running images will be finished"
said "interrupted, exit code 75"
said "back into the queue"
restarts=$(lab_field "$id" Restarts)
[ "$restarts" -ge 1 ] || fail "late was never restarted: nothing tested"
[ "$(query late.db "SELECT count(*) FROM run WHERE state = 'interrupted'")" -ge 1 ] || fail "no run of late.db was interrupted"
same slow.db late.db
echo "time limit: drained and requeued itself $restarts times"

# ---- restarts have a cap
WHYPIX_RESTARTS=0 submit capped
committed 2
scancel --batch --signal=USR2 "$id"
lab_over "$id" 60
ended FAILED 75
unfinished
said "restarted 0 times, which is enough"

# ---- with the database on the node's own disk: drained and resumed, cancelled, both times it comes home
mkdir local
submit_local() { WHYPIX_SCRATCH=$work/local WHYPIX_SAVE_EVERY=1 submit "$@"; }
submit_local home
committed 3 # saved while it runs
[ -n "$(ls local)" ] || fail "nothing on the local disk"
scancel --batch --signal=USR2 "$id"
lab_until "$id" 60 PENDING COMPLETING
lab_over "$id" 120
ended COMPLETED 0
said "restart 1"
[ -z "$(ls local)" ] || fail "left on the local disk: $(ls local)"
same whole.db home.db

WHYPIX_SCRATCH=$work/local submit cancelled # no save in between: all that comes home comes at the end
for _ in $(seq 200); do
    n=$(query "$(echo local/*/run.db)" 'SELECT count(DISTINCT image_id) FROM explanation' 2>/dev/null)
    [ "${n:-0}" -ge 3 ] && break
    sleep 0.1
done
[ ! -e cancelled.db ] || fail "cancelled.db is at home already"
scancel "$id"
lab_over "$id" 60
for _ in $(seq 100); do [ -z "$(ls local)" ] && break; sleep 0.1; done
lab_quiet
[ -z "$(ls local)" ] || fail "left on the local disk: $(ls local)"
unfinished
[ "$(query cancelled.db 'PRAGMA integrity_check')" = ok ] || fail "cancelled.db is damaged"
submit cancelled
lab_over "$id" 120
ended COMPLETED 0
same whole.db cancelled.db
