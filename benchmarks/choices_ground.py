"""What the trainings of `make bench-choices` learn from: simulated chips, labelled in many ways.

Every seed has chips of its own; those that are scored are the same for all. Features are set as a
person would set them who sees the truth, written to a file on another map grid and read as
`floodloom tile` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import xarray as xr
from affine import Affine
from rasterio.features import shapes
from scipy.ndimage import binary_erosion
from shapely.geometry import LineString, Point, shape

from benchmarks.baseline_scenes import Scene, simulated
from floodloom.arrays import IGNORE, Bytes
from floodloom.raster.grid import geobox_of
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp
from floodloom.tiles.annotator import clicks
from floodloom.tiles.labels import labels_on_grid
from floodloom.tiles.overlay import LabelledScene, cut_scene
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import concatenate_tiles, with_labels, write_tiles

CHIPS, HELD_OUT, TEST, TILE = 8, 1, 6, 32
FEW = 2
"""Of the chips, those with labels where few have some."""
MORE_HELD_OUT = 5
"""Chips held out beside the others where few have labels: relabelling refuses networks by what they
score there, which one chip, of which a three-hundredth is water, can't tell."""
CLICKS, ROWS, PATCHES = 10, 10, 4
"""Points, lines and polygons of a chip, of all classes together; polygons, of each."""
_FIRST = 7_200_000  # seeds that nothing was trained, chosen or looked at with
_APART = 1_000
_RECIPE = Recipe(quantity="sigma0", noise_removed=True, spacing=10.0)
"""As that of STAC Overflow, to which networks are transferred."""
_CLASSES = {0: "dry", 1: "water"}

Annotation = Callable[[Scene, Path, int], Bytes]
"""From a chip, a folder to write to and a seed to its labels (y, x): 0, 1, or 255 unknown."""


def write_ground(folder: Path, kind: str, seed: int) -> Path:
    """Write the stores of a kind of labels of a seed: `labelled` and `unlabelled`.

    Parameters
    ----------
    folder
        Where they go.
    kind
        One of `KINDS`.
    seed
        Of the chips, and of what is drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chips = _chips(seed)
    held, chips = chips[:HELD_OUT], chips[HELD_OUT:]
    labelled, rest = (chips[:FEW], chips[FEW:]) if kind == "few" else (chips, chips)
    samples = (TILE_COUNT if kind == "balanced patches" else None, seed)
    annotate = ANNOTATIONS.get(kind, _dense)
    training = _cut(labelled, "train", lambda scene: annotate(scene, folder, seed), *samples)
    if kind == "images":
        training = _as_a_whole(training)
    if kind == "few":
        first = _FIRST + _APART * (1 + seed) + _APART // 2
        held = [*held, *simulated(first, MORE_HELD_OUT)]
    validation = _elsewhere(_cut(held, "validation", lambda scene: scene.water))
    if kind == "images":
        validation = _as_a_whole(validation)
    write_tiles(concatenate_tiles([training, validation]), folder / "labelled.zarr")
    write_tiles(_hidden(_cut(rest, "target", lambda scene: scene.water)),
                folder / "unlabelled.zarr")  # fmt: skip
    return folder


@cache
def _chips(seed: int) -> list[Scene]:
    return list(simulated(_FIRST + _APART * (1 + seed), CHIPS + HELD_OUT))


TILE_COUNT = (256 // TILE) ** 2
"""Tiles of a chip, by the regular plan as at random."""


def write_test(folder: Path) -> Path:
    """Write the tiles that are scored, with both polarisations and without VH."""
    folder.mkdir(parents=True, exist_ok=True)
    tiles = _cut(list(simulated(_FIRST, TEST)), "test", lambda scene: scene.water)
    write_tiles(tiles, folder / "unseen.zarr")
    lost = tiles["image"].copy(data=tiles["image"].values.copy())
    lost[:, 1] = 0.0
    write_tiles(tiles.assign(image=lost), folder / "unseen-vh-lost.zarr")
    return folder


def _cut(
    chips: Sequence[Scene],
    split: Any,
    label_of: Callable[[Scene], Bytes],
    samples: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Return the tiles of chips, by the regular plan or balanced at random."""
    settings = TileSettings(size=TILE, samples=samples, seed=seed, split=split)
    return concatenate_tiles([
        cut_scene(
            LabelledScene(f"{split}-{number}", stamp(chip.store, _RECIPE), label_of(chip)),
            None,
            settings,
        )
        for number, chip in enumerate(chips)
    ])  # fmt: skip


