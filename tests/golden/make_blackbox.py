#!/usr/bin/python3
"""Reference outputs of the Python peers' black-box explainers for tests/unit/explain/test_blackbox_parity.c.

  PEERS_SRC=DIR make_blackbox.py OUT

DIR holds checkouts of lime (0.2), shap (v0.49.1, only its Python files), captum and RISE (eclique/RISE). The net and the
picture are those of make_explain.py, read from OUT/tiny.onnx and OUT/image_u8.npy. What runs is the peers' own code;
shap's package is entered by the side, since its import wants a compiled extension: only its mean over the background
rows (here: one) is replaced.
"""
import importlib, os, sys, types, warnings
warnings.filterwarnings("ignore")
import numpy as np

SRC, OUT = os.environ.get("PEERS_SRC", "peers-src"), sys.argv[1]


def package(name, path=None, **names):
    """A module made by hand: a package whose __init__ is not run, or a stand-in for one that is not installed."""
    m = types.ModuleType(name)
    if path:
        m.__path__ = [path]
    m.__dict__.update(names)
    sys.modules[name] = m
    return m


def mean_over_background(run, added, D, N, weights, y, ey):
    ey[run:added] = (y[run * N:added * N].reshape(-1, N, D) * weights[None, :, None]).sum(1)
    return ey, added


for p in ("lime", "captum", "RISE"):
    sys.path.insert(0, os.path.join(SRC, p))
S = os.path.join(SRC, "shap", "shap")
package("_kernel_lib", _exp_val=mean_over_background)
package("shap", S)
package("shap._explanation", Explanation=object)
package("shap.explainers", os.path.join(S, "explainers"))
package("shap.explainers._explainer", Explainer=object)
package("shap.models", Model=object)
package("shap.utils", os.path.join(S, "utils"), safe_isinstance=lambda *a: False, partition_tree_shuffle=None,
        delta_minimization_order=None)
package("shap.utils._exceptions", DimensionError=ValueError)
sys.modules["shap"].links = importlib.import_module("shap.links")
masked = importlib.import_module("shap.utils._masked_model")
legacy = importlib.import_module("shap.utils._legacy")
utils = sys.modules["shap.utils"]
utils.MaskedModel, utils.make_masks = masked.MaskedModel, masked.make_masks
utils.shapley_coefficients = importlib.import_module("shap.utils._general").shapley_coefficients
kernel = importlib.import_module("shap.explainers._kernel")
permutation = importlib.import_module("shap.explainers._permutation")
exact = importlib.import_module("shap.explainers._exact")

import onnx, sklearn.metrics, torch, torch.nn as nn
from captum.attr._core.occlusion import Occlusion
from explanations import RISE
from lime.lime_base import LimeBase
from onnx import numpy_helper

MEAN, STD = np.array([.485, .456, .406], np.float32), np.array([.229, .224, .225], np.float32)
TARGET = 1
torch.set_num_threads(1)
torch.Tensor.cuda = lambda self: self                    # RISE's code wants a GPU
net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                    nn.Conv2d(12, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5), nn.Softmax(1)).eval()
net.load_state_dict({t.name: torch.from_numpy(numpy_helper.to_array(t).copy())
                     for t in onnx.load(os.path.join(OUT, "tiny.onnx")).graph.initializer})
for q in net.parameters():
    q.requires_grad_(False)
load = lambda name: np.load(os.path.join(OUT, name + ".npy"))
save = lambda name, a: np.save(os.path.join(OUT, name + ".npy"), a)
img = load("image_u8")


