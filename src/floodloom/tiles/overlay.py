"""A scene with all that lies over it, cut into tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.raster.grid import geobox_of
from floodloom.raster.store import open_store
from floodloom.sentinel1.bands import POLARISATIONS
from floodloom.sentinel2.pair import Pairing, pair_optical
from floodloom.sentinel2.settings import PairingSettings
from floodloom.tiles.cut import Source, cut_tiles
from floodloom.tiles.inputs import compose_inputs, inputs_recipe, to_decibel
from floodloom.tiles.labels import labels_on_grid, water_labels
from floodloom.tiles.settings import TileSettings


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


_CLASSES = ("dry", "water")


@dataclass(frozen=True)
class Overlay:
    """A scene store, with labels and perhaps an optical image on its grid.

    `label` is (y, x) uint8: 0 dry, 1 permanent water, 2 flood, 255 unknown; `optical` (channel, y,
    x) float32 reflectance with NaN = cloud or missing.
    """

    name: str
    scene: xr.Dataset
    label: NDArray[np.uint8]
    optical: xr.DataArray | None = None


def scene_overlays(
    scenes: Sequence[Path], labels: Path | None, optical: Path | None, settings: TileSettings
) -> Iterator[Overlay]:
    """Yield each scene with the label raster and the optical image on its grid.

    Raises
    ------
    InputError
        If there is no scene, or a file can't be read or placed.
    """
    if not scenes:
        raise InputError("tile: neither a scene nor a data set was given; set --scene or --dataset")
    for path in scenes:
        scene = open_store(path)
        geobox = geobox_of(scene)
        shape = tuple(geobox.shape.yx)
        label = (
            np.full(shape, IGNORE, dtype=np.uint8)
            if labels is None
            else labels_on_grid(labels, geobox)
        )
        image = None if optical is None else companion(optical, scene, settings).image
        yield Overlay(Path(path).stem, scene, label, image)


def cut_overlay(overlay: Overlay, before: xr.Dataset | None, settings: TileSettings) -> xr.Dataset:
    """Cut the tiles out of a scene.

    Parameters
    ----------
    overlay
        The scene and what lies over it.
    before
        Scene store before the event, for bands that begin with `before_`.
    settings
        Bands, their scaling, and where tiles are cut.

    Returns
    -------
    Dataset
        Tiles with their index, see `floodloom.tiles.cut.cut_tiles`.
    """
    recipe = inputs_recipe(overlay.scene, settings.bands, settings.normalisation)
    attributes = overlay.scene.attrs
    orbit = f"{attributes.get('orbit_direction', '')}-{attributes.get('relative_orbit', '')}"
    source = Source(
        inputs=compose_inputs(overlay.scene, recipe, before=before),
        label=water_labels(overlay.label),
        event=settings.event or overlay.name,
        scene=overlay.name,
        orbit_pass=orbit,
        optical=overlay.optical,
        whole=overlay.scene["tile_label"].values if "tile_label" in overlay.scene else None,
    )
    return cut_tiles(source, recipe, classes=_CLASSES, settings=settings)
