"""The optical image that stands beside a scene."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from floodloom.raster.grid import geobox_of
from floodloom.sentinel2.pair import Pairing, PairingRules, pair_optical
from floodloom.tiles.inputs import POLARISATIONS, to_decibel


def companion(path: str | Path, scene: xr.Dataset, rules: PairingRules) -> Pairing:
    """Bring an optical image onto a scene's grid, if it may stand beside it.

    Parameters
    ----------
    path
        Optical raster.
    scene
        Scene store; its backscatter shows whether the two lie on one another.
    rules
        What makes it a companion.

    Raises
    ------
    InputError
        As `floodloom.sentinel2.pair.pair_optical`.
    """
    band = next((name for name in POLARISATIONS if name in scene), None)
    radar = None if band is None else to_decibel(scene[band]).values
    acquired = str(scene.attrs.get("acquisition_time", ""))
    return pair_optical(path, geobox_of(scene), rules, radar=radar, acquired=acquired)
