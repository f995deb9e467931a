"""Does agreement predict faithfulness and localisation? Regression with errors that are robust to groups of images; and the same
means within tertiles of confidence and of object area.

One row per image and method: its score against its mean agreement with the other methods, with the top probability, the share
of the picture that the object covers and the entropy of the map held equal, and with the methods' own means taken out, so that
it is compared with itself on other images. All variables are standardised.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from .bootstrap import Plan, codes, mean_interval
from .database import Study
from .place import Maps
from .tables import Table

TERTILES = ("low", "middle", "high")


@dataclass(frozen=True)
class Regression:
    """Coefficients with cluster-robust errors; p and bounds from t with groups − 1 degrees."""
    coefficient: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    groups: int


def least_squares(y: np.ndarray, x: np.ndarray, unit: np.ndarray, groups: int, absorbed: int = 0, level: float = 0.95) -> Regression:
    """(X'X)⁻¹ (Σ_g X_g'e_g e_g'X_g) (X'X)⁻¹ · G/(G − 1) · (n − 1)/(n − k) (Liang and Zeger 1986; CR1 of Cameron and Miller 2015).
    `absorbed`: means that were taken out before, which count among the k."""
    inverse = np.linalg.inv(x.T @ x)
    b = inverse @ x.T @ y
    score = np.stack([np.bincount(unit, weights=c, minlength=groups) for c in (x * (y - x @ b)[:, None]).T], axis=1)
    n, k = len(y), x.shape[1] + absorbed
    small = groups / (groups - 1) * (n - 1) / (n - k)
    error = np.sqrt(np.diag(inverse @ (score.T @ score) @ inverse) * small)
    reach = stats.t.ppf((1 + level) / 2, groups - 1) * error
    return Regression(b, error, b - reach, b + reach, 2 * stats.t.sf(np.abs(b / error), groups - 1), groups)


def entropy(thumbs: np.ndarray) -> np.ndarray:
    """Of |map| with unit sum, in nats; nan for an empty map."""
    a = np.abs(thumbs)
    total = a.sum(axis=1, keepdims=True)
    p = np.where(total > 0, a / np.where(total > 0, total, 1), np.nan)
    return -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0 * p), axis=1)


def object_area(study: Study, model: str) -> pd.Series:
    """Share of the picture in the model's frame, from the control `mask`; else the list's own column `area`; else nan."""
    c = study.cells
    found = c[c.plain & (c.model == model) & (c.explainer == "mask")].index
    if len(found):
        return pd.Series(study.thumbs_of(int(found[0])).mean(axis=1), study.images.index)
    return pd.Series([float(v.get("area", np.nan)) for v in study.images.covars], study.images.index)


def confidence(study: Study, model: str) -> pd.Series:
    """The top probability."""
    p = study.predictions
    return p.xs(model, level="model").p_top.reindex(study.images.index) if model in p.index.get_level_values("model") else pd.Series(
        np.nan, study.images.index)


def rows_of(study: Study, model: str, target: str, metric: str, policy: str) -> pd.DataFrame:
    """image, unit, method, cell, agreement, confidence, area, entropy: every image and method."""
    maps, cells = Maps(study, metric, policy), study.plain(model, target)
    sure, area, parts = confidence(study, model), object_area(study, model), []
    for name, cell in cells.items():
        others = np.array([maps.agreement(cell, c) for c in cells.values() if c != cell])
        mean = others.mean(axis=0) if len(others) else np.full(len(study.images), np.nan)
        parts.append(pd.DataFrame({"image": study.images.index, "unit": list(study.images.unit), "method": name, "cell": cell,
                                   "agreement": mean, "confidence": sure.to_numpy(), "area": area.to_numpy(),
                                   "entropy": entropy(study.thumbs_of(cell))}))
    rows = pd.concat(parts, ignore_index=True)
    return rows[np.concatenate([study.explained(c) for c in cells.values()])]


def within(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Each method's mean taken out, then standard deviation 1."""
    centred = rows[columns] - rows.groupby("method")[columns].transform("mean")
    return centred / centred.std(ddof=0)