def tensor(imgs):
    a = (np.asarray(imgs, np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(np.ascontiguousarray(a.transpose(0, 3, 1, 2), np.float32))


def predict(imgs):
    return net(tensor(imgs)).numpy()


def game(seg):
    """Score of the target with segments hidden by the mean colour; one row of Z is one coalition."""
    hidden = img.reshape(-1, 3).mean(0)

    def f(Z):
        out = np.repeat(img[None].astype(np.float32), len(Z), 0)
        for o, z in zip(out, Z):
            o[(np.asarray(z) == 0)[seg]] = hidden
        return predict(out)[:, TARGET]
    return f


slic = load("lime_slic100_segments")
y, x = np.mgrid[:48, :48]
grid = y * 3 // 48 * 4 + x * 4 // 48


def kernel_case(tag, seg, samples, seed):
    K = int(seg.max()) + 1
    e = kernel.KernelExplainer(game(seg), np.zeros((1, K)))
    np.random.seed(seed)
    phi = e.shap_values(np.ones((1, K)), nsamples=samples, l1_reg=0, silent=True)[0]
    save(f"kernel_{tag}_phi", phi); save(f"kernel_{tag}_masks", e.maskMatrix.astype(np.uint8)); save(f"kernel_{tag}_weights", e.kernelWeights)


def kernel_l1_case(tag, seg, samples, seed, l1_reg):
    K = int(seg.max()) + 1
    e = kernel.KernelExplainer(game(seg), np.zeros((1, K)))
    np.random.seed(seed)
    save(f"kernel_l1_{tag}_phi", e.shap_values(np.ones((1, K)), nsamples=samples, l1_reg=l1_reg, silent=True)[0])


def explain_row(kind, seg, evaluations, **options):
    """explain_row of one of shap's newer explainers, on coalitions as its inputs."""
    K = int(seg.max()) + 1
    e = kind.__new__(kind)
    e.model, e.masker, e.link, e.linearize_link = game(seg), lambda mask, row: (row * mask)[None], sys.modules["shap"].links.identity, True
    e._gray_code_cache = {}
    return e.explain_row(np.ones(K), max_evals=evaluations, main_effects=False, error_bounds=False, batch_size=50, outputs=None, silent=True,
                         **options)["values"]


def permutation_case(tag, seg, walks, seed):
    np.random.seed(seed)
    save(f"permutation_{tag}_phi", explain_row(permutation.PermutationExplainer, seg, walks * (2 * (int(seg.max()) + 1) + 1)))


def occlusion_case(window, stride):
    a = Occlusion(net).attribute(tensor(img[None]), sliding_window_shapes=(3, window, window), strides=(3, stride, stride), baselines=0,
                                 target=TARGET, perturbations_per_eval=20)
    save(f"occlusion_{window}_{stride}", a[0, 0].numpy())


def rise_case(samples, cells, p, seed):
    e = RISE(net, img.shape[:2])
    np.random.seed(seed)
    e.generate_masks(samples, cells, p, savepath=os.devnull)
    save(f"rise_{samples}_{cells}", e(tensor(img[None]))[TARGET].numpy())


def selection_case(method, features):
    masks = load("lime_slic100_masks").astype(int)
    out = np.repeat(img[None], len(masks), 0)
    for o, z in zip(out, masks):
        o[(z == 0)[slic]] = 0
    distances = sklearn.metrics.pairwise_distances(masks, masks[:1], metric="cosine").ravel()
    base = LimeBase(lambda d: np.sqrt(np.exp(-d ** 2 / .25 ** 2)))
    intercept, chosen, r2, _ = base.explain_instance_with_data(masks, predict(out), distances, TARGET, features, method)
    coef = np.zeros(masks.shape[1])
    for k, v in chosen:
        coef[k] = v
    save(f"lime_{method}_{features}", coef)


kernel_case("slic150", slic, 150, 0)
kernel_l1_case("features5", slic, 150, 0, "num_features(5)")
kernel_l1_case("features10", slic, 150, 0, "num_features(10)")
kernel_l1_case("alpha", slic, 150, 0, 1e-3)
kernel_case("grid400", grid, 400, 3)
kernel_case("grid90", grid, 90, 5)
permutation_case("slic5", slic, 5, 0)
permutation_case("grid3", grid, 3, 7)
save("exact_grid_phi", explain_row(exact.ExactExplainer, grid, "auto", interactions=False))
occlusion_case(16, 8)
occlusion_case(10, 7)
rise_case(60, 7, .5, 0)
rise_case(30, 5, .1, 2)
selection_case("highest_weights", 8)
selection_case("forward_selection", 5)
print("players", slic.max() + 1, grid.max() + 1)
