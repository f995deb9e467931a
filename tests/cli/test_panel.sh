#!/bin/sh
# `whypix panel`: a sheet from stored maps is what the run itself drew, from files or from archives; thumbs stand in; refusals.
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

panel() { # CODE TEXT ARGUMENTS...: exit code, and a text that is printed
    code=$1
    text=$2
    shift 2
    "$WHYPIX" panel "$@" >out 2>&1
    got=$?
    [ $got -eq "$code" ] || fail "panel $*: exit code $got, want $code: $(cat out)"
    grep -qF -- "$text" out || fail "panel $*: nothing says '$text': $(cat out)"
}

cp "$here/tests/golden/explain/tiny.onnx" net.onnx
mkdir pictures
for i in 0 1 2; do cp "$here/tests/golden/image/scene$i.png" "pictures/$i.png"; done
printf 'image,label\n0.png,0\n1.png,1\n2.png,2\n' >pictures/list.csv
for maps in directory archive none; do
    cat >$maps.yaml <<YAML
whypix: 1
name: panel
images: {list: pictures/list.csv, fit: {resize: [60, 56], how: bicubic, crop: 48}}
models: [{name: net, file: net.onnx, preprocess: torchvision}]
targets: [label, "top:2"]
methods: {lime: {explainer: lime, samples: 20, segmenter: "slic(20,10)"}, gradcam: {}}
controls: [random]
scores: [sparsity]
output: {database: $maps.db, maps: $maps, overlays: {first: 3, palette: inferno}}
YAML
    "$WHYPIX" run $maps.yaml >/dev/null || fail "the run with maps: $maps failed"
done

# One row is the run's own overlay; archives hold the same maps as files.
for i in 0 1 2; do
    for target in label top:1 top:2; do
        panel 0 "target    $target" directory.db row.png --image $i.png --target $target --palette inferno
        cmp row.png "directory-overlays/00000$((i + 1))-net-$(echo $target | tr : -).png" || fail "image $i, $target: the panel is not the overlay"
    done
done
panel 0 "all.png: 152 x 152 pixels" directory.db all.png
panel 0 "archived.png: 152 x 152 pixels" archive.db archived.png
cmp all.png archived.png || fail "a panel from archives is another"
panel 0 "across    the picture, 0.png, 1.png, 2.png" directory.db turned.png --across images --down methods
panel 0 "turned.png: 204 x 100 pixels" directory.db turned.png --across images --down methods
panel 0 "across    the picture, top:2, label" directory.db classes.png --across targets --target top:2 --target label --method random

panel 0 "6 of the maps are drawn from 14 x 14 thumbs" none.db thumbs.png
cmp -s all.png thumbs.png && fail "thumbs give the maps themselves"
sqlite3 directory.db "UPDATE explanation SET status = 'failed' WHERE id = (SELECT min(e.id) FROM explanation e JOIN cell c ON c.id = e.cell_id
    JOIN method m ON m.id = c.method_id WHERE m.name = 'lime' AND c.target = 'label')"
panel 0 "1 explanations are not there and left white" directory.db hole.png

# The job file may be gone: then the list's folder is named.
mv directory.yaml moved.yaml
panel 2 "else give --images DIR" directory.db x.png
panel 0 "all.png" directory.db all.png --images pictures

panel 2 "--method lyme: the database has none of this name" none.db x.png --method lyme
panel 2 "got methods for both" none.db x.png --down methods
panel 2 "--across: got 'colours'" none.db x.png --across colours
panel 2 "--target: got 2, want one" none.db x.png --target label --target top:1
panel 2 "palette 'jet' is unknown" none.db x.png --palette jet
panel 3 "absent.db" absent.db x.png
[ ! -e x.png ] || fail "a refused panel left a picture"
exit $status
