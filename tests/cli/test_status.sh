#!/bin/sh
# `whypix status --watch` beside a run: it follows, it ends with the run, and neither disturbs the other.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
make_job 12 30
run 1 1 alone.db || fail "alone: exit code $?"

in_background "$WHYPIX" run job.yaml --db db.db --threads 1
wait_for_images db.db 1
timeout 200 "$WHYPIX" status db.db --watch --every 0.02 --json >lines
code=$?
wait "$background" || fail "the watched run: exit code $?"
[ $code = 0 ] || fail "status --watch: exit code $code"
same alone.db db.db
sed 's/.*"images_done":\([0-9]*\),.*/\1/' lines >done
sort -n done | cmp - done >&2 || fail "images were un-done: $(tr '\n' ' ' <done)"
[ "$(sort -u done | wc -l)" -gt 2 ] || fail "the watch saw no progress: $(tr '\n' ' ' <done)"
[ "$(tail -n 1 done)" = 12 ] || fail "the last look saw $(tail -n 1 done) of 12 images"
grep -q '"state":"running"' lines || fail "no look fell into the run"
grep -q '"eta_s":[0-9]' lines || fail "no look told the time left"
tail -n 1 lines | grep -q '"state":"done".*"eta_s":null' || fail "the last look: $(tail -n 1 lines)"
tail -n 1 lines >last
[ "$(sqlite3 :memory: "SELECT json_array_length(readfile('last'), '$.slowest'), json_extract(readfile('last'), '$.shards[0].state')")" = '5|done' ] ||
    fail "the last look is not the JSON that is wanted: $(cat last)"
"$WHYPIX" status db.db >log 2>&1 || fail "status: exit code $?"
grep -q '^images       12: 12 done, 0 failed, 0 missing$' log || fail "status does not count 12 images"
