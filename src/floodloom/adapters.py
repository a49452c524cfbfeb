"""What an adapter of a data set is, and what those of chips and of scenes share."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.files import regular_file
from floodloom.log import get_logger
from floodloom.raster.foreign import Kind, count_bytes, open_foreign
from floodloom.raster.grid import geobox_of
from floodloom.raster.recipe import Recipe
from floodloom.sentinel1.backscatter import scene_of
from floodloom.sentinel1.presets import BackscatterProduct
from floodloom.sentinel1.settings import BackscatterSettings
from floodloom.tiles.labels import place_labels, require_declared
from floodloom.tiles.outlines import burn_labels
from floodloom.tiles.overlay import LabelledScene
from floodloom.tiles.settings import Split
from floodloom.tiles.store import tile_dataset

_SOME = 10


@dataclass(frozen=True)
class Chips:
    """Image chips of one size, without a place.

    `image` is (chip, band, y, x) float32 normalised with NaN = no data, `label` (chip, y, x)
    uint8 with 255 = ignore, `optical` (chip, channel, y, x) float32 reflectance-like 0-1 with
    NaN = missing. `tile_label` is 1 for a chip that is known to hold class 1, 0 for one that holds
    none, 255 for one of which nothing is known as a whole.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    names: Sequence[str]
    events: Sequence[str]
    splits: Sequence[str]
    recipe: Recipe
    classes: Sequence[str]
    optical: NDArray[np.float32] | None = None
    channels: Sequence[str] = field(default=())
    tile_label: Sequence[int] | None = None


@dataclass(frozen=True)
class SceneAdapter:
    """A data set of scenes that have a place, or at least neighbours.

    Attributes
    ----------
    title
        What it is called, for messages and attributes.
    published
        Address that it is published at.
    names
        Lists the scenes below the folder of the data set.
    read
        Reads the scene of a name.
    """

    title: str
    published: str
    names: Callable[[Path], Sequence[str]]
    read: Callable[[Path, str], LabelledScene]

    def scenes(self, root: Path) -> Iterator[LabelledScene]:
        """Yield every scene below `root`, one after the other."""
        for name in self.names(root):
            yield self.read(root, name)

    def scene(self, root: Path, name: str) -> LabelledScene:
        """Return the scene of this name.

        Raises
        ------
        InputError
            If there is none.
        """
        names = sorted(self.names(root))
        if name not in names:
            have = ", ".join(names[:_SOME]) + (", …" if len(names) > _SOME else "") or "none"
            raise InputError(
                f"{root}: no {self.title} scene {name}; found: {have}; published: {self.published}"
            )
        return self.read(root, name)


@dataclass(frozen=True)
class ChipAdapter:
    """A data set of chips without a place.

    Attributes
    ----------
    title
        What it is called, for messages.
    published
        Address that it is published at.
    read
        Reads all chips below the folder of the data set.
    """

    title: str
    published: str
    read: Callable[[Path], Chips]


def require_root(root: Path, needed: str, title: str, source: str) -> Path:
    """Return `root` if the data set lies there.

    Raises
    ------
    InputError
        One line: what is missing, where it is published and which key to set.
    """
    if not (root / needed).is_dir():
        raise InputError(
            f"{root / needed}: {title} not found; it is published at {source}: "
            "fetch it and set `data_root` (or --root) to its folder"
        )
    return root


_log = get_logger(__name__)

_LARGEST_CHIP = 4096  # px


def read_png(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit PNG as (y, x) or (y, x, channel).

    Raises
    ------
    InputError
        If the file is missing, damaged, no such PNG, or larger than any chip.
    """
    regular_file(path, "PNG")
    try:
        with Image.open(path, formats=("PNG",)) as image:
            width, height = image.size
            if max(width, height) > _LARGEST_CHIP:
                raise InputError(
                    f"{path}: {height:,} x {width:,} px; chips have at most {_LARGEST_CHIP:,}"
                )
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable PNG ({error}); fetch it again") from error
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: {pixels.dtype} values, not 8 bits; fetch it again")
    return pixels


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit PNG of 0 and 255 as (y, x) 0 and 1; what is neither is unknown, 255.

    Raises
    ------
    InputError
        If it is a coloured one, or as `read_png`.
    """
    values = read_png(path)
    if values.ndim != 2:
        raise InputError(f"{path}: a picture of {values.shape[2]} bands, no mask; fetch it again")
    full = values == np.iinfo(np.uint8).max
    strange = values[(values != 0) & ~full]
    mask: NDArray[np.uint8] = full.astype(np.uint8)
    if not strange.size:
        return mask
    _log.warning(
        "%s: %d px are neither 0 nor 255, such as %d; taken as unknown",
        path, strange.size, strange[0],
    )  # fmt: skip
    mask[(values != 0) & ~full] = IGNORE
    return mask


@dataclass(frozen=True)
class Part:
    """Which part of a data set a scene is: the flood that it shows, and the side of the split."""

    event: str = ""
    split: Split | None = None


def _no_part(root: Path, name: str) -> Part:
    return Part()


_OUTLINES = (".gpkg", ".fgb", ".geojson", ".json", ".shp")


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
        return None
    if area is None:
        raise InputError(
            f"{flood}: where was looked for floods isn't known; put the area, as polygons, into "
            f"{root / layout.outlines[1]}/{name}{flood.suffix}"
        )
    return burn_labels(flood, area, geobox, permanent)


def _vector_file(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{ending}" for ending in _OUTLINES)
    return next((path for path in paths if path.exists()), None)


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
    if chips.tile_label is not None:
        index["tile_label"] = list(chips.tile_label)
    return tile_dataset(
        chips.image, chips.label, index, chips.recipe, chips.classes, chips.optical, chips.channels
    )
