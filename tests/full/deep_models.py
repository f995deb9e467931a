#!/usr/bin/python3
"""DeepLIFT and Deep SHAP on torchvision's architectures against an implementation of its own in double precision.

    deep_models.py WHYPIX FOLDER [NAME...]

The reference runs each ONNX file in PyTorch on the pair (image, baseline) and gives ReLU, clips and maxima a backward of their
own; all else is PyTorch's derivative. Neither captum nor shap can serve: both lose shares where windows overlap, and captum
refuses modules that are used twice. Prints one line per model and method; fails when the shares miss the score's difference
by 1e-4 of their sum, below a correlation of 0.9999, or when more than 1 % of the pixels differ by 1e-3 of the map's range:
where the two highest values of a window are apart by less than single precision tells, another place wins and moves that
window's share. deeplift has a flat baseline here, the worst case of that, and a bound of 0.999."""
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
import torch_models

warnings.filterwarnings("ignore")
MODELS = ("squeezenet1_1", "resnet18", "densenet121", "mobilenet_v2", "vgg11_bn")
MEAN, STD = np.array([.485, .456, .406]), np.array([.229, .224, .225])


class Secant(torch.autograd.Function):
    """A clamp of two rows: both get (f(a) - f(b)) / (a - b), or the slope where nothing changed."""
    @staticmethod
    def forward(ctx, x, lo, hi):
        y = x.clamp(lo, hi)
        d = x[:1] - x[1:]
        ctx.m = torch.where(d == 0, ((x[:1] > lo) & (x[:1] < hi)).to(x), (y[:1] - y[1:]) / d)
        return y

    @staticmethod
    def backward(ctx, g): return g * ctx.m, None, None


class Maximum(torch.autograd.Function):
    """Maxima of two rows: a window's change goes to the place of the larger one; of places that are as high up to 2^-17, to
    the one where the other row is highest."""
    @staticmethod
    def forward(ctx, x, how):
        y = F.max_pool2d(x, **how)
        k, stride, pad = how["kernel_size"], how["stride"], how["padding"]
        more = [max(0, (o - 1) * s + q - (n + 2 * p)) for o, s, q, n, p in zip(y.shape[2:], stride, k, x.shape[2:], pad)]   # ceil_mode
        space = (pad[1], pad[1] + more[1], pad[0], pad[0] + more[0])
        seen = lambda v: F.pad(v, space, value=-1e30).unfold(2, k[0], stride[0]).unfold(3, k[1], stride[1]).flatten(4).flatten(2, 3)
        a, b = seen(x)[:, :, :y.shape[2] * y.shape[3]]
        change = (y[:1] - y[1:]).flatten(2)[0]
        larger, other = torch.where(change[..., None] < 0, b, a), torch.where(change[..., None] < 0, a, b)
        top = larger.max(-1, keepdim=True)[0]
        best = torch.where(top - larger <= top.abs() / 2 ** 17, other, torch.full_like(other, -1e31)).argmax(-1, keepdim=True)
        places = seen(torch.arange(x[0, 0].numel()).view(1, 1, *x.shape[2:]).double()).long()[0].expand(a.shape)
        ctx.at, ctx.change, ctx.shape, ctx.d = places.gather(-1, best)[..., 0], change, x.shape, (x[0] - x[1]).flatten(1)
        return y

    @staticmethod
    def backward(ctx, g):
        credit = torch.zeros_like(ctx.d).scatter_add_(1, ctx.at, g[0].flatten(1) * ctx.change)
        return torch.where(ctx.d == 0, torch.zeros_like(credit), credit / ctx.d).view(1, *ctx.shape[1:]).expand(ctx.shape), None


def windows(a):
    p = a.get("pads", [0, 0, 0, 0])
    assert p[:2] == p[2:]
    return {"stride": a.get("strides", [1, 1]), "padding": p[:2]}


