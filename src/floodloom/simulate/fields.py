"""Random fields: smooth, fractal, and courses that wind through a plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq
from scipy.ndimage import distance_transform_edt

from floodloom.arrays import Floats


def fractal_field(
    draw: np.random.Generator, side: int, exponent: float, outer: float, inner: float = 0.0
) -> Floats:
    """Draw a Gaussian random field by spectral synthesis.

    Parameters
    ----------
    draw
        Source of random numbers.
    side
        Pixels along each side.
    exponent
        Power of the wavenumber by which the two-dimensional power spectrum falls beyond 1 /
        `outer`: 3 is terrain of a Hurst exponent of .5, 4 is smooth. Source: Turcotte, Fractals
        and Chaos in Geology and Geophysics (1997), chapter 7.
    outer
        Wavelength of the largest features, px.
    inner
        Features below this wavelength, px, are suppressed.

    Returns
    -------
    ndarray
        (side, side) float32, mean 0 and variance 1.
    """
    rows, cols = fftfreq(side)[:, np.newaxis], rfftfreq(side)[np.newaxis]
    square = (rows**2 + cols**2).astype(np.float32)
    transfer = (square + np.float32(1 / outer**2)) ** np.float32(-exponent / 4)
    if inner > 0:
        transfer = transfer * np.exp(-square * np.float32(inner**2))
    transfer[0, 0] = 0
    white = draw.standard_normal((side, side), dtype=np.float32)
    field = irfft2(rfft2(white) * transfer, s=(side, side))
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-9), dtype=np.float32)


def ranks(field: Floats) -> Floats:
    """Return the share of a field's pixels that are lower than each, 0-1, (y, x) float32."""
    order = np.argsort(field, axis=None)
    rank = np.empty(field.size, np.float32)
    rank[order] = np.arange(field.size, dtype=np.float32) / field.size
    return rank.reshape(field.shape)


def course(
    draw: np.random.Generator, side: int, wavelength: float, swing: float
) -> NDArray[np.float32]:
    """Draw a line that winds through a square, as a river, a creek or a road does.

    Parameters
    ----------
    draw
        Source of random numbers.
    side
        Pixels along each side.
    wavelength
        Length of a meander along the line, px.
    swing
        Largest angle against the mean direction, rad; beyond 1.6 the line runs back on itself.
        Source: the sine-generated curve of Langbein and Leopold, USGS Professional Paper 422-H
        (1966).

    Returns
    -------
    ndarray
        (n, 2) float32, y and x every half pixel; it starts and ends outside the square.
    """
    count = round(side * (4 + 4 * min(swing, 2.0)))
    step = 0.5
    wander = np.repeat(draw.normal(0, 1, count // 16 + 1), 16)[:count]
    pace = 2 * np.pi / wavelength * np.exp(0.35 * _walk(wander, wavelength))
    phase = np.cumsum(pace) * step + draw.uniform(0, 2 * np.pi)
    strength = np.clip(1 + 0.45 * _walk(np.roll(wander, 777), 2 * wavelength), 0.1, 1.5)
    heading = draw.uniform(0, 2 * np.pi) + 0.25 * _walk(np.roll(wander, 333), 6 * wavelength)
    angle = heading + swing * strength * np.sin(phase)
    points = np.cumsum(np.stack([np.sin(angle), np.cos(angle)], axis=-1), axis=0) * step
    middle = side * draw.uniform(0.2, 0.8, 2)
    return np.asarray(points - points[count // 2] + middle, dtype=np.float32)


def _walk(noise: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """Smooth noise (n,) over a length in px; variance 1."""
    reach = max(int(2 * length), 3)
    total = np.cumsum(np.concatenate([np.zeros(1), np.resize(noise, noise.size + reach)]))
    smooth = total[reach : reach + noise.size] - total[: noise.size]
    return np.asarray((smooth - smooth.mean()) / max(float(smooth.std()), 1e-9))


def distance_to(points: NDArray[np.float32], side: int) -> tuple[Floats, NDArray[np.int_]] | None:
    """Return how far each pixel is from a line, and which point of it is nearest.

    Parameters
    ----------
    points
        (n, 2) y and x, px.
    side
        Pixels along each side.

    Returns
    -------
    tuple or None
        (side, side) float32, px, and (side, side) int; None if the line misses the square.
    """
    row, col = np.rint(points).astype(int).T
    inside = np.flatnonzero((row >= 0) & (row < side) & (col >= 0) & (col < side))
    if inside.size == 0:
        return None
    nearest = np.full((side, side), -1)
    nearest[row[inside], col[inside]] = inside
    _, (rows, cols) = distance_transform_edt(nearest < 0, return_indices=True)
    nearest = nearest[rows, cols]
    grid = np.indices((side, side), dtype=np.float32)
    around = np.stack([nearest - 1, nearest, nearest + 1]).clip(0, len(points) - 1)
    gap = np.moveaxis(points[around], -1, 1) - grid
    return np.sqrt((gap**2).sum(axis=1).min(axis=0)), nearest
