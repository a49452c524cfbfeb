"""Scenes, labels and optical images → a tile store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.datasets import DATASETS
from floodloom.datasets.common.adapter import ChipAdapter, Chips, SceneAdapter
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.names import require_events
from floodloom.outputs import writes
from floodloom.raster.grid import geobox_of
from floodloom.raster.nodata import IGNORE
from floodloom.raster.recipe import Normalisation
from floodloom.raster.store import open_store
from floodloom.sentinel2.pair import PairingRules
from floodloom.tiles.companion import companion
from floodloom.tiles.cut import Source, TilePlan, cut_tiles
from floodloom.tiles.inputs import compose_inputs, inputs_recipe
from floodloom.tiles.labels import labels_on_grid, water_labels
from floodloom.tiles.store import concatenate_tiles, tile_dataset, write_tiles

_CLASSES = ("dry", "water")


@writes("out")
def tile(
    *,
    out: Path,
    scene: Sequence[Path] = (),
    before: Path | None = None,
    labels: Path | None = None,
    optical: Path | None = None,
    dataset: str | None = None,
    root: Path | None = None,
    event: str = "",
    split: str = "train",
    bands: Sequence[str] = ("vv", "vh"),
    db_range: Sequence[float] = (-30.0, 5.0),
    normalisation: Normalisation = "fixed",
    size: int = 128,
    stride: int | None = None,
    samples: int | None = None,
    minimum_valid: float = 0.5,
    block_shares: Sequence[float] = (0.6, 0.2, 0.2),
    optical_bands: Sequence[str] = (),
    optical_names: Sequence[str] = (),
    optical_gap_days: float | None = 10.0,
    optical_shift: float = 10.0,
    seed: int = 0,
) -> Path:
    """Cut scenes or a published data set into aligned tiles.

    Parameters
    ----------
    out
        Tile store to write (.zarr).
    scene
        Scene stores of one event; with `labels`, these describe every one of them.
    before
        Pre-event scene store, for bands that begin with `before_`.
    labels
        Label raster: 0 dry, 1 permanent water, 2 flood, 255 unknown.
    optical
        Optical raster of the same days: reflectance bands and, if there is one, a cloud mask or
        scene classification.
    dataset
        Name of a published data set, instead of `scene`.
    root
        Folder of that data set.
    event
        Name of the event, for the index.
    split
        train, validation, test or target; `blocks` splits each scene from west to east.
    bands
        Input bands in order.
    db_range
        Decibel range mapped to -1..1.
    normalisation
        fixed: backscatter is scaled by `db_range`; scene: by the statistics of its whole scene.
        Display values always are.
    size
        Side of a tile, px.
    stride
        Step of the regular plan, px; the tile size when not given.
    samples
        Number of class-balanced tiles drawn at random, instead of the regular plan.
    minimum_valid
        Least share of pixels with data, 0-1.
    block_shares
        Shares of training, validation and test ground when `split` is blocks.
    optical_bands
        Bands of the optical image to keep, such as green, nir, swir; all when none is named.
    optical_names
        Names of the bands of an optical image that doesn't describe them.
    optical_gap_days
        Greatest time between the optical image and the scene, days; none doesn't look.
    optical_shift
        Shift up to which an optical image is moved onto the scene, px; 0 doesn't look.
    seed
        Seed of the random draw.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If inputs are missing or don't fit together, or `event` is no name.
    """
    require_events(event)
    plan = TilePlan(
        split=split,
        size=size,
        stride=stride,
        samples=samples,
        minimum_valid=minimum_valid,
        block_shares=tuple(block_shares),
        seed=seed,
    )
    rules = PairingRules(
        tuple(optical_bands), tuple(optical_names), optical_gap_days, optical_shift
    )
    adapter = None if dataset is None else DATASETS.load(dataset)
    if isinstance(adapter, ChipAdapter):
        tiles = chip_tiles(adapter.read(_require_root(dataset, root)))
    else:
        overlays = (
            _scene_overlays(scene, labels, optical, rules)
            if adapter is None
            else _dataset_overlays(adapter, _require_root(dataset, root))
        )
        earlier = None if before is None else open_store(before)
        limits = (float(db_range[0]), float(db_range[1]))
        parts = [
            _cut(overlay, earlier, event, (tuple(bands), limits, normalisation), plan)
            for overlay in overlays
        ]
        tiles = concatenate_tiles(parts)
    if tiles.sizes["tile"] == 0:
        raise InputError(
            f"{out}: no tile of {size} px holds {minimum_valid:.0%} valid pixels; "
            "lower `size` or `minimum_valid`, or check the scene's footprint"
        )
    get_logger(__name__).info("%s: %d tiles", out, tiles.sizes["tile"])
    return write_tiles(tiles, out)


@dataclass(frozen=True)
class _Overlay:
    name: str
    scene: xr.Dataset
    label: NDArray[np.uint8]
    optical: xr.DataArray | None = None


def _cut(
    overlay: _Overlay,
    before: xr.Dataset | None,
    event: str,
    scaling: tuple[tuple[str, ...], tuple[float, float], Normalisation],
    plan: TilePlan,
) -> xr.Dataset:
    recipe = inputs_recipe(overlay.scene, *scaling)
    attributes = overlay.scene.attrs
    orbit = f"{attributes.get('orbit_direction', '')}-{attributes.get('relative_orbit', '')}"
    source = Source(
        inputs=compose_inputs(overlay.scene, recipe, before=before),
        label=water_labels(overlay.label),
        event=event or overlay.name,
        scene=overlay.name,
        orbit_pass=orbit,
        optical=overlay.optical,
        whole=overlay.scene["tile_label"].values if "tile_label" in overlay.scene else None,
    )
    return cut_tiles(source, recipe, classes=_CLASSES, plan=plan)


def _scene_overlays(
    scenes: Sequence[Path], labels: Path | None, optical: Path | None, rules: PairingRules
) -> Iterator[_Overlay]:
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
        image = None if optical is None else companion(optical, scene, rules).image
        yield _Overlay(Path(path).stem, scene, label, image)


def _dataset_overlays(adapter: SceneAdapter, root: Path) -> Iterator[_Overlay]:
    for found in adapter.scenes(root):
        yield _Overlay(found.name, found.scene, found.label)


def _require_root(dataset: str | None, root: Path | None) -> Path:
    if root is None:
        raise InputError(f"tile: --dataset {dataset} needs --root, the folder it lies in")
    return Path(root)


def chip_tiles(chips: Chips) -> xr.Dataset:
    """Return chips, which have no place on a grid, as tiles."""
    count = len(chips.names)
    index: dict[str, list[object]] = {
        "tile_id": list(chips.names),
        "event": list(chips.events),
        "scene": list(chips.names),
        "split": list(chips.splits),
        "row": [0] * count,
        "col": [0] * count,
    }
    return tile_dataset(
        chips.image, chips.label, index, chips.recipe, chips.classes, chips.optical, chips.channels
    )
