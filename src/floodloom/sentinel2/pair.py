"""An optical image as the companion of a radar scene, or the reason why it can't be one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.log import get_logger
from floodloom.raster.store import ACQUIRED
from floodloom.sentinel2.register import Shift, estimate_shift
from floodloom.sentinel2.warp import optical_on_grid

_DATES = (
    ACQUIRED, "SENSING_TIME", "DATATAKE_1_DATATAKE_SENSING_START", "PRODUCT_START_TIME",
    "datetime", "DATETIME", "TIFFTAG_DATETIME",
)  # fmt: skip
_RIGHT_PX = 0.75  # a shift below the accuracy of either product's geolocation
_log = get_logger(__name__)


@dataclass(frozen=True)
class PairingRules:
    """What makes an optical image a companion.

    Attributes
    ----------
    bands, names
        See `floodloom.sentinel2.warp.optical_on_grid`.
    gap_days
        Greatest time between the two images, days; None doesn't look.
    greatest_shift
        Shift up to which the image is moved, px; a greater one that is sure refuses the image. 0
        doesn't look.
    """

    bands: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    gap_days: float | None = 10.0
    greatest_shift: float = 10.0


@dataclass(frozen=True)
class Pairing:
    """The companion, and how it came about.

    `image` is (channel, y, x) float32 reflectance with NaN = cloud or missing; all is NaN when the
    image was refused, and `refused` says why. `shift` is the one that was found.
    """

    image: xr.DataArray
    refused: str = ""
    gap_days: float | None = None
    shift: Shift | None = None

    @property
    def clear_share(self) -> float:
        """Share of the grid that shows the ground, 0-1."""
        return float(np.isfinite(self.image.values).all(axis=0).mean())


def pair_optical(
    path: str | Path,
    geobox: GeoBox,
    rules: PairingRules,
    *,
    radar: NDArray[np.float32] | None = None,
    acquired: str = "",
) -> Pairing:
    """Bring an optical image onto the grid of a radar scene, if it may stand beside it.

    An image that is too far away in time or in place, or shows no ground, is refused with a
    warning, and all its pixels are NaN: training goes on with radar alone.

    Parameters
    ----------
    path
        Optical raster, see `floodloom.sentinel2.warp.optical_on_grid`.
    geobox
        Grid of the radar scene.
    rules
        What makes it a companion.
    radar
        (y, x) float32, decibel, NaN = no data: the registration is checked against it.
    acquired
        When the radar scene was acquired (ISO 8601), if it is known.

    Raises
    ------
    InputError
        If the raster can't be read, has no CRS, or lacks a band.
    """
    image = optical_on_grid(path, geobox, bands=rules.bands, names=rules.names)
    gap = gap_days(_date(path), acquired)
    if rules.gap_days is not None and gap is None:
        _log.warning("%s: no date in the image or the scene; the time gap is unknown", path)
    elif rules.gap_days is not None and gap is not None and gap > rules.gap_days:
        reason = f"{gap:.1f} days from the scene, more than {rules.gap_days:g}"
        return _refused(path, Pairing(image, reason, gap))
    if not bool(np.isfinite(image.values).any()):
        return _refused(path, Pairing(image, "it shows no clear ground of the scene", gap))
    if radar is None or not rules.greatest_shift:
        return Pairing(image, gap_days=gap)
    return _registered(path, geobox, rules, radar, Pairing(image, gap_days=gap))


def gap_days(optical: str, radar: str) -> float | None:
    """Return the days between two ISO 8601 times, None where one isn't known."""
    if not optical or not radar:
        return None
    try:
        between = np.datetime64(_plain(optical)) - np.datetime64(_plain(radar))
    except ValueError:
        return None
    return float(abs(between / np.timedelta64(1, "s")) / 86_400)


def _registered(
    path: str | Path,
    geobox: GeoBox,
    rules: PairingRules,
    radar: NDArray[np.float32],
    found: Pairing,
) -> Pairing:
    shift = estimate_shift(radar, found.image.values)
    if shift is None or not shift.sure:
        _log.info("%s: the registration can't be told from the images; taken as it is", path)
        return Pairing(found.image, gap_days=found.gap_days, shift=shift)
    words = f"{shift.down:+.1f} px down and {shift.right:+.1f} px right"
    if shift.length > rules.greatest_shift:
        reason = f"it is off the scene by {words}, more than {rules.greatest_shift:g} px"
        return _refused(path, Pairing(found.image, reason, found.gap_days, shift))
    if shift.length < _RIGHT_PX:
        _log.info("%s: registered to %.1f px", path, shift.length)
        return Pairing(found.image, gap_days=found.gap_days, shift=shift)
    _log.warning("%s: moved %s onto the scene", path, words)
    moved = geobox.translate_pix(-shift.right, -shift.down)
    image = optical_on_grid(path, moved, bands=rules.bands, names=rules.names)
    return Pairing(image, gap_days=found.gap_days, shift=shift)


def _refused(path: str | Path, found: Pairing) -> Pairing:
    _log.warning(
        "%s: not used, %s; the scene is taken without an optical image", path, found.refused
    )
    blank = xr.full_like(found.image, np.nan)
    return Pairing(blank, found.refused, found.gap_days, found.shift)


def _date(path: str | Path) -> str:
    with rasterio.open(path) as raster:
        tags = raster.tags()
    return next((tags[name] for name in _DATES if tags.get(name)), "")


def _plain(time: str) -> str:
    """Return what NumPy reads: TIFF dates have colons, others end in Z."""
    text = time.strip().removesuffix("Z").replace(" ", "T")
    day, _, rest = text.partition("T")
    return f"{day.replace(':', '-')}T{rest or '00:00:00'}"
