"""Agreement as a place between a floor and a ceiling.

Two smooth maps agree by chance, and a method that draws at random disagrees with itself; an agreement of .4 means nothing
until both are known. All is computed from the 14 x 14 thumbs, so that floor, agreement and ceiling are like for like:
signed, a thumb's correlation is the stored one on grid 14x14; under the other policies the thumb is clipped or folded after
its means were taken, not before.
"""
from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from .bootstrap import Interval, Plan, bca, codes, mean_interval, totals
from .database import FACTORS, KNOW_NOTHING, SIDE, Study
from .tables import Table

POLICIES = {"signed": lambda t: t, "positive": lambda t: np.maximum(t, 0), "absolute": np.abs}


def standardise(thumbs: np.ndarray, metric: str = "pearson") -> np.ndarray:
    """Rows with mean 0 and length 1, of values or of average ranks: a correlation is then a dot product. A flat map is nan."""
    t = rankdata(thumbs, axis=1) if metric == "spearman" else thumbs
    t = np.where(np.isfinite(thumbs).all(axis=1, keepdims=True), t, np.nan)
    centred = t - t.mean(axis=1, keepdims=True)
    length = np.sqrt(np.sum(centred ** 2, axis=1, keepdims=True))
    flat = ~(length > 1e-12 * np.max(np.abs(t), axis=1, keepdims=True, initial=0))
    return np.where(flat, np.nan, centred / np.where(flat, 1, length))


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each image's two standardised maps."""
    return np.sum(a * b, axis=1)


@dataclass(frozen=True)
class Between:
    """Sums per unit from which the mean over pairs of images of different units follows, for any draw of units: the sum over
    i ≠ j of a_i·b_j is (Σ a)·(Σ b) less what pairs of one unit give."""
    a: np.ndarray
    b: np.ndarray
    n: np.ndarray

    def mean(self, counts: np.ndarray) -> np.ndarray:
        own = np.sum(self.a * self.b, axis=1)
        top = np.sum((counts @ self.a) * (counts @ self.b), axis=1) - counts ** 2 @ own
        return top / ((counts @ self.n) ** 2 - counts ** 2 @ self.n ** 2)


def between(a: np.ndarray, b: np.ndarray, unit: np.ndarray, n: int) -> Between:
    """Cross-image floor: map a of one image against map b of another. `unit` numbers the independent groups 0 … n − 1."""
    sums = [np.zeros((n, a.shape[1])) for _ in range(2)]
    for s, z in zip(sums, (a, b)):
        np.add.at(s, unit, z)
    return Between(sums[0], sums[1], np.bincount(unit, minlength=n).astype(float))


def shifted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each image's a with b moved around by every shift but none: images x 195. A shift keeps how smooth a map is
    (toroidal shifts: Upton and Fingleton 1985; Fortin and Dale 2005), a permutation of pixels does not."""
    fa, fb = (np.fft.rfft2(z.reshape(-1, SIDE, SIDE)) for z in (a, b))
    return np.fft.irfft2(fa * np.conj(fb), s=(SIDE, SIDE)).reshape(len(a), -1)[:, 1:]


def flipped(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean correlation of each image's a with b mirrored in either way and in both."""
    grid = b.reshape(-1, SIDE, SIDE)
    ways = (grid[:, ::-1], grid[:, :, ::-1], grid[:, ::-1, ::-1])
    return np.mean([correlations(a, w.reshape(len(b), -1)) for w in ways], axis=0)


def disattenuated(xy: np.ndarray, xx: np.ndarray, yy: np.ndarray, units: list[object], plan: Plan, *words: object) -> Interval:
    """Σ r_xy / sqrt(Σ r_xx · Σ r_yy) over the images that have all three (Spearman 1904, on means; never clipped): what two methods
    would agree if neither drew at random."""
    known = np.isfinite(xy) & np.isfinite(xx) & np.isfinite(yy)
    group, n = codes([u for u, k in zip(units, known) if k])
    sums = totals(group, n, xy[known], xx[known], yy[known])

    def statistic(counts: np.ndarray) -> np.ndarray:
        t = counts @ sums
        return t[:, 0] / np.sqrt(np.where((t[:, 1] > 0) & (t[:, 2] > 0), t[:, 1] * t[:, 2], np.nan))

    return bca(statistic, [n], plan, plan.stream("disattenuated", *words))


