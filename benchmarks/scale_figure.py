"""The picture of docs/scale.md: hours from a scene's arrival to its map, by the number of cores.

python -m benchmarks.scale_figure docs/images/scale.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.record import RESULTS
from benchmarks.scale_tables import TITLES
from floodloom.files import read_json

_SHARES = {"50": "median", "90": "90 % of the scenes", "99": "99 % of the scenes"}


def main() -> None:
    """Draw."""
    found = read_json(RESULTS / "scale.json")["plan"]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axis, (name, title) in zip(figure.subplots(1, 2), TITLES.items(), strict=True):
        rows = found["latency"][name]["cores"]
        cores = [int(number) for number in rows]
        for share, label in _SHARES.items():
            hours = [row["hours"][share] for row in rows.values()]
            axis.plot(cores, hours, marker="o", label=label)
        least = found["needs"][name]["cores_at_least"]
        axis.axvline(least, color="grey", linestyle=":", label=f"least: {least:.1f} cores")
        axis.set(title=title, xlabel="cores", yscale="log", ylabel="hours to the map")
        axis.set_xscale("log")
        axis.set_xticks(cores, [str(number) for number in cores])
        axis.minorticks_off()
        ticks = [0.5, 1, 2, 5, 10, 20, 50, 100]
        low, high = axis.get_ylim()
        shown = [tick for tick in ticks if low <= tick <= high]
        axis.set_yticks(shown, [f"{tick:g}" for tick in shown])
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.savefig(Path(sys.argv[1]), dpi=110)


if __name__ == "__main__":
    main()
