"""Budget curves: how many evaluations and seconds until a method agrees with itself at .95.

Self-agreement at a budget is the agreement of two runs with different draws at that budget. A smaller budget against the full
one of the same run is not: both share draws, and the last point would be 1 whatever the method.
"""
from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .bootstrap import Interval, Plan, bca, codes, mean_interval, totals
from .database import Study
from .place import Maps
from .tables import Table

GOAL = 0.95


def evaluations_needed(r: np.ndarray, evaluations: np.ndarray, goal: float = GOAL) -> np.ndarray:
    """Where a curve (last axis: rising budgets) reaches the goal.

    Spearman-Brown: r(n) / (1 − r(n)) = n · constant, so the odds of r are drawn as straight lines over evaluations on logarithmic
    axes between two budgets, and on with the law's own slope of 1 behind the last and before the first. nan where the curve
    is at 0 or below."""
    r = np.minimum(np.atleast_2d(r), 1 - 1e-12)
    with np.errstate(invalid="ignore", divide="ignore"):
        odds, n, want = np.log(r / (1 - r)), np.log(evaluations), np.log(goal / (1 - goal))
    out = np.empty(len(odds))
    for i, o in enumerate(odds):
        out[i] = _crossing(o, n, want)
    return np.exp(out)


def _crossing(odds: np.ndarray, n: np.ndarray, want: float) -> float:
    reached = np.flatnonzero(odds >= want)
    if not np.all(np.isfinite(odds)):
        return np.nan
    if not len(reached):
        return n[-1] + want - odds[-1]
    at = reached[0]
    if at == 0:
        return n[0] + want - odds[0]
    return n[at - 1] + (want - odds[at - 1]) / (odds[at] - odds[at - 1]) * (n[at] - n[at - 1])


@dataclass(frozen=True)
class Point:
    """One budget of one method: evaluations and seconds (means), self-agreement per image (nan where it is undefined, in
    `explained` of them, or where there is no explanation)."""
    budget: float
    explained: int
    evaluations: float
    seconds: float
    agreement: np.ndarray


def curve(study: Study, maps: Maps, cell: int) -> list[Point]:
    """All budgets of a plain cell, the full one last; the repeats' cells of the same budget are compared with each other."""
    c, me = study.cells, study.cells.loc[cell]
    own = c[(c.model == me.model) & (c.method == me.method) & (c.target == me.target) & (c["transform"] == "")]
    full = study.maps[study.maps.cell == cell]
    rate = full.seconds.sum() / full.evaluations.sum() if full.evaluations.sum() else np.nan
    out = []
    for budget, group in own.groupby(own.budget.fillna(np.inf)):
        pairs = [maps.agreement(int(a), int(b)) for a, b in combinations(group.index, 2)]
        spent = study.maps[study.maps.cell == group.index[0]].evaluations.mean()
        if pairs and np.isfinite(spent):
            explained = int(study.explained(*group.index).sum())
            out.append(Point(float(budget), explained, float(spent), float(spent * rate), np.mean(pairs, axis=0)))
    return out


def needed(points: list[Point], units: list[object], plan: Plan, *words: object) -> Interval:
    """Evaluations to the goal, on the means of the images that have every point."""
    values = np.array([p.agreement for p in points])
    known = np.isfinite(values).all(axis=0)
    group, n = codes([u for u, k in zip(units, known) if k])
    sums = totals(group, n, *values[:, known], np.ones(known.sum()))
    spent = np.array([p.evaluations for p in points])

    def statistic(counts: np.ndarray) -> np.ndarray:
        t = counts @ sums
        return evaluations_needed(t[:, :-1] / t[:, -1:], spent)

    return bca(statistic, [n], plan, plan.stream("budget", *words))


def budget_tables(study: Study, metric: str, policy: str, plan: Plan) -> tuple[Table, Table]:
    """The curves, and what they cost."""
    what = f"{metric} of 14x14 thumbs, {policy} ({study.name})"
    curves = Table(f"Budget curves: self-agreement under new draws, {what}",
                   ["model", "target", "method", "budget", "evaluations", "seconds", "n", "undefined", "self-agreement", "low", "high"])
    costs = Table(f"Evaluations and seconds to a self-agreement of {GOAL}, {what}",
                  ["model", "target", "method", "n", "evaluations", "low", "high", "seconds", "seconds low", "seconds high", "how"])
    maps = Maps(study, metric, policy)
    for model, target in study.settings():
        for name, cell in study.plain(model, target).items():
            _describe(curves, costs, study, maps, (model, target, name), cell, plan)
    curves.note("seconds: of the full budget, in proportion to evaluations; budgets need `repeats: {METHOD: 2}` in the job")
    costs.note("how: between two budgets that were run; extrapolated by Spearman-Brown; or one run of a method that draws nothing")
    return curves, costs


def _describe(curves: Table, costs: Table, study: Study, maps: Maps, key: tuple[str, str, str], cell: int, plan: Plan) -> None:
    if not study.cells.stochastic[cell]:
        own = study.maps[study.maps.cell == cell]
        costs.add(*key, len(own), own.evaluations.mean(), None, None, own.seconds.mean(), None, None, "deterministic")
        return
    points = curve(study, maps, cell)
    if not points:
        costs.note(f"{', '.join(key)}: draws at random but was not repeated")
        return
    for p in points:
        known = np.isfinite(p.agreement)
        mean = mean_interval(p.agreement, maps.units, plan, "curve", study.name, maps.name, *key, p.budget)
        budget = "full" if np.isinf(p.budget) else int(p.budget)
        curves.add(*key, budget, p.evaluations, p.seconds, int(known.sum()), p.explained - int(known.sum()), *mean.cells())
    n = needed(points, maps.units, plan, study.name, maps.name, *key)
    rate = points[-1].seconds / points[-1].evaluations
    between = points[0].evaluations <= n.estimate <= points[-1].evaluations
    costs.add(*key, int(np.isfinite([p.agreement for p in points]).all(axis=0).sum()), *n.cells(), *(x * rate for x in n.cells()),
              "between" if between else "extrapolated")
