# shellcheck shell=sh
# For tests of `whypix launch`: faults, proofs that they happened, and what must hold after each. Sourced after lib.sh.

# Seconds instead of minutes until somebody is taken for lost; enough for a machine that many share.
patience=beat=0.5,silence=8,image=30,goodbye=10,rank0=20,start=40

# launch WORKERS DB [OPTION OF RUN...]: in the background, as $background. Everything that descends from it carries a mark.
# $launch_options: of launch and mpirun.
launch() {
    workers=$1 db=$2
    shift 2
    # shellcheck disable=SC2086
    in_background env "WHYPIX_TEST_MARK=$work" "$WHYPIX" launch -n "$workers" ${launch_options:-} job.yaml --db "$db" --threads 1 \
        --patience "$patience" "$@"
}

marked() { grep -lzF "WHYPIX_TEST_MARK=$work" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3; }
end_marked() { for p in $(marked); do kill -KILL "$p" 2>/dev/null; done; }
trap 'end_marked; end_test' EXIT

now() { date +%s.%N; }
state_of() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1; }
is_there() { case $(state_of "$1") in '' | Z) return 1 ;; esac; }

worker_pid() { query "$db" "SELECT pid FROM shard WHERE rank = $1 ORDER BY id DESC LIMIT 1"; }
rank0_pid() { cut -d' ' -f5 "$db.launch"; }
mpirun_pid() { pgrep -P "$background" mpirun; }

not_over() {
    is_there "$background" || fail "$1: the run was over before the fault"
    [ "$(missing "$db")" -gt 0 ] || fail "$1: nothing was left to do at the fault"
}

# strike NAME PID...: all at once; they were there and are gone, the run was not over. The time is kept in $struck.
strike() {
    name=$1
    shift
    for p in "$@"; do is_there "$p" || fail "$name: process $p was not alive"; done
    struck=$(now)
    kill -KILL "$@"
    not_over "$name"
    for p in "$@"; do
        for _ in $(seq 100); do is_there "$p" || break; sleep 0.02; done
        is_there "$p" && fail "$name: process $p survived SIGKILL"
    done
}

# wait_end NAME CODE [SECONDS]
wait_end() {
    timeout "${3:-100}" tail --pid="$background" -f /dev/null || fail "$1: has not ended after ${3:-100} s"
    wait "$background"
    code=$?
    [ "$code" = "$2" ] || fail "$1: exit code $code, $2 wanted"
    for _ in $(seq 50); do [ -z "$(marked)" ] && break; sleep 0.1; done
    [ -z "$(marked)" ] || fail "$1: left running: $(ps -o pid=,args= -p "$(marked | paste -sd, -)")"
    [ ! -e "$db.launch" ] || fail "$1: left $db.launch"
}

# recovered NAME: everything is as if nothing had happened. Says how long after the fault somebody else had the images.
recovered() {
    wait_end "$1" 0
    same whole.db "$db"
    again=$(query "$db" "SELECT min(t0) FROM shard WHERE t0 > $struck AND (attempts > 1 OR run_id > 1)")
    echo "$1: others went on after $(echo "${again:-0} $struck" | awk '{ printf $1 ? "%.1f s" : "-", $1 - $2 }'), done after $(echo "$(now) $struck" | awk '{ printf "%.1f s", $1 - $2 }')"
}

# preload NAME: NAME.so from the C source on standard input, for LD_PRELOAD
preload() {
    command -v mpicc >/dev/null || skip "skipped: no mpicc"
    mpicc -shared -fPIC -O1 -o "$work/$1.so" -x c - >log 2>&1 || fail "cannot build $1.so"
}
