"""Radar images resampled, and flattened by the area that they see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles
from floodloom.kernels import jit
from floodloom.raster.windows import Window, crop
from floodloom.sentinel1.geometry import ImageGeometry


@dataclass(frozen=True)
class Places:
    """Where map pixels lie on the radar's image: `line` and `pixel` (y, x) float64."""

    line: Doubles
    pixel: Doubles

    def crop(self, margin: int) -> Places:
        """Return the places without those of a margin."""
        return Places(crop(self.line, margin), crop(self.pixel, margin))

    def window(self, lines: int, samples: int) -> Window | None:
        """Return the part of the image that bilinear sampling needs, or None if it needs none."""
        first, last = _extent(self.line, self.pixel, lines, samples)
        if last[0] < 0:
            return None
        bottom, right = min(last[0] + 2, lines), min(last[1] + 2, samples)
        return Window(first[0], first[1], bottom - first[0], right - first[1])


@jit()
def _extent(line, pixel, lines, samples):  # type: ignore[no-untyped-def]
    top, left, bottom, right = lines, samples, -1, -1
    for y in range(line.shape[0]):
        for x in range(line.shape[1]):
            row, col = line[y, x], pixel[y, x]
            if 0 <= row <= lines - 1 and 0 <= col <= samples - 1:
                top, bottom = min(top, int(row)), max(bottom, int(row))
                left, right = min(left, int(col)), max(right, int(col))
    return (top, left), (bottom, right)


def sample_bilinear(
    image: NDArray[np.float32], window: Window, places: Places
) -> NDArray[np.float32]:
    """Sample an image between its pixels.

    Parameters
    ----------
    image
        (line, pixel) float32, NaN = no data: a window of the radar's image.
    window
        Which.
    places
        On the whole image.

    Returns
    -------
    ndarray
        (y, x) float32; NaN outside the window and where any of the four neighbours is NaN.
    """
    sampled = np.empty(places.line.shape, dtype=np.float32)
    _bilinear(image, window.row, window.col, places.line, places.pixel, sampled)
    return sampled


@jit()
def _bilinear(image, top, left, line, pixel, sampled):  # type: ignore[no-untyped-def]
    last_row, last_col = image.shape[0] - 1, image.shape[1] - 1
    for y in range(line.shape[0]):
        for x in range(line.shape[1]):
            row, col = line[y, x], pixel[y, x]
            sampled[y, x] = np.nan
            if not (top <= row <= top + last_row and left <= col <= left + last_col):
                continue
            i, j = int(row), int(col)
            down, right = row - i, col - j
            i, j = i - top, j - left
            below, beside = min(i + 1, last_row), min(j + 1, last_col)
            upper = image[i, j] * (1.0 - right) + image[i, beside] * right
            lower = image[below, j] * (1.0 - right) + image[below, beside] * right
            sampled[y, x] = upper * (1.0 - down) + lower * down


def sample_nearest(
    image: NDArray[np.uint8], window: Window, places: Places, outside: int
) -> NDArray[np.uint8]:
    """Take the value of the nearest pixel, or `outside`; parameters as in `sample_bilinear`."""
    sampled = np.empty(places.line.shape, dtype=np.uint8)
    _nearest(image, window.row, window.col, places.line, places.pixel, outside, sampled)
    return sampled


@jit()
def _nearest(image, top, left, line, pixel, outside, sampled):  # type: ignore[no-untyped-def]
    last_row, last_col = image.shape[0] - 1, image.shape[1] - 1
    for y in range(line.shape[0]):
        for x in range(line.shape[1]):
            row, col = line[y, x], pixel[y, x]
            sampled[y, x] = outside
            if top <= row <= top + last_row and left <= col <= left + last_col:
                sampled[y, x] = image[int(row + 0.5) - top, int(col + 0.5) - left]


SHADOW_SHARE = 0.05
"""Pixels that see less than this share of the area of flat ground are in shadow."""

SUBDIVISION = 3
"""Facets are divided into this many by this many before they are summed, so that the image's
raster doesn't beat with the map's."""

_UNITS_PER_M2 = float(1 << 20)


def flattening_ratio(
    places: Places, area: NDArray[np.float32], window: Window, beta_area: Doubles
) -> NDArray[np.float32]:
    """Return by what beta0 is divided to become terrain-flattened gamma0.

    Parameters
    ----------
    places
        Of the facets (y, x), all those that are imaged in the window among them.
    area
        (y, x) float32, what the radar sees of each facet, m², perpendicular to the line of sight.
    window
        Part of the radar's image.
    beta_area
        (sample,) float64, area of the image's pixels in the slant range plane, m².

    Returns
    -------
    ndarray
        (line, pixel) float32 of the window: illuminated area over pixel area. Areas are summed in
        whole units of 2⁻²⁰ m², so that the order of the facets doesn't matter.
    """
    units = np.zeros((window.height, window.width), dtype=np.int64)
    _sum_facets(places.line, places.pixel, area, window.row, window.col, units)
    columns = beta_area[window.col : window.col + window.width]
    return (units / (_UNITS_PER_M2 * columns)).astype(np.float32)


