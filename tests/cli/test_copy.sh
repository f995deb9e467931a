#!/bin/bash
# `whypix copy`: whole and consistent while a run writes, after a kill in the middle of a commit, over an older copy.
set -u
export LC_ALL=C
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
make_job 12 300

# Copies of a database that is being written: each is sound, none holds half an image, and they grow.
in_background "$WHYPIX" run job.yaml --db run.db --threads 1
wait_for_images run.db 1
seen=0
while kill -0 "$background" 2>/dev/null; do
    "$WHYPIX" copy run.db copy.db >copied 2>&1 || { cat copied; fail "copy while it is written: exit code $?"; }
    [ "$(query copy.db 'PRAGMA integrity_check')" = ok ] || fail "the copy is damaged"
    halves=$(query copy.db 'SELECT count(*) FROM (SELECT count(*) n FROM explanation GROUP BY image_id HAVING n <> (SELECT count(*) FROM cell))')
    [ "$halves" = 0 ] || fail "the copy holds $halves half images"
    n=$(query copy.db 'SELECT count(DISTINCT image_id) FROM explanation')
    [ "$n" -le "$seen" ] || distinct=$((${distinct:-0} + 1))
    seen=$n
    sleep 0.1
done
wait "$background" || fail "the run was hurt by being copied: exit code $?"
[ "${distinct:-0}" -ge 2 ] || fail "only ${distinct:-0} different copies were seen: nothing tested"
"$WHYPIX" copy run.db copy.db || fail "copy: exit code $?"
cmp <(sqlite3 run.db .dump) <(sqlite3 copy.db .dump) || fail "the copy differs"

# A writer that is killed after pages of its transaction have reached the file leaves a journal; the copy is without them.
half_write() { # DB
    mkfifo pipe
    sqlite3 "$1" <pipe >/dev/null &
    writer=$!
    exec 9>pipe
    echo "PRAGMA cache_size = 1; BEGIN; CREATE TABLE half AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50000)
          SELECT i, hex(randomblob(50)) FROM n; UPDATE image SET path = 'half'; SELECT 1;" >&9
    for _ in $(seq 200); do [ "$(stat -c %s "$1")" -gt 5000000 ] && break; sleep 0.05; done
    kill -KILL $writer
    wait $writer 2>/dev/null
    exec 9>&-
    rm pipe
    [ -s "$1-journal" ] || fail "the killed writer left no journal: nothing tested"
}
cp run.db hurt.db
half_write hurt.db
"$WHYPIX" copy hurt.db healed.db || fail "copy of a half-written database: exit code $?"
cmp <(sqlite3 run.db .dump) <(sqlite3 healed.db .dump) || fail "what was never committed was copied"

# The same journal beside the target must not be rolled back into the copy that replaces it.
cp run.db old.db
half_write old.db
"$WHYPIX" copy copy.db old.db || fail "copy over a half-written database: exit code $?"
[ ! -e old.db-journal ] || fail "the old journal lies beside the new file"
cmp <(sqlite3 run.db .dump) <(sqlite3 old.db .dump) || fail "an old journal spoilt the copy"

# What cannot be copied leaves the target alone.
"$WHYPIX" copy job.yaml old.db 2>copied && fail "a text file was copied"
grep -q "job.yaml: .*not a SQLite database" copied || { cat copied; fail "not said that it is no database"; }
"$WHYPIX" copy missing.db old.db 2>copied && fail "a missing file was copied"
cmp <(sqlite3 run.db .dump) <(sqlite3 old.db .dump) || fail "a failed copy changed the target"
[ -z "$(find . -name '*.part-*')" ] || fail "a part was left behind"
