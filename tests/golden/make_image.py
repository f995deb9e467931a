#!/usr/bin/python3
"""What Pillow, torchvision, OpenCV, SciPy and scikit-image 0.19 make of pictures of our own, for tests/unit/image.
Usage: make_image.py, from anywhere."""
import hashlib
import io
import pathlib
import struct
import warnings
import zlib

import cv2
import matplotlib
import numpy as np
import scipy.ndimage
import torch
import torchvision.transforms as T
from PIL import Image, ImageOps
from skimage.segmentation import felzenszwalb, quickshift, slic

warnings.simplefilter("ignore")
out = pathlib.Path(__file__).parent / "image"
out.mkdir(exist_ok=True)
digests = []


def scene(h, w, seed):
    """A slanted gradient, a few ellipses, stripes and grain: flat parts, edges and texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w] / max(h, w)
    picture = np.stack([x * a + y * b + c for a, b, c in rng.uniform(0, 0.5, (3, 3))], -1)
    for _ in range(6):
        cy, cx, ry, rx = rng.uniform([0, 0, 0.08, 0.08], [1, 1, 0.3, 0.3])
        inside = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
        picture[inside] = rng.uniform(0, 1, 3)
    stripes = np.sin(2 * np.pi * (x * rng.uniform(4, 9) + y * rng.uniform(4, 9))) > 0.6
    picture[stripes & (x > 0.5)] *= 0.7
    picture += rng.normal(0, 0.02, (h, w, 1))
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def digest(kind, name, array):
    digests.append(f"{kind} {name} {array.shape[0]} {array.shape[1]} {hashlib.sha256(array.tobytes()).hexdigest()}")


def put(name, picture, **options):
    """Save a picture and what Pillow reads back as RGB, and as L."""
    picture.save(out / name, **options)
    read = Image.open(out / name)
    digest("rgb", name, np.array(read.convert("RGB")))
    digest("grey", name, np.array(read.convert("L")))
    if "exif" in options:
        digest("upright", name, np.array(ImageOps.exif_transpose(read).convert("RGB")))


def write_png(name, w, h, depth, colour, raw, *more):
    """A PNG chunk by chunk, for what Pillow does not write."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, 0))
    body = b"".join(chunk(k, d) for k, d in more) + chunk(b"IDAT", zlib.compress(raw, 9))
    (out / name).write_bytes(b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b""))


def rows(array):
    return b"".join(b"\0" + row.tobytes() for row in array)


def decoding():
    rgb = scene(40, 48, 1)
    picture = Image.fromarray(rgb)
    grey = np.array(picture.convert("L"))
    put("rgb.png", picture)
    put("grey.png", picture.convert("L"))
    put("grey_alpha.png", picture.convert("LA"))
    put("bilevel.png", picture.convert("1"))
    alpha = picture.copy()
    alpha.putalpha(Image.fromarray(np.tile(np.arange(48, dtype=np.uint8) * 5, (40, 1))))
    put("rgba.png", alpha)
    for bits in (1, 2, 4, 8):
        put(f"palette{bits}.png", picture.quantize(2**bits), bits=bits)
    put("palette_transparent.png", picture.quantize(16), transparency=0)
    write_png("palette_short.png", 16, 16, 8, 3, rows(np.arange(256, dtype=np.uint8).reshape(16, 16)), (b"PLTE", bytes(range(200, 230))))
    short = Image.open(out / "palette_short.png")
    digest("rgb", "palette_short.png", np.array(short.convert("RGB")))
    wide = np.random.default_rng(0).integers(0, 65536, (12, 10, 3), dtype=np.uint16)
    write_png("rgb16.png", 10, 12, 16, 2, rows(wide.astype(">u2")))
    digest("rgb", "rgb16.png", np.array(Image.open(out / "rgb16.png").convert("RGB")))
    # Pillow clips 16-bit grey at 255 whatever it becomes; whypix does so for masks only.
    write_png("grey16.png", 48, 40, 16, 0, rows((grey.astype(np.uint16) * 257).astype(">u2")))
    digest("rgb", "grey16.png", np.repeat(grey[:, :, None], 3, 2))
    labels = (np.arange(120).reshape(10, 12) * 7).astype(np.uint16)
    write_png("labels16.png", 12, 10, 16, 0, rows(labels.astype(">u2")))
    digest("grey", "labels16.png", np.array(Image.open(out / "labels16.png").convert("L")))
    packed = (grey >> 6).reshape(40, 12, 4) @ np.array([64, 16, 4, 1])
    write_png("grey2.png", 48, 40, 2, 0, rows(packed.astype(np.uint8)))
    digest("rgb", "grey2.png", np.array(Image.open(out / "grey2.png").convert("RGB")))
    for name, options in {"420": dict(subsampling=2), "422": dict(subsampling=1), "444": dict(subsampling=0, quality=95),
                          "progressive": dict(progressive=True), "low": dict(quality=5)}.items():
        put(f"rgb_{name}.jpg", picture, **options)
    put("grey.jpg", picture.convert("L"))
    put("cmyk.jpg", Image.merge("CMYK", [*picture.convert("CMYK").split()[:3], picture.convert("L")]))
    one = Image.fromarray(np.array([[[200, 30, 60]]], np.uint8))
    put("one.png", one)
    put("one.jpg", one)
    small = Image.fromarray(scene(10, 14, 2))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        put(f"turned{orientation}.jpg", small, exif=exif)
    put("turned.png", small, exif=exif)
    write_png("bomb.png", 60000, 60000, 1, 0, bytes(1000))
    write_png("hollow.png", 12000, 12000, 8, 2, bytes(1000))
    (out / "digests.txt").write_text("\n".join(digests) + "\n")
    return rgb


