"""Random fields: smooth, fractal, stretched, and lines that wind through a plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfft2, rfftfreq
from scipy.ndimage import distance_transform_edt

from floodloom.arrays import Doubles, Floats
from floodloom.kernels import jit


def fractal_field(
    draw: np.random.Generator, side: int, exponent: float, outer: float, stretch: float = 1.0
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
        `outer`: 3 is a surface of a Hurst exponent of .5, 4 is smooth. Source: Turcotte, Fractals
        and Chaos in Geology and Geophysics (1997), chapter 7.
    outer
        Wavelength of the largest features, px.
    stretch
        How much longer than wide features are, in a random direction.

    Returns
    -------
    ndarray
        (side, side) float32, mean 0 and variance 1.
    """
    # What is smooth has nothing at the wavenumbers that are left out.
    band = side if exponent < _SMOOTH else 2 * (side // 4)
    scale = band / side
    rows, cols = scale * fftfreq(band)[:, np.newaxis], scale * rfftfreq(band)[np.newaxis]
    if stretch == 1:
        square = (rows**2 + cols**2).astype(np.float32)
    else:
        angle = draw.uniform(0, np.pi)
        along = np.cos(angle) * rows + np.sin(angle) * cols
        across = np.cos(angle) * cols - np.sin(angle) * rows
        square = (along**2 * stretch + across**2 / stretch).astype(np.float32)
    transfer = (square + np.float32(1 / outer**2)) ** np.float32(-exponent / 4)
    transfer[0, 0] = 0
    white = draw.standard_normal((*square.shape, 2), dtype=np.float32).view(np.complex64)
    spectrum = np.zeros((side, side // 2 + 1), np.complex64)
    half = band // 2
    drawn = white[..., 0] * transfer
    spectrum[: band - half, : half + 1] = drawn[: band - half]
    spectrum[side - half :, : half + 1] = drawn[band - half :]
    field = irfft2(spectrum, s=(side, side))
    return np.asarray(field / max(float(field.std()), 1e-9), dtype=np.float32)


_SMOOTH = 3.8


def organic_field(
    draw: np.random.Generator,
    side: int,
    exponent: float,
    outer: float,
    bend: float = 0.06,
    stretch: float = 4.0,
) -> Floats:
    """Draw a fractal field whose features are long in one direction and bent.

    Parameters
    ----------
    draw
        Source of random numbers.
    side
        Pixels along each side.
    exponent, outer
        As in `fractal_field`.
    bend
        By how much the plane is bent on average, as a share of its side.
    stretch
        How much longer than wide features are at most.

    Returns
    -------
    ndarray
        (side, side) float32, mean near 0 and variance near 1.
    """
    field = fractal_field(draw, side, exponent, outer, stretch=float(draw.uniform(1, stretch)))
    bend *= draw.uniform(0, 2)
    shift = [bend * side * fractal_field(draw, side, 5, side) for _ in range(2)]
    return np.asarray(_moved(field, *shift))


@jit()
def _moved(field, down, right):  # type: ignore[no-untyped-def]
    """Values of a periodic field at places that are shifted, bilinear."""
    height, width = field.shape
    moved = np.empty_like(field)
    for row in range(height):
        for col in range(width):
            y, x = row + down[row, col], col + right[row, col]
            top, left = int(np.floor(y)), int(np.floor(x))
            b, r = np.float32(y - top), np.float32(x - left)
            i, j = top % height, left % width
            k, m = (i + 1) % height, (j + 1) % width
            above = field[i, j] * (1 - r) + field[i, m] * r
            below = field[k, j] * (1 - r) + field[k, m] * r
            moved[row, col] = above * (1 - b) + below * b
    return moved


def ranks(field: Floats) -> Floats:
    """Return the share of a field's pixels that are lower than each, 0-1, (y, x) float32."""
    order = np.argsort(field, axis=None)
    rank = np.empty(field.size, np.float32)
    rank[order] = np.arange(field.size, dtype=np.float32) / field.size
    return rank.reshape(field.shape)


_STEP = 0.5
_WIDEST = 1.85  # rad; the curve crosses itself beyond 2.2, sooner where its pace changes


def course(
    draw: np.random.Generator, side: int, wavelength: float, swing: float
) -> NDArray[np.float32]:
    """Draw a line that winds through a square, as a river or a road does.

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
        Source: the sine-generated curve of Langbein and Leopold, River meanders: theory of minimum
        variance, USGS Professional Paper 422-H (1966).

    Returns
    -------
    ndarray
        (n, 2) float32, y and x every half pixel; it starts and ends outside the square.
    """
    count = round(side * (4 + 4 * min(swing, 2.0)))
    pace = 2 * np.pi / wavelength * np.exp(0.35 * _wander(draw, count, wavelength))
    phase = np.cumsum(pace) * _STEP + draw.uniform(0, 2 * np.pi)
    strength = np.clip(1 + 0.45 * _wander(draw, count, 2 * wavelength), 0.1, 1.5)
    heading = draw.uniform(0, 2 * np.pi) + 0.25 * _wander(draw, count, 6 * wavelength)
    angle = heading + np.minimum(swing * strength, _WIDEST) * np.sin(phase)
    points = np.cumsum(np.stack([np.sin(angle), np.cos(angle)], axis=-1), axis=0) * _STEP
    middle = side * draw.uniform(0.2, 0.8, 2)
    return np.asarray(points - points[count // 2] + middle, dtype=np.float32)


def _wander(draw: np.random.Generator, count: int, length: float) -> Doubles:
    """Noise (count,) that is smooth over a length in px; variance 1."""
    reach = max(int(length / _STEP), 3)
    total = np.cumsum(draw.normal(0, 1, count + reach))
    smooth = total[reach:] - total[:-reach]
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

    # The nearest of three neighbours on the line keeps widths of a pixel or two exact.
    around = np.stack([nearest - 1, nearest, nearest + 1]).clip(0, len(points) - 1)
    gap = np.moveaxis(points[around], -1, 1) - grid
    return np.asarray(np.sqrt((gap**2).sum(axis=1).min(axis=0)), np.float32), nearest
