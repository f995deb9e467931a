"""Critical-difference diagrams (Demsar 2006): methods on an axis of mean ranks, bars over those that are not told apart."""
from __future__ import annotations

from pathlib import Path
from typing import Sequence

import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend must be chosen first: there may be no display)
from matplotlib.axes import Axes      # noqa: E402
import numpy as np                    # noqa: E402

from .ranks import Friedman, alike    # noqa: E402


def critical_difference(result: Friedman, names: Sequence[str], title: str, path: Path) -> None:
    """Write the diagram; the ending of `path` chooses SVG, PNG or PDF."""
    matplotlib.rcParams["svg.hashsalt"] = "whypix"      # the same bytes whenever it is drawn
    order = np.argsort(result.ranks, kind="stable")
    left = (len(order) + 1) // 2
    figure, axes = plt.subplots(figsize=(7.5, 1.3 + 0.22 * left))
    _axis(axes, len(order), result.critical)
    for place, i in enumerate(order):
        _label(axes, float(result.ranks[i]), names[i], place if place < left else len(order) - 1 - place, place < left, len(order))
    ordered = np.sort(result.ranks)
    for bar, (i, j) in enumerate(alike(result)):
        axes.plot([ordered[i] - 0.04, ordered[j] + 0.04], [-0.25 - 0.18 * bar] * 2, color="black", linewidth=3, solid_capstyle="butt")
    axes.set_title(f"{title}: {result.blocks} groups, Friedman p = {result.p:.2g}", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _axis(axes: Axes, k: int, critical: float) -> None:
    axes.plot([1, k], [0, 0], color="black", linewidth=1)
    for rank in range(1, k + 1):
        axes.plot([rank, rank], [0, 0.15], color="black", linewidth=1)
        axes.text(rank, 0.2, str(rank), ha="center", va="bottom", fontsize=8)
    axes.plot([1, 1 + critical], [0.85, 0.85], color="black", linewidth=1.5, marker="|")
    axes.text(1 + critical / 2, 0.92, f"critical difference {critical:.2f}", ha="center", va="bottom", fontsize=8)
    axes.axis("off")


def _label(axes: Axes, rank: float, name: str, row: int, to_left: bool, k: int) -> None:
    """A line from the axis down and out to the name, the best on the left."""
    depth, end = -1.1 - 0.45 * row, 0.7 if to_left else k + 0.3
    axes.plot([rank, rank, end], [0, depth, depth], color="grey", linewidth=0.8)
    text = f"{name} ({rank:.2f})" if to_left else f"({rank:.2f}) {name}"
    axes.text(end, depth, text, ha="right" if to_left else "left", va="center", fontsize=8)
