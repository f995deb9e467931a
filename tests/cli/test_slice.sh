#!/bin/bash
# `run --slice K/N` and `--beside FILE`: what array jobs are made of.
set -u
export LC_ALL=C
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
make_job 7 20

slice() { # K/N DB [OPTION...]
    part=$1 db=$2
    shift 2
    "$WHYPIX" run job.yaml --slice "$part" --db "$db" --threads 1 "$@" >log 2>&1
}
"$WHYPIX" run job.yaml --db whole.db --threads 1 >log 2>&1 || fail "whole: exit code $?"

# Strided parts of the list; each image is in one of them.
for k in 1 2 3; do slice $k/3 part-$k.db || fail "slice $k: exit code $?"; done
images() { query "$1" 'SELECT group_concat(image_id) FROM (SELECT DISTINCT image_id FROM explanation ORDER BY 1)'; }
for want in part-1:1,4,7 part-2:2,5 part-3:3,6; do
    got=$(images "${want%:*}.db")
    [ "$got" = "${want#*:}" ] || fail "${want%:*} has images $got, want ${want#*:}"
done
[ "$(missing part-2.db)" = 5 ] || fail "part-2.db does not know of the images of other parts"

# One after the other into one database is the whole run, also in another order and with images asked for twice.
for part in 2/2 1/3 1/2; do slice $part one.db || fail "slice $part: exit code $?"; done
same whole.db one.db

# --limit comes first.
slice 2/2 few.db --limit 4 || fail "with a limit: exit code $?"
[ "$(images few.db)" = 2,4 ] || fail "--limit 4 --slice 2/2 computed $(images few.db)"

# Maps beside another file than the database.
mkdir own home
slice 1/1 own/x.db --beside home/x.db || fail "beside: exit code $?"
[ ! -e own/x-maps ] || fail "maps went beside the database"
cp own/x.db home/x.db
same whole.db home/x.db

for bad in 0/2 3/2 1/0 1 1/2/3 -1/2 1/2x ''; do
    slice "$bad" bad.db
    code=$?
    [ $code = 2 ] && grep -qxF "whypix run: --slice: got '$bad', want K/N with K from 1 to N, for example 2/8" log ||
        fail "--slice '$bad': exit code $code"
done
[ ! -e bad.db ] || fail "a refused slice made a database"
