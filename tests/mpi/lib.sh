# shellcheck shell=sh
# For the tests of this folder: a small job in a folder of its own, mpirun, and what is compared. Sourced by each test.
# Everything is made from what every clone has: tests/golden/explain/tiny.onnx and pictures that whypix draws.
set -u
export LC_ALL=C
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none

skip() { echo "$1"; exit 77; }
fail() { echo "FAILED: $1" >&2; [ -f "$work/log" ] && sed 's/^/  | /' "$work/log" >&2; exit 1; }

command -v mpirun >/dev/null || skip "no mpirun"
command -v sqlite3 >/dev/null || skip "no sqlite3 command (apt install sqlite3)"

work=$(mktemp -d "${TMPDIR:-/tmp}/whypix-mpi.XXXXXX")
started= # process groups that a test left running
end_test() {
    for p in $started; do kill -KILL -- "-$p" 2>/dev/null; done
    rm -rf "$work"
}
trap end_test EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1

# make_job IMAGES SAMPLES: job.yaml; more samples make an image slower.
make_job() {
    "$WHYPIX" synth pics --count "$1" --seed 11 >log 2>&1 || fail "cannot draw pictures"
    cut -d, -f1,3,4 pics/list.csv >pics/plain.csv # the tiny network knows no labels
    cp "$WHYPIX_SOURCE/tests/golden/explain/tiny.onnx" . || fail "no tiny.onnx"
    cat >job.yaml <<EOF
whypix: 1
name: tiny
seed: 7
images: {list: pics/plain.csv, fit: {resize: 48, how: bilinear, crop: 48}}
models:
  - {name: tiny, file: tiny.onnx, preprocess: torchvision}
targets: [predicted, second]
methods:
  lime:    {explainer: lime, samples: $2, segmenter: "quickshift(2,20,0.5)", output: probability}
  shap:    {explainer: shap_partition, evaluations: 60, masker: "blur(8,8)", output: probability}
  gradcam: {explainer: gradcam, layer: last_conv, output: logit}
controls: [random, center]
repeats: {lime: 2}
agreement:
  pairs: methods
  policies: [positive, signed]
  grids: [pixel, 7x7]
  metrics: [pearson, spearman, soft_iou, {topk_iou: [0.05, 0.2]}]
scores: [deletion, sparsity, gini]
output: {database: tiny.db, maps: directory}
EOF
}

# run RANKS THREADS DB [OPTION...]: into log; the exit code is whypix's
run() {
    ranks=$1 threads=$2 db=$3
    shift 3
    timeout 200 mpirun -n "$ranks" "$WHYPIX" run job.yaml --db "$db" --threads "$threads" "$@" >log 2>&1
}

# in_background COMMAND...: its own process group, its process id in $background
in_background() {
    setsid "$@" >log 2>&1 &
    background=$!
    started="$started $background"
}

query() { sqlite3 -cmd '.timeout 20000' "$1" "$2"; }

# Everything but the volatile tables; and the maps, by name and hash. A process killed within a write leaves FILE.part-PID
# behind, which nothing reads.
dump() { sqlite3 "$1" .dump | grep -vE '^INSERT INTO (run|shard|failure|timing|superseded) '; }
maps() { (cd "${1%.db}-maps" && find . -type f ! -name '*.part-*' | sort | xargs sha256sum); }

same() { # DB DB
    dump "$1" >"$1.dump" && dump "$2" >"$2.dump" && maps "$1" >"$1.sums" && maps "$2" >"$2.sums" || fail "cannot dump $1 or $2"
    [ "$(wc -l <"$1.sums")" -gt 0 ] || fail "$1 has no maps"
    cmp "$1.dump" "$2.dump" >&2 || fail "$1 and $2 differ: $(diff "$1.dump" "$2.dump" | cut -c1-200 | head -4)"
    cmp "$1.sums" "$2.sums" >&2 || fail "maps of $1 and $2 differ: $(diff "$1.sums" "$2.sums" | head -4)"
    [ "$(query "$2" 'PRAGMA integrity_check')" = ok ] || fail "$2 is damaged"
}

# wait_for_images DB N: until N images are committed
wait_for_images() {
    for _ in $(seq 600); do
        n=$(query "$1" 'SELECT count(DISTINCT image_id) FROM explanation' 2>/dev/null)
        [ "${n:-0}" -ge "$2" ] && return
        sleep 0.05
    done
    fail "$1 never got $2 images"
}

missing() { query "$1" 'SELECT count(DISTINCT image_id) FROM todo'; }
