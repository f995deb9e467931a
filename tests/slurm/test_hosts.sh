#!/bin/bash
# slurm/whypix.sbatch over three hosts: one loses its power, one its network for a while, and then the first one dies, on
# which the script and rank 0 are. The run goes on, or Slurm begins it again; the database is that of an undisturbed run.
set -u
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
. "$WHYPIX_SOURCE/tests/slurm/lab.sh"
images=40
lab_start hosts 3
make_job $images 300
run 2 1 whole.db || fail "undisturbed: exit code $?"
export WHYPIX WHYPIX_WATCH_EVERY=3

submit() { # NAME [WORKERS]: a job on all hosts, with so many workers on each; its number in $id
    name=$1
    id=$(sbatch --parsable --nodes=3 --ntasks-per-node="${2:-1}" --cpus-per-task=1 --output="$name.log" "$WHYPIX_SOURCE/slurm/whypix.sbatch" job.yaml \
        --db "$name.db" --patience beat=0.5,silence=5,goodbye=5) || fail "sbatch refused $name"
}
show() { sed 's/^/  | /' "$name.log" >&2; }
ended() { # STATE CODE
    got="$(lab_field "$id" JobState) $(lab_field "$id" ExitCode)"
    [ "$got" = "$1 $2:0" ] || { show; fail "$name ended as $got, want $1 $2:0"; }
}

# The images that a host is at work on, as "1,2,3".
held() { # HOST
    query "$name.db" "SELECT images FROM shard WHERE host = '$1' AND state = 'running'" 2>/dev/null | tr ',' '\n' |
        awk -F- '{ for (i = $1; i <= $NF; i++) print i }' | while read -r i; do
        query "$name.db" "SELECT $i WHERE NOT EXISTS (SELECT 1 FROM explanation WHERE image_id = $i)"
    done | paste -sd, -
}
wait_for_held() { # HOST: what it holds in $lost; others do not count
    for _ in $(seq 300); do
        lost=$(held "$1")
        [ -n "$lost" ] && lab_pids "$1" | xargs -r ps -o args= -p | grep -q "whypix run" && return
        sleep 0.2
    done
    show
    fail "$1 never computed anything"
}
# From the fault until the images that it took away are in the database.
recovered() { # FAULT SINCE
    n=$(echo "$lost" | tr ',' '\n' | wc -l)
    for _ in $(seq 600); do
        [ "$(query "$name.db" "SELECT count(DISTINCT image_id) FROM explanation WHERE image_id IN ($lost)")" = "$n" ] && break
        sleep 0.2
    done
    [ "$(missing "$name.db")" -lt $images ] || fail "$name: nothing is committed"
    echo "recovery: $1: $(since "$2") s ($n images)"
}
recorded() { # HOST [WORKERS]: it was noticed that the host was gone, with so many workers
    [ "$(query "$name.db" "SELECT count(DISTINCT rank) FROM shard WHERE host = '$1' AND state = 'lost'")" -ge "${2:-1}" ] ||
        { show; fail "$name: the loss of $1 is not recorded"; }
}
in_time() { # the fault: neither before the first result nor after the last
    left=$(missing "$name.db")
    [ "$left" -gt 0 ] || fail "$name was complete at the fault: nothing tested"
    [ "$(lab_state "$id")" = RUNNING ] || fail "$name was not running at the fault"
}

# ---- undisturbed, to see that three hosts are three, and that each has two workers
submit plain 2
lab_over "$id" 200
ended COMPLETED 0
[ "$(query plain.db 'SELECT count(DISTINCT host) FROM shard')" = 3 ] || { show; fail "not all three hosts worked"; }
[ "$(query plain.db 'SELECT count(DISTINCT rank) FROM shard')" = 6 ] || { show; fail "not all six workers worked"; }
lab_quiet
same whole.db plain.db

# ---- a host loses its power. It takes two workers along; the others go on, in the same job.
submit crash 2
wait_for_held h2
in_time
t=$(now)
lab_crash h2
recovered "node crash" "$t"
lab_over "$id" 200
ended COMPLETED 0
recorded h2 2
[ "$(query crash.db 'SELECT count(*) FROM run')" = 1 ] || { show; fail "the run was begun again"; }
lab_quiet
same whole.db crash.db
lab_revive h2

# ---- a cable is pulled for longer than the silence that is forgiven, and put back.
submit cut
wait_for_held h3
in_time
t=$(now)
lab_cut h3
# The host lives, it only cannot be heard.
lab_pids h3 | xargs -r ps -o args= -p | grep -q "whypix run" || fail "h3 computes nothing"
recovered "link cut for 12 s" "$t" &
measuring=$!
sleep 12
lab_heal h3
wait $measuring || exit 1
lab_over "$id" 200
ended COMPLETED 0
recorded h3
lab_quiet
same whole.db cut.db
lab_wait_nodes

# ---- the first host dies, with the script, mpirun and rank 0. Slurm begins the job again where there are hosts.
submit first
wait_for_images first.db 3
wait_for_held h1
in_time
t=$(now)
lab_crash h1
lab_until "$id" 150 PENDING
lab_revive h1
sleep 5 # the order to end the old attempt, which h1 could not be given, must not meet the new one
lab_until "$id" 90 RUNNING
recovered "crash of the first node" "$t"
lab_over "$id" 200
ended COMPLETED 0
grep -q "restart 1" first.log || { show; fail "first was not restarted"; }
lab_quiet
same whole.db first.db
