"""Graph cut: water and land of the least energy, of levels and of boundaries.

After Boykov and Jolly (2001), Interactive graph cuts for optimal boundary and region segmentation
of objects in N-D images, ICCV, 105-112: E(x) = sum_p R_p(x_p) + smoothness * sum_pq B_pq [x_p !=
x_q], over pairs of the eight neighbours, B_pq = exp(-|I_p - I_q|^2 / (2 contrast^2)) / dist(p, q).
What differs: nobody marks seeds; R_p is the negative logarithm of the probability of the levels,
by the two classes of another baseline. Each block's energy is the least that there is (Greig,
Porteous and Seheult 1989). The percent is that of the levels, put to 50 at least in water and to 49
at most on land.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from floodloom.arrays import Doubles, Floats, Mask
from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.blocks import map_blocks, no_water
from floodloom.classical.graph_cuts import Nodes, least_energy
from floodloom.classical.pixel_classes import ClassArguments
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.thresholds import percent_of

_CONTRAST = {True: 3.0, False: 0.8}
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))


class CutArguments(ClassArguments):
    """What boundaries cost."""

    smoothness: float = Field(
        default=0.7, ge=0, le=100, description="Cost of a boundary between two equal pixels"
    )
    contrast: float | None = Field(
        default=None,
        gt=0,
        description="Difference of levels at which a boundary costs less by exp(-1/2); when not "
        "given, 3 dB or 0.8 standard deviations of display values",
    )


def pairs_of_pixels(levels: Floats, contrast: float) -> tuple[Nodes, Doubles]:
    """Return the pairs of neighbours among the pixels that have data, and their bonds B.

    Parameters
    ----------
    levels
        (band, y, x) float32, NaN in all bands where there are no data.
    contrast
        In the units of the levels.

    Returns
    -------
    edges
        (edge, 2) int64 numbers of pixels, row by row, among those that have data.
    bonds
        (edge,) float64, 0-1.
    """
    known = np.isfinite(levels[0])
    number = np.full(known.shape, -1, np.int64)
    number[known] = np.arange(int(known.sum()))
    edges, bonds = [], []
    for down, right in _STEPS:
        one, other = _shifted(number, down, right), _shifted(number, -down, -right)
        squares = sum(
            np.square(_shifted(band, down, right) - _shifted(band, -down, -right))
            for band in levels.astype(np.float64)
        )
        both = (one >= 0) & (other >= 0)
        edges.append(np.stack([one[both], other[both]], axis=1))
        distance = np.hypot(down, right)
        bonds.append(np.exp(-squares[both] / len(levels) / (2 * contrast**2)) / distance)
    return np.concatenate(edges), np.concatenate(bonds)


def put_on_its_side(percent: Floats, water: Mask) -> Floats:
    """Return percent of any shape, 50 or more where `water` and 49 or less elsewhere."""
    return np.where(water, np.maximum(percent, 50), np.minimum(percent, 49)).astype(np.float32)


def _shifted(values, down: int, right: int):  # type: ignore[no-untyped-def]
    """Values (y, x) without the rows and columns that a pixel so far away lacks."""
    rows = slice(max(-down, 0), values.shape[0] - max(down, 0))
    cols = slice(max(-right, 0), values.shape[1] - max(right, 0))
    return values[rows, cols]


def _map(scene: BackscatterScene, arguments: CutArguments) -> WaterMap:
    odds = arguments.odds(scene)
    if not odds.by_band:
        return WaterMap(no_water(scene), found=odds.found)
    contrast = arguments.contrast or _CONTRAST[scene.has_power]

    def work(levels: Floats) -> Floats:
        known = np.isfinite(levels[0])
        unary = odds.at(dict(zip(scene.bands, levels[:, known], strict=True)))
        edges, bonds = pairs_of_pixels(levels, contrast)
        water = least_energy(-unary.astype(np.float64), edges, arguments.smoothness * bonds)
        percent = np.zeros(known.shape, np.float32)
        percent[known] = put_on_its_side(percent_of(unary), water)
        return percent

    percent = map_blocks(scene, arguments.block, arguments.overlap, work)
    return WaterMap(percent, odds.thresholds, odds.found)


BASELINE = Baseline(
    _map,
    source="Boykov and Jolly 2001, ICCV, 105-112",
    arguments=CutArguments,
)
