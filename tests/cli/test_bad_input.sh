#!/bin/bash
# What users get wrong, and what they are told: one clear sentence, the right exit code, nothing computed is lost.
set -u
export LC_ALL=C
work=$(mktemp -d "${TMPDIR:-/tmp}/whypix-bad.XXXXXX")
disk=
cleanup() { [ -z "$disk" ] || umount "$disk" 2>/dev/null; rm -rf "$work"; }
trap cleanup EXIT
cd "$work" || exit 1
fail() { echo "FAILED: $*" >&2; exit 1; }

"$WHYPIX" synth pics --count 3 --seed 3 >/dev/null || fail "cannot draw pictures"
cut -d, -f1 pics/list.csv >pics/plain.csv
tiny=$WHYPIX_SOURCE/tests/golden/explain/tiny.onnx
cp "$tiny" tiny.onnx

# job [SED SCRIPT]: a small job, edited
job() {
    sed "${1:-}" >job.yaml <<END
whypix: 1
name: bad
seed: 7
images: {list: pics/plain.csv, fit: {resize: 48, how: bilinear, crop: 48}}
models:
  - {name: tiny, file: tiny.onnx, preprocess: torchvision}
targets: [predicted]
methods:
  lime: {explainer: lime, samples: 20, segmenter: "grid(4,4)"}
  gradcam: {explainer: gradcam}
agreement: {metrics: [pearson]}
scores: [gini]
output: {database: out.db}
END
}

# refuses CODE NEEDLE COMMAND...: this exit code, and an error in one line that has the needle
refuses() {
    local want=$1 needle=$2 code=0
    shift 2
    timeout 100 "$WHYPIX" "$@" >stdout 2>stderr || code=$?
    [ $code = "$want" ] || { cat stderr; fail "$*: exit code $code, want $want"; }
    grep -qF -- "$needle" stderr || { cat stderr; fail "$*: the error lacks '$needle'"; }
    [ "$(grep -c . stderr)" = 1 ] || { cat stderr; fail "$*: the error is not one line"; }
}

# ---- models
job 's/file: tiny.onnx/file: none.onnx/'; refuses 2 "none.onnx: No such file" plan job.yaml
refuses 2 "none.onnx: No such file" run job.yaml
echo "this is a text" >text.onnx
job 's/file: tiny.onnx/file: text.onnx/'; refuses 2 "text.onnx" run job.yaml
refuses 2 "text.onnx" model text.onnx
sed 's/Gemm/Gexx/g; s/Relu/Rexx/g' "$tiny" >odd.onnx
refuses 2 "Gexx" model odd.onnx
grep -q Rexx stderr || fail "only one of two unsupported operators was named: $(cat stderr)"
head -c 1000 "$tiny" >cut.onnx; refuses 2 "cut.onnx" model cut.onnx

# ---- classes and targets
job 's/\[predicted\]/[class:9]/'; refuses 2 "class:9" run job.yaml
grep -q "0 to 4" stderr || fail "the range of classes is not named: $(cat stderr)"
refuses 2 "0 to 4" explain --model tiny.onnx --image pics/images/00000.png --fit resize --method gradcam --class 9 --out maps
refuses 2 "did you mean 'gradcam'" explain --model tiny.onnx --image pics/images/00000.png --fit resize --method gradcan --out maps
refuses 2 "did you mean 'samples'" explain --model tiny.onnx --image pics/images/00000.png --fit resize --method lime --set lime.sample=3 --out maps
refuses 2 "want a whole number" explain --model tiny.onnx --image pics/images/00000.png --fit resize --method lime --set lime.samples=many --out maps
refuses 2 "'9/Nothing'" explain --model tiny.onnx --image pics/images/00000.png --fit resize --method gradcam --layer 9/Nothing --out maps
refuses 2 "the model wants 48 x 48" explain --model tiny.onnx --image pics/images/00000.png --fit none --method gradcam --out maps
refuses 2 "--model is missing" explain --image x
refuses 2 "did you mean '--method'" explain --metod lime
refuses 2 "did you mean 'explain'" explian

# ---- the job file: line, column, nearest name, wanted type
job 's/targets:/targts:/'; refuses 2 "did you mean 'targets'" plan job.yaml
grep -q "job.yaml:7:1" stderr || fail "no line and column: $(cat stderr)"
job 's/samples: 20/sampls: 20/'; refuses 2 "did you mean 'samples'" plan job.yaml
job 's/samples: 20/samples: twenty/'; refuses 2 "twenty" plan job.yaml
grep -q "job.yaml:9:" stderr || fail "no line: $(cat stderr)"
job 's/seed: 7/seed: [7]/'; refuses 2 "job.yaml:3:7" plan job.yaml
job 's/explainer: lime/explainer: limes/'; refuses 2 "did you mean 'lime'" plan job.yaml
job 's/\[pearson\]/[persson]/'; refuses 2 "did you mean 'pearson'" plan job.yaml
job 's/database: out.db/database: out.db, maps: tape/'; refuses 2 "tape" plan job.yaml
job 's/methods:/methods: [/'; refuses 2 "job.yaml:" plan job.yaml
refuses 2 "absent.yaml" run absent.yaml

