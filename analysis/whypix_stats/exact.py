"""Are the program's exact reductions what the rows say? Recounted here with Python's whole numbers, which cannot overflow.

`summary.exact` holds n, undefined, Σ q (128 bits), Σ q² (256 bits), the smallest and largest q and 64 bins, little-endian, of
values q = round(x · 2^32).
"""
from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor, isqrt

from .database import Study
from .tables import Table

BINS = 64
LIMIT = 2.0 ** 30       # |x| is clamped to this
UNIT = 2 ** 32
STRATA = ("all", "correct", "wrong")
Key = tuple[int, int, int, str]


@dataclass
class Moments:
    """Whole numbers only, so that any order gives the same."""
    n: int = 0
    undefined: int = 0
    total: int = 0
    squares: int = 0
    low: int = 0
    high: int = 0
    bins: list[int] = field(default_factory=lambda: [0] * BINS)

    def add(self, x: float | None, low: float, high: float) -> None:
        if x is None:
            self.undefined += 1
            return
        x = min(max(x, -LIMIT), LIMIT)
        q = round(x * UNIT)
        self.low = q if self.n == 0 else min(self.low, q)
        self.high = q if self.n == 0 else max(self.high, q)
        self.n += 1
        self.total += q
        self.squares += q * q
        part = (x - low) / (high - low) if low < high else (x / (1 + abs(x)) + 1) / 2
        self.bins[min(max(floor(part * BINS), 0), BINS - 1)] += 1

    def mean(self) -> float | None:
        return float(Fraction(self.total, self.n * UNIT)) if self.n else None

    def sd(self) -> float | None:
        """From the exact variance, its root to 60 bits beyond the point."""
        if self.n < 2:
            return None
        variance = Fraction(self.n * self.squares - self.total ** 2, self.n * (self.n - 1) * UNIT * UNIT)
        return isqrt(int(variance * 2 ** 160)) / 2 ** 80


def parse(exact: bytes) -> Moments:
    """The bytes of `summary.exact`."""
    words = struct.unpack(f"<{len(exact) // 8}Q", exact)
    signed = struct.unpack(f"<{len(exact) // 8}q", exact)
    squares = sum(w << 64 * i for i, w in enumerate(words[4:8]))
    return Moments(signed[0], signed[1], words[2] + (signed[3] << 64), squares, signed[8], signed[9], list(signed[10:]))


ROWS = """
SELECT v.cell_a, v.cell_b, v.metric_id, v.value, p.class = i.label, m.lo, m.hi FROM
 (SELECT explanation_id & 65535 cell_a, 0 cell_b, explanation_id >> 16 image_id, metric_id, value FROM score
  UNION ALL SELECT a & 65535, b & 65535, a >> 16, metric_id, value FROM pair) v
 JOIN metric m ON m.id = v.metric_id JOIN cell c ON c.id = v.cell_a JOIN image i ON i.id = v.image_id
 LEFT JOIN prediction p ON p.image_id = v.image_id AND p.model_id = c.model_id AND p.rank = 0"""


def recount(study: Study) -> dict[Key, Moments]:
    """Every score and agreement, by cells, metric and stratum."""
    out: dict[Key, Moments] = defaultdict(Moments)
    for a, b, metric, value, correct, low, high in study.db.execute(ROWS):
        out[a, b, metric, "all"].add(value, low, high)
        if correct is not None:
            out[a, b, metric, "correct" if correct else "wrong"].add(value, low, high)
    return dict(out)


def _close(stored: float | None, counted: float | None) -> bool:
    """Within some units in the last place of a double."""
    if stored is None or counted is None:
        return stored is counted
    return abs(stored - counted) <= 1e-12 * max(1.0, abs(counted))


@dataclass
class Tally:
    """What became of the summaries of one metric and stratum."""
    summaries: int = 0
    values: int = 0
    undefined: int = 0
    equal: int = 0
    wrong_number: int = 0
    missing: int = 0


def check(study: Study) -> dict[tuple[int, str], Tally]:
    """Compare every summary, whole numbers bit for bit and the four means of them as doubles."""
    counted, tallies = recount(study), defaultdict(Tally)
    for a, b, metric, stratum, n, n_null, mean, sd, low, high, exact in study.db.execute(
            "SELECT cell_a, cell_b, metric_id, stratum, n, n_null, mean, sd, lo, hi, exact FROM summary"):
        t, m = tallies[metric, stratum], counted.pop((a, b, metric, stratum), None)
        t.summaries, t.values, t.undefined = t.summaries + 1, t.values + n, t.undefined + n_null
        if m is None:
            continue
        t.equal += parse(exact) == m and (n, n_null) == (m.n, m.undefined)
        bounds = (m.low / UNIT, m.high / UNIT) if m.n else (None, None)
        t.wrong_number += not all(map(_close, (mean, sd, low, high), (m.mean(), m.sd(), *bounds)))
    for (_, _, metric, stratum) in counted:
        tallies[metric, stratum].missing += 1
    return dict(tallies)


def exact_table(study: Study) -> tuple[Table, bool]:
    """A row per metric and stratum, and whether all is well."""
    table = Table(f"The program's reductions against a recount of the rows ({study.name})",
                  ["metric", "policy", "grid", "stratum", "summaries", "values", "undefined", "equal", "other means", "missing", "verdict"])
    fine = True
    for (metric, stratum), t in sorted(check(study).items()):
        m = study.metrics.loc[metric]
        good = t.equal == t.summaries and not t.wrong_number and not t.missing
        verdict = "not recounted" if stratum not in STRATA else "equal" if good else "DIFFERENT"
        fine &= verdict != "DIFFERENT"
        table.add(m.label, m.policy, m.grid, stratum, t.summaries, t.values, t.undefined, t.equal, t.wrong_number, t.missing, verdict)
    table.note("equal: n, undefined, sums, sums of squares, bounds and histogram are the same whole numbers")
    table.note("other means: mean, sd, lo or hi off by more than 1e-12")
    table.note("tertiles of confidence and of object area are no strata of the program's reductions: see table `strata`")
    return table, fine
