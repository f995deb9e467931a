#!/bin/sh
# What cannot work ends on every rank, at once, with one sentence and the right exit code; one bad picture does not end it.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
make_job 6 60

sed 's/targets:/tagrets:/' job.yaml >typo.yaml
timeout 60 mpirun -n 3 "$WHYPIX" run typo.yaml >log 2>&1
[ $? = 2 ] || fail "unknown key: wrong exit code"
[ "$(grep -c '^whypix run: .*tagrets' log)" = 1 ] || fail "unknown key: not said exactly once"

run 2 1 /proc/no-such-folder/x.db
[ $? = 3 ] || fail "database in a folder that cannot be made: wrong exit code"
[ "$(grep -c '^whypix run: .*no-such-folder/x.db' log)" = 1 ] || fail "unwritable database: not said exactly once"

# Ranks that read different jobs (one sees an old file) would mix two experiments.
sed 's/seed: 7/seed: 8/' job.yaml >other.yaml
timeout 60 mpirun -n 1 "$WHYPIX" run job.yaml --db mixed.db : -n 1 "$WHYPIX" run other.yaml --db mixed.db >log 2>&1
code=$?
[ "$code" -gt 0 ] && [ "$code" -lt 100 ] || fail "different jobs: exit code $code"
[ "$(grep -c '^whypix run: rank 1: ' log)" = 1 ] || fail "different jobs: not said exactly once"
[ "$(query mixed.db 'SELECT count(*) FROM explanation')" = 0 ] || fail "different jobs: something was computed"

# A picture that is none: a failure row, failed explanations, exit code 1, the others are done; and the same on a re-run.
head -c 300 pics/images/00002.png >cut && mv cut pics/images/00002.png
run 2 1 bad.db
[ $? = 1 ] || fail "bad picture: wrong exit code"
[ "$(query bad.db "SELECT group_concat(n) FROM (SELECT count(DISTINCT image_id) n FROM explanation GROUP BY status ORDER BY status)")" = 5,1 ] || fail "bad picture: not five done and one failed"
[ "$(query bad.db 'SELECT count(*) FROM failure')" -ge 1 ] || fail "bad picture: no failure row"
run 3 1 bad.db
[ $? = 1 ] || fail "bad picture, again: wrong exit code"
grep -q ' 0 images to do' log || fail "bad picture, again: tried again unasked"

# A disk that fills up (here: a limit on file sizes): exit code 3, what was committed is intact, and it can go on.
make_job 16 40
run 2 1 whole.db || fail "undisturbed: exit code $?"
blocks=$(($(wc -c <whole.db) / 512 * 2 / 3))
sh -c "trap '' XFSZ; ulimit -f $blocks; exec timeout 100 '$WHYPIX' run job.yaml --db full.db --threads 1" >log 2>&1
[ $? = 3 ] || fail "full disk: wrong exit code"
grep -q '^whypix run: .*full.db' log || fail "full disk: not said"
[ "$(query full.db 'PRAGMA integrity_check')" = ok ] || fail "full disk: the database is damaged"
[ "$(missing full.db)" -gt 0 ] || fail "full disk: it was never full"
run 2 1 full.db || fail "full disk, resumed: exit code $?"
same whole.db full.db