def run(graph, weights, x):
    """The graph's operators on two rows."""
    v = {**weights, graph.input[0].name: x}
    for n in graph.node:
        a = {q.name: onnx.helper.get_attribute_value(q) for q in n.attribute}
        i = [v.get(k) for k in n.input]
        if n.op_type == "Conv": y = F.conv2d(*i, groups=a["group"], dilation=a["dilations"], **windows(a))
        elif n.op_type == "Relu": y = Secant.apply(i[0], 0, float("inf"))
        elif n.op_type == "Clip": y = Secant.apply(i[0], float(i[1]), float(i[2]))
        elif n.op_type == "MaxPool": y = Maximum.apply(i[0], {"kernel_size": a["kernel_shape"], "ceil_mode": bool(a.get("ceil_mode")), **windows(a)})
        elif n.op_type == "AveragePool": y = F.avg_pool2d(i[0], a["kernel_shape"], **windows(a))
        elif n.op_type == "GlobalAveragePool": y = i[0].mean((2, 3), keepdim=True)
        elif n.op_type == "BatchNormalization": y = F.batch_norm(i[0], i[3], i[4], i[1], i[2], eps=a["epsilon"])
        elif n.op_type == "Pad": y = F.pad(i[0], [int(q) for d in range(i[0].dim() - 1, -1, -1) for q in (i[1][d], i[1][d + i[0].dim()])])
        elif n.op_type == "Add": y = i[0] + i[1]
        elif n.op_type == "Concat": y = torch.cat(i, a["axis"])
        elif n.op_type == "Flatten": y = i[0].flatten(1)
        elif n.op_type == "Gemm": y = F.linear(*i)
        elif n.op_type == "Constant": y = torch.from_numpy(numpy_helper.to_array(a["value"]).copy())
        elif n.op_type in ("Identity", "Dropout"): y = i[0]
        else: sys.exit(f"the reference lacks {n.op_type}")
        v[n.output[0]] = y
    return v[graph.output[0].name]


def shares(graph, weights, image, baseline, target):
    """DeepLIFT's shares per pixel, and the difference of the scores."""
    pair = torch.from_numpy(np.stack([image, baseline])).requires_grad_()
    y = run(graph, weights, pair)[:, target]
    m, = torch.autograd.grad(y[0], pair)
    with torch.no_grad():
        return ((m[0] if m[0].any() else m[1]) * (pair[0] - pair[1])).sum(0).numpy(), float(y[0] - y[1])


def normalised(rgb): return ((rgb / 255 - MEAN) / STD).transpose(2, 0, 1).copy()


def check(whypix, folder, name):
    side = torch_models.MODELS[name][0]
    net = torch_models.build(name)
    model, png = folder / f"{name}.onnx", folder / "picture.png"
    torch.onnx.export(net, torch.zeros(1, 3, side, side), str(model), opset_version=13, do_constant_folding=True)
    r = np.random.RandomState(3)
    image = np.kron(r.randint(0, 256, (8, 8, 3)), np.ones((side // 8, side // 8, 1))) + r.randint(-20, 20, (side, side, 3))
    image = image.clip(0, 255).astype(np.uint8)
    refs = np.stack([image[::-1], image[:, ::-1] // 2]).astype(np.float32)
    Image.fromarray(image).save(png)
    np.save(folder / "refs.npy", refs)
    out = subprocess.run([whypix, "explain", "--model", model, "--image", png, "--fit", "none", "--class", "7", "--method", "deeplift,shap_deep",
                          "--set", "deeplift.baseline=black", "--set", f"shap_deep.background=file({folder}/refs.npy)", "--out", folder / "maps"],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    graph = onnx.load(model).graph
    weights = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    weights = {k: v.double() if v.is_floating_point() else v for k, v in weights.items()}
    good = True
    for method, references in ("deeplift", np.zeros((1, side, side, 3))), ("shap_deep", refs):
        parts = [shares(graph, weights, normalised(image), normalised(q), 7) for q in references]
        want, gap = np.mean([p[0] for p in parts], 0), np.mean([p[1] for p in parts])
        got = np.load(folder / "maps" / f"{method}.npy").astype(float)
        corr, error = np.corrcoef(got.ravel(), want.ravel())[0, 1], np.abs(got - want) / np.ptp(want)
        missing, theirs = abs(got.sum() - gap) / np.abs(got).sum(), abs(want.sum() - gap) / np.abs(want).sum()
        moved = (error > 1e-3).mean()
        print(f"  {name:18s} {method:26s} r {corr:.7f}, |difference| {error.max():.1e} of the range, {100 * moved:.2f} % of the pixels above 1e-3;"
              f" shares miss {missing:.1e} (reference {theirs:.1e})", flush=True)
        flat = method == "deeplift"
        good &= corr >= (.999 if flat else .9999) and (flat or moved <= .01) and missing <= 1e-4 and method in out
    model.unlink()
    return good


if __name__ == "__main__":
    names = sys.argv[3:] or MODELS
    sys.exit(not all([check(sys.argv[1], Path(sys.argv[2]), name) for name in names]))