def _elsewhere(tiles: xr.Dataset) -> xr.Dataset:
    """Return tiles a degree to the east: simulated chips all lie in one place."""
    return tiles.assign_coords({side: tiles[side] + 1.0 for side in ("left", "right")})


def _dense(scene: Scene, folder: Path, seed: int) -> Bytes:
    return scene.water


def _points(water: Bytes, place: Affine, seed: int) -> Iterator[tuple[int, Any]]:
    """Yield points in the inside of regions."""
    found = clicks(CLICKS)(water, np.random.default_rng(seed))
    for row, col in np.argwhere(found != IGNORE):
        yield int(found[row, col]), Point(place @ (col + 0.5, row + 0.5))


def _lines(water: Bytes, place: Affine, seed: int) -> Iterator[tuple[int, Any]]:
    """Yield level lines, each along the longest run of a class in a row that is drawn."""
    random = np.random.default_rng(seed)
    for number in range(ROWS):
        value = number % 2
        rows = np.flatnonzero((water == value).sum(axis=1) > 2)
        if not rows.size:
            continue
        row = int(random.choice(rows))
        ends = np.flatnonzero(np.diff(np.pad(water[row] == value, 1).astype(np.int8)))
        first, after = max(ends.reshape(-1, 2).tolist(), key=lambda run: run[1] - run[0])
        if after - first > 2:
            yield value, LineString([place @ (x, row + 0.5) for x in (first + 1, after - 1)])


def _polygons(water: Bytes, place: Affine, seed: int) -> Iterator[tuple[int, Any]]:
    """Yield the insides of the largest regions of each class, roughly outlined."""
    for value in (0, 1):
        inside = binary_erosion(water == value, iterations=2)
        outlines = [shape(one) for one, _ in shapes(inside.astype("u1"), inside, transform=place)]
        for one in sorted(outlines, key=lambda area: -area.area)[:PATCHES]:
            yield value, one.simplify(abs(place.a))


def _features(draw: Callable[[Bytes, Affine, int], Iterator[tuple[int, Any]]]) -> Annotation:
    """Return labels that go through a file of features in another reference system."""

    def annotate(scene: Scene, folder: Path, seed: int) -> Bytes:
        grid = geobox_of(scene.store)
        found = list(draw(scene.water, grid.affine, seed))
        frame = {"class": [_CLASSES[value] for value, _ in found],
                 "geometry": [geometry for _, geometry in found]}  # fmt: skip
        path = folder / "labels.gpkg"
        gpd.GeoDataFrame(frame, crs=str(grid.crs)).to_crs(4326).to_file(path)
        return labels_on_grid(path, grid)

    return annotate


ANNOTATIONS: dict[str, Annotation] = {
    "points": _features(_points),
    "lines": _features(_lines),
    "polygons": _features(_polygons),
}
KINDS = ("dense", "balanced patches", "few", "images", *ANNOTATIONS)


def _hidden(tiles: xr.Dataset) -> xr.Dataset:
    return with_labels(tiles, np.full(tiles["label"].shape, IGNORE, dtype=np.uint8))


def _as_a_whole(tiles: xr.Dataset) -> xr.Dataset:
    """Return tiles of which only whether they hold water is known."""
    whole = (tiles["label"].values == 1).any(axis=(1, 2)).astype(np.uint8)
    return _hidden(tiles).assign_coords(tile_label=("tile", whole))