# ---- the image list
echo image >pics/empty.csv
job 's/plain.csv/empty.csv/'; refuses 2 "empty.csv" run job.yaml
printf 'image,label\nimages/00000.png,7\n' >pics/labelled.csv
printf 'a\nb\n' >labels.txt
job 's/plain.csv,/labelled.csv, labels: labels.txt,/'; refuses 2 "labelled.csv:2" run job.yaml
grep -q "7" stderr || fail "the label is not named: $(cat stderr)"
job 's/plain.csv/absent.csv/'; refuses 2 "absent.csv" run job.yaml

# ---- the database cannot be written
job 's/out.db/no-such-folder-\/x\/..\/..\/proc\/x.db/'; sed -i 's/database: [^}]*/database: \/proc\/whypix.db/' job.yaml
refuses 3 "/proc/whypix.db" run job.yaml
printf 'not a database, but long enough to be taken for one by its size............................................' >text.db
job 's/out.db/text.db/'; refuses 3 "text.db" run job.yaml
refuses 3 "absent.db" status absent.db
refuses 3 "absent.db" table absent.db agreement

# ---- one bad picture spoils nothing: a failure row each, exit code 1, the others are there
printf 'image\nimages/00000.png\nbroken.png\nabsent.png\nimages/00001.png\n' >pics/mixed.csv
head -c 500 pics/images/00000.png >pics/broken.png
job 's/plain.csv/mixed.csv/; s/out.db/mixed.db/'
"$WHYPIX" run job.yaml >stdout 2>stderr; code=$?
[ $code = 1 ] || { cat stderr; fail "a job with two bad pictures ended with $code, want 1"; }
[ "$(sqlite3 mixed.db "SELECT count(*) FROM explanation WHERE status = 'done'")" = 4 ] || fail "the good pictures are not all done"
[ "$(sqlite3 mixed.db "SELECT count(DISTINCT image_id) FROM failure")" = 2 ] || fail "want two failed pictures"
sqlite3 mixed.db "SELECT reason FROM failure" >reasons
grep -q "broken.png" reasons && grep -q "absent.png: No such file" reasons || fail "reasons: $(cat reasons)"
"$WHYPIX" status mixed.db >stdout || true
grep -q failed stdout || fail "status does not mention failures: $(cat stdout)"

# ---- a picture changed since the run: it fails, the others go on, what is there stays; a changed model is refused
job
"$WHYPIX" run job.yaml --limit 2 >/dev/null 2>stderr || { cat stderr; fail "the first run failed"; }
before=$(sqlite3 out.db "SELECT count(*), sum(evaluations) FROM explanation")
cp pics/images/00002.png pics/images/00001.png
sqlite3 out.db "DELETE FROM explanation WHERE image_id = 2 AND cell_id = 1"
"$WHYPIX" run job.yaml --limit 2 >stdout 2>stderr; code=$?
[ $code = 1 ] || { cat stderr; fail "a job with a changed picture ended with $code, want 1"; }
sqlite3 out.db "SELECT reason FROM failure" | grep -q "00001.png: changed since its first results" || fail "reasons: $(sqlite3 out.db 'SELECT * FROM failure')"
"$WHYPIX" rerun out.db --image images/00001.png >stdout 2>stderr || { cat stderr; fail "the new picture was not taken"; }
[ "$(sqlite3 out.db "SELECT sha256 FROM image WHERE id = 2")" = "$(sha256sum <pics/images/00001.png | cut -d' ' -f1)" ] || fail "the new picture's hash is not there"
cp "$tiny" tiny.onnx && sed -i 's/pytorch/pytorcX/' tiny.onnx
cmp -s "$tiny" tiny.onnx && fail "the model was not changed"
refuses 3 "tiny" run job.yaml
grep -q "sha256" stderr || fail "the changed model's hash is not named: $(cat stderr)"
[ "$(sqlite3 out.db "SELECT count(*) FROM explanation")" -ge 3 ] || fail "rows were lost: $before before"
[ "$(sqlite3 out.db "PRAGMA integrity_check")" = ok ] || fail "the database is damaged"

# ---- a full disk: what was committed stays, and the run goes on when there is space again
cp "$tiny" tiny.onnx
if [ "$(id -u)" = 0 ] && mkdir full && mount -t tmpfs -o size=240k tmpfs full 2>/dev/null; then
    disk=$work/full
    tail -n +2 pics/plain.csv | head -1 >pics/one
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cp pics/images/00002.png "pics/images/c$i.png"; done
    { echo image; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "images/c$i.png"; done; } >pics/many.csv
    job 's/plain.csv/many.csv/; s/out.db/full\/full.db/; s/\[gini\]/[gini, deletion, insertion]/'
    "$WHYPIX" run job.yaml >stdout 2>stderr; code=$?
    [ $code = 3 ] || { cat stdout stderr; fail "a full disk ended the run with $code, want 3"; }
    grep -qi "full" stderr || { cat stderr; fail "the full disk is not named"; }
    [ "$(sqlite3 full/full.db "PRAGMA integrity_check")" = ok ] || fail "the database on the full disk is damaged"
    mount -o remount,size=16m full || fail "cannot enlarge the disk"
    "$WHYPIX" run job.yaml >stdout 2>stderr || { cat stderr; fail "the run did not go on after space was freed"; }
    [ "$(sqlite3 full/full.db "SELECT count(*) FROM explanation WHERE status = 'done'")" = 24 ] || fail "cells are missing after the disk was full"
else
    echo "skipped: a full disk needs root and a tmpfs"
fi
echo "all refused as they should be"
