#!/usr/bin/python3
"""Reference outputs of the Python peers for tests/unit/explain/test_parity.c, small enough to commit.

  PEERS_SRC=DIR make_explain.py [--model F.onnx --image F.png --layer TENSOR] OUT

DIR holds checkouts of lime (0.2), shap (v0.49.1, only its Python files), pytorch-grad-cam and captum. Without --model, a small
seeded net and picture are made and written too (tiny.onnx, image_u8.npy). What runs is the peers' own code: lime's
explainer, shap's PartitionExplainer.owen on its own tree, pytorch-grad-cam's GradCAM; shap's package is entered by the
side, since its import wants a compiled extension that these parts do not use.
"""
import argparse, importlib, os, sys, types, warnings
warnings.filterwarnings("ignore")
import numpy as np

SRC = os.environ.get("PEERS_SRC", "peers-src")


def package(name, path=None, **names):
    """A module made by hand: a package whose __init__ is not run, or a stand-in for one that is not installed."""
    m = types.ModuleType(name)
    if path:
        m.__path__ = [path]
    m.__dict__.update(names)
    sys.modules[name] = m
    return m


for p in ("lime", "pytorch-grad-cam"):
    sys.path.insert(0, os.path.join(SRC, p))


class Flip:                                              # what pytorch-grad-cam uses of ttach
    params = False, True
    augment_image = deaugment_mask = staticmethod(lambda x, on: x.flip(-1) if on else x)


class Multiply:
    augment_image = staticmethod(lambda x, by: x * by if by != 1 else x)
    deaugment_mask = staticmethod(lambda x, by: x)
    def __init__(self, factors): self.params = factors


class Compose(list):
    def __iter__(self):
        a, b = super().__iter__()
        for p in a.params:
            for q in b.params:
                yield types.SimpleNamespace(augment_image=lambda x, p=p, q=q: b.augment_image(a.augment_image(x, p), q),
                                            deaugment_mask=lambda x, p=p, q=q: a.deaugment_mask(b.deaugment_mask(x, q), p))


package("ttach", Compose=Compose, HorizontalFlip=Flip, Multiply=Multiply)
sys.path.insert(0, os.path.join(SRC, "captum"))
S = os.path.join(SRC, "shap", "shap")
unused = lambda *a, **k: None
package("shap", S, Explanation=object)
package("shap.explainers", os.path.join(S, "explainers"))
package("shap.explainers._explainer", Explainer=object)
package("shap.maskers", os.path.join(S, "maskers"))
package("shap.maskers._masker", Masker=object)
package("shap._serializable", Deserializer=object, Serializer=object)
package("shap.models", Model=object)
package("shap.utils", os.path.join(S, "utils"), OpChain=type("OpChain", (), {}), assert_import=unused, record_import_error=unused,
        safe_isinstance=lambda *a: False)
package("shap.utils._exceptions", DimensionError=ValueError)
sys.modules["shap"].links = importlib.import_module("shap.links")
masked = importlib.import_module("shap.utils._masked_model")
sys.modules["shap.utils"].MaskedModel, sys.modules["shap.utils"].make_masks = masked.MaskedModel, masked.make_masks
partition = importlib.import_module("shap.explainers._partition")
image_masker = importlib.import_module("shap.maskers._image")

import cv2, onnx, torch, torch.nn as nn, torch.nn.functional as F
from onnx import numpy_helper
from lime import lime_image
from lime.wrappers.scikit_image import SegmentationAlgorithm
import pytorch_grad_cam as cams
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

MEAN, STD = np.array([.485, .456, .406], np.float32), np.array([.229, .224, .225], np.float32)
torch.set_num_threads(1)


