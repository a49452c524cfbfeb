"""Speckle with the looks and the resolution of an IW GRDH image on a map grid."""

from __future__ import annotations

import numpy as np
from scipy.fft import fftfreq, irfft2, next_fast_len, rfft2, rfftfreq
from scipy.ndimage import map_coordinates

from floodloom.arrays import Floats

LOOKS = 4.4
"""Equivalent number of looks of an IW GRDH image."""

NATIVE_M = 10.0
"""Pixel spacing of an IW GRDH image, m."""

_FALL = 0.45
"""Of the correlation of intensities, exp(-fall · lag²), between pixels of the radar's raster."""


def speckle(
    draw: np.random.Generator, side: int, spacing: float, turn_deg: float, order: int = 1
) -> Floats:
    """Draw unit-mean speckle on a map grid.

    Intensities of gamma law are drawn on the radar's raster, correlated as its point spread
    function makes them, and resampled onto a map that is turned against the orbit. Where the map
    is coarser, the looks are those of the mean of its pixels.

    Sources: 4.4 looks and 20 m by 22 m of resolution, Sentinel-1 Product Definition,
    S1-RS-MDA-52-7440, IW GRDH; the gamma law from a normal one, Wilson and Hilferty, The
    distribution of chi-square, PNAS 17 (1931) 684-688.

    Parameters
    ----------
    draw
        Source of random numbers.
    side
        Pixels of the map along each side.
    spacing
        Spacing of the map, m, 10 or more.
    turn_deg
        Angle between map and radar image, degrees.
    order
        Order of the interpolation: 0 nearest neighbour, 1 bilinear, 3 cubic.

    Returns
    -------
    ndarray
        (side, side) float32, 0 or more, mean 1.
    """
    block = spacing / NATIVE_M
    looks = LOOKS * looks_gained(block)
    reach = next_fast_len(int(np.ceil(side * 1.25)) + 4, real=True)
    normal = _correlated(draw, reach, _FALL * block**2)
    power = np.maximum(1 - 1 / (9 * looks) + normal / (3 * np.sqrt(looks)), 0) ** 3
    rows, cols = np.indices((side, side), dtype=np.float32) - np.float32((side - 1) / 2)
    cosine, sine = (
        np.float32(np.cos(np.radians(turn_deg))),
        np.float32(np.sin(np.radians(turn_deg))),
    )
    places = np.stack([cosine * rows - sine * cols, sine * rows + cosine * cols])
    places += (reach - 1) / 2 + draw.uniform(-1, 1, (2, 1, 1)).astype(np.float32)
    turned = map_coordinates(power, places, order=order, mode="nearest")
    return np.asarray(np.maximum(turned, 0), np.float32)


def looks_gained(block: float) -> float:
    """Return by how much the mean of block × block correlated pixels raises the looks."""
    count = max(round(block), 1)
    lags = np.arange(1 - count, count)
    share = (count - np.abs(lags)) / count**2
    return float(1 / (share @ np.exp(-_FALL * lags**2)) ** 2)


def _correlated(draw: np.random.Generator, side: int, fall: float) -> Floats:
    """Normal field (side, side) whose correlation is exp(-fall · lag²)."""
    rows, cols = fftfreq(side)[:, np.newaxis], rfftfreq(side)[np.newaxis]
    transfer = np.exp(-((np.pi**2) / (2 * fall)) * (rows**2 + cols**2)).astype(np.float32)
    white = draw.standard_normal((side, side), dtype=np.float32)
    field = irfft2(rfft2(white) * transfer, s=(side, side))
    return np.asarray(field / max(float(field.std()), 1e-9), np.float32)
