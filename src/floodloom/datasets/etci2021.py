"""ETCI 2021 (NASA IMPACT): 256 px PNG tiles whose names hold their place in the scene.

The pixels are display-stretched 8-bit values of VV and VH without georeference. `flood_label`
contains permanent water, `water_body_label` is permanent water alone. It is published in three
folders: `train`, `test`, whose labels came out after the competition, and `test_internal` without
flood labels; scenes in these are on that side of the split.

Source: NASA IMPACT, ETCI 2021 Competition on Flood Detection,
https://nasa-impact.github.io/etci2021/
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.adapters import SceneAdapter, read_mask, read_png, require_root
from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.files import regular_file
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp
from floodloom.raster.windows import require_pixels
from floodloom.tiles.inputs import standardisation
from floodloom.tiles.overlay import LabelledScene
from floodloom.tiles.settings import Split

TITLE = "ETCI 2021"
PUBLISHED = "https://nasa-impact.github.io/etci2021/"
TILE = 256
_BLANK = {0, 255}
_SPARSEST, _FEW = 20, 400
_SPLITS: dict[str, Split] = {"train": "train", "test": "test", "test_internal": "target"}
_NAME = re.compile(r"(?P<scene>.+)_x-(?P<row>\d+)_y-(?P<col>\d+)(_v[vh])?\.png$")


def scene_names(root: Path) -> list[str]:
    """Return the names of the scenes below `root`, labelled and unlabelled.

    Raises
    ------
    InputError
        If there is none.
    """
    folders = _scene_folders(root)
    if not folders:
        require_root(root, "labelled", TITLE, PUBLISHED)
    return sorted(folders)


def _scene_folders(root: Path) -> dict[str, Path]:
    return {tiles.parent.name: tiles for tiles in root.glob("**/tiles") if tiles.is_dir()}


def read_scene(root: Path, name: str) -> LabelledScene:
    """Rebuild the mosaic of a scene from the rows and columns in its tiles' names.

    Parameters
    ----------
    root
        Folder that holds `<...>/<scene>/tiles/{vv,vh,flood_label,water_body_label}`.
    name
        Name of the scene's folder.

    Returns
    -------
    LabelledScene
        `vv` and `vh` 0-255 float32 (display values, no unit), NaN where there is no tile or a
        tile is blank in both bands; labels are 255 there, and everywhere in scenes without any.
        `tile_label` uint8 is 1 where a tile is known to hold water, 0 where it holds none, 255
        elsewhere, in scenes with a `labels.csv`.

    Raises
    ------
    InputError
        If the scene or its tiles are missing.
    """
    folders = _scene_folders(root)
    if name not in folders:
        have = ", ".join(sorted(folders)) or "none"
        raise InputError(f"{root}: no {TITLE} scene {name}; found: {have}; published: {PUBLISHED}")
    tiles = folders[name]
    positions = _positions(tiles / "vv")
    vv = _mosaic(tiles / "vv", positions, np.nan, suffix="_vv")
    vh = _mosaic(tiles / "vh", positions, np.nan, suffix="_vh")
    blank = np.isnan(vv) | (np.isin(vv, list(_BLANK)) & np.isin(vh, list(_BLANK)))
    vv[blank] = vh[blank] = np.nan
    scene = _dataset(name, vv, vh)
    whole = _tile_level_labels(tiles, positions, vv.shape)
    if whole is not None:
        scene["tile_label"] = (("y", "x"), whole)
    place, split = name.rpartition("_")[0], _SPLITS.get(tiles.parent.parent.name)
    return LabelledScene(name, scene, _labels(tiles, positions, blank), event=place, split=split)


def _positions(folder: Path) -> dict[tuple[int, int], str]:
    found = {}
    for path in sorted(folder.glob("*.png")):
        match = _NAME.match(path.name)
        if match:
            stem = path.stem.removesuffix("_vv")
            found[int(match["row"]), int(match["col"])] = stem
    if not found:
        raise InputError(f"{folder}: no tile named <scene>_x-<row>_y-<col>_vv.png; see {PUBLISHED}")
    _require_together(folder, found)
    return found


def _require_together(folder: Path, positions: dict[tuple[int, int], str]) -> None:
    """Refuse tiles whose names put them so far apart that they aren't of one scene."""
    rows, cols = zip(*positions, strict=True)
    height, width = max(rows) - min(rows) + 1, max(cols) - min(cols) + 1
    if height * width > _SPARSEST * len(positions) + _FEW:
        raise InputError(
            f"{folder}: {len(positions)} tiles are spread over {height:,} x {width:,}; the numbers "
            "in their names are damaged, fetch them again"
        )
    require_pixels(height * TILE, width * TILE, str(folder))