class OnnxNet(nn.Module):
    """Runs an ONNX graph of plain operators; `tap` passes one tensor through a module that hooks can watch, `taps` others."""

    def __init__(self, path, tap):
        super().__init__()
        self.g = onnx.load(path).graph
        self.w = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in self.g.initializer}
        self.tap, self.watched = tap, nn.Identity()
        self.taps, self.watching = {}, nn.ModuleList()
        self.relus = nn.ModuleDict({n.output[0].replace(".", "_"): nn.ReLU() for n in self.g.node if n.op_type == "Relu"})
        self.pools = nn.ModuleDict({n.output[0].replace(".", "_"): self.pool(n) for n in self.g.node if n.op_type == "MaxPool"})
        self.anchor = nn.Parameter(torch.zeros(1))       # so that gradients flow to the tap

    def watch(self, tensor):
        """A module that `tensor` passes through, for hooks."""
        if tensor not in self.taps:
            self.taps[tensor] = len(self.watching)
            self.watching.append(nn.Identity())
        return self.watching[self.taps[tensor]]

    def forward(self, x):
        v = {**self.w, [i.name for i in self.g.input if i.name not in self.w][0]: x + 0 * self.anchor}
        for n in self.g.node:
            a = {q.name: onnx.helper.get_attribute_value(q) for q in n.attribute}
            i = [v.get(k) for k in n.input]
            name = n.output[0].replace(".", "_")
            hooked = self.relus[name] if name in self.relus else self.pools[name] if name in self.pools else None   # by captum and shap
            y = hooked(i[0]) if hooked else getattr(self, "op_" + n.op_type)(a, *i)
            if n.output[0] in self.taps:
                y = self.watching[self.taps[n.output[0]]](y)
            v[n.output[0]] = self.watched(y) if n.output[0] == self.tap else y
        return v[self.g.output[0].name]

    @staticmethod
    def window(a):
        p = a.get("pads", [0, 0, 0, 0])
        assert p[0] == p[2] and p[1] == p[3]
        return dict(stride=tuple(a.get("strides", (1, 1))), padding=(p[0], p[1]))

    def op_Conv(self, a, x, w, b=None):
        return F.conv2d(x, w, b, dilation=tuple(a.get("dilations", (1, 1))), groups=a.get("group", 1), **self.window(a))

    def pool(self, n):
        a = {q.name: onnx.helper.get_attribute_value(q) for q in n.attribute}
        return nn.MaxPool2d(tuple(a["kernel_shape"]), ceil_mode=bool(a.get("ceil_mode", 0)), **self.window(a))

    def op_AveragePool(self, a, x): return F.avg_pool2d(x, tuple(a["kernel_shape"]), count_include_pad=bool(a.get("count_include_pad", 0)), **self.window(a))
    def op_BatchNormalization(self, a, x, w, b, m, s): return F.batch_norm(x, m, s, w, b, eps=a.get("epsilon", 1e-5))
    def op_GlobalAveragePool(self, a, x): return x.mean((2, 3), keepdim=True)
    def op_Add(self, a, x, y): return x + y
    def op_Concat(self, a, *xs): return torch.cat(xs, a["axis"])
    def op_Flatten(self, a, x): return torch.flatten(x, 1)
    def op_Dropout(self, a, x, *_): return x
    def op_Identity(self, a, x): return x

    def op_Gemm(self, a, x, w, b):
        return a.get("alpha", 1.0) * x @ (w.t() if a.get("transB", 0) else w) + a.get("beta", 1.0) * b


def tiny_net(path):
    """conv relu pool conv relu pool conv relu, global average, 5 classes: 48 x 48, seeded, logits centred and spread."""
    g = torch.Generator().manual_seed(11)
    m = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                      nn.Conv2d(12, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)).eval()
    for q in m.modules():
        if isinstance(q, (nn.Conv2d, nn.Linear)):
            q.weight.data = torch.randn(q.weight.shape, generator=g) * (2 / q.weight[0].numel()) ** .5
            q.bias.data = .1 * torch.randn(q.bias.shape, generator=g)
    x = torch.nn.functional.interpolate(torch.randn(32, 3, 6, 6, generator=g), (48, 48), mode="bilinear")
    with torch.no_grad():
        y = m(x)
        m[-1].bias.data -= y.mean(0)
        s = 2 / (y - y.mean(0)).std()
        m[-1].weight.data *= s; m[-1].bias.data *= s
    torch.onnx.export(m, x[:1], path, opset_version=13, input_names=["input"], output_names=["output"])


def small_net(path):
    """6 rows x 5 columns, no pooling: small enough for partition SHAP to reach every channel of every pixel."""
    g = torch.Generator().manual_seed(3)
    m = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(120, 3)).eval()
    for q in m.parameters():
        q.data = torch.randn(q.shape, generator=g) * (.3 if q.dim() > 1 else .1)
    torch.onnx.export(m, torch.zeros(1, 3, 6, 5), path, opset_version=13, input_names=["input"], output_names=["output"])


