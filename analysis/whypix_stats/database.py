"""What the statistics need of a database, read once and without keeping a lock.

A *unit* is what is independent: the group of an image, or the image itself when it has none. A cell is *main* when it is
explained in full (no smaller budget, no transform) and *plain* when it is also the first repeat.
"""
from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

SIDE = 14               # of a thumb: area means of the unnormalised map
CONTROLS = ("random", "random_smooth", "center", "edges", "mask")
KNOW_NOTHING = CONTROLS[:-1]
# Explainers that draw at random, so that a repeat is another map: the others have a self-agreement of 1.
STOCHASTIC = ("lime", "shap_kernel", "shap_permutation", "shap_gradient", "smoothgrad", "rise", "random", "random_smooth")
FACTORS = {"segmentation": ("segmenter", "segments"), "fill": ("fill", "masker", "baseline"), "output": ("output",),
           "layer": ("layer", "layers"), "budget": ("samples", "evaluations", "steps", "draws")}


class DatabaseError(Exception):
    """A file that is no whypix database, or one without what a table needs."""


def label_of(name: str, params: str | None) -> str:
    """topk_iou(0.05): the name with the values of its parameters, as `whypix table` writes it."""
    values = [v for v in json.loads(params or "{}").values() if v is not None]
    return f"{name}({','.join(map(str, values))})" if values else name


