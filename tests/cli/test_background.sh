#!/bin/bash
# Background sets in job files: pictures of the list, what of them is part of a method's identity, what is refused.
set -u
export LC_ALL=C
work=$(mktemp -d "${TMPDIR:-/tmp}/whypix-background.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
fail() { echo "FAILED: $*" >&2; exit 1; }
equal() { [ "$1" = "$2" ] || fail "$3: got '$1', want '$2'"; }

"$WHYPIX" synth pics --count 6 --seed 3 >/dev/null || fail "cannot draw pictures"
tiny=$WHYPIX_SOURCE/tests/golden/explain/tiny.onnx

# job [SED SCRIPT]: a small job, edited
job() {
    sed "${1:-}" >job.yaml <<END
whypix: 1
name: background
seed: 7
images: {list: list.csv, fit: {resize: 48, how: bilinear, crop: 48}}
models:
  - {name: tiny, file: $tiny, preprocess: torchvision}
targets: [predicted]
methods:
  deeplift: {explainer: deeplift, baseline: "blur(9,9)", output: probability}
  deep: {explainer: shap_deep, background: "images(3)"}
  first: {explainer: shap_deep, background: "images(n=2,pick=first)+zero"}
  gradients: {explainer: shap_gradient, background: "images(3)", samples: 40}
output: {database: out.db}
END
}
cut -d, -f1 pics/list.csv | sed 's,^images/,pics/images/,' >list.csv

# ---- results
job
"$WHYPIX" run job.yaml >log 2>&1 || { cat log; fail "the run failed"; }
query() { sqlite3 out.db "$1"; }
equal "$(query "SELECT count(*) FROM explanations WHERE status='done'")" 24 "explanations"
equal "$(query "SELECT count(*) FROM explanations WHERE explainer<>'shap_gradient' AND abs(residual)>1e-4")" 0 "maps that do not add up"
equal "$(query "SELECT group_concat(DISTINCT evaluations) FROM (SELECT * FROM explanations ORDER BY method)")" "3,1,43" "evaluations"
equal "$(query "SELECT count(*) FROM explanations WHERE explainer='shap_gradient' AND se_range>0")" 6 "standard errors"

# The first two pictures are in the background of `first`: what is compared with itself gets nothing from that pair, and still
# every map adds up. One picture alone has an empty map.
job 's/"images(n=2,pick=first)+zero"/"images(n=1,pick=first)"/'
"$WHYPIX" run job.yaml --db alone.db >log 2>&1 || { cat log; fail "the run failed"; }
equal "$(sqlite3 alone.db "SELECT image_id,error FROM explanations WHERE method='first' AND vmin=0 AND vmax=0")" "1|all-zero map" "empty maps"

# ---- identity: the pictures are part of it, where the text leaves them open
identity() { "$WHYPIX" plan job.yaml | grep -o 'background_sha256":"[0-9a-f]*'; }
job
identity >before
equal "$(wc -l <before)" 3 "methods with pictures of the list"
equal "$(sort -u before | wc -l)" 2 "sets of pictures"
paths=$(sed -n '2p;4p;6p' list.csv)
equal "$(head -1 before)" "background_sha256\":\"$(echo "$paths" | sha256sum | cut -d' ' -f1)" "the hash of the paths"
sed -i '$d' list.csv # one picture fewer: images(3) is another set, the first two are not
identity >after
equal "$(diff before after | grep -c '^>')" 2 "methods that a shorter list changes"

# ---- refusals
refuses() {
    local code=0
    "$WHYPIX" plan job.yaml >stdout 2>stderr || code=$?
    equal $code 2 "exit code"
    grep -qF -- "$1" stderr || { cat stderr; fail "the error lacks '$1'"; }
    equal "$(grep -c . stderr)" 1 "lines of the error"
}
job 's/images(3)/images(6)/';             refuses "job.yaml:10:44: background: images(n=6), but the list has 5"
job 's/images(3)/imgs(3)/';               refuses "job.yaml:10:44: background 'imgs(3)': fill 'imgs' is unknown"
job 's/images(3)/zeros/';                 refuses "did you mean 'zero'"
job 's/images(3)/zero+/';                 refuses "background 'zero+': an empty part"
job 's/images(3)/segment_mean/';          refuses "fill 'segment_mean' is made from segments, and a background has none"
job 's/images(3)/images(0)/';             refuses "want a whole number from 1 to 100000"
job 's/pick=first/pick=best/';            refuses "want one of spread|first"
job 's/images(3)/file(none.npy)/';        refuses "none.npy: No such file"
job 's/"blur(9,9)"/"zero+mean"/';         refuses "baseline 'zero+mean': want one fill of the picture"
job 's/baseline:/basline:/';              refuses "parameter 'basline' is unknown; did you mean 'baseline'?"

# ---- alone: a picture without a list has fills and files only
picture="--model $tiny --image pics/images/00000.png --fit resize --out maps"
# shellcheck disable=SC2086
"$WHYPIX" explain $picture --method shap_deep,shap_gradient,deeplift >log 2>&1 || { cat log; fail "explain failed"; }
[ -s maps/shap_deep.npy ] && [ -s maps/shap_gradient.npy ] && [ -s maps/deeplift.npy ] || fail "maps are missing"
# shellcheck disable=SC2086
"$WHYPIX" explain $picture --method shap_deep --set 'shap_deep.background=images(2)' >log 2>&1 && fail "images without a list were taken"
grep -qF "there is no list of images here; name fills or file(F.npy)" log || { cat log; fail "wrong words for a missing list"; }
job
# shellcheck disable=SC2086
"$WHYPIX" explain $picture --preprocess job.yaml --method shap_deep --set 'shap_deep.background=images(2)' >log 2>&1 || { cat log; fail "the job's list"; }
echo "backgrounds: results, identity, refusals"
