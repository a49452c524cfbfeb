"""Rasters as small images that a page can carry."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image

from floodloom.errors import InputError
from floodloom.mapping.products import COLOURS
from floodloom.raster.product import FloodClass
from floodloom.raster.store import recipe_of
from floodloom.sentinel1.bands import POLARISATIONS
from floodloom.sentinel1.decibel import power_to_decibel

GREYS = 63
"""Number of grey steps of a backdrop."""

NO_GREY = 0
"""Step that is no data."""

PAPER = (241, 239, 232)
"""Colour of what isn't seen."""

_OPACITY = {FloodClass.PERMANENT.value: 0.8, FloodClass.FLOOD.value: 0.6}
_HATCH = 7  # px from line to line
_FLOOR = 1e-6
_GAMMA = 1.25


@dataclass(frozen=True)
class Shrunk:
    """How a raster is shrunk: blocks of `factor` px become one; what is left over is dropped."""

    height: int
    width: int
    factor: int

    @classmethod
    def to_fit(cls, height: int, width: int, limit: int) -> Shrunk:
        """Return the smallest factor that brings both sides to at most `limit` px."""
        return cls(height, width, max(-(-max(height, width) // limit), 1))

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width, in pixels of the raster, that the image covers."""
        return (
            self.height // self.factor * self.factor,
            self.width // self.factor * self.factor,
        )

    def every(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the (y, x) value at the centre of each block; classes are never mixed."""
        height, width = self.extent
        middle = self.factor // 2
        return values[middle : height : self.factor, middle : width : self.factor]

    def mean(self, values: xr.DataArray) -> NDArray[np.float32]:
        """Return the mean of each block without its NaN; NaN where a block has no data."""
        if self.factor > 1:
            blocks = values.coarsen(y=self.factor, x=self.factor, boundary="trim")
            values = blocks.mean()
        return np.asarray(values.values, dtype=np.float32)

    def grid(self, geobox: GeoBox) -> GeoBox:
        """Return the grid of the shrunk image."""
        shape = tuple(side // self.factor for side in self.extent)
        return GeoBox(shape, geobox.affine @ Affine.scale(self.factor), geobox.crs)


def backdrop_band(scene: xr.Dataset) -> str:
    """Return the variable of a scene that shows water best by eye.

    Raises
    ------
    InputError
        If the scene has no (y, x) variable.
    """
    names = [str(name) for name, values in scene.data_vars.items() if values.dims == ("y", "x")]
    found = [name for name in (*POLARISATIONS, *names) if name in names]
    if not found:
        raise InputError("scene: no (y, x) variable to show; give a scene store")
    return found[0]


def brightness(scene: xr.Dataset, shrunk: Shrunk) -> NDArray[np.float32]:
    """Return a scene's backdrop (y, x) float32: decibel, or display values; NaN = no data."""
    values = shrunk.mean(scene[backdrop_band(scene)])
    return values if is_display(scene) else decibel(values)


def is_display(scene: xr.Dataset) -> bool:
    """Return whether a scene's values are those of a display, not power."""
    return recipe_of(scene).quantity == "display"


def decibel(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return linear power in decibel; zero becomes -60 dB."""
    return power_to_decibel(np.maximum(power, np.float32(_FLOOR))).astype(np.float32)


def stretch_limits(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the 1st and 99th percentile of the values with data, at least 1e-3 apart."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(known, (1, 99)))
    return low, max(high, low + 1e-3)


def to_greys(values: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.uint8]:
    """Return (y, x) uint8 grey steps from 1 (dark) to `GREYS`; 0 = no data."""
    low, high = limits
    share = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1)
    steps = 1 + np.rint(share**_GAMMA * (GREYS - 1))
    return np.where(np.isfinite(values), steps, NO_GREY).astype(np.uint8)


def grey_levels(greys: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return grey steps as levels of a display, 0 to 255; 0 where there is no data."""
    steps = np.maximum(greys, 1).astype(np.uint16) - 1
    return np.asarray(255 * steps // (GREYS - 1), dtype=np.uint8)


def map_picture(greys: NDArray[np.uint8], classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw a flood map on its backdrop.

    Parameters
    ----------
    greys
        (y, x) grey steps of the backdrop.
    classes
        (y, x) uint8, see `FloodClass`.

    Returns
    -------
    ndarray
        (y, x, 3) uint8; excluded ground is hatched, and ground without data is paper.
    """
    image = np.repeat(grey_levels(greys)[..., np.newaxis], 3, axis=-1).astype(np.float32)
    image[greys == NO_GREY] = PAPER
    for value, opacity in _OPACITY.items():
        here = classes == value
        image[here] = (1 - opacity) * image[here] + opacity * np.array(COLOURS[value][:3])
    rows, cols = np.indices(classes.shape)
    excluded = classes == FloodClass.EXCLUDED.value
    lines = (rows + cols) % _HATCH < 2
    image[excluded & lines] = 43
    image[excluded & ~lines] = 0.5 * image[excluded & ~lines] + 127
    image[classes == FloodClass.NODATA.value] = PAPER
    return np.rint(image).astype(np.uint8)


def webp(values: NDArray[np.uint8], **options: Any) -> bytes:
    """Return (y, x) or (y, x, band) uint8 as a WebP image."""
    stream = BytesIO()
    Image.fromarray(values).save(stream, "WEBP", **options)
    return stream.getvalue()


def grey_uri(greys: NDArray[np.uint8]) -> str:
    """Return grey steps as a PNG data URI, transparent where there is no data."""
    levels = [round(255 * step / (GREYS - 1)) for step in range(GREYS)]
    image = Image.fromarray(greys)
    image.putpalette([0, 0, 0, *(level for level in levels for _ in range(3))])
    return _data_uri(image, transparency=NO_GREY)


def colour_uri(values: NDArray[np.uint8]) -> str:
    """Return (y, x, 3) uint8 as a PNG data URI."""
    return _data_uri(Image.fromarray(values))


def _data_uri(image: Image.Image, **options: int) -> str:
    stream = BytesIO()
    image.save(stream, "PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
