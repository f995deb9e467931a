#!/bin/sh
# Whatever the ranks and threads: the same bytes. And each rank has work.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
make_job 10 40
timeout 200 "$WHYPIX" run job.yaml --db alone.db --threads 1 >log 2>&1 || fail "alone: exit code $?"
grep -q '1 rank x 1 thread' log || fail "does not say how many ranks and threads"
for shape in '1 1' '2 1' '3 2'; do
    db=$(echo "ranks-$shape.db" | tr ' ' x)
    # shellcheck disable=SC2086
    run $shape "$db" || fail "$shape: exit code $?"
    same alone.db "$db"
done
[ "$(query ranks-3x2.db 'SELECT count(DISTINCT rank) FROM shard')" = 3 ] || fail "not all ranks got work"
[ "$(query ranks-3x2.db "SELECT sum(n) FROM shard WHERE state = 'done'")" = 10 ] || fail "shards do not add up to 10 images"

# Nothing is missing: nothing is computed, and nothing changes.
run 2 1 ranks-3x2.db || fail "again: exit code $?"
grep -q ' 0 images to do' log || fail "computes again what is there"
same alone.db ranks-3x2.db

# A job that grew computes only what is new, and ends as if it had always been that large.
run 2 1 grown.db --limit 4 || fail "--limit 4: exit code $?"
[ "$(missing grown.db)" = 6 ] || fail "--limit 4 left $(missing grown.db) images, not 6"
run 3 1 grown.db || fail "grown: exit code $?"
grep -q ' 6 images to do' log || fail "the rest is not 6 images"
same alone.db grown.db
