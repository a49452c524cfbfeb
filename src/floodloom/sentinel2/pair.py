"""An optical image as the companion of a radar scene, or the reason why it can't be one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.log import get_logger
from floodloom.raster.cog import ACQUIRED
from floodloom.raster.opener import open_raster
from floodloom.sentinel2.register import Shift, clearest, estimate_shift
from floodloom.sentinel2.settings import PairingSettings
from floodloom.sentinel2.warp import optical_on_grid

_DATES = (
    ACQUIRED, "SENSING_TIME", "DATATAKE_1_DATATAKE_SENSING_START", "PRODUCT_START_TIME",
    "datetime", "DATETIME", "TIFFTAG_DATETIME",
)  # fmt: skip
_RIGHT_PX = 0.75  # a shift below the accuracy of either product's geolocation
_log = get_logger(__name__)


@dataclass(frozen=True)
class Pairing:
    """The companion, and how it came about.

    `image` is (channel, y, x) float32 reflectance with NaN = cloud or missing, as dask chunks; all
    is NaN when the image was refused, and `refused` is the reason. `shift` is the one that was
    found, `clear_share` is the share of the grid that shows the ground, 0-1.
    """

    image: xr.DataArray
    clear_share: float
    refused: str = ""
    gap_days: float | None = None
    shift: Shift | None = None


def pair_optical(
    path: str | Path,
    geobox: GeoBox,
    settings: PairingSettings,
    *,
    bands: tuple[str, ...] = (),
    radar: xr.DataArray | NDArray[np.float32] | None = None,
    acquired: str = "",
    rows: tuple[int, ...] | None = None,
) -> Pairing:
    """Bring an optical image onto the grid of a radar scene, if it may stand beside it.

    An image that is too far away in time or in place, or shows no ground, is refused with a
    warning, and all its pixels are NaN: training goes on with radar alone. Its pixels are gone
    through here by pieces, to see where it is clear, and again when they are asked for.

    Parameters
    ----------
    path
        Optical raster, see `floodloom.sentinel2.warp.optical_on_grid`.
    geobox
        Grid of the radar scene.
    settings
        What makes it a companion.
    bands
        Bands to read, all when none is named.
    radar
        (y, x) float32, decibel, NaN = no data, as dask chunks or in memory: the registration is
        checked against it.
    acquired
        When the radar scene was acquired (ISO 8601), if it is known.
    rows
        Heights of the pieces, see `floodloom.sentinel2.warp.optical_on_grid`.

    Raises
    ------
    InputError
        If the raster can't be read, has no CRS, or lacks a band.
    """
    on_grid = partial(optical_on_grid, path, bands=bands, names=settings.optical_names, rows=rows)
    image = on_grid(geobox)
    gap = gap_days(_date(path), acquired)
    most = settings.optical_gap_days
    if most is not None and gap is None:
        _log.warning("%s: no date in the image or the scene; the time gap is unknown", path)
    elif most is not None and gap is not None and gap > most:
        late = f"{gap:.1f} days from the scene, more than {most:g}"
        return _refused(path, image, late, gap)
    clear = _clear(image)
    found = Pairing(image, float(clear.mean()), gap_days=gap)
    if not clear.any():
        return _refused(path, image, "it shows no clear ground of the scene", gap)
    if radar is None or not settings.optical_shift:
        return found
    shift = _shift(xr.DataArray(radar, dims=("y", "x")), image, clear)
    found = replace(found, shift=shift)
    reason = _too_far(shift, settings.optical_shift)
    if reason:
        return _refused(path, image, reason, gap, shift)
    return _registered(path, found, lambda down, right: on_grid(geobox.translate_pix(right, down)))


def gap_days(optical: str, radar: str) -> float | None:
    """Return the days between two ISO 8601 times, None where one isn't known."""
    if not optical or not radar:
        return None
    try:
        between = np.datetime64(_plain(optical)) - np.datetime64(_plain(radar))
    except ValueError:
        return None
    return float(abs(between / np.timedelta64(1, "s")) / 86_400)


def _clear(image: xr.DataArray) -> NDArray[np.bool_]:
    """Return where (y, x) an image shows the ground."""
    return np.asarray(image.notnull().all(dim="channel").values)


def _shift(radar: xr.DataArray, image: xr.DataArray, clear: NDArray[np.bool_]) -> Shift | None:
    """Estimate the shift where both images show most."""
    rows, cols = clearest(clear & radar.notnull().values).slices
    return estimate_shift(radar[rows, cols].values, image[:, rows, cols].values)


def _too_far(shift: Shift | None, greatest: float) -> str:
    """Return why an image lies too far off, if it does."""
    if shift is None or not shift.sure or shift.length <= greatest:
        return ""
    return f"it is off the scene by {_described(shift)}, more than {greatest:g} px"


def _described(shift: Shift) -> str:
    return f"{shift.down:+.1f} px down and {shift.right:+.1f} px right"


def _registered(
    path: str | Path, found: Pairing, moved: Callable[[float, float], xr.DataArray]
) -> Pairing:
    """Return the image where it belongs; `moved` reads it with the grid moved down and right."""
    shift = found.shift
    if shift is None or not shift.sure:
        _log.info("%s: the registration can't be estimated from the images; taken as it is", path)
        return found
    if shift.length < _RIGHT_PX:
        _log.info("%s: registered to %.1f px", path, shift.length)
        return found
    _log.warning("%s: moved %s onto the scene", path, _described(shift))
    image = moved(-shift.down, -shift.right)
    return replace(found, image=image, clear_share=float(_clear(image).mean()))


def _refused(
    path: str | Path,
    image: xr.DataArray,
    reason: str,
    gap: float | None,
    shift: Shift | None = None,
) -> Pairing:
    _log.warning("%s: not used, %s; the scene is taken without an optical image", path, reason)
    return Pairing(xr.full_like(image, np.nan), 0.0, reason, gap, shift)


def _date(path: str | Path) -> str:
    with open_raster(path, "optical image") as raster:
        tags = raster.tags()
    return next((tags[name] for name in _DATES if tags.get(name)), "")


def _plain(time: str) -> str:
    """Return what NumPy reads: TIFF dates have colons, others end in Z."""
    text = time.strip().removesuffix("Z").replace(" ", "T")
    day, _, rest = text.partition("T")
    return f"{day.replace(':', '-')}T{rest or '00:00:00'}"
