#!/bin/sh
# `whypix rerun`: precisely what is asked for is computed again, the old rows are kept, everything else stays as it is.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"

# rerun CODE ARGUMENT...: with that exit code, into log
rerun() {
    want=$1
    shift
    timeout 200 "$WHYPIX" rerun "$@" --threads 1 >log 2>&1
    code=$?
    [ $code = "$want" ] || fail "rerun $*: exit code $code, want $want"
}
said() { grep -qF "$1" log || fail "does not say '$1'"; }
counts() { # DB SQL WANT
    got=$(query "$1" "$2")
    [ "$got" = "$3" ] || fail "$2: got $got, want $3"
}

make_job 6 20
run 1 1 alone.db || fail "alone: exit code $?"
picture=$(query alone.db 'SELECT path FROM image WHERE id = 3')
cells=$(query alone.db 'SELECT count(*) FROM cell')

# A picture that cannot be read fails, fails again, and is repaired.
cp "pics/$picture" good.png
head -c 200 good.png >"pics/$picture"
run 2 1 broken.db
[ $? = 1 ] || fail "a broken picture: exit code is not 1"
rerun 1 broken.db --failed
counts broken.db 'SELECT count(*), min(explanation_id >> 16), max(explanation_id >> 16) FROM superseded' "$cells|3|3"
cp good.png "pics/$picture"
(cd / && timeout 200 "$WHYPIX" rerun "$work/broken.db" --failed --threads 1) >log 2>&1 || fail "from another folder: exit code $?"
said ', 1 image to do'
counts broken.db 'SELECT max(attempt), count(*) FROM superseded' "2|$((2 * cells))"
counts broken.db "SELECT DISTINCT row->>'status' FROM superseded" failed
same alone.db broken.db
rerun 0 broken.db --failed
said ', 0 images to do'

# One image, one method: LIME's cells only, and their pairs.
rerun 0 broken.db --image "$picture" --method lime
last=$(query broken.db 'SELECT max(id) FROM run')
counts broken.db "SELECT group_concat(DISTINCT m.name), count(*) FROM superseded s JOIN cell c ON c.id = explanation_id & 65535 JOIN method m
    ON m.id = c.method_id WHERE replaced_by = $last" 'lime|4'
counts broken.db "SELECT count(*), count(DISTINCT explanation_id >> 16) FROM timing WHERE run_id = $last" '4|1'
same alone.db broken.db

# What is missing, and nothing else.
run 1 1 part.db --limit 2 || fail "--limit 2: exit code $?"
timeout 200 mpirun -n 2 "$WHYPIX" rerun part.db --missing --threads 1 >log 2>&1 || fail "--missing: exit code $?"
said ', 4 images to do'
counts part.db 'SELECT count(*) FROM superseded' 0
same alone.db part.db

# A shard: its images, by two ranks.
shard=$(query part.db 'SELECT max(id) FROM shard')
timeout 200 mpirun -n 2 "$WHYPIX" rerun part.db --shard "$shard" --threads 1 >log 2>&1 || fail "--shard: exit code $?"
counts part.db "SELECT count(*) = $cells * (SELECT n FROM shard WHERE id = $shard) FROM superseded" 1
counts part.db "SELECT images LIKE min(explanation_id >> 16) || '%' FROM superseded, shard WHERE shard.id = $shard" 1
same alone.db part.db

# kill -9 in the middle: each image is replaced or as it was; a second re-run ends it.
query part.db "UPDATE explanation SET status = 'failed', error = 'made up'; DELETE FROM superseded"
before=$(query part.db 'SELECT count(*) FROM pair')
in_background "$WHYPIX" rerun part.db --failed --threads 1
for _ in $(seq 600); do
    left=$(query part.db "SELECT count(*) FROM explanation WHERE status = 'failed'")
    [ "$left" -lt $((6 * cells)) ] && break
    sleep 0.02
done
kill -KILL "$background" || fail "the re-run was over before it could be killed"
wait "$background" 2>/dev/null
left=$(query part.db "SELECT count(*) FROM explanation WHERE status = 'failed'")
[ "$left" -gt 0 ] && [ "$left" -lt $((6 * cells)) ] || fail "killed too late: $left of $((6 * cells)) explanations are old"
counts part.db "SELECT count(*) = 6 * $cells - $left FROM superseded" 1
counts part.db 'SELECT count(*) FROM pair' "$before"
rerun 0 part.db --failed
counts part.db "SELECT count(*), max(attempt) FROM superseded" "$((6 * cells))|1"
same alone.db part.db

# Refusals.
rerun 2 part.db
said 'got 0 of --failed, --missing, --image and --shard, want one'
rerun 2 part.db --failed --missing
said 'got 2 of'
rerun 2 part.db --image nowhere.png
said "no image has the path 'nowhere.png'"
rerun 2 part.db --failed --method saliency
said "no method is called 'saliency'"
rerun 3 nowhere.db --failed
[ ! -e nowhere.db ] || fail "a refused re-run left a database"
sed 's/^seed: 7/seed: 8/' job.yaml >other.yaml
rerun 2 part.db --failed --job other.yaml
said 'does not hold results of this job'
counts part.db 'SELECT count(*) FROM job' 1
mv job.yaml moved.yaml
rerun 2 part.db --failed
said 'name it with --job'
rerun 0 part.db --failed --job moved.yaml
