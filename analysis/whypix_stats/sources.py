"""Where disagreement comes from: variance components of maps, from the agreement of every two of them.

A standardised map of one image is taken as a sum of independent parts: what all explanations share, and one part each for the
method, the segments, the fill, the output, the class, the layer, the budget and the draw, with variances that add up to 1. Two
maps then correlate by the parts that they share, so that

    1 − r(x, y) = Σ_f σ²_f · d_f(x, y),    d_f = 1 where x and y differ in f, 0 where they have it in common,

and the components are moments of the disagreements, taken in two steps (Henderson 1953, method 3; Haseman and Elston 1972 for
regression on differences without intercept). First the settings and the draw, from pairs of maps of one method. Then the method:
what is left of the disagreement of two methods, each pair of methods counting the same. Such estimates need no convergence and
are never clipped at 0; intervals are those of a bootstrap over groups of images. `reml` fits the same model to the maps
themselves by restricted likelihood (statsmodels), as a check.
A part that only one of two methods has (Grad-CAM has no segments) counts half: it is in one of the two variances.
Two parts are no factors of their own: `combination` is what settings do together beyond their sum, and `rest` is what one map
has for itself (budget and draw together, for one). Each enters where the job can tell it from the others.
"""
from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import combinations
from typing import Callable, Hashable, Mapping, Sequence

import numpy as np

from .bootstrap import Interval, Plan, bca, codes
from .database import FACTORS, SIDE, Study
from .place import Maps
from .tables import Table

SETTINGS = ("segmentation", "fill", "output", "class", "layer", "other")
ORDER = ("method", *SETTINGS, "combination", "budget", "seed", "rest")
SHARED = ("segmentation", "fill", "output", "class", "combination")   # equal values are the same thing in two methods
Levels = Mapping[str, Hashable]                         # factor → level of one map; a factor that it lacks is absent


def difference(x: Levels, y: Levels, factor: str) -> float:
    """d_f of two different maps: 0, 1, or one half where only one of them has the factor."""
    if factor == "rest":
        return 1.0
    if factor not in x or factor not in y:
        return 0.5 * ((factor in x) + (factor in y))
    apart = factor not in SHARED and x["method"] != y["method"]
    return float(apart or x[factor] != y[factor])


def levels_of(study: Study, cell: int) -> dict[str, Hashable]:
    """The levels of a cell; the class, which depends on the image, is added by the caller. Draws are keyed by the method's
    parameters without its budget, so that two settings never share them, and two budgets do."""
    c = study.cells.loc[cell]
    known = {p for names in FACTORS.values() for p in names}
    out: dict[str, Hashable] = {"method": c.explainer}
    for factor, names in FACTORS.items():
        values = tuple(str(c.params[n]) for n in names if c.params.get(n) is not None)
        if values:
            out[factor] = values
    if "budget" in out and not np.isnan(c.budget):
        out["budget"] = (str(int(c.budget)),)
    out["other"] = tuple(sorted((k, str(v)) for k, v in c.params.items() if k not in known))
    if c.stochastic:
        drawn = tuple(sorted((k, str(v)) for k, v in c.params.items() if k not in FACTORS["budget"]))
        out["seed"] = (drawn, int(c["repeat"]))
    return out


@dataclass(frozen=True)
class Pairs:
    """Disagreements d of pairs of maps with their unit, their differences (pairs x factors, without the method) and what pair of
    methods they are of: −1 = one method, else 0, 1, …"""
    d: np.ndarray
    unit: np.ndarray
    x: np.ndarray
    methods: np.ndarray


@dataclass(frozen=True)
class Part:
    """One factor: σ² where it differs, and its share of the disagreement of two methods (of all, where there is one)."""
    factor: str
    variance: Interval
    share: Interval
    pairs: int


def separable(x: np.ndarray) -> np.ndarray:
    """Which columns are determined: those that no combination of the others makes."""
    if not x.size:
        return np.zeros(x.shape[1], dtype=bool)
    _, s, v = np.linalg.svd(x.T @ x)
    empty = v[s < 1e-9 * max(s[0], 1e-300)]
    return ~(np.abs(empty) > 1e-6).any(axis=0)


