#!/usr/bin/python3
"""Torchvision architectures with seeded weights, exported at several opsets: whypix's logits against PyTorch's.

    torch_models.py WHYPIX FOLDER [NAME...]

Prints one line per model and opset; fails when a difference is above 1e-4 of the logits' standard deviation.
"""
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import torchvision

warnings.filterwarnings("ignore")
BOUND = 1e-4
MODELS = {  # name: (input side, opsets)
    "alexnet": (224, (9, 13)),
    "vgg11": (224, (13,)),
    "vgg11_bn": (224, (11,)),
    "resnet18": (96, (7, 9, 11, 13, 17)),
    "resnet50": (64, (13,)),
    "resnext50_32x4d": (64, (13,)),
    "densenet121": (64, (11, 13)),
    "squeezenet1_0": (96, (11, 17)),
    "squeezenet1_1": (96, (13,)),
    "mobilenet_v2": (96, (9, 11, 13, 17)),
}


def build(name):
    """Weights as initialised, and running statistics of noise pictures, so that activations keep a natural scale."""
    torch.manual_seed(7)
    net = getattr(torchvision.models, name)(weights=None)
    net.train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(4, 3, MODELS[name][0], MODELS[name][0]))
    return net.eval()


def check(whypix, folder, name, net, opset):
    side = MODELS[name][0]
    x = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    model = folder / f"{name}-{opset}.onnx"
    torch.onnx.export(net, x, str(model), opset_version=opset, input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    np.save(folder / "x.npy", x.numpy())
    subprocess.run([whypix, "infer", "--model", model, "--input", folder / "x.npy", "--output", folder / "y.npy", "--batch", "2"], check=True)
    with torch.no_grad():
        want = net.double()(x.double()).numpy()
    net.float()
    worst = np.abs(np.load(folder / "y.npy") - want).max() / want.std()
    print(f"{name:16s} opset {opset:2d}: worst |difference| is {worst:.1e} of the logits' standard deviation", flush=True)
    model.unlink()
    return worst <= BOUND


def main():
    whypix, folder, names = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    good = True
    for name in names or MODELS:
        net = build(name)
        for opset in MODELS[name][1]:
            good &= check(whypix, folder, name, net, opset)
    sys.exit(not good)


if __name__ == "__main__":
    main()
