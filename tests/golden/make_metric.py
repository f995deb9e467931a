#!/usr/bin/python3
"""Reference values of the metrics from scipy, scikit-learn and plain numpy, for tests/unit/metric. Usage: make_metric.py.

Writes beside itself metric/{maps,segments,masks}.npy, metric/road_*.npy and the tables agreement.csv, order.csv, complexity.csv,
localisation.csv (value "null" = undefined). Needs numpy, scipy, scikit-image, scikit-learn, onnx (for the linear model)."""
import csv
import itertools
import pathlib

import numpy as np
from scipy import ndimage, optimize, sparse, spatial, stats
import scipy.sparse.linalg
from skimage.metrics import structural_similarity
from sklearn.metrics import jaccard_score

OUT = pathlib.Path(__file__).parent / "metric"
H, W = 24, 20
rng = np.random.default_rng(20250)


def make_segments():
    """Nine unequal regions: the nearest of nine seeds."""
    seeds = rng.uniform(0, 1, (9, 2)) * (H, W)
    y, x = np.mgrid[:H, :W]
    return np.argmin([(y - sy) ** 2 + (x - sx) ** 2 for sy, sx in seeds], axis=0).astype("<i4")


def make_maps(segments):
    n = rng.standard_normal
    smooth = ndimage.gaussian_filter(n((H, W)), 3) * 5
    coefficients = np.array([.5, -.2, .1, .1, .3, .7, .1, -.4, .05])
    return {
        "noise": n((H, W)),
        "smooth": smooth,
        "tied": np.round(n((H, W)) * 2) / 2,
        "sparse": np.maximum(n((H, W)) - .52, 0),
        "segments": coefficients[segments],
        "segments2": np.round(n(segments.max() + 1), 2)[segments],
        "relu_like": np.maximum(smooth + n((H, W)) * .1, 0),
        "positive": np.exp(smooth),
        "constant": np.full((H, W), .25),
        "zero": np.zeros((H, W)),
        "negative": -np.abs(n((H, W))) - .01,
    }


def apply_policy(m, policy):
    v = m.astype(np.float64)
    if policy == "signed":
        return v.astype(np.float32)
    v = np.maximum(v, 0) if policy == "positive" else np.abs(v)
    span = v.max() - v.min()
    return ((v - v.min()) / span if span > 0 else v * 0).astype(np.float32)


def apply_grid(v, grid, segments):
    if grid == "pixel":
        return v
    if grid == "segments":
        return ndimage.mean(v.astype(np.float64), segments, np.arange(segments.max() + 1)).astype(np.float32)
    rows, cols = map(int, grid.split("x"))
    fine = np.kron(v.astype(np.float64), np.ones((rows, cols)))  # every pixel becomes rows x cols: cells are whole blocks
    return fine.reshape(rows, H, cols, W).mean((1, 3)).astype(np.float32)


def fuzzy_top(v, k):
    """Membership in the k largest, ties sharing: from the sorted values alone."""
    t = np.sort(v.ravel())[::-1][k - 1]
    return np.where(v > t, 1.0, np.where(v == t, (k - (v > t).sum()) / (v == t).sum(), 0.0))


def iou(a, b):
    both = (a * b).sum()
    union = a.sum() + b.sum() - both
    return both / union if union > 0 else None


