"""Georeferenced chips in folders: Sen1Floods11, STAC Overflow, or your own.

One layout per data set says where the bands and labels lie; everything else is shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from floodloom.datasets.scenes import LabelledScene, require_root
from floodloom.errors import InputError
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.grid import spacing_m
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp
from floodloom.sentinel1.backscatter import BACKSCATTER, linear_power, require_scale
from floodloom.tiles.labels import place_labels, require_told
from floodloom.tiles.store import IGNORE

_DECIBEL = BACKSCATTER["decibel"]


@dataclass(frozen=True)
class Layout:
    """Where the files of a data set lie below its root.

    `bands` maps a band to a pattern in which `{name}` is the chip and to the band number in that
    file; `label` is the pattern of the label. `water` are the label values that mean water and
    `dry` those that mean none; every other value is unknown, `unknown` by the authors' own word.
    `empty` is a value in decibel that stands for missing data.
    """

    title: str
    published: str
    bands: dict[str, tuple[str, int]]
    label: str
    water: tuple[int, ...] = (1,)
    dry: tuple[int, ...] = (0,)
    unknown: tuple[int, ...] = ()
    empty: float | None = 0.0


SEN1FLOODS11 = Layout(
    title="Sen1Floods11",
    published="https://github.com/cloudtostreet/Sen1Floods11",
    bands={"vv": ("S1Hand/{name}_S1Hand.tif", 1), "vh": ("S1Hand/{name}_S1Hand.tif", 2)},
    label="LabelHand/{name}_LabelHand.tif",
    unknown=(-1,),
)
STAC_OVERFLOW = Layout(
    title="STAC Overflow",
    published="https://www.drivendata.org/competitions/81/detect-flood-water/",
    bands={"vv": ("features/{name}_vv.tif", 1), "vh": ("features/{name}_vh.tif", 1)},
    label="labels/{name}.tif",
    unknown=(IGNORE,),
)
FOLDER = Layout(
    title="GeoTIFF folder",
    published="your own archive",
    bands={"vv": ("vv/{name}.tif", 1), "vh": ("vh/{name}.tif", 1)},
    label="labels/{name}.tif",
    water=(1, 2),
)


def scenes(root: Path, layout: Layout) -> Iterator[LabelledScene]:
    """Yield every chip below `root` as a small scene of its own.

    Parameters
    ----------
    root
        Folder of the data set; bands in decibel.
    layout
        Where its files lie.

    Yields
    ------
    LabelledScene
        Linear power, NaN where data are missing; labels 0 dry, 2 water of unstated permanence,
        255 unknown (everywhere in chips without a label file).

    Raises
    ------
    InputError
        If the data set isn't there or files don't fit together.
    """
    pattern = layout.bands["vv"][0]
    require_root(root, str(Path(pattern).parent), layout.title, layout.published)
    before, _, after = pattern.partition("{name}")
    prefix = before.rpartition("/")[2]
    for path in sorted(root.glob(before + "*" + after)):
        yield read_scene(root, layout, path.name.removeprefix(prefix).removesuffix(after))


def read_scene(root: Path, layout: Layout, name: str) -> LabelledScene:
    """Read one chip with its label."""
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
        require_told(raster, label)
    return label
