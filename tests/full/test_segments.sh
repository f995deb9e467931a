#!/bin/bash
# Quickshift and SLIC against scikit-image on real pictures, or on drawn ones where there are none.
set -u
/usr/bin/python3 -c 'import skimage, PIL' 2>/dev/null || { echo "skipped: Debian's python3-skimage and python3-pil are not installed"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/whypix-segments.XXXXXX")
trap 'rm -rf "$work"' EXIT
crops=${WHYPIX_DATA:-}/images-crops224
if [ -d "$crops" ]; then
    mapfile -t pictures < <(find "$crops" -type f -name '*.*' | sort | head -n 24)
else
    echo "skipped: real pictures (no images-crops224 in \$WHYPIX_DATA); drawn ones are compared"
    "$WHYPIX" synth "$work/pictures" --count 12 --seed 5 --size 224 >/dev/null || exit 1
    mapfile -t pictures < <(find "$work/pictures/images" -name '*.png' | sort)
fi
/usr/bin/python3 "$WHYPIX_SOURCE/tests/full/segment_parity.py" "${pictures[@]}"
