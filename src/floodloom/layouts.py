"""Data sets that are folders of GeoTIFFs: chips on a grid, with labels as rasters or outlines."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.adapters import SceneAdapter, require_root
from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.files import regular_file
from floodloom.raster.foreign import Kind, count_bytes, open_foreign
from floodloom.raster.grid import geobox_of
from floodloom.sentinel1.backscatter import scene_of
from floodloom.sentinel1.presets import BackscatterProduct
from floodloom.sentinel1.settings import BackscatterSettings
from floodloom.tiles.label_files import ENDINGS, holds_features
from floodloom.tiles.labels import place_labels, require_declared
from floodloom.tiles.outlines import burn_labels
from floodloom.tiles.overlay import LabelledScene
from floodloom.tiles.settings import Split
from floodloom.tiles.sparse_labels import burn_sparse_labels, names_classes


@dataclass(frozen=True)
class Part:
    """Which part of a data set a scene is: the flood that it shows, and the side of the split."""

    event: str = ""
    split: Split | None = None


def _no_part(root: Path, name: str) -> Part:
    return Part()


@dataclass(frozen=True)
class Layout:
    """Where the files of a data set lie below its root.

    Attributes
    ----------
    title, published
        See `SceneAdapter`.
    bands
        For each band a pattern in which `{name}` is the chip, and the number of the band in that
        file.
    label
        Pattern of the label raster.
    water, dry
        Its values that mean water and none; every other value is unknown.
    unknown
        Its values that are unknown because the authors define it so.
    outlines
        Folders of vector files that may stand in for label rasters, each called like its chip: of
        the flood, of the area that was looked at, and of permanent water. Empty: none may.
    backscatter
        What the bands are: decibel in which exactly 0 stands for missing data, unless it is
        something else.
    part
        From root and chip to the part of the data set that it is.
    """

    title: str
    published: str
    bands: dict[str, tuple[str, int]]
    label: str
    water: tuple[int, ...] = (1,)
    dry: tuple[int, ...] = (0,)
    unknown: tuple[int, ...] = ()
    outlines: tuple[str, ...] = ()
    backscatter: BackscatterSettings = field(
        default_factory=lambda: BackscatterSettings(
            scale="db", quantity="sigma0", nodata=(0.0,), flattened=False
        )
    )
    part: Callable[[Path, str], Part] = _no_part


def scene_adapter(layout: Layout) -> SceneAdapter:
    """Return the adapter of a data set that lies in this way."""

    def names(root: Path) -> list[str]:
        return chip_names(root, layout)

    def read(root: Path, name: str) -> LabelledScene:
        return read_chip(root, layout, name)

    return SceneAdapter(layout.title, layout.published, names, read)


def chip_names(root: Path, layout: Layout) -> list[str]:
    """Return the names of the chips below `root`, sorted.

    Raises
    ------
    InputError
        If the data set isn't there.
    """
    pattern = layout.bands["vv"][0]
    require_root(root, str(Path(pattern).parent), layout.title, layout.published)
    before, _, after = pattern.partition("{name}")
    prefix = before.rpartition("/")[2]
    paths = sorted(root.glob(before + "*" + after))
    return [path.name.removeprefix(prefix).removesuffix(after) for path in paths]


def read_chip(root: Path, layout: Layout, name: str) -> LabelledScene:
    """Read one chip with its label as a small scene of its own.

    Parameters
    ----------
    root
        Folder of the data set.
    layout
        Where its files lie.
    name
        Name of the chip.

    Returns
    -------
    LabelledScene
        Linear power, NaN where data are missing, read when it is asked for; labels 0 dry, 2 water
        of unstated permanence, 255 unknown (everywhere in chips without a label file).
        `tile_label` if the data set has a table of what chips hold as a whole, see
        `read_image_label`.

    Raises
    ------
    InputError
        If a file is missing or the files don't fit together.
    """
    product = BackscatterProduct(
        title=layout.title,
        bands={
            band: root / pattern.format(name=name) for band, (pattern, _) in layout.bands.items()
        },
        numbers={band: number for band, (_, number) in layout.bands.items()},
    )
    scene = scene_of(product, layout.backscatter, name=name, log=False, placed=False)
    label = _label(root, layout, name, geobox_of(scene))
    whole = read_image_label(root / IMAGE_LABELS, name)
    if whole is not None:
        scene["tile_label"] = (("y", "x"), np.full(label.shape, whole, dtype=np.uint8))
    part = layout.part(root, name)
    scene = scene.assign_attrs(title=f"{layout.title}, {name}")
    return LabelledScene(name, scene, label, event=part.event, split=part.split)


IMAGE_LABELS = "labels.csv"
"""Table below the root of a data set: columns `chip` and `water`, which is 0, 1 or nothing."""


def read_image_label(path: Path, name: str) -> int | None:
    """Return what a table knows of a chip as a whole.

    Parameters
    ----------
    path
        The table (.csv), see `IMAGE_LABELS`.
    name
        Name of the chip.

    Returns
    -------
    int or None
        1 if it holds water, 0 if it holds none, 255 if that is unknown; None without a table.

    Raises
    ------
    InputError
        If the table can't be read, lacks a column, or holds another value.
    """
    if not path.exists():
        return None
    regular_file(path, "table of labels")
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            known = {row["chip"]: (row["water"] or "").strip() for row in csv.DictReader(lines)}
    except KeyError as error:
        raise InputError(f"{path}: no column {error}; give chip and water") from error
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: not a readable table ({error}); write it anew") from error
    value = known.get(name, "")
    if value not in ("", "0", "1"):
        raise InputError(f"{path}: chip {name}: water is {value!r}; give 1, 0, or nothing")
    return int(value) if value else IGNORE


def _label(root: Path, layout: Layout, name: str, geobox: GeoBox) -> NDArray[np.uint8]:
    path = root / layout.label.format(name=name)
    if not path.exists():
        outlined = _outlined(root, layout, name, geobox)
        unknown = np.full(tuple(geobox.shape.yx), IGNORE, dtype=np.uint8)
        return unknown if outlined is None else outlined

    def code(values: NDArray[np.float32]) -> NDArray[np.uint8]:
        label = np.full(values.shape, IGNORE, dtype=np.uint8)
        label[np.isin(values, layout.dry)] = 0
        label[np.isin(values, layout.water)] = 2
        return label

    raster = open_foreign(path, Kind("label raster"))
    label = place_labels(raster, geobox, code, (*layout.dry, *layout.water))
    if IGNORE not in layout.unknown:
        require_declared(raster, count_bytes(label))
    return label


def _outlined(root: Path, layout: Layout, name: str, geobox: GeoBox) -> NDArray[np.uint8] | None:
    """Labels of a chip from vector files, None where there are none."""
    if not layout.outlines:
        return None
    flood, area, permanent = (_vector_file(root / folder, name) for folder in layout.outlines)
    if flood is None:
        by_class = root / layout.outlines[0] / name
        return burn_sparse_labels(by_class, geobox) if holds_features(by_class) else None
    if names_classes(flood):
        if area is not None:
            raise InputError(
                f"{area}: the area of outlines, but {flood} has the `class` of each feature; "
                "take away the area, or the column"
            )
        return burn_sparse_labels(flood, geobox)
    if area is None:
        raise InputError(
            f"{flood}: where was looked for floods isn't known; put the area, as polygons, into "
            f"{root / layout.outlines[1]}/{name}{flood.suffix}, or name what each feature shows in "
            "a column `class`"
        )
    return burn_labels(flood, area, geobox, permanent)


def _vector_file(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{ending}" for ending in ENDINGS)
    return next((path for path in paths if path.exists()), None)
