#!/bin/bash
# `whypix list explainers` says of every explainer what it needs and explains, its source and every parameter; and each of those
# parameters is known to the explainer, while a misspelt one is refused with the nearest name.
set -u
export LC_ALL=C
work=$(mktemp -d "${TMPDIR:-/tmp}/whypix-list.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
fail() { echo "FAILED: $*" >&2; exit 1; }

"$WHYPIX" synth pics --count 1 --seed 3 --size 128 >/dev/null || fail "cannot draw pictures"
picture=$(find pics/images -name '*.png')
"$WHYPIX" list explainers >list || fail "list explainers"
names=$(sed -n 's/^\([a-z_+]*\): ..*/\1/p' list)
[ "$(wc -w <<<"$names")" -ge 25 ] || fail "only these explainers: $names"
for name in $names; do
    entry=$(awk -v n="$name:" '/^[^ ]/ { on = $1 == n } on' list)
    for word in "    source: ." "    explains: ." "    needs: ."; do
        grep -q "^$word" <<<"$entry" || fail "$name: no line '$word'"
    done
    for parameter in $(sed -n 's/^    \([a-z_]*\)  *[^ :].*default.*/\1/p' <<<"$entry"); do
        said=$("$WHYPIX" explain --model "$WHYPIX_SOURCE/tests/golden/explain/tiny.onnx" --image "$picture" --method "$name" --fit resize \
            --mask "$picture" --set "$name.${parameter}x=1" --out out 2>&1)
        [ $? = 2 ] || fail "$name.${parameter}x: exit code $?, wanted 2"
        grep -q "'${parameter}x' is unknown; did you mean '$parameter'?" <<<"$said" || fail "$name.${parameter}x: $said"
    done
done
"$WHYPIX" list explainer 2>&1 | grep -q "did you mean 'explainers'" || fail "a misspelt list"
"$WHYPIX" list maskers | grep -q "^inpaint_telea: " || fail "inpaint_telea is not among the maskers"
echo "every explainer and parameter is told and known"