def _sums(pairs: Pairs, chosen: np.ndarray, columns: np.ndarray, n: int) -> np.ndarray:
    """Per unit the sums of columns over the chosen pairs."""
    return np.stack([np.bincount(pairs.unit[chosen], weights=c, minlength=n) for c in columns[chosen].T], axis=1)


def _within(pairs: Pairs, n: int) -> Callable[[np.ndarray], np.ndarray]:
    """Counts of units → σ² of every factor but the method, a row per draw: least squares over pairs of one method, of least norm
    where factors cannot be told apart."""
    k = pairs.x.shape[1]
    products = np.concatenate([(pairs.x[:, :, None] * pairs.x[:, None, :]).reshape(-1, k * k), pairs.x * pairs.d[:, None]], axis=1)
    sums = _sums(pairs, pairs.methods < 0, products, n)

    def solve(counts: np.ndarray) -> np.ndarray:
        t = counts @ sums
        inverse = np.linalg.pinv(t[:, :k * k].reshape(-1, k, k), rcond=1e-9, hermitian=True)
        return np.einsum("bij,bj->bi", inverse, t[:, k * k:])
    return solve


def _between(pairs: Pairs, n: int) -> Callable[[np.ndarray], np.ndarray]:
    """Counts of units → mean disagreement and mean differences of two methods, each pair of methods counting the same; of all
    pairs where there is one method."""
    columns = np.concatenate([pairs.d[:, None], pairs.x, np.ones((len(pairs.d), 1))], axis=1)
    kinds = [pairs.methods == m for m in range(pairs.methods.max(initial=-1) + 1)] or [pairs.methods < 0]
    sums = [_sums(pairs, kind, columns, n) for kind in kinds]

    def mean(counts: np.ndarray) -> np.ndarray:
        t = np.stack([counts @ s for s in sums])
        return np.mean(t[:, :, :-1] / t[:, :, -1:], axis=0)
    return mean


def components(pairs: Pairs, factors: Sequence[str], n: int, plan: Plan, *words: object) -> tuple[list[Part], Interval]:
    """The parts in the order of `factors` (the method first, if there are two), and the disagreement that they make up."""
    settings = [f for f in factors if f != "method"]
    within, between = _within(pairs, n), _between(pairs, n)
    told_apart = separable(pairs.x[pairs.methods < 0])

    def variances(counts: np.ndarray) -> np.ndarray:
        s, m = within(counts), between(counts)
        method = m[:, 0] - np.sum(s * m[:, 1:], axis=1)
        return np.concatenate([method[:, None], s], axis=1)

    def shares(counts: np.ndarray) -> np.ndarray:
        m = between(counts)
        weights = np.concatenate([np.ones((len(m), 1)), m[:, 1:]], axis=1)
        return variances(counts) * weights / m[:, :1]

    none, parts = Interval(np.nan, np.nan, np.nan, n), []
    for factor in factors:
        column = 0 if factor == "method" else 1 + settings.index(factor)
        known = column == 0 or told_apart[column - 1]
        of = [bca(lambda w: f(w)[:, column], [n], plan, plan.stream("components", factor, name, *words)) if known else none
              for name, f in (("variance", variances), ("share", shares))]
        differing = pairs.methods >= 0 if column == 0 else pairs.x[:, column - 1] > 0
        parts.append(Part(factor, *of, int(differing.sum())))
    return parts, bca(lambda w: between(w)[:, 0], [n], plan, plan.stream("components", "total", *words))


def varied(levels: Sequence[Levels], classes: np.ndarray | None = None) -> tuple[str, ...]:
    """The factors in which two maps of one method differ: others are part of what the method is. `classes`: images x maps, the
    class that each explains, −1 for none."""
    alike = [(i, j) for i, j in combinations(range(len(levels)), 2) if levels[i]["method"] == levels[j]["method"]]

    def differs(i: int, j: int, factor: str) -> float:
        if factor != "class" or classes is None:
            return difference(levels[i], levels[j], factor)
        return float(np.any((classes[:, i] != classes[:, j]) & (classes[:, [i, j]] >= 0).all(axis=1)))

    out = {f for i, j in alike for f in ORDER if f != "rest" and differs(i, j, f)}
    unlike = [(i, j) for i, j in alike if any(differs(i, j, f) for f in out)]
    for beyond in ("combination", "rest"):
        tried = [f for f in ORDER if f in (out | {beyond})]
        found = np.array([[differs(i, j, f) for f in tried] for i, j in unlike]).reshape(len(unlike), len(tried))
        (out.add if separable(found)[tried.index(beyond)] else out.discard)(beyond)
    return tuple(f for f in ORDER if f in out or f == "method" and len({x["method"] for x in levels}) > 1)


