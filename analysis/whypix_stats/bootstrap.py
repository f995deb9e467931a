"""Bias-corrected and accelerated bootstrap intervals over groups of images.

Pictures of one patient or one source are not independent, so whole groups are drawn with replacement (Davison and Hinkley
1997, section 3.8). A statistic takes the counts of the groups, a row per draw, and gives a value per row: means and ratios
are then functions of `counts @ totals`, and thousands of draws cost one product of matrices.
BCa: Efron and Tibshirani 1993, chapter 14; several samples: Davison and Hinkley 1997, section 5.3.2. A bootstrap of n groups
varies by the factor (n − 1)/n too little and uses normal quantiles where t's are due: with few groups its intervals are too
short, so the tails are moved out as in Hesterberg 2015, section 3.3 ("expanded"), which tends to plain BCa as n grows.
"""
from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Callable, Iterator, Sequence

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

Statistic = Callable[[np.ndarray], np.ndarray]
BLOCKS = 1000           # of the jackknife: leaving out one group at a time costs groups squared
CHUNK = 4_000_000       # counts held at a time


@dataclass(frozen=True)
class Interval:
    """An estimate with its bounds (nan: undefined), from `groups` groups."""
    estimate: float
    low: float
    high: float
    groups: int

    def cells(self) -> tuple[float, float, float]:
        return self.estimate, self.low, self.high


@dataclass(frozen=True)
class Plan:
    """How intervals are made: the same seed gives the same bounds, whatever else is computed."""
    seed: int = 2026
    draws: int = 2000
    level: float = 0.95
    expanded: bool = True

    def stream(self, *words: object) -> np.random.Generator:
        """Random numbers of one row of one table, keyed by its name."""
        key = hashlib.sha256("\x1f".join(map(str, (self.seed, *words))).encode()).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little")))


def multiplicities(sizes: Sequence[int], draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each group is drawn: each stratum keeps its number of groups."""
    parts = []
    for n in sizes:
        chosen = rng.integers(0, n, (draws, n))
        flat = chosen + n * np.arange(draws)[:, None]
        parts.append(np.bincount(flat.ravel(), minlength=draws * n).reshape(draws, n))
    return np.hstack(parts).astype(float)


def _draws(sizes: Sequence[int], draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    step = max(1, CHUNK // sum(sizes))
    for at in range(0, draws, step):
        yield multiplicities(sizes, min(step, draws - at), rng)


def _influence(statistic: Statistic, sizes: Sequence[int], at: int) -> np.ndarray:
    """Jackknife influence of the blocks of the stratum that starts at group `at`."""
    total, n = sum(sizes), sizes[at]
    start = sum(sizes[:at])
    blocks = np.array_split(np.arange(n), min(n, BLOCKS))
    left = []
    for part in np.array_split(np.arange(len(blocks)), max(1, len(blocks) * total // CHUNK)):
        counts = np.ones((len(part), total))
        for row, block in enumerate(part):
            counts[row, start + blocks[block]] = 0
        left.append(statistic(counts))
    theta = np.concatenate(left)
    return (len(blocks) - 1) * (np.nanmean(theta) - theta) / len(blocks)


def acceleration(statistic: Statistic, sizes: Sequence[int]) -> float:
    """A sixth of the skewness of the influences; 0 where a stratum of one group has none."""
    u = np.concatenate([_influence(statistic, sizes, s) for s in range(len(sizes)) if sizes[s] > 1] or [np.zeros(1)])
    u = u[np.isfinite(u)]
    spread = np.sum(u ** 2)
    return float(np.sum(u ** 3) / (6 * spread ** 1.5)) if spread > 0 else 0.0


def _reach(plan: Plan, groups: int) -> float:
    """How many standard errors a symmetric interval reaches."""
    tail = (1 + plan.level) / 2
    return float(np.sqrt(groups / (groups - 1)) * stdtrit(groups - 1, tail) if plan.expanded else ndtri(tail))


def bca_bounds(values: np.ndarray, estimate: float, a: float, reach: float) -> tuple[float, float]:
    """Bounds from the values of the draws. Undefined when they do not vary: such a sample cannot tell how sure it is."""
    values = values[np.isfinite(values)]
    if len(values) < 2 or not np.isfinite(estimate) or np.ptp(values) <= 1e-12 * np.max(np.abs(values)):
        return np.nan, np.nan
    below = (np.mean(values < estimate) + np.mean(values <= estimate)) / 2
    z0 = ndtri(below)
    z = z0 + np.array([-reach, reach])
    share = ndtr(z0 + z / (1 - a * z))
    if not np.all(np.isfinite(share)):
        return np.nan, np.nan
    low, high = np.percentile(values, 100 * share)
    return float(low), float(high)


def bca(statistic: Statistic, sizes: Sequence[int], plan: Plan, rng: np.random.Generator) -> Interval:
    """Interval of a statistic of group counts, one size per stratum (one stratum for one sample)."""
    total = int(sum(sizes))
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = float(statistic(np.ones((1, total)))[0]) if total else np.nan
        if min(sizes, default=0) < 2 or not np.isfinite(estimate):
            return Interval(estimate, np.nan, np.nan, total)
        values = np.concatenate([statistic(w) for w in _draws(sizes, plan.draws, rng)])
        low, high = bca_bounds(values, estimate, acceleration(statistic, sizes), _reach(plan, min(sizes)))
    return Interval(estimate, low, high, total)


def codes(units: Sequence[object]) -> tuple[np.ndarray, int]:
    """Groups as 0 … n − 1, in the order in which they appear."""
    seen: dict[object, int] = {}
    out = np.fromiter((seen.setdefault(u, len(seen)) for u in units), dtype=np.int64, count=len(units))
    return out, len(seen)


def totals(units: np.ndarray, n: int, *columns: np.ndarray) -> np.ndarray:
    """Sums per group of each column: n x columns."""
    return np.stack([np.bincount(units, weights=np.asarray(c, dtype=float), minlength=n) for c in columns], axis=1)


def mean_interval(values: np.ndarray, units: Sequence[object], plan: Plan, *words: object) -> Interval:
    """Mean of the defined values, every value counting the same, with groups as the units of chance."""
    values = np.asarray(values, dtype=float)
    known = np.isfinite(values)
    group, n = codes([u for u, k in zip(units, known) if k])
    sums = totals(group, n, values[known], np.ones(known.sum()))
    return bca(lambda w: _ratio(w @ sums), [n], plan, plan.stream("mean", *words))


def _ratio(t: np.ndarray) -> np.ndarray:
    return t[:, 0] / t[:, 1]
