"""Scenes, labels and optical images → a tile store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from floodloom.adapters import ChipAdapter, chip_tiles
from floodloom.datasets import DATASETS
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.names import require_events
from floodloom.outputs import writes
from floodloom.raster.store import open_store
from floodloom.tiles.cut import LEAST_VALID
from floodloom.tiles.overlay import Wanted, cut_scene, labelled_scenes
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import concatenate_tiles, write_tiles


@writes("out")
def tile(
    *,
    out: Path,
    scene: Sequence[Path] = (),
    before: Path | None = None,
    labels: Path | None = None,
    optical: Path | None = None,
    dem: Path | None = None,
    checkpoint: Path | None = None,
    settings: TileSettings = TileSettings(),
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
        Label raster: 0 dry, 1 permanent water, 2 flood, 255 unknown; or points, lines and polygons
        with their classes, beside which all is unknown.
    optical
        Optical raster of the same days: reflectance bands and, if there is one, a cloud mask or
        scene classification.
    dem
        Elevation raster, or a folder of its tiles, for the bands `elevation`, `slope` and
        `height_above_drainage`.
    checkpoint
        Checkpoint that is trained on with these tiles: bands and scaling are its own, bands that
        its scenes may lack are 0, and settings of them aren't looked at.
    settings
        What is cut how, and which side of the split it is on.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If inputs are missing, don't fit together or aren't used with a data set, or `event` is no
        name.
    """
    require_events(settings.event)
    adapter = None if settings.dataset is None else DATASETS.load(settings.dataset)
    own = {"scene": scene, "labels": labels, "optical": optical}
    if isinstance(adapter, ChipAdapter):
        more = {"before": before, "dem": dem, "checkpoint": checkpoint}
        _require_unneeded({**own, **more}, settings)
        tiles = chip_tiles(adapter.read(_root(settings)))
    else:
        if adapter is not None:
            _require_unneeded(own, settings)
        scenes = (
            labelled_scenes(scene, labels, optical, settings)
            if adapter is None
            else adapter.scenes(_root(settings))
        )
        earlier = None if before is None else open_store(before)
        wanted = None if checkpoint is None else Wanted.by(checkpoint)
        tiles = concatenate_tiles([
            cut_scene(found, earlier, settings, wanted, dem) for found in scenes
        ])  # fmt: skip
    if tiles.sizes["tile"] == 0:
        raise InputError(
            f"{out}: no tile of {settings.size} px holds {LEAST_VALID:.0%} valid pixels; lower "
            "`size`, or check the scene's footprint"
        )
    get_logger(__name__).info("%s: %d tiles", out, tiles.sizes["tile"])
    return write_tiles(tiles, out)


def _require_unneeded(
    files: Mapping[str, Path | Sequence[Path] | None], settings: TileSettings
) -> None:
    """Check that none of the files is given, for which a data set has its own or no use."""
    for name, given in files.items():
        if given:
            raise InputError(
                f"tile: --{name} {given if isinstance(given, Path) else given[0]} would not be "
                f"used: data set {settings.dataset} gives its own image bands and labels; leave "
                "it out"
            )


def _root(settings: TileSettings) -> Path:
    if settings.root is None:
        raise InputError(f"tile: --dataset {settings.dataset} needs --root, the folder it lies in")
    return settings.root
