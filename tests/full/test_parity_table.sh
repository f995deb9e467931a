#!/bin/bash
# The table of equality with the peers can be made, and has a line for every explainer that has a peer.
set -u
[ -d "${WHYPIX_DATA:-}/fixtures" ] || { echo "skipped: no fixtures in \$WHYPIX_DATA"; exit 77; }
table=$("$WHYPIX_SOURCE/tests/bench/parity.py" "$(dirname "$WHYPIX")") || { echo "$table"; exit 1; }
echo "$table"
status=0
for name in $("$WHYPIX" list explainers | sed -n 's/^\([a-z+_0-9]*\): .*/\1/p'); do
    case $name in random | random_smooth | center | edges | mask) continue ;; esac
    grep -qF "| \`$name\` |" <<<"$table" || { echo "$name: no line in the table"; status=1; }
done
exit $status
