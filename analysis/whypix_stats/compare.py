"""Which method scores better, and whether two populations differ: tests of scores and of agreement, with effects and intervals.

The unit of every test is the group of images (its mean): pictures of one patient are not independent.
"""
from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Sequence

import numpy as np
import pandas as pd

from .bootstrap import Interval, Plan, bca, codes, mean_interval
from .database import Study
from .place import Maps
from .ranks import Friedman, alike, friedman, holm, nemenyi, rank_sum, rank_sum_effects, signed_rank, signed_rank_effects
from .reliability import each_score, grouped
from .tables import Table


def paired_effect(d: np.ndarray, plan: Plan, *words: object) -> Interval:
    return bca(signed_rank_effects(d), [len(d)], plan, plan.stream("paired", *words))


def paired_table(study: Study, wanted: str | None, plan: Plan, controls: bool) -> Table:
    """Wilcoxon on every two methods, Holm within metric, model and target, over the images that every method has."""
    table = Table(f"Paired differences of scores, complete cases ({study.name})",
                  ["metric", "model", "target", "method a", "method b", "better", "n", "undefined", "groups", "zeros",
                   "difference", "low", "high", "effect", "effect low", "effect high", "p", "p Holm", "p Nemenyi"])
    for label, high, model, target, scored in each_score(study, wanted, controls):
        means = grouped(scored)
        pairs = list(combinations(range(len(scored.methods)), 2))
        tests = [signed_rank(means[:, i] - means[:, j]) for i, j in pairs]
        ranked = friedman(means, high, plan.level) if len(means) > 1 else None
        for (i, j), test, adjusted in zip(pairs, tests, holm([t.p for t in tests])):
            key = (study.name, label, model, target, scored.methods[i], scored.methods[j])
            d = mean_interval(scored.values[:, i] - scored.values[:, j], scored.units, plan, *key)
            effect = paired_effect(means[:, i] - means[:, j], plan, *key)
            better = "-" if test.effect == 0 or np.isnan(test.effect) else "a" if (test.effect > 0) == high else "b"
            table.add(label, model, target, scored.methods[i], scored.methods[j], better, len(scored.values), scored.undefined, test.n,
                      test.zeros, *d.cells(), *effect.cells(), test.p, adjusted, nemenyi(ranked, i, j) if ranked else None)
    table.note("effect: matched-pairs rank-biserial, +1 = a is always larger; p: Wilcoxon signed ranks, exact given ties; units: groups")
    table.note("undefined: missing values of any method, whose images are left out everywhere")
    return table


def friedman_table(study: Study, wanted: str | None, plan: Plan, controls: bool, plots: Path | None = None) -> Table:
    """Mean ranks with the critical difference; `plots` takes a diagram of each as SVG."""
    table = Table(f"Friedman and Nemenyi: mean ranks of the methods, 1 = best ({study.name})",
                  ["metric", "model", "target", "method", "n", "undefined", "groups", "rank", "chi2", "p", "critical", "alike"])
    for label, high, model, target, scored in each_score(study, wanted, controls):
        means = grouped(scored)
        if len(means) < 2 or len(scored.methods) < 3:
            continue
        result = friedman(means, high, plan.level)
        order, letters = np.argsort(result.ranks, kind="stable"), _letters(result)
        for place, i in enumerate(order):
            table.add(label, model, target, scored.methods[i], len(scored.values), scored.undefined, result.blocks, float(result.ranks[i]),
                      result.statistic, result.p, result.critical, letters[place])
        if plots:
            from .diagram import critical_difference
            critical_difference(result, scored.methods, f"{label}, {model}, {target}", plots / _file_name(study.name, label, model, target))
    table.note("alike: methods that share a letter are not told apart by Nemenyi's test (their ranks differ by less than `critical`)")
    return table


def _letters(result: Friedman) -> list[str]:
    """For the methods in order of rank: a letter per run that is alike."""
    out = [""] * len(result.ranks)
    for letter, (i, j) in zip("abcdefghijklmnopqrstuvwxyz", alike(result)):
        for place in range(i, j + 1):
            out[place] += letter
    return [x or "-" for x in out]


def _file_name(*words: str) -> str:
    return "-".join("".join(c if c.isalnum() or c in ".+" else "_" for c in w) for w in words) + ".svg"


# ---------------------------------------------------------------- populations
def _population(study: Study, model: str, target: str, metric: str, policy: str) -> dict[str, pd.Series]:
    """Pair of methods → agreement of thumbs, of the images that both explained."""
    maps, cells = Maps(study, metric, policy), study.plain(model, target)
    return {f"{a} / {b}": pd.Series(maps.agreement(cells[a], cells[b]), study.images.index)[study.explained(cells[a], cells[b])]
            for a, b in combinations(cells, 2)}


def _identity(study: Study) -> pd.Series:
    """What makes an image the same in two databases: its content where known, else its path."""
    return study.images.sha256.fillna(study.images.path)


def populations_table(studies: Sequence[Study], metric: str, policy: str, plan: Plan) -> Table:
    """Agreement of the same two methods under every two models or in every two databases."""
    table = Table(f"Agreement across models and datasets: {metric} of 14x14 thumbs, {policy}",
                  ["population a", "population b", "target", "methods", "test", "n a", "n b", "undefined", "mean a", "mean b", "effect",
                   "effect low", "effect high", "p", "p Holm"])
    found = [(s, m, t, _population(s, m, t, metric, policy)) for s in studies for m, t in s.settings()]
    rows = [_compared(x, y, name, plan) for x, y in combinations(found, 2) if x[2] == y[2] for name in x[3] if name in y[3]]
    for row, adjusted in zip(rows, holm([r[-1] for r in rows])):
        table.add(*row, adjusted)
    table.note("unpaired: Mann-Whitney over groups of images; paired: Wilcoxon, where both populations are the same images")
    table.note("effect: rank-biserial, +1 = a always agrees more; Holm over all rows")
    return table


def _unit_means(study: Study, values: pd.Series) -> np.ndarray:
    known = values.dropna()
    return known.groupby(codes(study.units_of(known.index))[0]).mean().to_numpy()


def _compared(x: tuple, y: tuple, name: str, plan: Plan) -> list[object]:
    (sx, mx, target, fx), (sy, my, _, fy) = x, y
    vx, vy = fx[name], fy[name]
    ix, iy = _identity(sx)[vx.index], _identity(sy)[vy.index]
    shared = set(ix) & set(iy)
    same = len(shared) == len(ix) == len(iy)
    undefined = int(vx.isna().sum() + vy.isna().sum())
    key = (sx.name, mx, sy.name, my, target, name)
    head = [f"{sx.name}: {mx}", f"{sy.name}: {my}", target, name]
    if same:
        joined = pd.DataFrame({"a": vx.set_axis(ix), "b": vy.set_axis(iy), "unit": sx.images.unit[vx.index].set_axis(ix)}).dropna()
        d = (joined.a - joined.b).groupby(codes(list(joined.unit))[0]).mean().to_numpy()
        effect, p = paired_effect(d, plan, *key), signed_rank(d).p
        return [*head, "paired", len(d), len(d), undefined, joined.a.mean(), joined.b.mean(), *effect.cells(), p]
    a, b = _unit_means(sx, vx), _unit_means(sy, vy)
    effect = bca(rank_sum_effects(a, b), [len(a), len(b)], plan, plan.stream("populations", *key))
    test = f"unpaired, {len(shared)} images shared" if shared else "unpaired"
    return [*head, test, len(a), len(b), undefined, vx.mean(), vy.mean(), *effect.cells(), rank_sum(a, b)[1]]