def predict_table(study: Study, metric: str, policy: str, wanted: str | None, plan: Plan) -> Table:
    """Every directed score against agreement and what else might explain it."""
    table = Table(f"Does agreement predict scores? Within methods, standardised, {metric} of 14x14 thumbs, {policy} ({study.name})",
                  ["score", "better", "model", "target", "variable", "n", "undefined", "groups", "coefficient", "low", "high", "error",
                   "p"])
    for model, target in study.settings():
        rows = rows_of(study, model, target, metric, policy)
        for metric_id in study.score_ids(wanted):
            _predict(table, study, (model, target), rows.merge(study.scores(metric_id), on=["image", "cell"]), metric_id, plan)
    table.note("+0.5: one standard deviation more agreement goes with half a standard deviation more of the score, all else equal")
    table.note("entropy: of the thumb's |map|; area: the object's share of the picture")
    table.note("errors robust to groups of images, p and bounds from t; p is not adjusted for the number of scores")
    return table


def _predict(table: Table, study: Study, key: tuple[str, str], rows: pd.DataFrame, metric_id: int, plan: Plan) -> None:
    m = study.metrics.loc[metric_id]
    variables = [v for v in ("agreement", "confidence", "area", "entropy") if rows[v].notna().any()]
    known = rows.dropna(subset=["value", *variables])
    z = within(known, ["value", *variables])
    if not (z.std(ddof=0) > 0).all() or known.method.nunique() < 2 or known.unit.nunique() < len(variables) + 3:
        table.note(f"{m.label}, {', '.join(key)}: too few images, or nothing varies")
        return
    unit, groups = codes(list(known.unit))
    r = least_squares(z.value.to_numpy(), z[variables].to_numpy(), unit, groups, known.method.nunique(), plan.level)
    for i, v in enumerate(variables):
        numbers = (r.coefficient[i], r.low[i], r.high[i], r.error[i], r.p[i])
        table.add(m.label, m.better, *key, v, len(known), len(rows) - len(known), groups, *map(float, numbers))


def tertile(values: pd.Series) -> pd.Series:
    """low, middle or high third by rank; equal values stay together. Undefined where the value is."""
    rank = (values.rank(method="average") - 0.5) / values.notna().sum()
    return pd.cut(rank, [0, 1 / 3, 2 / 3, 1], labels=list(TERTILES))


def strata_table(study: Study, metric: str, policy: str, wanted: str | None, plan: Plan) -> Table:
    """Agreement and scores where the model is sure, where the object is large, where the answer is right."""
    table = Table(f"Strata: means by answer and by tertiles of confidence and area, {metric} of 14x14 thumbs, {policy} ({study.name})",
                  ["value", "model", "target", "method", "by", "stratum", "n", "undefined", "groups", "mean", "low", "high"])
    for model, target in study.settings():
        rows = rows_of(study, model, target, metric, policy)
        strata = _strata(study, model)
        _stratified(table, study, (f"{metric} with the others", model, target), rows.assign(value=rows.agreement), strata, plan)
        for metric_id in study.score_ids(wanted):
            scored = rows.merge(study.scores(metric_id), on=["image", "cell"])
            _stratified(table, study, (study.metrics.label[metric_id], model, target), scored, strata, plan)
    table.note("tertiles over the images of this database; ties stay together, so that they may be of unequal size")
    return table


def _strata(study: Study, model: str) -> dict[str, pd.Series]:
    p = study.predictions
    right = p.xs(model, level="model").correct.reindex(study.images.index) if len(p) else pd.Series(np.nan, study.images.index)
    return {"answer": right.map({1: "correct", 0: "wrong"}), "confidence": tertile(confidence(study, model)),
            "area": tertile(object_area(study, model))}


def _stratified(table: Table, study: Study, key: tuple[str, ...], rows: pd.DataFrame, strata: dict[str, pd.Series], plan: Plan) -> None:
    for method, own in rows.groupby("method", sort=False):
        for by, labels in strata.items():
            at = own.image.map(labels)
            for name in (("correct", "wrong") if by == "answer" else TERTILES):
                part = own[(at == name).to_numpy()]
                if len(part):
                    mean = mean_interval(part.value.to_numpy(), list(part.unit), plan, "strata", study.name, *key, method, by, name)
                    table.add(*key, method, by, name, len(part), int(part.value.isna().sum()), mean.groups, *mean.cells())
