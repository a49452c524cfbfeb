"""The figure of docs/few-labels.md: flood IoU against the number of labelled pixels.

python -m benchmarks.labels_figure docs/images/few-labels.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.figure import Figure

from benchmarks.labels_tables import DATA_SETS, OF_PIXELS
from benchmarks.record import RESULTS
from floodloom.files import read_json

_MARKERS = {"chips": "o", "clicks": "^", "pixels": "s", "scribbles": "D"}


def main() -> None:
    """Draw."""
    draw(read_json(RESULTS / "labels.json")["rows"]).savefig(Path(sys.argv[1]), dpi=100)


def draw(rows: dict[str, Any]) -> Figure:
    """Return the figure: an axis for each data set, a colour for each method."""
    measured = [name for name in DATA_SETS if rows.get(name)]
    figure = Figure(figsize=(5.5 * len(measured), 4), layout="constrained")
    axes = figure.subplots(1, len(measured), squeeze=False)[0]
    for axis, data_set in zip(axes, measured, strict=True):
        for number, (method, title) in enumerate(OF_PIXELS.items()):
            for kind, marker in _MARKERS.items():
                points = sorted(_points(rows[data_set], kind, method))
                if points:
                    pixels, scores = zip(*points, strict=True)
                    style = {"marker": marker, "color": f"C{number}", "label": f"{title}, {kind}"}
                    axis.plot(pixels, scores, linestyle="-" if len(points) > 1 else "none", **style)
        axis.set(xscale="log", xlabel="labelled pixels", ylabel="IoU of flood", title=data_set)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    return figure


def _points(found: dict[str, Any], kind: str, method: str) -> list[tuple[float, float]]:
    """Return labelled pixels and mean IoU of the amounts of a kind."""
    by_seed = [
        list(methods[method].values())
        for amount, methods in found.items()
        if amount.startswith(kind) and method in methods
    ]
    return [(one[0]["labelled_pixels"], mean(row["iou"] for row in one)) for one in by_seed]


if __name__ == "__main__":
    main()
