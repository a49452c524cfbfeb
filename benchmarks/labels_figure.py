"""The figure of docs/few-labels.md: flood IoU against labels, and what is gained over plain labels.

python -m benchmarks.labels_figure docs/images/few-labels.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.labels_tables import DATA_SETS, FEW, OF_NOTHING, dense_iou, fitting, gains
from benchmarks.record import RESULTS
from floodloom.files import read_json

_MARKERS = {"chips": "o", "clicks": "^", "pixels": "s", "scribbles": "D"}
_LINES = ("-", "--", ":", "-.", (0, (1, 3)))  # of what needs no label
_APART = 0.09  # of the methods of an amount
_LINEAR = 5  # points up to which gains are drawn to scale, and beyond by their logarithm
_TICKS = (-20, -10, -5, -2, 0, 2, 5, 10, 20, 50, 100)
Points = list[tuple[int, list[float]]]
"""Labelled pixels of an amount, and the share of the dense IoU of every seed."""


def main() -> None:
    """Draw."""
    draw(read_json(RESULTS / "labels.json")["rows"]).savefig(Path(sys.argv[1]), dpi=100)


def draw(rows: dict[str, Any]) -> Figure:
    """Return the figure: two axes and a legend for each data set, a colour for each method."""
    measured = [name for name in DATA_SETS if dense_iou(rows.get(name, {}))]
    figure = Figure(figsize=(13, 4.5 * len(measured)), layout="constrained")
    axes = figure.subplots(len(measured), 2, squeeze=False, width_ratios=(1.2, 1))
    for (left, right), data_set in zip(axes, measured, strict=True):
        _draw_shares(left, rows[data_set], data_set)
        _draw_gains(right, rows[data_set], data_set)
        handles: dict[str, Artist] = {}
        for handle, title in zip(*left.get_legend_handles_labels(), strict=True):
            handles.setdefault(title, handle)
        right.legend(
            handles.values(), handles, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    return figure


def _draw_shares(axis: Axes, found: dict[str, Any], data_set: str) -> None:
    """Draw IoU against labelled pixels, as a share of what all labels give on the same ground."""
    dense = dense_iou(found)
    for number, (method, title) in enumerate(fitting(data_set, "chips-100").items()):
        for kind, marker in _MARKERS.items():
            points = _points(found, kind, method, dense)
            _draw_points(axis, points, f"C{number}", marker, title)
    for line, (method, title) in zip(_LINES, OF_NOTHING.items(), strict=True):
        if shares := _shares(found.get("none", {}).get(method, {}), dense):
            axis.axhline(mean(shares), color="0.5", linestyle=line, linewidth=1, label=title)
    axis.set(
        xscale="log",
        xlabel="labelled pixels (o whole chips, ▲ clicks, ■ a share of pixels, ◆ scribbles)",
        ylabel="IoU, share of that with all labels",
        title=data_set,
    )
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)


def _draw_gains(axis: Axes, found: dict[str, Any], data_set: str) -> None:
    """Draw what methods gain over cross-entropy where few chips are labelled, each seed a dot."""
    methods = [method for method in fitting(data_set, "chips-100") if method != "supervised"]
    for number, method in enumerate(methods, 1):
        for place, amount in enumerate(FEW):
            points = list(gains(found, amount, method).values())
            x = place + _APART * (number - (len(methods) + 1) / 2)
            axis.plot([x] * len(points), points, "o", color=f"C{number}", alpha=0.7, markersize=6)
    axis.axhline(0, color="C0", linewidth=1.2)
    axis.set_yscale("symlog", linthresh=_LINEAR)
    axis.set(
        xticks=range(len(FEW)),
        xticklabels=FEW.values(),
        xlim=(-0.6, len(FEW) - 0.4),
        ylabel="points of IoU over cross-entropy, each seed",
        title=f"{data_set}, few chips",
        yticks=_TICKS,
        yticklabels=_TICKS,
    )
    axis.grid(alpha=0.3, axis="y")


def _draw_points(axis: Axes, points: Points, color: str, marker: str, title: str) -> None:
    """Draw the mean of the seeds against labelled pixels, and a dot for every seed."""
    if not points:
        return
    pixels, scores = zip(*points, strict=True)
    means = [mean(one) for one in scores]
    axis.plot(pixels, means, linewidth=1.2, markersize=5, color=color, marker=marker, label=title)
    for number, one in points:
        axis.plot([number] * len(one), one, ".", color=color, alpha=0.4, markersize=4)


def _points(found: dict[str, Any], kind: str, method: str, dense: dict[str, float]) -> Points:
    """Return the points of the amounts of a kind, by their labelled pixels."""
    by_seed = [
        methods[method]
        for amount, methods in found.items()
        if amount.startswith(kind) and _shares(methods.get(method, {}), dense)
    ]
    return sorted(
        (next(iter(one.values()))["labelled_pixels"], _shares(one, dense)) for one in by_seed
    )


def _shares(by_seed: dict[str, dict[str, float]], dense: dict[str, float]) -> list[float]:
    return [one["iou"] / dense[seed] for seed, one in by_seed.items() if seed in dense]


if __name__ == "__main__":
    main()
