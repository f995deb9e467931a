#!/usr/bin/python3
"""Segment pictures with scikit-image and with whypix and print how far the two agree: the share of pixels in the
majority overlap, the worse direction. Usage: segment_parity.py PICTURE... (8-bit, any size; exit 1 below 0.995)"""
import ctypes
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import skimage.segmentation
from PIL import Image

SEED = 3
CASES = [
    ("quickshift", lambda a: skimage.segmentation.quickshift(a, kernel_size=4, max_dist=200, ratio=0.2, random_seed=SEED)),
    ("quickshift(kernel_size=2,sigma=1)",
     lambda a: skimage.segmentation.quickshift(a, kernel_size=2, max_dist=200, ratio=0.2, sigma=1, random_seed=SEED)),
    ("slic(50)", lambda a: skimage.segmentation.slic(a, n_segments=50, compactness=10, sigma=1, start_label=0)),
    ("felzenszwalb", lambda a: skimage.segmentation.felzenszwalb(a, scale=100, sigma=0.8, min_size=20)),
    ("felzenszwalb(scale=300,sigma=0.5,min_size=50)",
     lambda a: skimage.segmentation.felzenszwalb(a, scale=300, sigma=0.5, min_size=50)),
    ("slic(n_segments=30,zero=true,sigma=2)",
     lambda a: skimage.segmentation.slic(a, n_segments=30, slic_zero=True, compactness=10, sigma=2, start_label=0)),
    ("slic(n_segments=100,sigma=0)", lambda a: skimage.segmentation.slic(a, n_segments=100, compactness=10, start_label=0)),
]


class Picture(ctypes.Structure):
    _fields_ = [("h", ctypes.c_int), ("w", ctypes.c_int), ("rgb", ctypes.c_void_p)]


class Segments(ctypes.Structure):
    _fields_ = [("h", ctypes.c_int), ("w", ctypes.c_int), ("n", ctypes.c_int), ("label", ctypes.POINTER(ctypes.c_int32))]


class Segmenter(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("help", ctypes.c_char_p), ("source", ctypes.c_char_p), ("params", ctypes.c_void_p),
                ("run", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Picture), ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p,
                                         ctypes.POINTER(Segments)))]


def build(folder):
    """The base and image rooms as a shared library."""
    root = pathlib.Path(__file__).resolve().parents[2]
    sources = [*root.glob("src/base/*.c"), *root.glob("src/image/*.c")]
    library = f"{folder}/whypix.so"
    subprocess.run(["cc", "-std=c17", "-O3", "-ffp-contract=off", "-D_POSIX_C_SOURCE=200809L", "-D_DEFAULT_SOURCE", "-shared", "-fPIC",
                    f"-I{root}/include", f"-I{root}/src", *map(str, sources), "-lpng", "-ljpeg", "-lcrypto", "-lpthread", "-lm",
                    "-o", library], check=True)
    return ctypes.CDLL(library)


def segment(lib, a, text, noise):
    segmenter, params, out = ctypes.POINTER(Segmenter)(), ctypes.c_void_p(), Segments()
    picture = Picture(a.shape[0], a.shape[1], a.ctypes.data)
    if lib.why_segmenter_parse(text.encode(), ctypes.byref(segmenter), ctypes.byref(params)):
        sys.exit(f"{text}: not understood")
    if segmenter.contents.run(ctypes.byref(picture), params, 0, noise.ctypes.data, ctypes.byref(out)):
        sys.exit(f"{text}: failed")
    labels = np.ctypeslib.as_array(out.label, (out.h, out.w)).copy()
    lib.why_segments_clear(ctypes.byref(out))
    lib.why_params_destroy(ctypes.byref(params))
    return labels


def overlap(a, b):
    counts = np.zeros((a.max() + 1, b.max() + 1), int)
    np.add.at(counts, (a.ravel(), b.ravel()), 1)
    return min(counts.max(0).sum(), counts.max(1).sum()) / a.size


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    worst = 1
    with tempfile.TemporaryDirectory() as folder:
        lib = build(folder)
        for path in sys.argv[1:]:
            a = np.ascontiguousarray(Image.open(path).convert("RGB"))
            noise = np.random.default_rng(SEED).normal(scale=1e-5, size=a.shape[:2])
            for text, peer in CASES:
                theirs, ours = peer(a), segment(lib, a, text, noise)
                share = overlap(ours, theirs)
                worst = min(worst, share)
                print(f"{share:.5f}  {ours.max() + 1:4d} {theirs.max() + 1:4d}  {text}  {path}")
    print(f"{worst:.5f}  the worst")
    sys.exit(int(worst < 0.995))


main()
