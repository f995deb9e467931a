#!/bin/sh
# DeepLIFT and Deep SHAP on torchvision's architectures against a reference in double precision.
set -u
/usr/bin/python3 -c 'import torch, torchvision, onnx, PIL' 2>/dev/null || { echo "skipped: Debian's python3-torch, python3-torchvision, python3-onnx and python3-pil are not installed"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/whypix-deep.XXXXXX")
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 "$WHYPIX_SOURCE/tests/full/deep_models.py" "$WHYPIX" "$work"
