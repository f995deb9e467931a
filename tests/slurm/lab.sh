# A Slurm cluster for one test, with its own daemons, keys and ports, gone when the test ends however it ends. Sourced
# after tests/mpi/lib.sh, whose job, queries and comparison the tests share.
#
#   lab_start loopback N   nodes n1..nN: slurmd processes of this host, all on 127.0.0.1
#   lab_start hosts N      nodes h1..hN: each with its own network, host name, processes and /dev/shm, on a bridge of their
#                          own; neither MPI nor Slurm can tell them from machines
#
# What a test does to hosts: lab_cut, lab_heal (the cable), lab_crash (the power), lab_revive; lab_pids sees what runs there.
# Nothing leaves the machine: addresses are 127.0.0.1 or those of the bridge, which nothing forwards.

lab_skip() { echo "skipped: $1"; exit 77; }

lab_need() {
    [ "$(id -u)" = 0 ] || lab_skip "a Slurm cluster of one's own needs root"
    for command in slurmctld slurmd munged sbatch scontrol sinfo; do
        command -v $command >/dev/null || lab_skip "no $command (jobs/install.sh full installs Slurm)"
    done
    [ "$1" = hosts ] || return 0
    for command in ip nsenter unshare; do command -v $command >/dev/null || lab_skip "no $command"; done
    ip netns add "whypix-probe-$$" 2>/dev/null || lab_skip "network namespaces are not permitted here"
    ip netns del "whypix-probe-$$"
}

# ---------------------------------------------------------------- names and numbers
# Several clusters may run side by side (two clones, two users of a machine): all that is global carries $$.
lab_names() {
    lab_kind=$1 lab_size=$2
    lab=$work/lab
    lab_port=$((20000 + $$ % 4000 * 10))
    lab_subnet=10.$((64 + $$ / 251 % 64)).$(($$ % 251))
    lab_bridge=wb$$
    [ "$lab_kind" = hosts ] && lab_prefix=h lab_control=$lab_subnet.254 || lab_prefix=n lab_control=127.0.0.1
    lab_nodes=
    for i in $(seq "$lab_size"); do lab_nodes="$lab_nodes $lab_prefix$i"; done
    export SLURM_CONF=$lab/slurm.conf
}

lab_address() { [ "$lab_kind" = hosts ] && echo "$lab_subnet.${1#h}" || echo 127.0.0.1; }
lab_space() { echo "w$$-$1"; } # name of a host's network namespace and of its cable

