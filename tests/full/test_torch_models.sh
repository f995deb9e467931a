#!/bin/sh
# Logits of torchvision's architectures at several opsets against PyTorch in double precision.
set -u
/usr/bin/python3 -c 'import torch, torchvision, onnx' 2>/dev/null || { echo "skipped: Debian's python3-torch, python3-torchvision and python3-onnx are not installed"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/whypix-torch.XXXXXX")
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 "$WHYPIX_SOURCE/tests/full/torch_models.py" "$WHYPIX" "$work"