def tiny_picture():
    """A disc and a bar over a gradient with noise: 48 x 48 x 3, 8 bits."""
    y, x = np.mgrid[:48, :48].astype(float)
    r = np.random.RandomState(5)
    a = np.stack([60 + 2 * x, 150 - 1.5 * y, 90 + x + y], -1) + r.normal(0, 12, (48, 48, 3))
    a[(x - 31) ** 2 + (y - 17) ** 2 < 90] = [215, 60, 40]
    a[(abs(y - 36) < 4) & (x > 6) & (x < 30)] = [30, 70, 200]
    return np.clip(a + r.normal(0, 5, a.shape), 0, 255).astype(np.uint8)


ap = argparse.ArgumentParser()
ap.add_argument("--model"); ap.add_argument("--image"); ap.add_argument("--layer"); ap.add_argument("out")
A = ap.parse_args()
os.makedirs(A.out, exist_ok=True)
if A.model:
    from PIL import Image
    img = np.array(Image.open(A.image).convert("RGB"))
    path, layer = A.model, A.layer
else:
    img, path = tiny_picture(), os.path.join(A.out, "tiny.onnx")
    tiny_net(path)
    layer = [n for n in onnx.load(path).graph.node if n.op_type == "Conv"][-1].output[0]
net = OnnxNet(path, layer).eval()
save = lambda name, a: np.save(os.path.join(A.out, name + ".npy"), a)