@dataclass
class Study:
    """One database."""
    path: Path
    db: sqlite3.Connection

    @property
    def name(self) -> str:
        return self.path.stem

    def frame(self, sql: str, *values: object) -> pd.DataFrame:
        return pd.read_sql_query(sql, self.db, params=list(values))

    @cached_property
    def images(self) -> pd.DataFrame:
        """By id: path, label, unit, sha256, covars (a dict)."""
        f = self.frame("SELECT id, path, sha256, label, grp, covars FROM image ORDER BY id").set_index("id")
        f["unit"] = f.grp.where(f.grp.notna(), "image " + f.index.astype(str).to_series(index=f.index))
        f["covars"] = [json.loads(c) if c else {} for c in f.covars]
        return f

    @cached_property
    def cells(self) -> pd.DataFrame:
        """By id: model, method, explainer, target, repeat, budget, main, plain, control, stochastic, params (a dict)."""
        f = self.frame("SELECT c.id, mo.name model, me.name method, me.explainer, me.params, c.target, c.repeat, c.budget, c.transform"
                       " FROM cell c JOIN model mo ON mo.id = c.model_id JOIN method me ON me.id = c.method_id ORDER BY c.id")
        f = f.set_index("id")
        f["budget"] = f.budget.astype(float)
        f["main"] = f.budget.isna() & (f["transform"] == "")
        f["plain"] = f.main & (f.repeat == 0)
        f["control"] = f.explainer.isin(CONTROLS)
        f["stochastic"] = f.explainer.isin(STOCHASTIC)
        f["params"] = [json.loads(p) for p in f.params]
        return f

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """By id: name, label (with parameters), policy, grid, better."""
        f = self.frame("SELECT id, name, kind, policy, grid, params, better FROM metric ORDER BY id").set_index("id")
        f["label"] = [label_of(n, p) for n, p in zip(f.name, f.params)]
        return f

    @cached_property
    def maps(self) -> pd.DataFrame:
        """Explanations that are done, in order of their ids: image, cell, class, evaluations, seconds, map; row i has thumb i."""
        return self.frame("SELECT e.image_id image, e.cell_id cell, e.class, e.evaluations, t.wall seconds, e.map, e.thumb"
                          " FROM explanation e"
                          " LEFT JOIN timing t ON t.explanation_id = e.id WHERE e.status = 'done' AND e.thumb IS NOT NULL ORDER BY e.id")

    @cached_property
    def thumbs(self) -> np.ndarray:
        """explanations x 196, in the order of `maps`."""
        return np.frombuffer(b"".join(self.maps.thumb), dtype="<f4").reshape(len(self.maps), SIDE * SIDE).astype(float)

    @cached_property
    def row_of(self) -> pd.DataFrame:
        """image x cell → row of `maps`; nan where there is none."""
        f = pd.DataFrame({"image": self.maps.image, "cell": self.maps.cell, "row": np.arange(len(self.maps))})
        return f.pivot(index="image", columns="cell", values="row")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """By image and model: p_top, correct (nan without a label)."""
        f = self.frame("SELECT p.image_id image, mo.name model, p.prob p_top, p.class = i.label correct FROM prediction p"
                       " JOIN model mo ON mo.id = p.model_id JOIN image i ON i.id = p.image_id WHERE p.rank = 0")
        return f.set_index(["image", "model"])

    def explained(self, *cells: int) -> np.ndarray:
        """The images that have an explanation in each of the cells."""
        rows = self.row_of.reindex(index=self.images.index, columns=list(cells))
        return rows.notna().all(axis=1).to_numpy()

    def thumbs_of(self, cell: int) -> np.ndarray:
        """images x 196, a row of nan where the explanation is missing."""
        out = np.full((len(self.images), SIDE * SIDE), np.nan)
        if cell in self.row_of:
            rows = self.row_of[cell].dropna()
            out[self.images.index.get_indexer(rows.index)] = self.thumbs[rows.astype(int)]
        return out

    def pairs(self, metric: str, policy: str, grid: str) -> pd.DataFrame:
        """Stored values of one agreement metric: image, a, b (cells), value (nan: undefined)."""
        f = self.frame("SELECT p.a >> 16 image, p.a & 65535 a, p.b & 65535 b, p.value FROM pair p WHERE p.metric_id IN"
                       " (SELECT id FROM metric WHERE name = ? AND policy = ? AND grid = ?) ORDER BY p.a, p.b", metric, policy, grid)
        return f.astype({"value": float})

    def stored(self, metric: str, policy: str, grid: str) -> dict[tuple[int, int], np.ndarray]:
        """The same by pair of cells (the smaller first): a value per image, nan where there is none."""
        out = {}
        for key, rows in self.pairs(metric, policy, grid).groupby(["a", "b"]):
            out[key] = np.full(len(self.images), np.nan)
            out[key][self.images.index.get_indexer(rows.image)] = rows.value
        return out

    def scores(self, metric_id: int) -> pd.DataFrame:
        """Stored values of one score: image, cell, value (nan: undefined)."""
        return self.frame("SELECT explanation_id >> 16 image, explanation_id & 65535 cell, value FROM score WHERE metric_id = ?"
                          " ORDER BY explanation_id", metric_id).astype({"value": float})

    def score_ids(self, wanted: str | None = None, directed: bool = True) -> list[int]:
        """Metrics of one map: all, or those called `wanted` with or without parameters; `directed`: that have a better direction."""
        m = self.metrics[self.metrics.kind == "score"]
        if directed:
            m = m[m.better != "none"]
        return [int(i) for i in (m if wanted is None else m[(m.name == wanted) | (m.label == wanted)]).index]

    def settings(self, controls: bool = False) -> list[tuple[str, str]]:
        """Every model with every target."""
        c = self.cells[self.cells.plain & (controls | ~self.cells.control)]
        return list(dict.fromkeys(zip(c.model, c.target)))

    def plain(self, model: str, target: str, controls: bool = False) -> dict[str, int]:
        """Method → cell, in the order of the job."""
        c = self.cells[self.cells.plain & (self.cells.model == model) & (self.cells.target == target)]
        return {m: int(i) for i, m in c[controls | ~c.control].method.items()}

    def units_of(self, images: pd.Series | pd.Index | np.ndarray) -> list[object]:
        return list(self.images.unit.reindex(images))


def open_study(path: str | Path) -> Study:
    """Read-only; waits as long for a writer as the program itself does."""
    path = Path(path)
    if not path.is_file():
        raise DatabaseError(f"{path}: no such file")
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=60)
    try:
        found = db.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.DatabaseError as e:
        raise DatabaseError(f"{path}: {e}") from e
    if found != 0x77687970:
        raise DatabaseError(f"{path}: got application id {found:#x}, want 0x77687970, a whypix database")
    return Study(path, db)