class Maps:
    """Standardised thumbs of one database under a policy, by cell."""

    def __init__(self, study: Study, metric: str, policy: str):
        self.study, self.metric, self.policy, self.name = study, metric, policy, f"{metric} {policy}"
        self.units = study.units_of(study.images.index)
        self.kept: dict[int, np.ndarray] = {}

    def of(self, cell: int) -> np.ndarray:
        if cell not in self.kept:
            self.kept[cell] = standardise(POLICIES[self.policy](self.study.thumbs_of(cell)), self.metric)
        return self.kept[cell]

    def agreement(self, a: int, b: int) -> np.ndarray:
        return correlations(self.of(a), self.of(b))

    def repeats(self, cell: int) -> list[int]:
        """The cell and its repeats."""
        c = self.study.cells
        me = c.loc[cell]
        same = c[c.main & (c.model == me.model) & (c.method == me.method) & (c.target == me.target)]
        return [int(i) for i in same.index]

    def reliability(self, cell: int) -> np.ndarray:
        """r_xx of each image: the mean over pairs of repeats; 1 where nothing is drawn; nan where it was not repeated."""
        drawn = self.repeats(cell)
        if not self.study.cells.stochastic[cell]:
            return np.where(np.isfinite(self.of(cell)[:, 0]), 1.0, np.nan)
        if len(drawn) < 2:
            return self.split_half(cell)
        return np.mean([self.agreement(a, b) for a, b in combinations(drawn, 2)], axis=0)

    def split_half(self, cell: int) -> np.ndarray:
        """What the program stored as `split_half`: the agreement of two halves of the draws, stepped up by Spearman-Brown."""
        out = np.full(len(self.study.images), np.nan)
        for metric in self.study.score_ids("split_half", directed=False):
            s = self.study.scores(metric)
            s = s[s.cell == cell]
            out[self.study.images.index.get_indexer(s.image)] = s.value
        return out


@dataclass(frozen=True)
class Place:
    """Two methods' agreement with what it must be measured against."""
    n: int
    undefined: int
    agreement: Interval
    cross: float
    flip: float
    shift95: float
    above: float
    ceiling: float
    place: Interval


def place_of(maps: Maps, a: int, b: int, plan: Plan) -> Place:
    """(agreement − cross-image floor) / (ceiling − floor), the ceiling being sqrt(r_xx · r_yy) of the means."""
    za, zb = maps.of(a), maps.of(b)
    xy, xx, yy = correlations(za, zb), maps.reliability(a), maps.reliability(b)
    known = np.isfinite(xy)
    group, n = codes([u for u, k in zip(maps.units, known) if k])
    floor = between(za[known], zb[known], group, n)
    sums = totals(group, n, xy[known], *_known(xx[known]), *_known(yy[known]), np.ones(known.sum()))
    shifts, words = shifted(za[known], zb[known]), (maps.study.name, maps.metric, maps.policy, a, b)

    def ceiling(t: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(t[:, 1] / t[:, 2], 0) * np.maximum(t[:, 3] / t[:, 4], 0))

    def place(counts: np.ndarray) -> np.ndarray:
        t, low = counts @ sums, floor.mean(counts)
        return (t[:, 0] / t[:, 5] - low) / (ceiling(t) - low)

    ones = np.ones((1, n))
    with np.errstate(invalid="ignore", divide="ignore"):
        top, cross = float(ceiling(ones @ sums)[0]), float(floor.mean(ones)[0])
    shift95 = np.percentile(shifts, 95, axis=1) if len(shifts) else np.full(1, np.nan)
    undefined = int((maps.study.explained(a, b) & ~known).sum())
    return Place(int(known.sum()), undefined, mean_interval(xy, maps.units, plan, "agreement", *words), cross,
                 _mean(flipped(za[known], zb[known])), _mean(shift95), _mean(xy[known] > shift95), top,
                 bca(place, [n], plan, plan.stream("place", *words)))


