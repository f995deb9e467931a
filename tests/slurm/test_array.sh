#!/bin/bash
# slurm/whypix-array.sbatch and whypix-merge.sbatch on a real Slurm: slices in parallel, one cut short by the time limit, one
# lost and submitted again; merged they are the database of one run.
set -u
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
. "$WHYPIX_SOURCE/tests/slurm/lab.sh"
lab_start loopback 2
make_job 20 300
run 2 1 whole.db || fail "undisturbed: exit code $?"
export WHYPIX

array() { # TASKS [OPTION of sbatch...]: the job's number in $id
    tasks=$1
    shift
    id=$(sbatch --parsable --array="$tasks" --ntasks-per-node=1 --cpus-per-task=1 --output="slice-%a.log" "$@" \
        "$WHYPIX_SOURCE/slurm/whypix-array.sbatch" job.yaml 3) || fail "sbatch refused the array"
}
merge() { # JOB or ""
    merged=$(sbatch --parsable ${1:+--dependency=afterany:$1} --output=merge.log "$WHYPIX_SOURCE/slurm/whypix-merge.sbatch" job.yaml 3) ||
        fail "sbatch refused the merge"
}
show() { cat slice-*.log merge.log 2>/dev/null | sed 's/^/  | /' >&2; }
ended() { # JOB CODE
    [ "$(lab_field "$1" ExitCode)" = "$2:0" ] || { show; fail "job $1 ended with $(lab_field "$1" ExitCode), want $2:0"; }
    lab_quiet
}

# Two slices of three: the merge says which one it lacks, and makes nothing.
array 1,3
merge "$id"
lab_over "$merged" 200
ended "$merged" 75
grep -q "slices 2 are incomplete; submit whypix-array.sbatch with --array=2" merge.log || { show; fail "the merge does not name slice 2"; }
[ ! -e results/job.db ] || fail "an incomplete merge"

# The third: told in the middle that time is up, so it requeues itself, and the merge that depends on it goes on waiting.
array 2
merge "$id"
slice=results/job/slice-2-of-3.db
mkdir -p results/job
wait_for_images $slice 2
had=$(query $slice 'SELECT count(DISTINCT image_id) FROM explanation')
[ "$had" -lt 7 ] || fail "slice 2 was complete: nothing tested"
t=$(now)
scancel --batch --signal=USR2 "${id}_2"
lab_until "${id}_2" 60 PENDING COMPLETING
[ "$(lab_state "$merged")" = PENDING ] || fail "the merge did not wait for the requeued task"
lab_until "${id}_2" 60 RUNNING
wait_for_images $slice $((had + 3)) # the first two may have been under way
echo "recovery: time limit of an array task: $(since "$t") s"
lab_over "$merged" 200
ended "$merged" 0
[ "$(query $slice 'SELECT count(*) FROM run')" = 2 ] || { show; fail "slice 2 was computed in one go: nothing tested"; }
grep -q "20 done, 0 failed, 0 missing" merge.log || { show; fail "the merge does not say that all is done"; }

dump whole.db >whole.dump
dump results/job.db >merged.dump
cmp whole.dump merged.dump || fail "merged, it is another database: $(diff whole.dump merged.dump | cut -c1-200 | head -4)"
[ "$(query results/job.db 'PRAGMA integrity_check')" = ok ] || fail "results/job.db is damaged"
maps=$(sqlite3 results/job-maps/maps.sqlar 'SELECT count(*) FROM sqlar')
[ "$maps" = "$(find whole-maps -type f | wc -l)" ] || fail "$maps maps came together, want $(find whole-maps -type f | wc -l)"

# A slice that does not exist, an array without number of slices.
array 4
lab_over "${id}_4" 60
ended "${id}_4" 2
