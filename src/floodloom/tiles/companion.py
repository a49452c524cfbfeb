"""The optical image that stands beside a scene."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from floodloom.raster.grid import geobox_of
from floodloom.sentinel1.polarisations import POLARISATIONS
from floodloom.sentinel2.pair import Pairing, PairingRules, pair_optical
from floodloom.tiles.inputs import to_decibel


def companion(path: str | Path, scene: xr.Dataset, rules: PairingRules) -> Pairing:
    """Bring an optical image onto a scene's grid, if it may stand beside it.

    Parameters
    ----------
    path
        Optical raster.
    scene
        Scene store; its backscatter shows whether the two lie on one another, and its dask chunks
        give those of the image their heights.
    rules
        What makes it a companion.

    Raises
    ------
    InputError
        As `floodloom.sentinel2.pair.pair_optical`.
    """
    band = next((name for name in POLARISATIONS if name in scene), None)
    radar = None if band is None else to_decibel(scene[band])
    acquired = str(scene.attrs.get("acquisition_time", ""))
    rows = scene.chunksizes.get("y")
    return pair_optical(path, geobox_of(scene), rules, radar=radar, acquired=acquired, rows=rows)