def tensor(imgs):
    a = (np.asarray(imgs, np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(np.ascontiguousarray(a.transpose(0, 3, 1, 2), np.float32))


def predict(imgs):
    with torch.no_grad():
        return torch.softmax(net(tensor(imgs)), 1).numpy()


save("image_u8", img)
with torch.no_grad():
    logits = net(tensor(img[None])).numpy()
save("logits", logits)
target, top = int(logits.argmax()), [int(i) for i in np.argsort(-logits[0])[:3]]


class Recorder(lime_image.LimeImageExplainer):
    def data_labels(self, image, fudged, segments, fn, n, batch_size=10, progress_bar=True):
        self.data, labels = super().data_labels(image, fudged, segments, fn, n, batch_size, False)
        return self.data, labels


def lime_case(tag, samples, hide, segmentation, state):
    ex = Recorder(random_state=state)
    e = ex.explain_instance(img, predict, top_labels=len(top), hide_color=hide, num_samples=samples, num_features=100000,
                            segmentation_fn=segmentation, progress_bar=False)
    coef = np.zeros((len(top), e.segments.max() + 1))
    for i, c in enumerate(top):
        for k, v in e.local_exp[c]:
            coef[i, k] = v
    save(f"lime_{tag}_segments", e.segments.astype(np.int32)); save(f"lime_{tag}_masks", ex.data.astype(np.uint8))
    save(f"lime_{tag}_coef", coef); save(f"lime_{tag}_r2", np.array([e.score[c] for c in top]))
    return coef.shape[1]


quick = SegmentationAlgorithm("quickshift", kernel_size=2, max_dist=200, ratio=.2, random_seed=7)
slic = SegmentationAlgorithm("slic", n_segments=30, compactness=10, sigma=1, start_label=0)
players = [lime_case("q100", 100, None, quick, 0), lime_case("q100_black", 100, 0, quick, 3), lime_case("slic100", 100, 0, slic, 0)]


def partition_case(tag, fill, evaluations, batch=10):
    """The peer breaks ties by unseeded noise; cases are chosen where that does not show (checked by running twice)."""
    a, b = (partition_run(fill, evaluations, batch, seed) for seed in (0, 1))
    assert np.abs(a[0] - b[0]).max() <= 1e-6 * np.ptp(a[0]), tag
    save(f"shap_part_{tag}_values", a[0])
    print(tag, "evaluations", a[1], "largest spread over channels", a[2])


def partition_all_case(tag, fill, evaluations, classes):
    """All outputs at once: the largest change over classes is opened next; a map per class."""
    a, b = (partition_run(fill, evaluations, 10, seed, np.arange(classes)) for seed in (0, 1))
    for k in range(2):
        assert np.abs(a[0][..., top[k]] - b[0][..., top[k]]).max() <= 1e-6 * np.ptp(a[0][..., top[k]]), tag
        save(f"shap_part_{tag}_class{top[k]}_values", a[0][..., top[k]])


def partition_run(fill, evaluations, batch, seed, outputs=None):
    outputs = np.array([target]) if outputs is None else outputs
    H, W, C = img.shape
    n = H * W * C
    clustering = np.zeros((n - 1, 4))
    q = image_masker.numba.typed.List([(0, 0, H, 0, W, 0, C, -1, False)])
    image_masker._jit_build_partition_tree(0, H, 0, W, 0, C, W, C, n, clustering, q)
    spent = [0]

    def fm(masks, zero_index=None):
        out = np.repeat(img.ravel()[None], len(masks), 0).astype(np.float64)
        for o, m in zip(out, masks):
            o[~np.asarray(m, bool)] = fill.ravel()[~np.asarray(m, bool)]
        spent[0] += len(masks)
        return predict(out.reshape(-1, H, W, C))
    model = type("Model", (), {"__len__": lambda s: n, "__call__": lambda s, *a, **k: fm(*a, **k)})()
    me = types.SimpleNamespace(_clustering=clustering, dvalues=np.zeros((2 * n - 1, len(outputs))), _mask_matrix=Masks(clustering, n))
    np.random.seed(seed)
    f00, f11 = fm(np.zeros((1, n), bool))[0], fm(np.ones((1, n), bool))[0]
    partition.PartitionExplainer.owen(me, model, f00, f11, evaluations - 2, outputs, None, batch, True)
    values = me.dvalues.copy()
    partition.lower_credit(len(values) - 1, 0, n, values, clustering)
    values = values[:n].reshape(H, W, C, len(outputs))
    sums = values.sum(2).astype(np.float32)
    return sums[..., 0] if len(outputs) == 1 else sums, spent[0], np.ptp(values, 2).max()


class Masks:
    """Rows of shap's mask matrix one at a time; whole, it would be n x n."""

    def __init__(self, clustering, n): self.c, self.n = clustering, n

    def __getitem__(self, at):
        m, todo = np.zeros(self.n, bool), [at[0]]
        while todo:
            i = todo.pop()
            if i < self.n: m[i] = True
            else: todo += [int(self.c[i - self.n, 0]), int(self.c[i - self.n, 1])]
        return m


partition_case("blur8_100", cv2.blur(img, (8, 8)), 100)
partition_case("blur8_100_batch4", cv2.blur(img, (8, 8)), 100, 4)
partition_case("gray_300", np.full_like(img, 127), 300)
partition_all_case("blur8_100_all", cv2.blur(img, (8, 8)), 100, len(predict(img[None])[0]))

for k, c in enumerate(top):
    cam = GradCAM(net, [net.watched])
    save(f"gradcam_{k}", cam(tensor(img[None]), [ClassifierOutputTarget(c)])[0])
    a, g = cam.activations_and_grads.activations[0].numpy(), cam.activations_and_grads.gradients[0].numpy()
    w = g.mean((2, 3))
    save(f"gradcam_{k}_raw", np.maximum((w[:, :, None, None] * a).sum(1), 0)[0])
def cam_family():
    """The rest of pytorch-grad-cam at the ReLU of the last convolution, and what is special before it and with two layers."""
    relu = next(n.output[0] for n in net.g.node if n.op_type == "Relu" and n.input[0] == layer)
    early = [n.output[0] for n in net.g.node if n.op_type == "Relu"][0]
    x = tensor(img[None])

    def run(name, cls, layers, which=0, **how):
        np.random.seed(0)
        save("cam_" + name, cls(net, [net.watch(t) for t in layers])(x, [ClassifierOutputTarget(top[which])], **how)[0])
    peer = {"gradcam++": cams.GradCAMPlusPlus, "xgradcam": cams.XGradCAM, "hirescam": cams.HiResCAM, "layercam": cams.LayerCAM,
            "eigencam": cams.EigenCAM, "eigengradcam": cams.EigenGradCAM, "scorecam": cams.ScoreCAM, "ablationcam": cams.AblationCAM}
    for name, cls in peer.items():
        run(name, cls, [relu])
        if name != "ablationcam":                        # before the ReLU the peer ablates to -1e7, -2e7, ... by place in the batch
            run(name + "_signed", cls, [layer], 1)
        if "eigen" not in name:                          # six arbitrary signs averaged are no reference
            run(name + "_aug", cls, [relu], 1, aug_smooth=True)
    for name, cls in {"gradcam": GradCAM, "gradcam++": peer["gradcam++"], "hirescam": peer["hirescam"], "layercam": peer["layercam"],
                      "scorecam": peer["scorecam"]}.items():
        if name != "gradcam++":
            run(name + "_eigen", cls, [relu], 1, eigen_smooth=True)
        if name != "scorecam":
            run(name + "_two", cls, [early, relu])
    run("gradcam_aug_eigen", GradCAM, [relu], aug_smooth=True, eigen_smooth=True)


def gradient_family():
    """captum's gradients, channel by channel, with the noise of SmoothGrad beside its result."""
    from captum.attr import Saliency, InputXGradient, IntegratedGradients, GuidedBackprop, NoiseTunnel
    x = tensor(img[None])
    save("grad_saliency", Saliency(net).attribute(x.clone().requires_grad_(), target=top[0], abs=False)[0].detach())
    save("grad_input_x_gradient", InputXGradient(net).attribute(x.clone().requires_grad_(), target=top[0])[0].detach())
    save("grad_integrated_gradients", IntegratedGradients(net).attribute(x, torch.zeros_like(x), target=top[0], n_steps=50)[0].detach())
    save("grad_guided_backprop", GuidedBackprop(net).attribute(x.clone().requires_grad_(), target=top[1])[0].detach())
    torch.manual_seed(0)
    seen = []
    spy = lambda q: (seen.append(q.detach().clone()), net(q))[1]
    a = NoiseTunnel(Saliency(spy)).attribute(x.clone(), nt_type="smoothgrad", nt_samples=4, stdevs=.3, target=top[0], abs=False)
    save("grad_smoothgrad", a[0].detach())
    save("grad_smoothgrad_noise", torch.cat(seen) - x)


def deep_family():
    """DeepLIFT and expected gradients over three references, which are pictures of this script. The net's windows do not overlap,
    so that shap's rule for maxima is complete here, which is asserted. (captum's misses an eighth of the difference: it takes the
    gradient where a change is small.)"""
    from captum.attr import DeepLift, GradientShap, LayerGradientShap
    package("shap.explainers._deep", os.path.join(S, "explainers", "_deep"))
    deep_pytorch = importlib.import_module("shap.explainers._deep.deep_pytorch")
    pictures = np.stack([img[:, ::-1], img[::-1], cv2.blur(img, (9, 9))])
    x, refs = tensor(img[None]), tensor(pictures)
    save("shap_background", pictures.astype(np.uint8))

    net.requires_grad_(False)
    for name, r in ("three", refs), ("blurred", refs[2:]):
        phi = deep_pytorch.PyTorchDeep(net, r).shap_values(x.clone(), ranked_outputs=1, check_additivity=False)[0][0][..., 0]
        with torch.no_grad():
            gap = float((net(x) - net(r).mean(0))[0, top[0]])
        print("shap deep", name, "sum", phi.sum(), "difference", gap)
        assert abs(phi.sum() - gap) < 1e-4
        save("shap_deep_" + name, phi.astype(np.float32))
    print("captum DeepLift", DeepLift(net).attribute(x.clone(), refs[2:], target=top[0], return_convergence_delta=True)[1])

    def replay(cls, name, **how):
        """captum draws references with numpy and places with torch; both are recorded."""
        drawn, choice, uniform = [], np.random.choice, np.random.uniform
        np.random.choice = lambda *a, **k: drawn.append(choice(*a, **k)) or drawn[-1]
        np.random.uniform = lambda *a, **k: drawn.append(uniform(*a, **k)) or drawn[-1]
        try:
            np.random.seed(0); torch.manual_seed(0)
            a = cls.attribute(x.clone(), refs, n_samples=12, stdevs=0.0, target=top[0], **how)
        finally:
            np.random.choice, np.random.uniform = choice, uniform
        print(name, [np.shape(d) for d in drawn])
        save("shap_" + name, a[0].detach())
        save("shap_" + name + "_draws", np.stack([np.ravel(drawn[0]), np.ravel(drawn[1])], -1).astype(np.float32))
    replay(GradientShap(net), "gradient")
    relu = [n.output[0] for n in net.g.node if n.op_type == "Relu"][1]
    net.requires_grad_(True)
    replay(LayerGradientShap(net, net.watch(relu)), "gradient_layer", attribute_to_layer_input=False)


cam_family()
gradient_family()
deep_family()
save("top", np.array(top, np.int32))
print("layer", layer, "top", top, "p", predict(img[None])[0].round(3), "players", players)

if not A.model:                                          # the same explainer, down to single channels
    img = np.random.RandomState(8).randint(0, 256, (6, 5, 3)).astype(np.uint8)
    A.out = os.path.join(A.out, "small")
    os.makedirs(A.out, exist_ok=True)
    path = os.path.join(A.out, "small.onnx")
    small_net(path)
    net = OnnxNet(path, None).eval()
    target = int(predict(img[None]).argmax())
    save("image_u8", img)
    partition_case("600", np.zeros_like(img), 600)
    partition_case("all", np.zeros_like(img), 1000000)
    print("small target", target)
