"""The rasters of a flood map, with the colours and names of their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from floodloom.arrays import Bytes
from floodloom.errors import InputError
from floodloom.mapping.exclusion import REASON_NAMES, UNDER_PLANTS, Reason
from floodloom.raster.areas import PixelAreas, Wholes
from floodloom.raster.cog import CogProfile, cog_writer
from floodloom.raster.grid import geobox_of
from floodloom.raster.opener import open_raster
from floodloom.raster.product import CLASS_COLUMN, FloodClass
from floodloom.raster.rows import ReadRows, Rows
from floodloom.raster.styles import Ramp
from floodloom.raster.windows import most_planned, require_pixels

COLOURS = {
    FloodClass.DRY.value: (238, 238, 238, 255),
    FloodClass.PERMANENT.value: (31, 78, 121, 255),
    FloodClass.FLOOD.value: (230, 85, 13, 255),
    FloodClass.EXCLUDED.value: (120, 120, 120, 255),
}
"""Colours of the classes, RGBA, distinguishable under colour blindness. Dry ground is opaque, since
it would look like ground that nobody saw."""

CLASS_TEXTS = {
    FloodClass.DRY.value: "no water",
    FloodClass.PERMANENT.value: "permanent water",
    FloodClass.FLOOD.value: "flood",
    FloodClass.EXCLUDED.value: "excluded: not observable by radar",
    FloodClass.NODATA.value: "no data",
}
"""What the classes mean."""

_LIKELIHOOD = Ramp(
    {0: (255, 255, 255, 0), 20: (253, 208, 162, 255), 50: (253, 141, 60, 255),
     100: (166, 54, 3, 255)},
    "%",
)  # fmt: skip
_DEPTH = Ramp(
    {0: (222, 235, 247, 255), 1: (107, 174, 214, 255), 2: (33, 113, 181, 255),
     5: (8, 48, 107, 255)},
    "m",
)  # fmt: skip

_LARGEST = 255  # value of a byte

REASON_TEXTS = {
    Reason.NONE.value: "not excluded",
    **REASON_NAMES,
    **UNDER_PLANTS,
    FloodClass.NODATA.value: CLASS_TEXTS[FloodClass.NODATA.value],
}
"""What the values of a flood map's second band mean."""


def flood_map_profile(geobox: GeoBox, tags: Mapping[str, str]) -> CogProfile:
    """Describe the file of a flood map.

    Classes are band 1, reasons of exclusion and flooded vegetation band 2, 255 = no data in both.
    Names of the values and a style lie beside it, see `floodloom.raster.product`.
    """
    return CogProfile(
        geobox=geobox,
        dtype="uint8",
        nodata=FloodClass.NODATA.value,
        count=2,
        descriptions=("flood class", "reason of exclusion, flooded vegetation"),
        colormap=COLOURS,
        meanings=(CLASS_TEXTS, REASON_TEXTS),
        patches=CLASS_COLUMN,
        tags={**tags, "FLOODLOOM_PRODUCT": "flood_map"},
    )


def map_bands(classes: Bytes, reasons: Bytes) -> Bytes:
    """Return the bands of a flood map, (2, y, x) uint8, by its classes and reasons."""
    nodata = FloodClass.NODATA.value
    return np.stack([classes, np.where(classes == nodata, np.uint8(nodata), reasons)])


def describe_map(path: str | Path) -> tuple[GeoBox, dict[str, str]]:
    """Return grid and tags of a flood map.

    Raises
    ------
    InputError
        If it can't be read, is too large, or isn't a flood map of floodloom's.
    """
    with open_raster(path, "flood map") as raster:
        if raster.count != 2 or set(raster.dtypes) != {"uint8"}:
            raise InputError(f"{path}: no flood map of floodloom's; give one that `delineate` made")
        require_pixels(raster.height, raster.width, str(path), most_planned())
        tags = dict(raster.tags())
    return geobox_of(path), tags


def rows_of_map(path: str | Path, *, band: int = 1) -> Rows:
    """Return a band of a flood map, (y, x) uint8, by rows: classes, or of 2 the reasons."""
    height, width = geobox_of(path).shape.yx

    def read(start: int, stop: int) -> Bytes:
        with open_raster(path, "flood map") as raster:
            values: Bytes = raster.read(band, window=Window(0, start, width, stop - start))
        return values

    return ReadRows((height, width), read)


def likelihood_profile(geobox: GeoBox, tags: Mapping[str, str]) -> CogProfile:
    """Describe the file of the likelihood of flood, uint8 percent, 255 = no data."""
    return CogProfile(
        geobox=geobox,
        dtype="uint8",
        nodata=FloodClass.NODATA.value,
        descriptions=("likelihood of flood, percent",),
        unit=_LIKELIHOOD.unit,
        ramp=_LIKELIHOOD,
        tags={**tags, "FLOODLOOM_PRODUCT": "flood_likelihood"},
    )


def write_depth(
    depth: NDArray[np.float32], path: str | Path, *, geobox: GeoBox, tags: Mapping[str, str]
) -> Path:
    """Write the depth of the flood, (y, x) float32, m, NaN = no flood or unknown."""
    profile = CogProfile(
        geobox=geobox,
        dtype="float32",
        nodata=np.nan,
        descriptions=("flood depth, m",),
        unit=_DEPTH.unit,
        ramp=_DEPTH,
        tags={**tags, "FLOODLOOM_PRODUCT": "flood_depth"},
    )
    with cog_writer(path, profile) as raster:
        raster.write(depth, 1)
    return Path(path)


@dataclass
class AreaSums:
    """Areas of the classes and reasons of a map, summed up by strips.

    Parameters
    ----------
    areas
        Areas of the pixels; without a CRS, hectares are pixels / 10 000.
    """

    areas: PixelAreas
    classes: Wholes = field(default_factory=lambda: np.zeros(_LARGEST + 1, np.int64))
    reasons: Wholes = field(default_factory=lambda: np.zeros(_LARGEST + 1, np.int64))

    def add(self, classes: Bytes, reasons: Bytes, start: int) -> None:
        """Add rows from one on, (row, x) uint8 each."""
        self.classes += self.areas.whole_sums(classes, _LARGEST, start)
        self.reasons += self.areas.whole_sums(reasons, _LARGEST, start)

    def of_classes(self) -> dict[str, float]:
        """Return the area of each class by its name, ha."""
        return self._named(self.classes, {level.name.lower(): level.value for level in FloodClass})

    def of_reasons(self) -> dict[str, float]:
        """Return the area that each reason excludes by its text, ha, where it excludes any."""
        found = self._named(self.reasons, {text: value for value, text in REASON_NAMES.items()})
        return {text: area for text, area in found.items() if area > 0}

    def of_vegetation(self) -> float:
        """Return the area of the flood that was seen under plants, ha."""
        return self._named(self.reasons, {"": Reason.UNDER_PLANTS.value})[""]

    def _named(self, sums: Wholes, meanings: Mapping[str, int]) -> dict[str, float]:
        hectares = sums / self.areas.scale / 10_000
        return {name: round(float(hectares[value]), 4) for name, value in meanings.items()}