def resizing(rgb):
    picture = Image.fromarray(rgb)
    hows = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
    for h, w in ((17, 21), (55, 31), (40, 11), (1, 1)):
        for how, pil in hows.items():
            np.save(out / f"resize_{h}x{w}_{how}.npy", np.array(picture.resize((w, h), pil)))
    for size, crop in ((32, 24), (33, 28), (20, 31), (16, 0)):
        steps = [T.Resize(size)] + ([T.CenterCrop(crop)] if crop else [])
        np.save(out / f"fit_{size}_{crop}.npy", np.array(T.Compose(steps)(picture)))
        nearest = [T.Resize(size, T.InterpolationMode.NEAREST)] + steps[1:]
        mask = Image.fromarray((rgb[:, :, 0] > 100).astype(np.uint8))
        np.save(out / f"fit_mask_{size}_{crop}.npy", np.array(T.Compose(nearest)(mask)))
    normalise = T.Compose([T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    np.save(out / "normalised.npy", normalise(picture).numpy())
    np.save(out / "luma.npy", np.array(picture.convert("L")))
    coarse = np.random.default_rng(5).normal(size=(5, 7)).astype(np.float32)
    np.save(out / "map.npy", coarse)
    for h, w in ((23, 31), (3, 4), (5, 7)):
        np.save(out / f"map_{h}x{w}.npy", cv2.resize(coarse, (w, h)))


def filtering(rgb):
    for kx, ky in ((16, 16), (4, 4), (10, 10), (32, 32), (7, 3), (1, 1), (90, 2)):
        np.save(out / f"blur_{kx}x{ky}.npy", cv2.blur(rgb, (kx, ky)))
    part = rgb[:20, :24].astype(np.float32)
    np.save(out / "gauss_mirrored.npy", cv2.GaussianBlur(part, (11, 11), 5))
    lit = np.zeros((11, 11))
    lit[5, 5] = 1
    kernel = torch.tensor(scipy.ndimage.gaussian_filter(lit, 5), dtype=torch.float32)[None, None]
    planes = torch.tensor(part).permute(2, 0, 1)[:, None]
    np.save(out / "gauss_rise.npy", torch.nn.functional.conv2d(planes, kernel, padding=5)[:, 0].permute(1, 2, 0).numpy())
    for name in ("viridis", "inferno"):
        colours = matplotlib.colormaps[name](np.arange(0, 256, 5), bytes=True)[:, :3]
        np.save(out / f"{name}.npy", colours)


def inpainting():
    """Hidden areas of several kinds (thin, wide, at the edges, noise, nearly all), each painted by cv2.inpaint."""
    rng = np.random.default_rng(31)
    rgb = scene(33, 41, 9)
    masks = np.zeros((8, 33, 41), np.uint8)
    masks[0, 10:20, 5:30] = 1
    masks[1, :17] = 1
    masks[2, :, 20:] = 1
    masks[3] = rng.random((33, 41)) < 0.5
    masks[4] = cv2.GaussianBlur(rng.normal(0, 1, (33, 41)), (0, 0), 3) > 0
    masks[5] = 1
    masks[5, 32, 40] = 0
    masks[6] = 1
    masks[6, 12:20, 15:22] = 0
    masks[7, 0, 3:9] = masks[7, 5:12, 0] = masks[7, 32] = masks[7, 20, 20] = 1
    np.save(out / "telea_masks.npy", masks)
    Image.fromarray(rgb).save(out / "telea.png")
    for radius in (3, 5):
        np.save(out / f"telea_{radius}.npy", np.stack([cv2.inpaint(rgb, m, radius, cv2.INPAINT_TELEA) for m in masks]))


def segmenting():
    np.save(out / "noise.npy", np.random.default_rng(11).normal(scale=1e-5, size=(72, 96)))
    for i in range(4):
        rgb = scene(72, 96, 20 + i)
        Image.fromarray(rgb).save(out / f"scene{i}.png")
        for k, sigma in ((4, 0), (2, 0), (1.5, 1)):
            labels = quickshift(rgb, kernel_size=k, max_dist=200, ratio=0.2, sigma=sigma, random_seed=11)
            np.save(out / f"quickshift_{i}_{k}.npy", labels.astype(np.uint8 if labels.max() < 256 else np.int32))
        for name, options in {"plain": dict(n_segments=50, sigma=1), "many": dict(n_segments=90, sigma=0),
                              "zero": dict(n_segments=30, slic_zero=True, sigma=2)}.items():
            np.save(out / f"slic_{i}_{name}.npy", slic(rgb, compactness=10, start_label=0, **options).astype(np.uint8))
        for name, options in {"plain": dict(scale=100, sigma=0.8, min_size=20), "coarse": dict(scale=300, sigma=0.5, min_size=50),
                              "fine": dict(scale=1, sigma=2, min_size=5)}.items():
            np.save(out / f"felzenszwalb_{i}_{name}.npy", felzenszwalb(rgb, **options).astype(np.int32))
    flat = np.full((72, 96, 3), 77, np.uint8)
    np.save(out / "quickshift_flat.npy", quickshift(flat, kernel_size=2, max_dist=200, ratio=0.2, random_seed=11).astype(np.uint8))
    np.save(out / "felzenszwalb_flat.npy", felzenszwalb(flat, scale=100).astype(np.uint8))
    np.save(out / "slic_flat.npy", slic(flat, n_segments=50, sigma=1, start_label=0).astype(np.uint8))


rgb = decoding()
resizing(rgb)
filtering(rgb)
inpainting()
segmenting()