# ---------------------------------------------------------------- configuration
# No cgroups, no systemd, no accounting: what a container can do. Intervals are short, so that faults are noticed soon.
lab_configure() {
    mkdir -p "$lab/state" "$lab/log" "$lab/run"
    echo "CgroupPlugin=cgroup/v1" >"$lab/cgroup.conf"
    cat >"$lab/slurm.conf" <<END
ClusterName=whypix
SlurmctldHost=$(hostname -s)($lab_control)
SlurmctldPort=$lab_port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$lab/run/munge.socket
CredType=cred/munge
StateSaveLocation=$lab/state
SlurmdSpoolDir=$lab/spool/%n
SlurmctldPidFile=$lab/run/slurmctld.pid
SlurmdPidFile=$lab/run/slurmd.%n.pid
TmpFS=$lab/spool/%n
TaskProlog=$lab/prolog
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=10
MessageTimeout=10
KillWait=${lab_kill_wait:-5}
MinJobAge=3600
InactiveLimit=0
WaitTime=0
JobRequeue=1
END
    for node in $lab_nodes; do
        mkdir -p "$lab/spool/$node" "$lab/tmp/$node"
        port=$((lab_port + ${node#?})) name=$(hostname -s)
        [ "$lab_kind" = hosts ] && name=$node
        echo "NodeName=$node NodeHostname=$name NodeAddr=$(lab_address "$node") Port=$port CPUs=8 RealMemory=2000 State=UNKNOWN"
    done >>"$lab/slurm.conf"
    echo "PartitionName=lab Nodes=$(echo $lab_nodes | tr ' ' ,) Default=YES MaxTime=INFINITE DefaultTime=10 State=UP" >>"$lab/slurm.conf"
    lab_prolog >"$lab/prolog"
    chmod +x "$lab/prolog"
}

# Each line that a task prolog prints is set in every task. $TMPDIR stands for a node's local disk. Nodes on loopback share
# /dev/shm, so they talk by TCP only.
lab_prolog() {
    echo "#!/bin/sh"
    if [ "$lab_kind" = loopback ]; then
        echo "echo export OMPI_MCA_btl=self,tcp"
        echo "echo export OMPI_MCA_btl_tcp_if_include=lo"
        echo "echo export OMPI_MCA_oob_tcp_if_include=lo"
    fi
    echo "echo export TMPDIR=$lab/tmp/\$SLURMD_NODENAME"
}

# Remember a daemon under a name. Disowned, so that the shell does not report its end.
lab_keep() {
    echo "$1" >"$lab/run/$2.boot"
    disown "$1"
}

# ---------------------------------------------------------------- hosts
lab_network() {
    ip link add "$lab_bridge" type bridge && ip addr add "$lab_control/24" dev "$lab_bridge" && ip link set "$lab_bridge" up ||
        fail "cannot make the bridge $lab_bridge"
    { echo "127.0.0.1 localhost"; echo "$lab_control $(hostname -s)"; } >"$lab/hosts"
    for node in $lab_nodes; do echo "$(lab_address "$node") $node" >>"$lab/hosts"; done
    for node in $lab_nodes; do
        space=$(lab_space "$node")
        ip netns add "$space" && ip link add "$space" type veth peer name eth0 netns "$space" &&
            ip link set "$space" master "$lab_bridge" up && ip -n "$space" link set lo up &&
            ip -n "$space" addr add "$(lab_address "$node")/24" dev eth0 && ip -n "$space" link set eth0 up ||
            fail "cannot make the network of $node"
    done
}

# Boot a host with a command; it stays until the host crashes. nsenter, as `ip netns exec` would mount a new /sys without
# the cgroups that slurmd looks for.
lab_boot() { # NODE COMMAND...
    node=$1 space=$(lab_space "$1")
    shift
    nsenter --net="/run/netns/$space" unshare --uts --mount --pid --fork --kill-child --mount-proc --propagation private \
        bash -c 'hostname "$1" && mount --bind "$2" /etc/hosts && mount -t tmpfs tmpfs /dev/shm || exit 1
            shift 2
            # Not exec: the first process of a process space has to reap what daemons leave behind.
            "$@" & wait' bash "$node" "$lab/hosts" "$@" </dev/null >>"$lab/log/$node.log" 2>&1 &
    lab_keep $! "$node"
}

lab_cut() { ip link set "$(lab_space "$1")" down; }
lab_heal() { ip link set "$(lab_space "$1")" up; }
lab_pids() { ip netns pids "$(lab_space "$1")"; } # as this side numbers them

# Everything on a host dies at once: the process that keeps its process space alive is killed.
lab_crash() {
    victims=$(lab_pids "$1")
    [ -n "$victims" ] || fail "nothing was running on $1"
    kill -KILL "$(cat "$lab/run/$1.boot")"
    for _ in $(seq 100); do
        [ -z "$(lab_pids "$1")" ] && return
        sleep 0.05
    done
    fail "processes of $1 survived the crash: $(lab_pids "$1")"
}

# ---------------------------------------------------------------- daemons
lab_slurmd() { # NODE
    if [ "$lab_kind" = hosts ]; then lab_boot "$1" slurmd -D -N "$1"
    else
        setsid slurmd -D -N "$1" </dev/null >>"$lab/log/$1.log" 2>&1 &
        lab_keep $! "$1"
    fi
}
lab_revive() { lab_slurmd "$1"; lab_wait_nodes; }

lab_wait_nodes() {
    for _ in $(seq 150); do
        [ "$(timeout 5 sinfo -h -N -o %t 2>/dev/null | grep -cE '^(idle|mix|alloc)$')" = "$lab_size" ] && return
        sleep 0.2
    done
    sinfo -N -l >&2
    tail -n 5 "$lab"/log/*.log >&2
    fail "the nodes of the cluster did not come up"
}

lab_start() { # KIND SIZE
    lab_need "$1"
    lab_names "$@"
    trap 'lab_stop; end_test' EXIT
    trap 'exit 1' INT TERM HUP
    lab_configure
    [ "$lab_kind" = loopback ] || lab_network
    (umask 077 && head -c 1024 /dev/urandom >"$lab/run/munge.key")
    munged --foreground --force --key-file="$lab/run/munge.key" --socket="$lab/run/munge.socket" --pid-file="$lab/run/munged.pid" \
        --seed-file="$lab/run/munged.seed" --log-file="$lab/log/munged.log" </dev/null >"$lab/log/munged.out" 2>&1 &
    lab_keep $! munged
    for _ in $(seq 100); do [ -S "$lab/run/munge.socket" ] && break; sleep 0.05; done
    slurmctld -D </dev/null >"$lab/log/slurmctld.log" 2>&1 &
    lab_keep $! slurmctld
    for node in $lab_nodes; do lab_slurmd "$node"; done
    lab_wait_nodes
}

# What Slurm started has left our process groups, but knows our configuration.
lab_strays() { grep -lzF "SLURM_CONF=$lab/" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 | grep -vx -e $$ -e $BASHPID; }

lab_stop() {
    for f in "$lab"/run/*.boot; do kill -KILL "$(cat "$f")" 2>/dev/null; done
    for node in $lab_nodes; do
        [ "$lab_kind" = hosts ] || break
        for p in $(lab_pids "$node" 2>/dev/null); do kill -KILL "$p" 2>/dev/null; done
        ip netns del "$(lab_space "$node")" 2>/dev/null
    done
    [ "$lab_kind" = loopback ] || ip link del "$lab_bridge" 2>/dev/null
    for p in $(lab_strays); do kill -KILL "$p" 2>/dev/null; done
}

# ---------------------------------------------------------------- jobs
lab_state() { timeout 10 scontrol show job "$1" 2>/dev/null | sed -n 's/^ *JobState=\([A-Z_]*\).*/\1/p'; } # JOB

# Slurm lets two minutes pass before it starts a requeued job. Not here, but two seconds must pass: slurmd tells the new
# credential from the one just revoked by its time in whole seconds.
lab_hasten() { # JOB
    timeout 10 scontrol show job "$1" 2>/dev/null | grep -q "JobState=PENDING Reason=BeginTime" || return
    sleep 2
    timeout 10 scontrol update jobid="$1" StartTime=now
}
lab_field() { timeout 10 scontrol show job "$1" | grep -o "\b$2=[^ ]*" | head -1 | cut -d= -f2; } # JOB FIELD

lab_until() { # JOB SECONDS STATE...: wait for one of the states; until it is PENDING, a job is not hastened
    local job=$1 seconds=$2 left=$(($2 * 5)) state
    shift 2
    while [ $left -gt 0 ]; do
        state=$(lab_state "$job")
        case " $* " in *" $state "*) return 0 ;; *" PENDING "*) ;; *) lab_hasten "$job" ;; esac
        left=$((left - 1))
        sleep 0.2
    done
    squeue >&2
    tail -n 5 "$lab"/log/*.log >&2
    fail "job $job is $state after $seconds seconds, want $*"
}

lab_over() { lab_until "$1" "$2" COMPLETED FAILED TIMEOUT CANCELLED NODE_FAIL OUT_OF_MEMORY; } # JOB SECONDS

# Nothing of a job that is over may run on: neither here nor on a host that has come back.
lab_quiet() {
    for _ in $(seq 50); do
        left=$(pgrep -f "^$WHYPIX (run|launch)|^mpirun|^orted" | while read -r p; do
            grep -qzF "SLURM_CONF=$lab/" "/proc/$p/environ" 2>/dev/null && echo "$p"; done)
        [ -z "$left" ] && return
        sleep 0.2
    done
    fail "still running: $(ps -o pid,args -p "$(echo $left | tr ' ' ,)")"
}

now() { date +%s.%N; }
since() { awk "BEGIN { printf \"%.1f\", $(now) - $1 }"; }
