#!/bin/sh
# How much faster are two ranks than one? tests/bench/scaling.sh JOB.yaml IMAGES [REPETITIONS]
#
# Runs JOB on its first IMAGES images with one rank and with two, one thread each, in turns (so that what else the machine
# does hits both alike), and prints the median images/s of each and their ratio. Take a machine with two idle cores;
# $WHYPIX is the program.
set -eu
[ $# -ge 2 ] || { echo "usage: $0 JOB.yaml IMAGES [REPETITIONS]" >&2; exit 2; }
job=$1 images=$2 repetitions=${3:-5}
whypix=${WHYPIX:-build/whypix}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# run RANKS NUMBER: images per second from the first shard's start to the last one's end
run() {
    db=$out/$1-$2.db
    code=0
    mpirun -n "$1" --bind-to none --oversubscribe "$whypix" run "$job" --db "$db" --limit "$images" --threads 1 >"$out/log" 2>&1 || code=$?
    [ $code -le 1 ] || { cat "$out/log" >&2; exit 1; }
    sqlite3 "$db" "SELECT round(sum(n) / (max(t1) - min(t0)), 3) FROM shard" >>"$out/rate-$1"
    rm -rf "$out/$1-$2"*
}

median() { sort -n "$1" | awk '{ x[NR] = $1 } END { print NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2 }'; }

i=0
while [ "$i" -lt "$repetitions" ]; do
    i=$((i + 1))
    run 1 $i
    run 2 $i
done
one=$(median "$out/rate-1") two=$(median "$out/rate-2")
echo "load $(cut -d' ' -f1 /proc/loadavg) on $(nproc) cores, $images images, $repetitions repetitions"
echo "1 rank:  $one images/s  ($(sort -n "$out/rate-1" | tr '\n' ' '))"
echo "2 ranks: $two images/s  ($(sort -n "$out/rate-2" | tr '\n' ' '))"
awk -v one="$one" -v two="$two" 'BEGIN { printf "ratio %.2f\n", two / one }'
