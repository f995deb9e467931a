#!/bin/sh
# analysis/whypix_stats: its functions against scipy, statsmodels and simulations, then its tables on a database made here.
set -u
/usr/bin/python3 -c 'import numpy, scipy, pandas, statsmodels, matplotlib' 2>/dev/null ||
    { echo "skipped: Debian's python3-numpy, -scipy, -pandas, -statsmodels or -matplotlib is not installed"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/whypix-analysis.XXXXXX")
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1
cd "$work" || exit 1
"$WHYPIX" synth pictures --count 8 --seed 2026 --shortcut 1 >/dev/null || exit 1
cat >job.yaml <<YAML
whypix: 1
extends: $WHYPIX_SOURCE/jobs/demo/settings.yaml
name: analysis
images: {list: pictures/list.csv, labels: pictures/labels.txt}
methods:
  lime: {samples: 60}
  kernel: {evaluations: 120}
  shap: {evaluations: 50}
budgets: {lime: [30], kernel: null}
scores: [{insertion: {step: 4096}}, sparsity, mask_iou_area, {pointing_game: {tolerance: 8}}]
run: {threads: 1}
output: {database: analysis.db}
YAML
"$WHYPIX" run job.yaml >run.log 2>&1 || { tail -n 20 run.log; exit 1; }
cat >poor.yaml <<YAML
whypix: 1
name: poor
images: {list: pictures/list.csv, labels: pictures/labels.txt, fit: none}
models: [{name: shapes, file: $WHYPIX_SOURCE/jobs/demo/shapes.onnx, preprocess: torchvision}]
targets: [label, second]
methods: {gradcam: {layer: last_conv}, gradcam++: {layer: last_conv}, saliency: {}}
agreement: {pairs: methods, policies: [signed], grids: [14x14], metrics: [pearson]}
scores: [sparsity, mask_iou_area]
run: {threads: 1}
output: {database: poor.db, maps: none}
YAML
"$WHYPIX" run poor.yaml >run.log 2>&1 || { tail -n 20 run.log; exit 1; }
status=0
for test in "$WHYPIX_SOURCE"/tests/analysis/test_*.py; do
    echo "== ${test##*/}"
    WHYPIX_DB=$work/analysis.db WHYPIX_POOR_DB=$work/poor.db /usr/bin/python3 -W error "$test" 2>&1 || status=1
done
exit $status
