#!/bin/sh
# `maps: archive`: one SQLite Archive per rank with the very maps of `maps: directory`; each map is where its row says, after
# kill -9 too.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
make_job 8 20
run 1 1 alone.db || fail "alone: exit code $?"
maps alone.db >alone.sums
sed -i 's/maps: directory/maps: archive/' job.yaml

# Every done explanation has its map in the archive of the run and the rank that its timing names, with the hash of its row.
whole() {
    dir=${1%.db}-maps
    rm -rf extracted && mkdir extracted
    for archive in "$dir"/*.sqlar; do
        [ "$(query "$archive" 'PRAGMA integrity_check')" = ok ] || fail "$archive is damaged"
        mkdir "extracted/$(basename "$archive" .sqlar)"
        sqlite3 "$archive" -A --extract --directory "extracted/$(basename "$archive" .sqlar)" || fail "cannot extract $archive"
    done
    query "$1" "SELECT e.map_sha256 || '  ' || substr(r.uid, 1, 12) || printf('-%04d', s.rank) || '/' || e.map FROM explanation e
        JOIN timing t ON t.explanation_id = e.id JOIN shard s ON s.id = t.shard_id JOIN run r ON r.id = t.run_id
        WHERE e.status = 'done'" >where
    [ "$(wc -l <where)" = "$(query "$1" "SELECT count(*) FROM explanation WHERE map IS NOT NULL")" ] || fail "$1: explanations without a place"
    (cd extracted && sha256sum --quiet -c ../where) || fail "$1: a map is not where its row says"
}
dump alone.db >alone.dump
for ranks in 1 3; do
    run $ranks 1 "ranks-$ranks.db" || fail "$ranks ranks: exit code $?"
    whole "ranks-$ranks.db"
    [ "$(find "ranks-$ranks-maps" -name '*.sqlar' | wc -l)" = $ranks ] || fail "$ranks ranks: $(find "ranks-$ranks-maps" -type f) are the files"
    dump "ranks-$ranks.db" | cmp - alone.dump >&2 || fail "the database depends on where maps go"
done

# kill -9 between two images; what was left is completed. The run was not over, and its process is gone.
in_background "$WHYPIX" run job.yaml --db killed.db --threads 1
wait_for_images killed.db 2
kill -KILL "$background" || fail "the run was over before it could be killed"
wait "$background" 2>/dev/null
[ "$(missing killed.db)" -gt 0 ] || fail "killed too late"
whole killed.db
run 2 1 killed.db || fail "after the kill: exit code $?"
whole killed.db
dump killed.db | cmp - alone.dump >&2 || fail "another database after a kill"

# Merged: one archive, each map once.
"$WHYPIX" merge merged.db killed.db >log 2>&1 || fail "merge: exit code $?"
[ "$(find merged-maps -type f)" = merged-maps/maps.sqlar ] || fail "the merged maps are $(find merged-maps -type f)"
mkdir all && sqlite3 merged-maps/maps.sqlar -A --extract --directory all || fail "cannot extract the merged maps"
(cd all && find . -type f | sort | xargs sha256sum) | cmp - alone.sums >&2 || fail "the merged maps differ"
[ "$(query merged-maps/maps.sqlar 'SELECT sum(length(data)) < 0.9 * sum(sz) FROM sqlar')" = 1 ] || fail "maps are not compressed"

# A full disk is said; what was committed is intact. (A file of at most 64 kB stands for it.)
(ulimit -f 64; trap '' XFSZ; timeout 60 "$WHYPIX" run job.yaml --db full.db --threads 1) >log 2>&1
[ $? = 3 ] || fail "a full disk: exit code is not 3"
