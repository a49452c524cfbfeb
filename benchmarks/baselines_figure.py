"""The picture of docs/baselines.md: one simulated chip, its truth, and the map of every baseline.

python -m benchmarks.baselines_figure docs/images/baselines.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from floodloom.classical.baseline import map_water
from floodloom.classical.choices import BASELINES
from floodloom.classical.scene import BackscatterScene
from floodloom.simulate.chips import make_chip

SEED = 900_009
COLUMNS = 4
_SIDE = 256
_SHOWN_DB = (-26.0, -4.0)


def main() -> None:
    """Draw."""
    chip = make_chip(SEED, _SIDE)
    power = np.where(chip.valid, chip.after, np.nan).astype(np.float32)
    bands = {
        name: xr.DataArray(band, dims=("y", "x"))
        for name, band in zip(chip.polarisations, power, strict=True)
    }
    scene = BackscatterScene(bands, is_filtered=chip.sensor.filtered)
    names = [n for n in BASELINES.own_names if not BASELINES.load(n).compares_dates]
    pictures = {
        "VV, dB": 10 * np.log10(np.maximum(power[0], 1e-6)),
        "truth": np.where(chip.label > 0, 100, 0),
    }
    for name in names:
        pictures[name] = map_water(scene, name, BASELINES.load(name)).percent
    rows = -(-len(pictures) // COLUMNS)
    figure = Figure(figsize=(2.2 * COLUMNS, 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, (name, picture) in zip(axes, pictures.items(), strict=False):
        (low, high), colours = ((0, 100), "Blues")
        if name == "VV, dB":
            (low, high), colours = _SHOWN_DB, "gray"
        shown = np.ma.masked_where(picture == 255, picture)
        axis.imshow(shown, vmin=low, vmax=high, cmap=colours, interpolation="nearest")
        axis.set_title(name, fontsize=9)
    figure.savefig(Path(sys.argv[1]), dpi=90)


if __name__ == "__main__":
    main()
