#!/bin/sh
# `whypix merge`: the slices of a job, by any ranks, give the database of one run, byte for byte; conflicts are refused.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
make_job 7 20
run 1 1 alone.db || fail "alone: exit code $?"
for slice in 1 2 3; do
    run $((slice % 2 + 1)) 1 part-$slice.db --slice $slice/3 || fail "slice $slice: exit code $?"
done
# The parts' maps are files beside them; the merged ones are an archive that sqlite3 extracts to the same files.
extract() {
    rm -rf "$1-maps.out" && mkdir "$1-maps.out" && sqlite3 "$1-maps/maps.sqlar" -A --extract --directory "$1-maps.out" || fail "cannot extract $1"
    (cd "$1-maps.out" && find . -type f | sort | xargs sha256sum)
}
same_merged() {
    dump alone.db >alone.dump && dump "$1.db" >merged.dump || fail "cannot dump"
    cmp alone.dump merged.dump >&2 || fail "$1.db is not the database of one run: $(diff alone.dump merged.dump | cut -c1-200 | head -4)"
    maps alone.db >alone.sums
    extract "$1" >merged.sums
    [ -s alone.sums ] && cmp alone.sums merged.sums >&2 || fail "the maps of $1 differ"
    [ "$(query "$1.db" 'PRAGMA integrity_check; PRAGMA foreign_key_check')" = ok ] || fail "$1.db is damaged"
}
"$WHYPIX" merge all.db part-1.db part-2.db part-3.db >log 2>&1 || fail "merge: exit code $?"
grep -q 'rows of 3 databases in .*; 112 maps in all-maps/maps.sqlar' log || fail "does not say what it did"
same_merged all
[ "$(query all.db 'SELECT count(*), count(DISTINCT uid) FROM run')" = '3|3' ] || fail "the runs were not kept"
[ "$(query all.db 'SELECT count(*) FROM timing t JOIN shard s ON s.id = t.shard_id AND s.run_id = t.run_id')" = 84 ] || fail "timings lost their shards"

# Step by step, in another order, with a part twice: the same.
"$WHYPIX" merge two.db part-3.db part-2.db part-3.db >log 2>&1 || fail "merge two: exit code $?"
grep -q 'of theirs were there already' log || fail "does not say that rows were there twice"
"$WHYPIX" merge three.db two.db part-1.db >log 2>&1 || fail "merge three: exit code $?"
same_merged three

# The job of a merged database goes on where the parts ended.
timeout 200 "$WHYPIX" rerun all.db --missing --threads 1 >log 2>&1 || fail "rerun of the merged: exit code $?"
grep -q ', 0 images to do' log || fail "the merged database misses something"

# Refusals leave nothing.
refuse() { # CODE TEXT OUT IN...
    want=$1 text=$2
    shift 2
    "$WHYPIX" merge "$@" >log 2>&1
    code=$?
    [ $code = "$want" ] || fail "merge $*: exit code $code, want $want"
    grep -qF "$text" log || fail "merge $*: does not say '$text'"
}
refuse 2 'all.db: is already there' all.db part-1.db part-2.db
cp part-2.db other.db
sqlite3 other.db "UPDATE image SET label = 7 WHERE id = 2"
refuse 3 "other.db: image '$(query part-2.db 'SELECT path FROM image WHERE id = 2')': its label was -1, is 7" bad.db part-1.db other.db
refuse 3 'nowhere.db' bad.db part-1.db nowhere.db
echo 'no database' >text.db
refuse 3 'not a SQLite database' bad.db part-1.db text.db
[ -z "$(find . -name 'bad*')" ] || fail "a refused merge left $(find . -name 'bad*')"

# kill -9 in the middle: no database, and the next merge makes it.
refuse 2 "got 1 argument, want 'OUT IN...'" killed.db
in_background "$WHYPIX" merge killed.db part-1.db part-2.db part-3.db
for _ in $(seq 2000); do [ -e killed.db.part ] && break; done
kill -KILL "$background" 2>/dev/null || echo "skipped: the merge was over before it could be killed"
wait "$background" 2>/dev/null
rm -f killed.db
"$WHYPIX" merge killed.db part-1.db part-2.db part-3.db >log 2>&1 || fail "merge after a kill: exit code $?"
same_merged killed