def beta_areas(geometry: ImageGeometry) -> Doubles:
    """Return the area of the image's pixels in the slant range plane, (sample,) float64, m².

    The slant range spacing is that of the middle of the image; it changes by less than 0.1 % along
    a scene.
    """
    return np.gradient(geometry.slant_ranges()) * geometry.azimuth_pixel_spacing


def in_shadow(ratio: NDArray[np.float32], incidence_deg: Doubles) -> NDArray[np.bool_]:
    """Mark pixels that see less than 5 % of the area of flat ground.

    Parameters
    ----------
    ratio
        (line, pixel) float32, see `flattening_ratio`.
    incidence_deg
        (pixel,) float64, incidence angle of flat ground.
    """
    return np.asarray(ratio < SHADOW_SHARE / np.tan(np.radians(incidence_deg)))


@jit()
def _sum_facets(line, pixel, area, first_line, first_pixel, units):  # type: ignore[no-untyped-def]
    """Spread the parts of every facet over the four image pixels around them."""
    lines, samples = units.shape
    scale = _UNITS_PER_M2 / SUBDIVISION**2
    for row in range(line.shape[0] - 1):
        for col in range(line.shape[1] - 1):
            y, x = _surface(line, row, col), _surface(pixel, row, col)
            first_y, last_y = _range(y)
            first_x, last_x = _range(x)
            if not (
                last_y > first_line - 1.0
                and last_x > first_pixel - 1.0
                and first_y < first_line + lines
                and first_x < first_pixel + samples
            ):
                continue  # beside the window, or a corner is unknown

            weight = _surface(area, row, col)
            whole = (
                first_y >= first_line
                and first_x >= first_pixel
                and last_y < first_line + lines - 1
                and last_x < first_pixel + samples - 1
            )

            for i in range(SUBDIVISION):  # a constant, so the compiler unrolls the loops
                down = (i + 0.5) / SUBDIVISION
                for j in range(SUBDIVISION):
                    right = (j + 0.5) / SUBDIVISION
                    amount = _at(weight, down, right) * scale
                    if not amount > 0.0:
                        continue
                    place_y = _at(y, down, right) - first_line
                    place_x = _at(x, down, right) - first_pixel
                    if whole:
                        _spread(units, place_y, place_x, amount)
                    else:
                        _spread_within(units, place_y, place_x, amount)


@jit(inline="always")
def _spread(units, y, x, amount):  # type: ignore[no-untyped-def]
    top, left = int(y), int(x)
    lower, upper = amount * (y - top), amount * (1.0 - (y - top))
    beside = x - left
    # Unsigned indices spare the question whether they count from the end.
    row, col, one = np.uint64(top), np.uint64(left), np.uint64(1)
    units[row, col] += int(upper * (1.0 - beside) + 0.5)
    units[row, col + one] += int(upper * beside + 0.5)
    units[row + one, col] += int(lower * (1.0 - beside) + 0.5)
    units[row + one, col + one] += int(lower * beside + 0.5)


@jit()
def _spread_within(units, y, x, amount):  # type: ignore[no-untyped-def]
    """Spread over those of the four pixels that lie in the window."""
    lines, samples = units.shape
    top, left = int(np.floor(y)), int(np.floor(x))
    if top < -1 or left < -1 or top >= lines or left >= samples:
        return
    below, beside = y - top, x - left
    for a, share in enumerate((amount * (1.0 - below), amount * below)):
        if not 0 <= top + a < lines:
            continue
        if left >= 0:
            units[top + a, left] += int(share * (1.0 - beside) + 0.5)
        if left + 1 < samples:
            units[top + a, left + 1] += int(share * beside + 0.5)


@jit(inline="always")
def _surface(values, row, col):  # type: ignore[no-untyped-def]
    """Return the bilinear surface between four corners: its value, slopes and twist."""
    a, b = float(values[row, col]), float(values[row, col + 1])
    c, d = float(values[row + 1, col]), float(values[row + 1, col + 1])
    return a, c - a, b - a, d - c - b + a


@jit(inline="always")
def _at(surface, down, right):  # type: ignore[no-untyped-def]
    value, along, across, twist = surface
    return value + down * along + right * (across + down * twist)


@jit(inline="always")
def _range(surface):  # type: ignore[no-untyped-def]
    """Return the least and the greatest of the corners; NaN if one is unknown."""
    value, along, across, twist = surface
    b, c, d = value + across, value + along, value + along + across + twist
    if np.isnan(value + b + c + d):
        return np.nan, np.nan
    return min(value, b, c, d), max(value, b, c, d)
