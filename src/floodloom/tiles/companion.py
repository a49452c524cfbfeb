"""The optical image that stands beside a scene."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from floodloom.raster.grid import geobox_of
from floodloom.sentinel1.polarisations import POLARISATIONS
from floodloom.sentinel2.pair import Pairing, pair_optical
from floodloom.sentinel2.settings import PairingSettings
from floodloom.tiles.inputs import to_decibel


def companion(
    path: str | Path, scene: xr.Dataset, settings: PairingSettings, bands: tuple[str, ...] = ()
) -> Pairing:
    """Bring an optical image onto a scene's grid, if it may stand beside it.

    Parameters
    ----------
    path
        Optical raster.
    scene
        Scene store; its backscatter shows whether the two lie on one another, and its dask chunks
        give those of the image their heights.
    settings
        What makes it a companion.
    bands
        Bands of the image to read, all when none is named.

    Raises
    ------
    InputError
        As `floodloom.sentinel2.pair.pair_optical`.
    """
    band = next((name for name in POLARISATIONS if name in scene), None)
    radar = None if band is None else to_decibel(scene[band])
    acquired = str(scene.attrs.get("acquisition_time", ""))
    rows = scene.chunksizes.get("y")
    return pair_optical(
        path,
        geobox_of(scene),
        settings,
        bands=bands,
        radar=radar,
        acquired=acquired,
        rows=rows,
    )
