#!/bin/sh
# A host's Open MPI daemon (orted) is killed under `whypix launch`. Hosts are this one and another name for it: an agent in
# ssh's place starts what mpirun wants under that host name. (tests/slurm has hosts with networks of their own.)
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
. "$WHYPIX_SOURCE/tests/mpi/launch.sh"
unshare --uts true 2>/dev/null || skip "skipped: another host name (unshare --uts) needs root"
make_job 20 300
run 2 1 whole.db || fail "undisturbed: exit code $?"

cat >agent <<'END'
#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
host=$1
shift
exec unshare --uts sh -c 'hostname "$0" && exec sh -c "$1"' "$host" "$*"
END
chmod +x agent
here="--host $(hostname):2,other:2 --mca plm_rsh_agent $work/agent --mca btl self,tcp --mca btl_tcp_if_include lo --mca oob_tcp_if_include lo"
orted_pid() { for p in $(marked); do [ "$(cat "/proc/$p/comm")" = orted ] && echo "$p"; done; }

launch_options="$here --"
launch 3 orted.db
wait_for_images orted.db 4
[ "$(query orted.db 'SELECT count(DISTINCT host) FROM shard')" = 2 ] || fail "kill -9 of an orted: not two hosts"
strike 'kill -9 of an orted' "$(orted_pid)"
recovered 'kill -9 of an orted'

# Rank 0 on the other host: its death is silence there, and found by patience.
launch_options="--host other:4 --mca plm_rsh_agent $work/agent --mca btl self,tcp --mca btl_tcp_if_include lo --mca oob_tcp_if_include lo --"
launch 2 far.db
wait_for_images far.db 4
strike 'kill -9 of rank 0 on another host' "$(rank0_pid)"
recovered 'kill -9 of rank 0 on another host'
grep -q 'rank 0 was silent for' log || fail "kill -9 of rank 0 on another host: does not say what happened"
