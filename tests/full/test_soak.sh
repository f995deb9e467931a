#!/bin/sh
# Many supervised runs, each with two processes killed (or one in five: stopped) at random times: any but the supervisor,
# that is mpirun, rank 0, workers and their compute processes, from the very start. None may lose anything. $WHYPIX_SOAK
# runs (50), repeatable in what is drawn (not in when it happens) by $WHYPIX_SOAK_SEED.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
. "$WHYPIX_SOURCE/tests/mpi/launch.sh"
runs=${WHYPIX_SOAK:-50} seed=${WHYPIX_SOAK_SEED:-1}
patience=beat=0.5,silence=8,image=10,goodbye=10,rank0=20,start=30
launch_options="--max-restarts 8"
make_job 10 80
run 2 1 whole.db || fail "undisturbed: exit code $?"

# draw N: $number from 0 on, below N
draw() {
    drawn=$((drawn + 1))
    number=$(echo "$seed $run_number $drawn $1" | awk '{ srand($1 * 1000003 + $2 * 1009 + $3 * 31); rand(); print int(rand() * $4) }')
}

# One process of the launch, whoever it is. Counted when it was there and could be signalled.
hurt() {
    draw 300
    sleep "$(echo "$number" | awk '{ print $1 / 100 }')"
    is_there "$background" || return
    victims=$(marked | grep -vx "$background")
    [ -n "$victims" ] || return
    draw "$(echo "$victims" | wc -l)"
    victim=$(echo "$victims" | sed -n "$((number + 1))p")
    draw 5
    signal=KILL
    [ "$number" = 0 ] && signal=STOP
    who=$(tr '\0' ' ' 2>/dev/null </proc/"$victim"/cmdline | sed 's/.*whypix \([a-z]*\).*/\1/' | cut -c1-20)
    is_there "$victim" && kill "-$signal" "$victim" 2>/dev/null || return
    faults=$((faults + 1))
    said="$said, SIG$signal to $victim ($who)"
}

faults=0 slowest=0 launches=0 run_number=0
while [ "$run_number" -lt "$runs" ]; do
    run_number=$((run_number + 1)) drawn=0 said=
    begun=$(now)
    launch 3 soak.db
    hurt
    hurt
    wait_end "run $run_number$said" 0 250
    same whole.db soak.db
    launches=$((launches + $(query soak.db 'SELECT count(*) FROM run')))
    took=$(echo "$(now) $begun" | awk '{ printf "%d", $1 - $2 + 0.5 }')
    [ "$took" -gt "$slowest" ] && slowest=$took
    echo "run $run_number: $took s$said"
    sed -n 's/^whypix launch: /    /p' log
    rm -rf soak.db* soak-maps
done
[ "$faults" -ge "$runs" ] || fail "only $faults faults in $runs runs: too little to prove anything"
echo "$runs runs, $faults faults, $launches launches that computed, slowest $slowest s, nothing lost"