def combined(levels: Sequence[Levels]) -> list[dict[str, Hashable]]:
    """With the level of `combination`: the settings that vary in the job, for a map that has two or more of them."""
    changing = [f for f in SETTINGS if any(difference(x, y, f) for x, y in combinations(levels, 2) if x["method"] == y["method"])]
    out = []
    for x in levels:
        own = tuple((f, x[f]) for f in changing if f in x)
        out.append({**x, "combination": own} if len(own) > 1 else dict(x))
    return out


def _cells(study: Study, model: str, budgets: bool) -> list[int]:
    c = study.cells
    return [int(i) for i in c[(c.model == model) & ~c.control & (c["transform"] == "") & (c.main | budgets)].index]


def _classes(study: Study, cells: Sequence[int]) -> np.ndarray:
    """images x cells: the class that was explained; −1 where there is no explanation."""
    table = study.maps.pivot(index="image", columns="cell", values="class").reindex(index=study.images.index, columns=cells)
    return table.fillna(-1).to_numpy(dtype=int)


def _agreements(study: Study, cells: Sequence[int], metric: str, policy: str, grid: str) -> dict[tuple[int, int], np.ndarray]:
    """Pair of cells → a value per image; of every two thumbs, or of the pairs that the job compared."""
    if grid == "thumbs":
        maps = Maps(study, metric, policy)
        return {(a, b): maps.agreement(a, b) for a, b in combinations(cells, 2)}
    return {k: v for k, v in study.stored(metric, policy, grid).items() if k[0] in cells and k[1] in cells}


@dataclass(frozen=True)
class Design:
    """The pairs of maps of one model, the factors that vary, the number of units and of undefined values."""
    cells: list[int]
    levels: list[dict[str, Hashable]]
    factors: tuple[str, ...]
    pairs: Pairs
    units: int
    undefined: int


def design(study: Study, model: str, metric: str, policy: str, grid: str, budgets: bool = False) -> Design:
    """Every two maps of one image and model, controls apart; `budgets`: smaller ones, too."""
    cells = _cells(study, model, budgets)
    levels, classes = combined([levels_of(study, c) for c in cells]), _classes(study, cells)
    factors, unit = varied(levels, classes), np.array(study.units_of(study.images.index), dtype=object)
    kinds, parts, undefined = _kinds(levels), [], 0
    for (a, b), r in _agreements(study, cells, metric, policy, grid).items():
        i, j = cells.index(a), cells.index(b)
        both = (classes[:, i] >= 0) & (classes[:, j] >= 0)
        known = both & np.isfinite(r)
        undefined += int((both & ~known).sum())
        if levels[i] == levels[j]:
            known &= classes[:, i] != classes[:, j]     # two targets that chose the same class: one map, said twice
        x = [classes[known, i] != classes[known, j] if f == "class" else np.full(known.sum(), difference(levels[i], levels[j], f))
             for f in factors if f != "method"]
        differing = np.array(x, dtype=float).reshape(len(x), known.sum()).T
        parts.append((1 - r[known], unit[known], differing, np.full(known.sum(), kinds[i, j])))
    if not parts:
        return Design(cells, levels, factors, Pairs(np.zeros(0), np.zeros(0, int), np.zeros((0, 0)), np.zeros(0, int)), 0, undefined)
    d, named, x, methods = (np.concatenate(p) for p in zip(*parts))
    group, units = codes(named)
    return Design(cells, levels, factors, Pairs(d, group, x, methods), units, undefined)


def _kinds(levels: Sequence[Levels]) -> np.ndarray:
    """maps x maps: which pair of methods, −1 within one."""
    seen: dict[frozenset, int] = {}
    names = [x["method"] for x in levels]
    return np.array([[-1 if a == b else seen.setdefault(frozenset((a, b)), len(seen)) for b in names] for a in names])


