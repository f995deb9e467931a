#!/bin/sh
# `whypix synth`: what it leaves, that it says so, and how it refuses.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

said=$("$WHYPIX" synth "$work/a" --count 3 --seed 7 --shortcut 1 --parts)
printf '%s\n' "$said" | grep -q "^3 pictures of 128 x 128 pixels with masks: $work/a/list.csv$" || fail "said: $said"
[ "$(find "$work/a/images" "$work/a/masks" -name '*.png' | wc -l)" = 6 ] || fail "want 3 pictures and 3 masks"
awk -F, 'NR > 1 && $2 != $12 { exit 1 }' "$work/a/list.csv" || fail "--shortcut 1: a cue names another class"
cut -d, -f1,3,6 "$work/a/parts.csv" | tail -n +2 | tr ',' '\n' | while read -r file; do [ -s "$work/a/$file" ] || fail "parts.csv names $file"; done

# The same command, the same bytes; another split, other pictures; the seed alone decides, not the count.
"$WHYPIX" synth "$work/b" --count 3 --seed 7 --shortcut 1 --parts >/dev/null
diff -r "$work/a" "$work/b" || fail "a second run differs"
"$WHYPIX" synth "$work/c" --count 1 --seed 7 --shortcut 1 >/dev/null
cmp "$work/a/images/00000.png" "$work/c/images/00000.png" || fail "the first picture depends on the count"
"$WHYPIX" synth "$work/d" --count 1 --seed 7 --shortcut 1 --split train >/dev/null
! cmp -s "$work/a/images/00000.png" "$work/d/images/00000.png" || fail "train and test share a picture"

refuses() {
    want=$1
    shift
    status=0
    text=$("$WHYPIX" synth "$@" 2>&1) || status=$?
    [ $status = 2 ] || fail "synth $*: exit code $status, want 2"
    [ "$text" = "whypix synth: $want" ] || fail "synth $*: said '$text', want '$want'"
}
refuses "--count: got '0', want a whole number from 1 to 10000000" "$work/e" --count 0
refuses "--size: got '64', want a whole number from 128 to 2048" "$work/e" --size 64
refuses "--shortcut: got '1.5', want a number from 0 to 1" "$work/e" --shortcut 1.5
refuses "--split: got 'a,b', want a name of 1 to 32 letters, digits, '_' or '-'" "$work/e" --split a,b
[ ! -e "$work/e" ] || fail "a refused command left a folder"
