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
from floodloom.raster.recipe import Accepted, Recipe
from floodloom.raster.store import open_store, recipe_of
from floodloom.sentinel1.bands import POLARISATIONS
from floodloom.sentinel2.pair import Pairing, pair_optical
from floodloom.sentinel2.settings import PairingSettings
from floodloom.tiles.cut import Source, cut_tiles
from floodloom.tiles.inputs import compose_inputs, inputs_recipe, to_decibel
from floodloom.tiles.labels import labels_on_grid, water_labels
from floodloom.tiles.settings import Split, TileSettings
from floodloom.tiles.store import state_accepted
from floodloom.tiles.terrain import with_terrain


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
class LabelledScene:
    """A scene with what lies over it on its grid.

    Attributes
    ----------
    name
        Of the scene.
    scene
        Scene store: (y, x) float32, NaN = no data, with recipe and, of display values, statistics.
    label
        (y, x) uint8: 0 dry, 1 permanent water, 2 flood, 255 unknown.
    optical
        (channel, y, x) float32 reflectance, NaN = cloud or missing.
    before
        Scene store before the flood.
    event
        Flood that it shows, where its data set has several.
    split
        Side of the split that its data set publishes, if it does.
    """

    name: str
    scene: xr.Dataset
    label: NDArray[np.uint8]
    optical: xr.DataArray | None = None
    before: xr.Dataset | None = None
    event: str = ""
    split: Split | None = None


@dataclass(frozen=True)
class Wanted:
    """The recipe of a checkpoint, and what else it takes."""

    recipe: Recipe
    accepts: Accepted | None

    @classmethod
    def by(cls, checkpoint: Path) -> Wanted:
        """Read what a checkpoint wants; CheckpointError if it can't be read."""
        from floodloom.learning.checkpoint import read_metadata  # brings torch

        described = read_metadata(checkpoint)
        accepts = described.get("accepts")
        return cls(
            Recipe.model_validate(described["recipe"]),
            None if accepts is None else Accepted.model_validate(accepts),
        )

    def recipe_of(self, scene: xr.Dataset, name: str) -> Recipe:
        """Return the recipe of a scene's tiles; RecipeMismatchError if it isn't taken."""
        own = recipe_of(scene)
        self.recipe.require_scene(own, name, self.accepts)
        recipe = self.recipe
        return own.for_inputs(recipe.bands, recipe.db_range, recipe.normalisation)


def labelled_scenes(
    scenes: Sequence[Path], labels: Path | None, optical: Path | None, settings: TileSettings
) -> Iterator[LabelledScene]:
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
        yield LabelledScene(Path(path).stem, scene, label, image)


def cut_scene(
    labelled: LabelledScene,
    before: xr.Dataset | None,
    settings: TileSettings,
    wanted: Wanted | None = None,
    dem: Path | None = None,
) -> xr.Dataset:
    """Cut the tiles out of a scene.

    Parameters
    ----------
    labelled
        The scene and what lies over it.
    before
        Scene store before the event, for bands that begin with `before_`; of a data set, its own.
    settings
        Bands, their scaling, and where tiles are cut.
    wanted
        Bands and scaling instead, by a checkpoint.
    dem
        Elevation raster, for bands that come from one.

    Returns
    -------
    Dataset
        Tiles with their index, see `floodloom.tiles.cut.cut_tiles`.
    """
    if wanted is None:
        recipe = inputs_recipe(labelled.scene, settings.bands, settings.normalisation)
        accepts = None
    else:
        recipe, accepts = wanted.recipe_of(labelled.scene, labelled.name), wanted.accepts
    absent = () if accepts is None else accepts.absent
    attributes = labelled.scene.attrs
    orbit = f"{attributes.get('orbit_direction', '')}-{attributes.get('relative_orbit', '')}"
    source = Source(
        inputs=compose_inputs(
            with_terrain(labelled.scene, recipe.bands, dem),
            recipe,
            before=before if labelled.before is None else labelled.before,
            absent=absent,
        ),
        label=water_labels(labelled.label),
        event=labelled.event or settings.event or labelled.name,
        scene=labelled.name,
        orbit_pass=orbit,
        optical=labelled.optical,
        split=labelled.split,
        whole=labelled.scene["tile_label"].values if "tile_label" in labelled.scene else None,
    )
    tiles = cut_tiles(source, recipe, classes=_CLASSES, settings=settings)
    return tiles if accepts is None else state_accepted(tiles, accepts)
