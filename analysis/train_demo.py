#!/usr/bin/python3
"""Train the two demo networks on pictures that `whypix synth` draws, and export them as ONNX.

    analysis/train_demo.py --whypix build/whypix --work /tmp/demo-train --out jobs/demo

`shapes` learns from plain pictures; `shapes-shortcut`, its twin, from the same scenes with a badge in a corner that always
names the class. Both have the same architecture, seed and number of steps, so that what differs between their
explanations is what they learned to look at. Needs Debian's python3-torch, python3-pil and python3-onnx.
"""
import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # preset `torchvision` of job files
TRAIN, TEST, SEED, CLASSES = 10000, 1000, 1, 10


def stage(inputs, outputs, stride):
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def network():
    """Seven convolutions, 128 x 128 down to 8 x 8 (each last cell sees the whole object), global average pooling, one linear layer."""
    plan = [(3, 16, 2), (16, 32, 2), (32, 64, 2), (64, 64, 1), (64, 96, 2), (96, 96, 1), (96, 128, 1)]
    layers = [layer for step in plan for layer in stage(*step)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, CLASSES))


def draw(whypix, folder, count, split, shortcut):
    if not (folder / "list.csv").exists():
        command = [whypix, "synth", folder, "--count", count, "--seed", SEED, "--split", split]
        subprocess.run([str(word) for word in command + (["--shortcut", shortcut] if shortcut is not None else [])], check=True)
    return folder


def load(folder):
    """uint8 pictures N x 3 x H x W, labels, and the class that each cue names (-1: none)."""
    rows = list(csv.DictReader(open(folder / "list.csv", newline="")))
    pictures = np.stack([np.asarray(Image.open(folder / row["image"]).convert("RGB")) for row in rows])
    numbers = [torch.tensor([int(row[key]) for row in rows]) for key in ("label", "cue")]
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()), *numbers


def normalise(pictures):
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (pictures.float() / 255 - mean) / std


def moved(pictures, generator):
    """Each eighth of the batch gets a flip or quarter-turn of its own, and a shift of up to 8 pixels. No class and no badge is
    the mirror image of another one."""
    out = []
    for part in pictures.chunk(8):
        kind, dx, dy = (int(torch.randint(n, (1,), generator=generator)) for n in (8, 17, 17))
        part = nn.functional.pad(part, (8, 8, 8, 8), mode="reflect")[:, :, dy:dy + part.shape[2], dx:dx + part.shape[3]]
        out.append((part.flip(3) if kind & 4 else part).rot90(kind & 3, (2, 3)))
    return torch.cat(out).contiguous(memory_format=torch.channels_last)


def train(pictures, labels, epochs, batch, rate):
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    net = network().train().to(memory_format=torch.channels_last)  # a fifth faster on CPUs
    steps = epochs * (len(labels) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=steps, pct_start=0.2)
    for epoch in range(epochs):
        order, total, start = torch.randperm(len(labels), generator=generator), 0.0, time.time()
        for at in range(0, len(labels) - batch + 1, batch):
            chosen = order[at:at + batch]
            loss = nn.functional.cross_entropy(net(moved(normalise(pictures[chosen]), generator)), labels[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * batch
        print(f"epoch {epoch + 1}/{epochs}: loss {total / len(labels):.4f}, {time.time() - start:.0f} s", flush=True)
    return net.eval().to(memory_format=torch.contiguous_format)


@torch.no_grad()
def predict(net, pictures):
    return torch.cat([net(normalise(part)).argmax(1) for part in pictures.split(100)])


def share(hits):
    return round(float(hits.float().mean()), 4)


def measure(net, sets):
    """Accuracy on each held-out set; for badges that name a wrong class, also how often the badge is believed."""
    out = {}
    for name, (pictures, labels, cues) in sets.items():
        answers = predict(net, pictures)
        if name == "wrong":
            wrong = cues != labels
            out["wrong_cue"], out["wrong_cue_believed"] = share((answers == labels)[wrong]), share((answers == cues)[wrong])
        else:
            out[name] = share(answers == labels)
    return out


def export(net, path):
    size = torch.zeros(1, 3, 128, 128)
    torch.onnx.export(net, size, str(path), opset_version=13, input_names=["image"], output_names=["logits"],
                      dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whypix", default="build/whypix")
    parser.add_argument("--work", type=Path, default=Path("/tmp/demo-train"), help="where the pictures go (250 MB)")
    parser.add_argument("--out", type=Path, default=Path("jobs/demo"))
    parser.add_argument("--model", choices=("shapes", "shapes-shortcut"), action="append", help="only this one")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    kinds = {"plain": None, "shortcut": 1, "wrong": 0}
    test = {kind: load(draw(args.whypix, args.work / f"test-{kind}", TEST, "test", p)) for kind, p in kinds.items()}
    for name in args.model or ("shapes", "shapes-shortcut"):
        kind = "shortcut" if name == "shapes-shortcut" else "plain"
        pictures, labels, _ = load(draw(args.whypix, args.work / f"train-{kind}", TRAIN, "train", kinds[kind]))
        net = train(pictures, labels, args.epochs, 32, 3e-3)
        result = measure(net, test)
        export(net, args.out / f"{name}.onnx")
        print(json.dumps({"model": name, "seed": SEED, "epochs": args.epochs, "train": TRAIN, "test": TEST, **result}), flush=True)
        if result[kind] <= 0.97:
            sys.exit(f"{name}: accuracy {result} is not above 0.97")


if __name__ == "__main__":
    main()
