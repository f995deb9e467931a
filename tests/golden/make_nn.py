#!/usr/bin/python3
"""Logits of the slim ResNet-50 in double precision, for tests/unit/nn/test_models.c.

    WHYPIX_DATA=DIR /usr/bin/python3 tests/golden/make_nn.py

The network amplifies rounding, so that PyTorch's own single precision is no reference for another engine's: this is.
Needs python3-torch, python3-onnx, python3-numpy.
"""
import os

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

F = torch.nn.functional


def conv(x, a):
    top, left, bottom, right = a.get("pads", [0, 0, 0, 0])
    bias = x[2] if len(x) > 2 else None
    return F.conv2d(F.pad(x[0], (left, right, top, bottom)), x[1], bias, a["strides"], 0, a["dilations"], a["group"])


def max_pool(x, a):
    top, left, bottom, right = a["pads"]
    return F.max_pool2d(F.pad(x[0], (left, right, top, bottom), value=-np.inf), a["kernel_shape"], a["strides"])


OPS = {
    "Conv": conv,
    "MaxPool": max_pool,
    "Relu": lambda x, a: x[0].clamp(min=0),
    "Add": lambda x, a: x[0] + x[1],
    "GlobalAveragePool": lambda x, a: x[0].mean((2, 3), keepdim=True),
    "Flatten": lambda x, a: x[0].flatten(1),
    "Gemm": lambda x, a: x[0] @ x[1].T + x[2],
}


def run(path, x):
    graph = onnx.load(path).graph
    values = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()).double() for i in graph.initializer}
    values[next(i.name for i in graph.input if i.name not in values)] = torch.from_numpy(x).double()
    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        values[node.output[0]] = OPS[node.op_type]([values[name] for name in node.input], attributes)
    return values[graph.output[0].name].numpy()


here = os.path.dirname(os.path.abspath(__file__))
slim = os.path.join(os.environ["WHYPIX_DATA"], "models", "slim")
os.makedirs(os.path.join(here, "nn"), exist_ok=True)
logits = run(os.path.join(slim, "resnet50_slim.onnx"), np.load(os.path.join(slim, "input4.npy")))
np.save(os.path.join(here, "nn", "resnet50_slim_fp64.npy"), logits)