def topk(a, b, area):
    k = -(-int(round(area * 100)) * a.size // 100)  # ceil in whole numbers
    ta, tb = fuzzy_top(a, k), fuzzy_top(b, k)
    value = iou(ta, tb)
    if set(np.unique([ta, tb])) <= {0.0, 1.0}:  # no ties at the threshold: the plain Jaccard index
        assert np.isclose(value, jaccard_score(ta.ravel() > 0, tb.ravel() > 0))
    return value


def five_best(v, segments):
    means = ndimage.mean(v.astype(np.float64), segments, np.arange(segments.max() + 1)).astype(np.float32)
    mask, left = np.zeros(v.shape), 5
    for value in np.unique(means[means > 0])[::-1]:
        tied = np.flatnonzero(means == value)
        mask[np.isin(segments, tied)] = min(1, left / len(tied))
        left -= len(tied)
        if left <= 0:
            break
    return mask


def mask_iou(a, b, a_segments, b_segments):
    if a_segments is None and b_segments is None:
        return None
    ma = five_best(a, a_segments) if a_segments is not None else None
    mb = five_best(b, b_segments) if b_segments is not None else None

    def same_area(v, other):
        k = int(np.floor(other.sum() + .5))
        return fuzzy_top(v, k) if k else v * 0.0

    ma = same_area(a, mb) if ma is None else ma
    mb = same_area(b, ma) if mb is None else mb
    return iou(ma, mb)


def agreement(a, b, a_segments, b_segments, grid):
    x, y = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    constant, negative = np.ptp(x) == 0 or np.ptp(y) == 0, x.min() < 0 or y.min() < 0
    yield "pearson", "", None if constant else stats.pearsonr(x, y)[0]
    yield "spearman", "", None if constant else stats.spearmanr(x, y)[0]
    lo, hi = np.minimum(x, y), np.maximum(x, y)
    empty = hi.max() <= 0
    yield "soft_iou", "", None if negative or empty else lo.sum() / hi.sum()
    yield "soft_iou_mean", "", None if negative or empty else np.mean(lo[hi > 0] / hi[hi > 0])
    for area in (.05, .2, .5):
        yield "topk_iou", area, topk(a, b, area)
    if grid == "pixel":
        yield "mask_iou", "", mask_iou(a, b, a_segments, b_segments)


def ssim(x, y):
    span = max(x.max(), y.max()) - min(x.min(), y.min())
    if x.ndim != 2 or min(x.shape) < 11 or span == 0:
        return None
    return structural_similarity(x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=span)


def place_chances(v):
    """Row d: the chance of each cell to stand at place d (0 = largest) when a coin breaks the ties."""
    place = stats.rankdata(-v, "min") - 1
    size = (v[:, None] == v[None]).sum(1)
    d = np.arange(v.size)[:, None]
    return np.where((d >= place) & (d < place + size), 1 / size, 0)


def whole_top(v, k):
    """The top set as whole blocks of ties, as near to k as they allow, never empty."""
    values, counts = np.unique(-v, return_counts=True)
    held = 0
    for value, count in zip(-values, counts):
        if held and (k - held) / count <= .5:
            break
        held, least = held + count, value
        if held >= k:
            break
    return v >= least


def krishna(x, y, k):
    u, v = np.abs(x), np.abs(y)
    pu, pv = place_chances(u)[:k], place_chances(v)[:k]
    chosen, placed, same = pu.sum(0) * pv.sum(0), (pu * pv).sum(0), np.sign(x) == np.sign(y)
    region = whole_top(u, k) | whole_top(v, k)
    i, j = np.triu_indices(region.sum(), 1)
    a, b = u[region], v[region]
    alike = np.sign(a[i] - a[j]) * np.sign(b[i] - b[j])
    yield "feature_agreement", chosen.sum() / k
    yield "sign_agreement", chosen[same].sum() / k
    yield "rank_agreement", placed.sum() / k
    yield "signed_rank_agreement", placed[same].sum() / k
    yield "pairwise_rank_agreement", (alike + 1).mean() / 2 if alike.size else None


def rbo(x, y, share):
    n = x.size
    p = 1 - 1 / (share * n) if share * n > 1 else 0
    a, b = np.cumsum(place_chances(x), 0), np.cumsum(place_chances(y), 0)
    overlap = (a * b).sum(1) / np.arange(1, n + 1)
    return (1 - p) * (p ** np.arange(n) * overlap).sum() + p ** n


def emd(x, y):
    """Transport as a linear programme."""
    if min(x.min(), y.min()) < 0 or x.sum() <= 0 or y.sum() <= 0:
        return None
    side = np.arange(8)
    cell = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(64, 2)
    cost = spatial.distance.cdist(cell, cell) / np.hypot(7, 7)
    a, b = (apply_grid(m.astype(np.float32), "8x8", None).astype(np.float64).ravel() for m in (x, y))
    balance = np.vstack([np.kron(np.eye(64), np.ones(64)), np.kron(np.ones(64), np.eye(64))])
    solved = optimize.linprog(cost.ravel(), A_eq=balance[:-1], b_eq=np.concatenate([a / a.sum(), b / b.sum()])[:-1], method="highs")
    return solved.fun


def within_region(x, y, k):
    region = whole_top(x, k) | whole_top(y, k)
    a, b = x[region], y[region]
    return None if np.ptp(a) == 0 or np.ptp(b) == 0 else stats.spearmanr(a, b)[0]


def sign_flip(x, y):
    if not x.any() or not y.any():
        return None
    return np.mean([np.abs(v[x * y < 0]).sum() / np.abs(v).sum() for v in (x, y)])


def order_metrics(a, b, policy, grid):
    """The pair metrics on ranks, top sets, pictures and signs, where they are defined."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    x, y = a.ravel(), b.ravel()
    constant, zero = np.ptp(x) == 0 or np.ptp(y) == 0, not x.any() or not y.any()
    yield "kendall_tau_b", "", None if constant else stats.kendalltau(x, y)[0]
    yield "cosine", "", None if zero else 1 - spatial.distance.cosine(x, y)
    if grid != "segments":
        yield "ssim", "", ssim(a, b)
    for area in (.1, .25):
        for name, value in krishna(x, y, -(-int(round(area * 100)) * x.size // 100)):
            if policy == "signed" or "sign" not in name:
                yield name, area, value
    yield "rbo", "", rbo(x, y, .1)
    if grid == "pixel" and policy != "signed":
        yield "emd", "", emd(a, b)
    yield "within_region", "", within_region(x, y, -(-20 * x.size // 100))
    if policy == "signed":
        yield "sign_flip", "", sign_flip(x, y)


def sparsity(m):
    v = np.sort(np.abs(m.astype(np.float64)).ravel())[::-1]
    return None if v.sum() == 0 else (np.searchsorted(np.cumsum(v) / v.sum(), .9) + 1) / v.size


def gini(m):
    """Half the relative mean absolute difference, over all pairs."""
    v = np.abs(m.astype(np.float64)).ravel()
    return None if v.sum() == 0 else np.abs(v[:, None] - v[None]).mean() / (2 * v.mean())


def pointing(m, mask, tolerance):
    if not mask.any():
        return None
    near = ndimage.distance_transform_edt(mask == 0) <= tolerance
    return near[m == m.max()].mean()


def share(part, whole):
    return part.sum() / whole.sum() if whole.sum() > 0 else None


def localisation(m, mask):
    m, on = m.astype(np.float64), mask > 0
    names = ["mask_iou_area", "mask_iou_75", "relevance_rank", "relevance_mass", "mass_outside", "positive_share"]
    if not on.any():
        return [(name, None) for name in names]
    positive, size = np.maximum(m, 0), int(on.sum())
    return list(zip(names, [iou(fuzzy_top(m, size), mask.astype(float)), iou(fuzzy_top(m, -(-m.size // 4)), mask.astype(float)),
                            fuzzy_top(m, size)[on].sum() / size, share(positive[on], positive), share(np.abs(m[~on]), np.abs(m)),
                            share(positive[on], np.abs(m[on]))]))


def complexity(m):
    v = np.abs(m.astype(np.float64)).ravel()
    zero = not v.any()
    yield "sparsity", sparsity(m)
    yield "gini", gini(m)
    yield "entropy", None if zero else stats.entropy(v)
    yield "effective_complexity", None if zero else (v / v.max() > 1e-5).mean()


def make_masks():
    y, x = np.mgrid[:H, :W]
    disc = (y - 9) ** 2 + (x - 12) ** 2 <= 16
    return np.array([disc, x < 2, np.zeros((H, W), bool), np.ones((H, W), bool)]).astype("u1")


def linear_model(path):
    """Three classes, each a weighted sum of all inputs (Flatten, Gemm): the test works every curve out as a running sum."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    h, w = 18, 20
    weight = np.zeros((3, 3 * h * w), np.float32)
    weight[1] = (rng.standard_normal(3 * h * w) / 12).astype(np.float32)
    weight[2] = -weight[1] / 2
    bias = np.array([0, .5, -.25], np.float32)
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("Gemm", ["flat", "weight", "bias"], ["y"], transB=1)]
    graph = helper.make_graph(nodes, "linear", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, h, w])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
                              [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="make_metric.py")
    model.ir_version = 7
    onnx.save(model, path)
    np.save(OUT / "linear_weight.npy", weight)
    np.save(OUT / "linear_bias.npy", bias)


