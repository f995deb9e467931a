"""The consensus of all methods, scored like one of them: does the mean of the maps point better than its parts?

Maps are brought to ranks first (average ranks, so that no method counts for its scale), then averaged. The object is the map of
the control `mask`, which is in the model's frame already. Stored maps are used where their folder lies beside the database,
else the 14x14 thumbs, where a cell belongs to the object when half of it does.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from .bootstrap import Plan, mean_interval
from .database import Study
from .ranks import holm, signed_rank
from .place import POLICIES
from .reliability import Scored, grouped
from .tables import Table


def consensus(maps: np.ndarray) -> np.ndarray:
    """Mean of the rank-normalised maps (methods x pixels)."""
    return np.mean([rankdata(m) / len(m) for m in maps], axis=0)


def membership(values: np.ndarray, k: int) -> np.ndarray:
    """The k strongest as a fuzzy set: the tied block at the threshold shares what is left of k."""
    threshold = np.partition(values, -k)[-k]
    above, tied = values > threshold, values == threshold
    return above + tied * (k - above.sum()) / tied.sum()


def iou_at_area(values: np.ndarray, mask: np.ndarray) -> float:
    """`mask_iou_area`: the object against as many of the strongest pixels."""
    area = int(mask.sum())
    inside = membership(values, area)[mask].sum()
    return float(inside / (2 * area - inside))


def hit(values: np.ndarray, mask: np.ndarray) -> float:
    """`pointing_game` without tolerance: share of the tied maxima on the object."""
    return float(mask[values == values.max()].mean())


METRICS = {"mask_iou_area": iou_at_area, "pointing_game(0)": hit}


@dataclass(frozen=True)
class Frames:
    """Where the maps of a database are read from."""
    study: Study
    stored: bool

    @classmethod
    def of(cls, study: Study) -> "Frames":
        first = next((m for m in study.maps.map if m), None)
        return cls(study, first is not None and (_folder(study) / first).is_file())

    def read(self, row: int) -> np.ndarray:
        if not self.stored:
            return self.study.thumbs[row]
        return np.load(_folder(self.study) / self.study.maps.map[row]).astype(float).ravel()

    def mask(self, row: int) -> np.ndarray:
        return self.read(row) >= 0.5


def _folder(study: Study) -> Path:
    return study.path.with_name(study.path.stem + "-maps")


def scores_of(frames: Frames, cells: dict[str, int], mask_cell: int, policy: str) -> dict[str, Scored]:
    """Images x (methods, consensus) of each metric, over images that have every map and an object."""
    study, values, units, left_out = frames.study, {m: [] for m in METRICS}, [], 0
    wanted = list(cells.values())
    rows = study.row_of.reindex(columns=[*wanted, mask_cell])
    for image, row in rows.iterrows():
        mask = frames.mask(int(row[mask_cell])) if row.notna().all() else np.zeros(1, dtype=bool)
        if not mask.any():
            left_out += 1
            continue
        maps = np.array([POLICIES[policy](frames.read(int(row[c]))) for c in wanted])
        for name, metric in METRICS.items():
            values[name].append([metric(m, mask) for m in (*maps, consensus(maps))])
        units.append(study.images.unit[image])
    names, shape = [*cells, "consensus"], (-1, len(wanted) + 1)
    return {m: Scored(names, np.array(v).reshape(shape), units, left_out, left_out) for m, v in values.items()}


def consensus_table(study: Study, policy: str, plan: Plan) -> Table:
    """Every method beside the consensus, with paired tests against it."""
    frames = Frames.of(study)
    source = "stored maps" if frames.stored else "14x14 thumbs"
    table = Table(f"The consensus of the methods, scored as one of them: {source}, {policy} ({study.name})",
                  ["metric", "model", "target", "method", "n", "left out", "groups", "mean", "low", "high", "gain", "gain low",
                   "gain high", "p", "p Holm"])
    for model, target in study.settings():
        cells, controls = study.plain(model, target), study.plain(model, target, controls=True)
        mask = next((c for c in controls.values() if study.cells.explainer[c] == "mask"), None)
        if mask is None or len(cells) < 2:
            table.note(f"{model}, {target}: {'no control `mask` to score against' if mask is None else 'one method is no consensus'}")
            continue
        for metric, s in scores_of(frames, cells, mask, policy).items():
            _rows(table, study, (metric, model, target), s, plan)
    table.note("gain: mean of consensus minus method")
    table.note("left out: images without an object or without one of the maps; p: Wilcoxon over groups, consensus against the method")
    return table


def _rows(table: Table, study: Study, key: tuple[str, str, str], s: Scored, plan: Plan) -> None:
    if not len(s.values):
        return
    means = grouped(s)
    tests = [signed_rank(means[:, -1] - means[:, i]).p for i in range(len(s.methods) - 1)]
    for i, (name, p, adjusted) in enumerate(zip(s.methods, [*tests, None], [*holm(np.array(tests)), None])):
        own = mean_interval(s.values[:, i], s.units, plan, "consensus", study.name, *key, name)
        gain = mean_interval(s.values[:, -1] - s.values[:, i], s.units, plan, "gain", study.name, *key, name)
        shown = gain.cells() if p is not None else (None,) * 3
        table.add(*key, name, len(s.values), s.dropped, own.groups, *own.cells(), *shown, p, adjusted)
