"""Can the metrics themselves be trusted to rank methods? Each image is a rater of the methods (Tomsett et al. 2020)."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable

import numpy as np
from scipy import stats

from .bootstrap import Interval, Plan, bca, codes
from .database import Study
from .tables import Table


def krippendorff(values: np.ndarray, level: str = "interval", counts: np.ndarray | None = None) -> np.ndarray:
    """α = 1 − D_o / D_e of raters x items, nan where a rater gives no value (Krippendorff 2011; level: nominal, ordinal, interval).
    `counts` draws raters anew, a row per draw: two copies of a rater are never compared with each other about an item, as their
    perfect agreement would be made by the draw. The ordinal distance is the difference of average ranks over all values. A value
    that nobody else gave an item can be compared with none and does not count."""
    known = np.isfinite(values) & (np.isfinite(values).sum(axis=0) > 1)
    if level == "nominal":
        of = [(values == v).astype(float) / np.sqrt(2) for v in np.unique(values[known])]
    elif level == "ordinal":
        ranked = np.zeros(values.shape)
        ranked[known] = stats.rankdata(values[known])
        of = [ranked]
    else:
        of = [np.nan_to_num(values)]
    w = np.ones((1, len(values))) if counts is None else counts
    observed, expected = (np.sum([d(v * known, known, w) for v in of], axis=0) for d in (_observed, _expected))
    return 1 - observed / expected


def _observed(v: np.ndarray, known: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Mean squared distance within items: Σ over i ≠ j of w_i w_j (v_i − v_j)², an item with m values counting m."""
    m, squares = w @ known, w ** 2 @ known
    pairs = m * m - squares
    spread = 2 * (m * (w @ (v * v)) - (w @ v) ** 2)
    used = pairs > 0
    return np.sum(np.where(used, m * spread / np.where(used, pairs, 1), 0), axis=1) / np.sum(np.where(used, m, 0), axis=1)


def _expected(v: np.ndarray, known: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The same over all values."""
    m, squares = (w @ known).sum(axis=1), (w ** 2 @ known).sum(axis=1)
    return 2 * (m * (w @ (v * v)).sum(axis=1) - (w @ v).sum(axis=1) ** 2) / (m * m - squares)


@dataclass(frozen=True)
class Scored:
    """Images x methods of one metric with the images' groups, complete cases only; `undefined`: values that were missing."""
    methods: list[str]
    values: np.ndarray
    units: list[object]
    undefined: int
    dropped: int

    def ranks(self, high_is_better: bool) -> np.ndarray:
        return stats.rankdata(-self.values if high_is_better else self.values, axis=1)


def complete(study: Study, metric_id: int, model: str, target: str, controls: bool = False) -> Scored:
    """The methods that have the score for any image, and the images that have it for every one of these."""
    cells = study.plain(model, target, controls)
    s = study.scores(metric_id)
    table = s[s.cell.isin(cells.values())].pivot(index="image", columns="cell", values="value")
    table = table.reindex(columns=[c for c in cells.values() if c in table and table[c].notna().any()])
    whole = table.dropna()
    names = {c: m for m, c in cells.items()}
    undefined = int(table.isna().sum().sum())
    return Scored([names[c] for c in table], whole.to_numpy(), study.units_of(whole.index), undefined, len(table) - len(whole))


def grouped(scored: Scored) -> np.ndarray:
    """Groups x methods: the mean of each group, what the tests take as independent."""
    group, n = codes(scored.units)
    sums = np.stack([np.bincount(group, weights=c, minlength=n) for c in scored.values.T], axis=1)
    return sums / np.bincount(group, minlength=n)[:, None]


def alpha(scored: Scored, high_is_better: bool, plan: Plan, *words: object) -> Interval:
    """Ordinal α of the images' rankings of the methods, images of one group drawn together."""
    ranks = scored.ranks(high_is_better)
    group, n = codes(scored.units)
    return bca(lambda w: krippendorff(ranks, counts=w[:, group]), [n], plan, plan.stream("alpha", *words))


def rankings_of_disjoint(values: np.ndarray, size: int, times: int, rng: np.random.Generator) -> np.ndarray:
    """Agreement (Spearman) of the order of the methods' means in two disjoint samples of `size` rows. Overlapping samples would
    agree because they share rows."""
    out = np.full(times, np.nan)
    if size < 1:
        return out
    for t in range(times):
        order = rng.permutation(len(values))
        means = [stats.rankdata(values[part].mean(axis=0)) for part in (order[:size], order[size:2 * size])]
        out[t] = _correlation(*means)
    return out


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    length = np.sqrt(np.sum(x * x) * np.sum(y * y))
    return float(np.sum(x * y) / length) if length > 0 else np.nan


def spearman_brown(r: float, times: float = 2) -> float:
    """Reliability of a test `times` as long (Spearman 1910; Brown 1910)."""
    return times * r / (1 + (times - 1) * r) if 1 + (times - 1) * r > 0 else np.nan


def spread(r: np.ndarray) -> tuple[float, float, float]:
    """Mean, 5 % and 95 % point of the defined values."""
    r = r[np.isfinite(r)]
    return (float(r.mean()), *map(float, np.percentile(r, [5, 95]))) if len(r) else (np.nan,) * 3


def each_score(study: Study, wanted: str | None, controls: bool) -> Iterable[tuple[str, bool, str, str, Scored]]:
    """Label, high is better, model, target and values of every directed score with two methods or more."""
    for metric_id in study.score_ids(wanted):
        m = study.metrics.loc[metric_id]
        for model, target in study.settings():
            scored = complete(study, metric_id, model, target, controls)
            if len(scored.methods) > 1:
                yield m.label, m.better == "high", model, target, scored


def reliability_table(study: Study, wanted: str | None, plan: Plan, times: int = 500) -> Table:
    """α over images and split halves."""
    table = Table(f"Reliability of the metrics: do images rank the methods alike? ({study.name})",
                  ["metric", "model", "target", "methods", "n", "undefined", "groups", "alpha", "low", "high", "split half", "5 %", "95 %",
                   "stepped up"])
    for label, high, model, target, scored in each_score(study, wanted, False):
        a = alpha(scored, high, plan, study.name, label, model, target)
        means = grouped(scored)
        split = spread(rankings_of_disjoint(means, len(means) // 2, times, plan.stream("split", study.name, label, model, target)))
        table.add(label, model, target, len(scored.methods), len(scored.values), scored.undefined, a.groups, *a.cells(), *split,
                  spearman_brown(split[0]))
    table.note("alpha: Krippendorff's, ordinal; raters are images, items are methods; 0 = images order the methods by chance")
    table.note("split half: Spearman of the methods' order in two random halves of the groups (mean, 5 % and 95 % points of 500 splits)")
    return table


def stability_table(study: Study, wanted: str | None, plan: Plan, times: int = 300) -> Table:
    """Rank stability against n: how many groups until the order of the methods stays."""
    table = Table(f"Rank stability: the order of the methods in two disjoint samples of n groups, Spearman ({study.name})",
                  ["metric", "model", "target", "methods", "groups", "n", "mean", "5 %", "95 %"])
    for label, _, model, target, scored in each_score(study, wanted, False):
        means = grouped(scored)
        for size in _sizes(len(means) // 2):
            r = rankings_of_disjoint(means, size, times, plan.stream("stability", study.name, label, model, target, size))
            table.add(label, model, target, len(scored.methods), len(means), size, *spread(r))
    return table


def _sizes(most: int) -> list[int]:
    return [n for base in (1, 10, 100, 1000, 10000) for n in (base, 2 * base, 5 * base) if n <= most]
