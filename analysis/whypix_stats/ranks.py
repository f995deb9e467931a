"""Tests by ranks: Wilcoxon with Holm, Mann-Whitney, Friedman with Nemenyi, and their effects as rank-biserial correlations."""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Callable

import numpy as np
from scipy import stats

EXACT = 200             # differences up to which the signed-rank distribution is counted out


@dataclass(frozen=True)
class Signed:
    """A signed-rank test: n differences, of which `zeros` are 0 and left out."""
    n: int
    zeros: int
    effect: float
    p: float


def signed_rank_effect(d: np.ndarray) -> float:
    """(R+ - R-) / (R+ + R-): Kerby 2014. Zeros are left out; nan without any other."""
    return float(signed_rank_effects(d)(np.ones((1, len(d))))[0])


def _members(groups: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """values x groups: 1 where a chosen value is in the group."""
    out = np.zeros((len(groups), groups.max(initial=-1) + 1))
    out[np.flatnonzero(chosen), groups[chosen]] = 1
    return out


def signed_rank_effects(d: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The effect as a function of how often each difference is there, a row per draw: average ranks follow from sums over the
    groups of equal sizes."""
    group = np.unique(np.abs(d), return_inverse=True)[1]
    plus, minus = _members(group, d > 0), _members(group, d < 0)

    def effect(counts: np.ndarray) -> np.ndarray:
        p, m = counts @ plus, counts @ minus
        rank = np.cumsum(p + m, axis=1) - (p + m - 1) / 2
        with np.errstate(invalid="ignore"):
            return np.sum(rank * (p - m), axis=1) / np.sum(rank * (p + m), axis=1)
    return effect


def rank_sum_effects(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """P(x > y) - P(x < y) as a function of how often each value of x, then each of y, is there."""
    group = np.unique(np.concatenate([x, y]), return_inverse=True)[1]
    first = np.arange(len(x) + len(y)) < len(x)
    of_x, of_y = _members(group, first), _members(group, ~first)

    def effect(counts: np.ndarray) -> np.ndarray:
        a, b = counts @ of_x, counts @ of_y
        below = np.cumsum(b, axis=1) - b / 2
        return 2 * np.sum(a * below, axis=1) / (a.sum(axis=1) * b.sum(axis=1)) - 1
    return effect


def _signed_rank_p(d: np.ndarray) -> float:
    """Two-sided, given the ranks that the sizes have, ties included: every pattern of signs is as likely (Wilcoxon 1945; Pratt and
    Gibbons 1981). Average ranks are halves, so twice a rank is whole and the patterns can be counted by their sum."""
    doubled = np.rint(2 * stats.rankdata(np.abs(d))).astype(int)
    ways = np.ones(1)
    for r in doubled:
        more = np.zeros(len(ways) + r)
        more[:len(ways)] += ways / 2
        more[r:] += ways / 2
        ways = more
    at = int(doubled[d > 0].sum())
    return float(min(1.0, 2 * min(ways[:at + 1].sum(), ways[at:].sum())))


def signed_rank(d: np.ndarray) -> Signed:
    """Wilcoxon's test that the differences are symmetric about 0: exact up to 200 of them, else normal."""
    d = np.asarray(d, dtype=float)
    used = d[d != 0]
    if not len(used):
        return Signed(len(d), len(d), np.nan, np.nan)
    p = _signed_rank_p(used) if len(used) <= EXACT else float(stats.wilcoxon(used, mode="approx").pvalue)
    return Signed(len(d), len(d) - len(used), signed_rank_effect(d), p)


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values of a family (Holm 1979); undefined ones stay so and do not count."""
    p = np.asarray(p, dtype=float)
    out = np.full(len(p), np.nan)
    order = [i for i in np.argsort(p, kind="stable") if np.isfinite(p[i])]
    worst = 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p[i]))
        out[i] = worst
    return out


def rank_sum(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Mann-Whitney: rank-biserial 2 U / (n m) - 1 = P(x > y) - P(x < y) (Glass 1966), and p."""
    if not len(x) or not len(y):
        return np.nan, np.nan
    p = stats.mannwhitneyu(x, y, alternative="two-sided").pvalue
    return float(rank_sum_effects(x, y)(np.ones((1, len(x) + len(y))))[0]), float(p)


@dataclass(frozen=True)
class Friedman:
    """Blocks x treatments by ranks, 1 = best."""
    blocks: int
    ranks: np.ndarray           # mean rank of each treatment
    statistic: float
    p: float
    critical: float             # two mean ranks differ when they are further apart


def friedman(table: np.ndarray, high_is_better: bool, level: float = 0.95) -> Friedman:
    """Friedman 1937 with ties; Nemenyi 1963 as in Demsar 2006: q of the studentized range with infinite degrees / sqrt(2)."""
    n, k = table.shape
    ranks = stats.rankdata(-table if high_is_better else table, axis=1)
    mean = ranks.mean(axis=0)
    ties = np.sum([np.sum(c ** 3 - c) for c in (np.unique(row, return_counts=True)[1] for row in ranks)])
    spread = 1 - ties / (n * k * (k * k - 1))
    statistic = (12 * n / (k * (k + 1)) * np.sum((mean - (k + 1) / 2) ** 2)) / spread if spread > 0 else np.nan
    return Friedman(n, mean, float(statistic), float(stats.chi2.sf(statistic, k - 1)), _q(level, k) * np.sqrt(k * (k + 1) / (6 * n)))


@lru_cache(maxsize=None)
def _q(level: float, k: int) -> float:
    return float(stats.studentized_range.ppf(level, k, np.inf)) / np.sqrt(2)


def nemenyi(result: Friedman, i: int, j: int) -> float:
    """p of two treatments, as small as the k (k - 1) / 2 comparisons allow."""
    k = len(result.ranks)
    gap = abs(result.ranks[i] - result.ranks[j]) / np.sqrt(k * (k + 1) / (6 * result.blocks))
    return float(stats.studentized_range.sf(gap * np.sqrt(2), k, np.inf)) if gap > 0 else 1.0


def alike(result: Friedman) -> list[tuple[int, int]]:
    """Runs of treatments, ordered by rank, that the critical difference does not tell apart: (first, last) places, longest only."""
    ordered = np.sort(result.ranks)
    last = [int(np.searchsorted(ordered, r + result.critical, side="right")) - 1 for r in ordered]
    return [(i, j) for i, j in enumerate(last) if j > i and (i == 0 or last[i - 1] < j)]