def sources_table(study: Study, metric: str, policy: str, grid: str, plan: Plan, budgets: bool, by_likelihood: bool) -> Table:
    """A row per model and factor."""
    columns = ["model", "part", "levels", "pairs", "variance", "low", "high", "share", "share low", "share high"] + ["REML"] * by_likelihood
    table = Table(f"Where disagreement comes from: 1 − {metric}, {policy}, {grid} ({study.name})", columns)
    for model in dict.fromkeys(m for m, _ in study.settings()):
        d = design(study, model, metric, policy, grid, budgets)
        if not d.factors or not len(d.pairs.d):
            table.note(f"{model}: no two maps that differ in anything")
            continue
        parts, total = components(d.pairs, d.factors, d.units, plan, study.name, model, metric, policy, grid, budgets)
        likelihood = reml_of(study, model, metric, policy, d, plan) if by_likelihood else None
        for p in parts:
            levels = None if p.factor in ("rest", "class") else len({x[p.factor] for x in d.levels if p.factor in x})
            table.add(model, p.factor, levels, p.pairs, *p.variance.cells(), *p.share.cells(),
                      *([likelihood.get(p.factor, np.nan)] if likelihood is not None else []))
        table.add(model, "disagreement", None, len(d.pairs.d), *total.cells(), *(None,) * (len(columns) - 7))
        table.note(f"{model}: {d.units} groups of images, {d.undefined} agreements undefined")
    table.note("variance: disagreement of two maps that differ in this part only")
    table.note("disagreement: of two methods, each pair counting the same; of all maps where there is one method")
    table.note("share: of that disagreement, with how often the part differs; a setting that the job does not vary is part of `method`")
    if by_likelihood:
        table.note("REML takes a part to be equally large in every method, so that it differs where one method is all of the difference")
    table.note("'-': not to be told apart from another part in this job; never clipped, so that a part without effect is about 0")
    return table


# ---------------------------------------------------------------- the same model by restricted likelihood
def reml(values: np.ndarray, levels: Sequence[Levels], factors: Sequence[str]) -> dict[str, float]:
    """σ² by factor from maps (places x maps, standardised): statsmodels' MixedLM with a place as its group, an intercept for what
    all share and a variance for each factor; the factor that no two maps share, else the rest, is the residual. {} when the
    search does not converge."""
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec
    crossed = [f for f in factors if any(f in x and f in y and not difference(x, y, f) for x, y in combinations(levels, 2))]
    rest = [f for f in factors if f not in crossed] or ["rest"]
    design_of = {f: _indicators(levels, f) for f in crossed}
    n = len(values)
    names = [[[f"{f}{j}" for j in range(design_of[f].shape[1])]] * n for f in crossed]
    spec = VCSpec(crossed, names, [[design_of[f]] * n for f in crossed])
    groups = np.repeat(np.arange(n), len(levels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # of a variance at its bound of 0; convergence is asked below
        fit = MixedLM(values.ravel(), np.ones((values.size, 1)), groups, exog_re=np.ones((values.size, 1)), exog_vc=spec).fit(reml=True)
    if not fit.converged:
        return {}
    out = dict(zip(crossed, map(float, fit.vcomp)))
    return {**out, **({rest[0]: float(fit.scale)} if len(rest) == 1 else {})}


def _indicators(levels: Sequence[Levels], factor: str) -> np.ndarray:
    """maps x levels; a map without the factor has none. Levels are the method's own, unless the factor is shared."""
    names = [None if factor not in x else x[factor] if factor in SHARED else (x["method"], x[factor]) for x in levels]
    known = list(dict.fromkeys(x for x in names if x is not None))
    return np.array([[float(x == k) for k in known] for x in names])


def reml_of(study: Study, model: str, metric: str, policy: str, d: Design, plan: Plan, places: int = 100) -> dict[str, float]:
    """From a sample of places: (image, cell of the thumb) where every map is defined."""
    maps = Maps(study, metric, policy)
    stack = np.stack([maps.of(c) for c in d.cells], axis=2) * SIDE      # images x 196 x maps, variance 1 over each map
    whole = stack[np.isfinite(stack).all(axis=(1, 2))].reshape(-1, len(d.cells))
    chosen = plan.stream("reml", study.name, model).permutation(len(whole))[:places]
    return reml(whole[np.sort(chosen)], d.levels, [f for f in d.factors if f != "class"]) if len(chosen) > 1 else {}
