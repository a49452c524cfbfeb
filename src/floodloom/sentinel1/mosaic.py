"""The scenes of one pass on one grid, lazily, in blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed

from floodloom.raster.flags import Flag
from floodloom.raster.windows import Window
from floodloom.sentinel1.geocode import ANGLES, Geocoding, Layers, geocode_block

_BLOCKS = 16


@dataclass(frozen=True)
class Part:
    """A calibrated scene (line, pixel), and how it is put onto the grid."""

    scene: Mapping[str, xr.DataArray]
    plan: Geocoding


def mosaic_layers(parts: Sequence[Part], bands: tuple[str, ...], chunk: int) -> dict[str, da.Array]:
    """Geocode the scenes of one pass into one mosaic.

    Parameters
    ----------
    parts
        The scenes; where they overlap, the first that saw the ground counts.
    bands
        Names of the backscatter layers.
    chunk
        Greatest side of the blocks that are worked on at once, px.

    Returns
    -------
    dict
        (y, x) dask arrays, as `geocode_block` gives them.
    """
    plan = parts[0].plan
    height, width = plan.geobox.shape.yx
    side = min(chunk, _side(height * width, max(part.plan.margin for part in parts)))
    shared = delayed(list(parts), traverse=False)
    block = delayed(_mosaicked_block)
    dtypes: dict[str, Any] = {**dict.fromkeys((*bands, *ANGLES), np.float32), "flags": np.uint8}
    rows: dict[str, list[list[da.Array]]] = {name: [] for name in dtypes}
    for row in range(0, height, side):
        windows = [
            Window(row, col, min(side, height - row), min(side, width - col))
            for col in range(0, width, side)
        ]
        made = [block(shared, bands, window) for window in windows]
        for name, dtype in dtypes.items():
            rows[name].append(
                [
                    da.from_delayed(layers[name], (w.height, w.width), dtype)  # type: ignore[no-untyped-call]
                    for layers, w in zip(made, windows, strict=True)
                ]
            )
    return {name: da.block(blocks) for name, blocks in rows.items()}  # type: ignore[no-untyped-call]


def _side(pixels: int, margin: int) -> int:
    """Return a side at which a small grid gives every worker something to do, margins the less."""
    return max(math.ceil(math.sqrt(pixels / _BLOCKS) / 256) * 256, 256, 4 * margin)


def _mosaicked_block(parts: Sequence[Part], bands: tuple[str, ...], window: Window) -> Layers:
    first, *others = parts
    merged = geocode_block(first.scene, bands, first.plan, window)
    for part in others:
        unseen = merged["flags"] & Flag.NODATA.value > 0
        if not unseen.any():
            break
        other = geocode_block(part.scene, bands, part.plan, window)
        seen = unseen & (other["flags"] & Flag.NODATA.value == 0)
        for name, layer in merged.items():
            layer[seen] = other[name][seen]
        # What none of them saw keeps the reasons of all.
        merged["flags"][unseen & ~seen] |= other["flags"][unseen & ~seen]
    return merged