def road_fills():
    """ROAD's imputation without noise: the equations of the hidden pixels, written down one by one, by a direct solver."""
    h, w = 22, 19
    draw = np.random.default_rng(7)
    image = draw.integers(0, 256, (h, w, 3)).astype("u1")
    few, most = draw.random((h, w)) > .2, draw.random((h, w)) > .8
    y, x = np.mgrid[:h, :w]
    block, one = ~((y > 3) & (x < 14)), (y == 5) & (x == 6)
    shown = np.array([few, most, block, one, ~one, x % 2 == 0])
    solved = []
    for s in shown:
        number = np.full((h, w), -1)
        number[~s] = np.arange((~s).sum())
        n = int((~s).sum())
        matrix, right = sparse.lil_matrix((n, n)), np.zeros((n, 3))
        for i, (r, c) in enumerate(zip(*np.nonzero(~s))):
            near = [(r + a, c + b, 1 / 6 if a == 0 or b == 0 else 1 / 12) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
            near = [t for t in near if 0 <= t[0] < h and 0 <= t[1] < w]
            total = sum(t[2] for t in near)
            matrix[i, i] = 1
            for a, b, weight in near:
                if s[a, b]:
                    right[i] += weight / total * image[a, b]
                else:
                    matrix[i, number[a, b]] = -weight / total
        full = image.astype(np.float64)
        full[~s] = sparse.linalg.spsolve(matrix.tocsr(), right).reshape(n, 3)
        solved.append(full)
    np.save(OUT / "road_image.npy", image)
    np.save(OUT / "road_shown.npy", shown.astype("u1"))
    np.save(OUT / "road_solved.npy", np.array(solved, "<f4"))


def text(value):
    return "null" if value is None else f"{value:.9g}"


def main():
    OUT.mkdir(exist_ok=True)
    segments = make_segments()
    maps = {k: v.astype(np.float32) for k, v in make_maps(segments).items()}
    names, masks = list(maps), make_masks()
    np.save(OUT / "maps.npy", np.array(list(maps.values()), "<f4"))
    np.save(OUT / "segments.npy", segments)
    np.save(OUT / "masks.npy", masks)
    own = {k: segments if k.startswith("segments") else None for k in names}

    with open(OUT / "agreement.csv", "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["a", "b", "policy", "grid", "metric", "area", "value"])
        for (i, a), (j, b) in itertools.combinations_with_replacement(enumerate(names), 2):
            for policy in ("positive", "signed", "absolute"):
                for grid in ("pixel", "7x6", "segments"):
                    u, v = (apply_grid(apply_policy(maps[m], policy), grid, segments) for m in (a, b))
                    for metric, area, value in agreement(u, v, own[a], own[b], grid):
                        out.writerow([i, j, policy, grid, metric, area, text(value)])
    with open(OUT / "order.csv", "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["a", "b", "policy", "grid", "metric", "area", "value"])
        for (i, a), (j, b) in itertools.combinations_with_replacement(enumerate(names), 2):
            for policy, grid in (("positive", "pixel"), ("signed", "pixel"), ("absolute", "7x6"), ("signed", "segments")):
                u, v = (apply_grid(apply_policy(maps[m], policy), grid, segments) for m in (a, b))
                for metric, area, value in order_metrics(u, v, policy, grid):
                    out.writerow([i, j, policy, grid, metric, area, text(value)])
    with open(OUT / "complexity.csv", "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["map", "metric", "value"])
        for i, m in enumerate(maps.values()):
            for metric, value in complexity(m):
                out.writerow([i, metric, text(value)])
    with open(OUT / "localisation.csv", "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["map", "mask", "metric", "tolerance", "value"])
        for i, m in enumerate(maps.values()):
            for k, mask in enumerate(masks):
                for metric, value in localisation(m, mask):
                    out.writerow([i, k, metric, "", text(value)])
                for tolerance in (0, 3, 15):
                    out.writerow([i, k, "pointing_game", tolerance, text(pointing(m, mask, tolerance))])
    linear_model(OUT / "linear.onnx")
    road_fills()


main()
