"""How far an optical image is off a radar scene.

Radar and optical images look different but have their edges in common, so phase correlation
(Kuglin and Hines 1975) is taken of gradient magnitudes, after a Gaussian low-pass, and summed over
the optical bands. On real pairs the right peak stands more than ten deviations above the rest of
the surface, on unrelated images seven to eight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from floodloom.raster.windows import Window, plan_windows

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
    magnitude = ndimage.gaussian_gradient_magnitude(filled, _SMOOTHING_PX)
    inner = ndimage.binary_erosion(seen, iterations=round(3 * _SMOOTHING_PX), border_value=1)
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