def _known(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.nan_to_num(x), np.isfinite(x).astype(float)


def _mean(x: np.ndarray) -> float:
    return float(np.mean(x)) if len(x) else float("nan")


def _best_control(maps: Maps, cells: dict[str, int], a: int, b: int) -> tuple[float, str]:
    """The control that knows nothing and yet agrees most with one of the two."""
    found = [(float(np.nanmean(r)), name) for name, c in cells.items() if maps.study.cells.explainer[c] in KNOW_NOTHING
             for r in (maps.agreement(a, c), maps.agreement(b, c)) if np.isfinite(r).any()]
    return max(found, default=(float("nan"), "-"))


def place_table(study: Study, metric: str, policy: str, plan: Plan) -> Table:
    """Every pair of methods."""
    table = Table(f"Agreement between floor and ceiling: {metric} of 14x14 thumbs, {policy} ({study.name})",
                  ["model", "target", "method a", "method b", "n", "undefined", "agreement", "low", "high", "cross-image", "flip",
                   "shift 95%", "above shift", "control", "which", "ceiling", "place", "place low", "place high"])
    maps = Maps(study, metric, policy)
    for model, target in study.settings():
        every = study.plain(model, target, controls=True)
        for (na, a), (nb, b) in combinations(study.plain(model, target).items(), 2):
            p, (control, which) = place_of(maps, a, b, plan), _best_control(maps, every, a, b)
            table.add(model, target, na, nb, p.n, p.undefined, *p.agreement.cells(), p.cross, p.flip, p.shift95, p.above, control, which,
                      p.ceiling, *p.place.cells())
    table.note("place: 0 = the cross-image floor, 1 = the ceiling sqrt(r_xx r_yy); intervals: BCa over groups of images")
    table.note("above shift: share of the images whose agreement exceeds 95 % of its own toroidal shifts (chance: .05)")
    table.note("ceiling '-': a method that draws at random and has neither repeats nor split_half")
    return table


def _differ_in(study: Study, a: int, b: int) -> list[str]:
    """The parameters in which two cells of an explainer differ."""
    pa, pb = study.cells.params[a], study.cells.params[b]
    return sorted(k for k in pa.keys() | pb.keys() if pa.get(k) != pb.get(k))


def _factor(parameter: str) -> str:
    return next((f for f, names in FACTORS.items() if parameter in names), parameter)


def ceiling_table(study: Study, metric: str, policy: str, plan: Plan) -> Table:
    """Self-agreement: under new draws, and under one new setting."""
    table = Table(f"Ceilings: self-agreement, {metric} of 14x14 thumbs, {policy} ({study.name})",
                  ["model", "target", "method", "with", "new", "n", "undefined", "mean", "low", "high"])
    maps = Maps(study, metric, policy)
    for model, target in study.settings():
        cells = study.plain(model, target)
        for name, cell in cells.items():
            if study.cells.stochastic[cell]:
                _add_self(table, maps, (model, target, name, "itself", "seed" if len(maps.repeats(cell)) > 1 else "split half"),
                          maps.reliability(cell), cell, plan)
        for (na, a), (nb, b) in combinations(cells.items(), 2):
            changed = _differ_in(study, a, b) if study.cells.explainer[a] == study.cells.explainer[b] else []
            if len(changed) == 1:
                _add_self(table, maps, (model, target, na, nb, _factor(changed[0])), maps.agreement(a, b), a, plan)
    table.note("a new setting is drawn anew as well, so its self-agreement holds both; deterministic methods have r_xx = 1")
    return table


def _add_self(table: Table, maps: Maps, key: tuple[str, ...], values: np.ndarray, cell: int, plan: Plan) -> None:
    known = np.isfinite(values)
    undefined = int((maps.study.explained(cell) & ~known).sum())
    mean = mean_interval(values, maps.units, plan, "self", maps.study.name, maps.name, *key)
    table.add(*key, int(known.sum()), undefined, *mean.cells())


def control_table(study: Study, metric: str, policy: str, plan: Plan) -> Table:
    """Agreement of every method with every control: floors that know nothing, and the mask."""
    table = Table(f"Controls: {metric} of 14x14 thumbs, {policy} ({study.name})",
                  ["model", "target", "method", "control", "n", "undefined", "mean", "low", "high"])
    maps = Maps(study, metric, policy)
    for model, target in study.settings():
        for name, cell in study.plain(model, target).items():
            for control, c in study.plain(model, target, controls=True).items():
                if study.cells.control[c]:
                    _add_self(table, maps, (model, target, name, control), maps.agreement(cell, c), cell, plan)
    return table


def disattenuated_table(study: Study, metric: str, plan: Plan) -> Table:
    """From stored rows, under every policy and grid that the job compared."""
    table = Table(f"Disattenuated agreement on means, stored {metric} ({study.name})",
                  ["model", "target", "policy", "grid", "method a", "method b", "n", "r_xy", "r_xx", "r_yy", "disattenuated", "low",
                   "high"])
    m = study.metrics[study.metrics.name == metric] if metric in ("pearson", "spearman") else study.metrics[:0]
    for policy, grid in zip(m.policy, m.grid):
        _disattenuate(table, study, metric, policy, grid, plan)
    table.note("Σ r_xy / sqrt(Σ r_xx Σ r_yy), never clipped; only pairs of which at least one method draws at random and was repeated")
    return table


def _disattenuate(table: Table, study: Study, metric: str, policy: str, grid: str, plan: Plan) -> None:
    rows, maps, none = study.stored(metric, policy, grid), Maps(study, metric, "signed"), np.full(len(study.images), np.nan)

    def reliability(cell: int) -> np.ndarray:
        if not study.cells.stochastic[cell]:
            return np.ones(len(study.images))
        pairs = [rows.get(pair, none) for pair in combinations(sorted(maps.repeats(cell)), 2)]
        return np.mean(pairs, axis=0) if pairs else none

    for model, target in study.settings():
        cells = study.plain(model, target)
        own = {c: reliability(c) for c in cells.values()}
        for (na, a), (nb, b) in combinations(cells.items(), 2):
            xy, xx, yy = rows.get((min(a, b), max(a, b)), none), own[a], own[b]
            known = np.isfinite(xy) & np.isfinite(xx) & np.isfinite(yy)
            if known.any() and (study.cells.stochastic[a] or study.cells.stochastic[b]):
                d = disattenuated(xy, xx, yy, maps.units, plan, study.name, metric, policy, grid, a, b)
                table.add(model, target, policy, grid, na, nb, int(known.sum()), *(_mean(v[known]) for v in (xy, xx, yy)), *d.cells())
