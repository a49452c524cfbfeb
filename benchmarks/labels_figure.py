"""The figure of docs/few-labels.md: flood IoU against the number of labelled pixels.

python -m benchmarks.labels_figure docs/images/few-labels.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.labels_tables import DATA_SETS, OF_NOTHING, fitting
from benchmarks.record import RESULTS
from floodloom.files import read_json

_MARKERS = {"chips": "o", "clicks": "^", "pixels": "s", "scribbles": "D"}
_LINES = ("-", "--", ":", "-.", (0, (1, 3)))  # of what needs no label
Points = list[tuple[int, list[float]]]
"""Labelled pixels of an amount, and the IoU of every seed."""


def main() -> None:
    """Draw."""
    draw(read_json(RESULTS / "labels.json")["rows"]).savefig(Path(sys.argv[1]), dpi=100)


def draw(rows: dict[str, Any]) -> Figure:
    """Return the figure: an axis for each data set, a colour for each method.

    Seeds leave different ground out, so only those are drawn that everything was measured with.
    """
    measured = [name for name in DATA_SETS if rows.get(name)]
    figure = Figure(figsize=(7 * len(measured), 4.5), layout="constrained")
    axes = figure.subplots(1, len(measured), squeeze=False)[0]
    for axis, data_set in zip(axes, measured, strict=True):
        found = _of_common_seeds(rows[data_set])
        for number, (method, title) in enumerate(fitting(data_set, "chips-100").items()):
            for kind, marker in _MARKERS.items():
                points = _points(found, kind, method)
                _draw_points(axis, points, f"C{number}", marker, title)
        unlabelled = found.get("none", {})
        for line, (method, title) in zip(_LINES, OF_NOTHING.items(), strict=True):
            if unlabelled.get(method):
                level = mean(_ious(unlabelled[method]))
                axis.axhline(level, color="0.5", linestyle=line, linewidth=1, label=title)
        axis.set(xscale="log", xlabel="labelled pixels", ylabel="IoU of flood", title=data_set)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        handles = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        axis.legend(
            handles.values(), handles, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    return figure


def _of_common_seeds(found: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of the seeds that every method of every amount was measured with."""
    seeds = [{*by_seed} for methods in found.values() for by_seed in methods.values()]
    common = sorted(set.intersection(*seeds)) if seeds else []
    return {
        amount: {
            method: {seed: by_seed[seed] for seed in common} for method, by_seed in methods.items()
        }
        for amount, methods in found.items()
    }


def _draw_points(axis: Axes, points: Points, color: str, marker: str, title: str) -> None:
    """Draw the mean of the seeds against labelled pixels, and a dot for every seed."""
    if not points:
        return
    pixels, scores = zip(*points, strict=True)
    means = [mean(one) for one in scores]
    axis.plot(pixels, means, linewidth=1.2, markersize=5, color=color, marker=marker, label=title)
    for number, one in points:
        axis.plot([number] * len(one), one, ".", color=color, alpha=0.4, markersize=4)


def _points(found: dict[str, Any], kind: str, method: str) -> Points:
    """Return the points of the amounts of a kind, by their labelled pixels."""
    by_seed = [
        methods[method]
        for amount, methods in found.items()
        if amount.startswith(kind) and methods.get(method)
    ]
    return sorted((next(iter(one.values()))["labelled_pixels"], _ious(one)) for one in by_seed)


def _ious(by_seed: dict[str, dict[str, float]]) -> list[float]:
    return [one["iou"] for one in by_seed.values()]


if __name__ == "__main__":
    main()
