"""An optical image beside a scene: shifted onto it, and fit to be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.log import get_logger
from floodloom.raster.cog import ACQUIRED
from floodloom.raster.foreign import Kind, open_foreign
from floodloom.raster.windows import Window, plan_windows
from floodloom.sentinel2.settings import PairingSettings
from floodloom.sentinel2.warp import optical_on_grid

PROMINENCE = 10.0
"""Deviations by which the peak of a sure shift stands out."""
_RATIO = 1.15  # to the second highest peak
_SMOOTHING_PX = 1.5
_PEAK_PX = 8
_WINDOW = 1024
_LEAST_VALID, _LEAST_SIDE = 0.3, 64


@dataclass(frozen=True)
class Shift:
    """Pixels by which the optical image must move down and right to lie on the radar scene."""

    down: float
    right: float
    prominence: float
    sure: bool

    @property
    def length(self) -> float:
        """Length of the shift, px."""
        return float(np.hypot(self.down, self.right))


def estimate_shift(radar: NDArray[np.float32], optical: NDArray[np.float32]) -> Shift | None:
    """Estimate the shift between a radar and an optical image on one grid.

    Parameters
    ----------
    radar
        (y, x) float32, decibel, NaN = no data.
    optical
        (channel, y, x) float32 reflectance, NaN = cloud or missing.

    Returns
    -------
    Shift or None
        `sure` where one peak stands out; None where less than 30 % of the ground, or no side of
        64 px, is seen by both. At most 1024 px square are looked at, where both see most.
    """
    seen = np.isfinite(radar) & np.isfinite(optical).all(axis=0)
    window = clearest(seen)
    part = seen[window.slices]
    if min(part.shape) < _LEAST_SIDE or part.mean() < _LEAST_VALID:
        return None
    first = np.fft.rfft2(_edges(radar[window.slices], part))
    surface = sum(
        _correlation(first, np.fft.rfft2(_edges(band[window.slices], part)), part.shape)
        for band in optical
    )
    return _peak(np.asarray(surface))


def clearest(seen: NDArray[np.bool_]) -> Window:
    """Return the window of at most 1024 px square in which `seen` (y, x) holds most often."""
    windows = plan_windows(seen.shape[0], seen.shape[1], _WINDOW, _WINDOW // 2)
    return max(windows, key=lambda window: int(seen[window.slices].sum()))


def _edges(image: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return standardised gradient magnitude, 0 near what isn't seen and towards the rim."""
    filled = np.where(seen, image, np.median(image[seen])).astype(np.float64)
    magnitude = scipy.ndimage.gaussian_gradient_magnitude(filled, _SMOOTHING_PX)
    inner = scipy.ndimage.binary_erosion(seen, iterations=round(3 * _SMOOTHING_PX), border_value=1)
    inner = inner if inner.any() else seen
    mean, deviation = magnitude[inner].mean(), magnitude[inner].std()
    standard = np.clip((magnitude - mean) / max(deviation, 1e-12), -3, 3) * inner
    taper = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    tapered: NDArray[np.float64] = standard * taper
    return tapered


def _correlation(
    first: NDArray[np.complex128], second: NDArray[np.complex128], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    cross = first * second.conj()
    cross /= np.maximum(np.abs(cross), 1e-12)
    down = np.fft.fftfreq(shape[0])[:, np.newaxis]
    right = np.fft.rfftfreq(shape[1])[np.newaxis]
    cross *= np.exp(-2 * np.pi**2 * _SMOOTHING_PX**2 * (down**2 + right**2))
    surface = np.fft.fftshift(np.fft.irfft2(cross, s=shape))
    return np.asarray(surface / max(float(surface.std()), 1e-12))


def _peak(surface: NDArray[np.float64]) -> Shift:
    row, col = (int(i) for i in np.unravel_index(surface.argmax(), surface.shape))
    y, x = np.ogrid[: surface.shape[0], : surface.shape[1]]
    far = surface[(y - row) ** 2 + (x - col) ** 2 > _PEAK_PX**2]
    top = float(surface[row, col])
    prominence = (top - float(far.mean())) / max(float(far.std()), 1e-12)
    return Shift(
        row + _vertex(surface[:, col], row) - surface.shape[0] // 2,
        col + _vertex(surface[row], col) - surface.shape[1] // 2,
        prominence,
        prominence >= PROMINENCE and top >= _RATIO * float(far.max()),
    )


def _vertex(line: NDArray[np.float64], at: int) -> float:
    """Return where the parabola through three samples peaks, -0.5..0.5 from the middle one."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, middle, after = line[at - 1 : at + 2]
    curvature = before - 2 * middle + after
    return float(0.5 * (before - after) / curvature) if curvature < 0 else 0.0


_DATES = (
    ACQUIRED, "SENSING_TIME", "DATATAKE_1_DATATAKE_SENSING_START", "PRODUCT_START_TIME",
    "datetime", "DATETIME", "TIFFTAG_DATETIME",
)  # fmt: skip
_GREATEST_PX = 10.0  # a shift beyond this is no matter of geolocation
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
    if radar is None:
        return found
    shift = _shift(xr.DataArray(radar, dims=("y", "x")), image, clear)
    found = replace(found, shift=shift)
    reason = _too_far(shift)
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


def _too_far(shift: Shift | None) -> str:
    """Return why an image lies too far off, if it does."""
    if shift is None or not shift.sure or shift.length <= _GREATEST_PX:
        return ""
    return f"it is off the scene by {_described(shift)}, more than {_GREATEST_PX:g} px"


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
    tags = open_foreign(path, Kind("optical image"), bands=None).tags
    return next((tags[name] for name in _DATES if tags.get(name)), "")


def _plain(time: str) -> str:
    """Return what NumPy reads: TIFF dates have colons, others end in Z."""
    text = time.strip().removesuffix("Z").replace(" ", "T")
    day, _, rest = text.partition("T")
    return f"{day.replace(':', '-')}T{rest or '00:00:00'}"
