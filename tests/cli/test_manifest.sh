#!/bin/sh
# `whypix manifest`: from a folder of pictures to a list that a job takes; what goes where, and what is refused.
set -u
here=$(cd "${WHYPIX_SOURCE:-$(dirname "$0")/../..}" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
status=0

fail() {
    echo "$1"
    status=1
}

expect() { # CODE TEXT COMMAND...: exit code, and a text that stderr or stdout has
    code=$1
    text=$2
    shift 2
    "$@" >out 2>err
    got=$?
    [ $got -eq "$code" ] || fail "$*: exit code $got, want $code: $(cat err)"
    grep -qF -- "$text" out err || fail "$*: nothing says '$text': $(cat out err)"
}

mkdir -p pets/cat pets/dog
cp "$here/tests/golden/image/scene0.png" pets/cat/a.png
cp "$here/tests/golden/image/scene1.png" pets/dog/b.png
cp "$here/tests/golden/image/scene2.png" pets/dog/c.png
echo hello >pets/dog/readme.txt

expect 0 "3 pictures" "$WHYPIX" manifest folder pets --write-labels labels.txt
cp out list.csv
printf 'image,label\npets/cat/a.png,cat\npets/dog/b.png,dog\npets/dog/c.png,dog\n' | cmp - list.csv || fail "the list is another"
printf 'cat\ndog\n' | cmp - labels.txt || fail "the labels are others"
expect 0 "1 refused" "$WHYPIX" manifest folder pets
expect 0 "pets/dog/readme.txt: is not a picture" "$WHYPIX" manifest folder pets

# The list is right for a job in the same folder.
cp "$here/tests/golden/explain/tiny.onnx" net.onnx
cat >job.yaml <<'YAML'
whypix: 1
name: pets
images: {list: list.csv, labels: labels.txt}
models: [{name: net, file: net.onnx, preprocess: torchvision}]
targets: [label]
methods: {gradcam: {}}
scores: [sparsity]
output: {database: pets.db, maps: none}
YAML
expect 0 "" "$WHYPIX" run job.yaml
[ "$(sqlite3 pets.db "SELECT group_concat(path || ' ' || label) FROM (SELECT * FROM image ORDER BY id)")" = \
    "pets/cat/a.png 0,pets/dog/b.png 1,pets/dog/c.png 1" ] || fail "the database has other pictures"

# Boxes are masks: the control `mask` explains with them, and localisation is measured.
"$WHYPIX" manifest folder pets 2>/dev/null | awk 'NR == 1 { print $0 ",boxes" } NR > 1 { print $0 ",0 0 24 1000" }' >boxes.csv
sed -e 's/list.csv/boxes.csv/; s/scores:.*/scores: [pointing_game]\ncontrols: [mask]/; s/pets.db/boxes.db/' job.yaml >boxes.yaml
expect 0 "" "$WHYPIX" run boxes.yaml
[ "$(sqlite3 boxes.db "SELECT min(value), count(*) FROM score s JOIN explanation e ON e.id = s.explanation_id JOIN cell c ON c.id = e.cell_id
    JOIN method m ON m.id = c.method_id WHERE m.name = 'mask'")" = "1.0|3" ] || fail "the mask does not point at the boxes"

expect 0 "imagenet" "$WHYPIX" manifest
expect 2 "did you mean 'folder'" "$WHYPIX" manifest foldr pets
expect 2 "PATH is missing" "$WHYPIX" manifest folder
expect 2 "--write means nothing to 'folder'" "$WHYPIX" manifest folder pets --write x
expect 2 "want one of the two" "$WHYPIX" manifest folder pets --labels labels.txt --write-labels other.txt
expect 2 "gone: No such file or directory" "$WHYPIX" manifest folder gone
expect 2 "no picture is left for the list; 0 rows were refused, 4 are of other classes" "$WHYPIX" manifest folder pets --class cow
exit $status