def _mosaic(
    folder: Path,
    positions: dict[tuple[int, int], str],
    fill: float,
    read: Callable[[Path], NDArray[np.uint8]] = read_png,
    suffix: str = "",
) -> NDArray[np.float32]:
    rows, cols = zip(*positions, strict=True)
    top, left = min(rows), min(cols)
    shape = (max(rows) - top + 1) * TILE, (max(cols) - left + 1) * TILE
    mosaic = np.full(shape, fill, dtype=np.float32)
    for (row, col), stem in positions.items():
        y, x = (row - top) * TILE, (col - left) * TILE
        path = folder / f"{stem}{suffix}.png"
        tile = read(path)
        if tile.shape[:2] != (TILE, TILE):
            raise InputError(f"{path}: {tile.shape[:2]} px, not {TILE} x {TILE}; fetch it again")
        mosaic[y : y + TILE, x : x + TILE] = tile if tile.ndim == 2 else tile[..., 0]
    return mosaic


def _labels(
    tiles: Path, positions: dict[tuple[int, int], str], blank: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    label = np.full(blank.shape, IGNORE, dtype=np.uint8)
    if (tiles / "flood_label").is_dir():
        flood = _mosaic(tiles / "flood_label", positions, IGNORE, read_mask)
        permanent = _mosaic(tiles / "water_body_label", positions, IGNORE, read_mask)
        label[(flood == 0) & (permanent == 0)] = 0
        label[(flood == 1) & (permanent == 0)] = 2
        label[permanent == 1] = 1
        label[blank] = IGNORE
    return label


def _dataset(name: str, vv: NDArray[np.float32], vh: NDArray[np.float32]) -> xr.Dataset:
    event, _, stamp_text = name.rpartition("_")
    try:
        when = np.datetime64(f"{stamp_text[:4]}-{stamp_text[4:6]}-{stamp_text[6:8]}")
    except ValueError as error:
        raise InputError(f"{name}: no date in the scene's name; keep its published one") from error
    dataset = xr.Dataset(
        {band: (("y", "x"), values) for band, values in (("vv", vv), ("vh", vh))},
        attrs={
            "title": f"{TITLE}, {event}",
            "acquisition_time": str(when),
            "statistics": json.dumps({"vv": standardisation(vv), "vh": standardisation(vh)}),
        },
    )
    return stamp(dataset, Recipe(quantity="display"))


def _tile_level_labels(
    folder: Path, positions: dict[tuple[int, int], str], shape: tuple[int, ...]
) -> NDArray[np.uint8] | None:
    """1 where a tile holds water, 0 where it holds none, by `labels.csv`; None without it."""
    table = folder / "labels.csv"
    if not table.exists():
        return None
    regular_file(table, "table of labels")
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            known = {
                str(row["tile"]).removesuffix(".png"): _wet(
                    (row["flood_label"], row["water_body_label"])
                )
                for row in csv.DictReader(lines)
            }
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise InputError(f"{table}: not a readable table ({error}); fetch it again") from error
    rows, cols = zip(*positions, strict=True)
    label = np.full(shape, IGNORE, dtype=np.uint8)
    for (row, col), stem in positions.items():
        y, x = (row - min(rows)) * TILE, (col - min(cols)) * TILE
        label[y : y + TILE, x : x + TILE] = known.get(stem, IGNORE)
    return label


def _wet(labels: Sequence[str | None]) -> int:
    """1 if any label is 1, 0 if all are 0, 255 otherwise."""
    if "1" in labels:
        return 1
    return 0 if all(label == "0" for label in labels) else IGNORE


DATASET = SceneAdapter(TITLE, PUBLISHED, scene_names, read_scene)
