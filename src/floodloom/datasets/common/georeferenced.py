"""Georeferenced chips in folders of GeoTIFFs.

One layout per data set holds where the bands and labels lie; everything else is shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from floodloom.datasets.common.adapter import LabelledScene, SceneAdapter, require_root
from floodloom.errors import InputError
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.grid import spacing_m
from floodloom.raster.nodata import IGNORE
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp
from floodloom.sentinel1.backscatter import BACKSCATTER, linear_power, require_scale
from floodloom.tiles.labels import place_labels, require_declared

_DECIBEL = BACKSCATTER["decibel"]


@dataclass(frozen=True)
class Layout:
    """Where the files of a data set lie below its root.

    `bands` maps a band to a pattern in which `{name}` is the chip and to the band number in that
    file; `label` is the pattern of the label. `water` are the label values that mean water and
    `dry` those that mean none; every other value is unknown, those of `unknown` because the
    authors define it so. `empty` is a value in decibel that stands for missing data.
    """

    title: str
    published: str
    bands: dict[str, tuple[str, int]]
    label: str
    water: tuple[int, ...] = (1,)
    dry: tuple[int, ...] = (0,)
    unknown: tuple[int, ...] = ()
    empty: float | None = 0.0


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
        Folder of the data set; bands in decibel.
    layout
        Where its files lie.
    name
        Name of the chip.

    Returns
    -------
    LabelledScene
        Linear power, NaN where data are missing; labels 0 dry, 2 water of unstated permanence,
        255 unknown (everywhere in chips without a label file).

    Raises
    ------
    InputError
        If a file is missing or the files don't fit together.
    """
    found = {
        band: (open_foreign(root / pattern.format(name=name), _DECIBEL, bands=None), number)
        for band, (pattern, number) in layout.bands.items()
    }
    grids = {raster.path: raster.geobox for raster, _ in found.values()}
    geobox = next(iter(grids.values()))
    for path, grid in grids.items():
        if grid != geobox:
            raise InputError(f"{path}: lies on another grid than {next(iter(grids))}")
    scene = xr.Dataset(
        {
            band: wrap_xr(_power(raster, number, layout), geobox, nodata=None)
            for band, (raster, number) in found.items()
        },
        attrs={"title": f"{layout.title}, {name}"},
    )
    label = _label(root / layout.label.format(name=name), layout, geobox)
    recipe = Recipe(quantity="sigma0", spacing=_spacing(geobox))
    return LabelledScene(name, stamp(scene, recipe), label)


def _spacing(geobox: GeoBox) -> float:
    resolution = float(abs(geobox.resolution.x))
    return resolution if geobox.crs is None else spacing_m(resolution, geobox.crs)


def _power(raster: ForeignRaster, band: int, layout: Layout) -> NDArray[np.float32]:
    require_scale(raster.numbers(band=band), "decibel", raster.path)
    decibel = raster.read(band=band)
    if layout.empty is not None:
        decibel[decibel == layout.empty] = np.nan
    return linear_power(decibel, "decibel")


def _label(path: Path, layout: Layout, geobox: GeoBox) -> NDArray[np.uint8]:
    if not path.exists():
        return np.full(tuple(geobox.shape.yx), IGNORE, dtype=np.uint8)

    def code(values: NDArray[np.float32]) -> NDArray[np.uint8]:
        label = np.full(values.shape, IGNORE, dtype=np.uint8)
        label[np.isin(values, layout.dry)] = 0
        label[np.isin(values, layout.water)] = 2
        return label

    raster = open_foreign(path, Kind("label raster"))
    label = place_labels(raster, geobox, code, (*layout.dry, *layout.water))
    if IGNORE not in layout.unknown:
        require_declared(raster, label)
    return label
