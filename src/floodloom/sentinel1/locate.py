"""Places on the radar's image, interpolated from the nodes of a lattice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles
from floodloom.kernels import jit
from floodloom.raster.windows import Window
from floodloom.sentinel1.geometry import ground_range_of
from floodloom.sentinel1.lattice import Lattice, between_rows


def image_of_nodes(lattice: Lattice) -> tuple[Doubles, Doubles]:
    """Return line and pixel of the nodes at the least and greatest height, (2, row, column)."""
    levels = [np.vander([h], 4, increasing=True)[0] for h in (-1.0, 1.0)]
    line = np.stack([(lattice.image[..., :4] * level).sum(-1) for level in levels])
    distance = np.stack([(lattice.image[..., 4:] * level).sum(-1) for level in levels])
    geometry = lattice.geometry
    ground = ground_range_of(distance, line * geometry.azimuth_time_interval, geometry.conversion)
    return line, ground / geometry.range_pixel_spacing


def locate_block(
    lattice: Lattice, window: Window, elevation: NDArray[np.float32]
) -> tuple[Doubles, Doubles]:
    """Return where the pixels of a window lie on the radar's image.

    Parameters
    ----------
    lattice
        That covers the window.
    window
        In pixels of the grid.
    elevation
        (y, x) float32 of the window, m above the ellipsoid, NaN where unknown.

    Returns
    -------
    line, pixel
        (y, x) float64; outside the image where there is no image, NaN where no elevation.
    """
    line, pixel = np.empty(elevation.shape), np.empty(elevation.shape)
    geometry, conversion = lattice.geometry, lattice.geometry.conversion
    _locate(
        lattice.image,
        (window.row - lattice.row, window.col - lattice.col),
        lattice.step,
        (lattice.middle, lattice.half),
        elevation,
        (
            conversion.times / geometry.azimuth_time_interval,
            conversion.origins,
            conversion.coefficients / geometry.range_pixel_spacing,
        ),
        line,
        pixel,
    )
    return line, pixel


@jit()
def _locate(  # type: ignore[no-untyped-def]
    nodes, start, step, scale, elevation, conversion, line, pixel
):
    """Go along the rows from node to node, so that the inner loops are plain arithmetic."""
    lines, origins, polynomials = conversion
    between = np.empty((nodes.shape[1], 8))
    width = elevation.shape[1]
    row, distance = np.empty(step), np.empty(step)
    entry = 0
    for y in range(elevation.shape[0]):
        between_rows(nodes, (start[0] + y) / step, between)
        first = 0
        while first < width:
            left = min((start[1] + first) // step, nodes.shape[1] - 2)
            offset = start[1] + first - left * step
            count = min(step - offset, width - first)
            here = slice(first, first + count)
            _polynomial_in_height(
                between[left], between[left + 1], offset, step, scale, elevation[y, here],
                row[:count], distance[:count],
            )  # fmt: skip
            line[y, here] = row[:count]
            entry = _samples_of(
                distance[:count], row[:count], lines, origins, polynomials, entry, pixel[y, here]
            )
            first += count


@jit()
def _polynomial_in_height(  # type: ignore[no-untyped-def]
    before, after, offset, step, scale, elevation, row, distance
):
    for i in range(len(row)):
        w = (offset + i) / step
        v = 1.0 - w
        h = (elevation[i] - scale[0]) / scale[1]
        row[i] = (before[0] * v + after[0] * w) + h * (
            (before[1] * v + after[1] * w)
            + h * ((before[2] * v + after[2] * w) + h * (before[3] * v + after[3] * w))
        )
        distance[i] = (before[4] * v + after[4] * w) + h * (
            (before[5] * v + after[5] * w)
            + h * ((before[6] * v + after[6] * w) + h * (before[7] * v + after[7] * w))
        )


@jit()
def _samples_of(distance, row, lines, origins, polynomials, entry, pixel):  # type: ignore[no-untyped-def]
    """Convert slant ranges to samples; return the entry of the polynomials that was used last."""
    low, high = np.inf, -np.inf
    for i in range(len(row)):
        low, high = min(low, row[i]), max(high, row[i])
    entry = _entry(lines, low, entry)
    if _entry(lines, high, entry) != entry:
        for i in range(len(row)):
            entry = _entry(lines, row[i], entry)
            pixel[i] = _sample_of(distance[i], row[i], lines, origins, polynomials, entry)
        return entry
    following = min(entry + 1, len(lines) - 1)
    span = lines[following] - lines[entry] if following > entry else 1.0
    last = polynomials.shape[1] - 1
    one, other = np.empty(len(row)), np.empty(len(row))
    one[:], other[:] = polynomials[entry, last], polynomials[following, last]
    for k in range(last - 1, -1, -1):
        a, b = polynomials[entry, k], polynomials[following, k]
        for i in range(len(row)):
            one[i] = one[i] * (distance[i] - origins[entry]) + a
            other[i] = other[i] * (distance[i] - origins[following]) + b
    for i in range(len(row)):
        weight = min(max((row[i] - lines[entry]) / span, 0.0), 1.0)
        pixel[i] = one[i] * (1.0 - weight) + other[i] * weight
    return entry


@jit(inline="always")
def _entry(lines, row, entry):  # type: ignore[no-untyped-def]
    """Move to the last polynomial that isn't later than a line."""
    while entry > 0 and row < lines[entry]:
        entry -= 1
    while entry < len(lines) - 2 and row >= lines[entry + 1]:
        entry += 1
    return entry


@jit(inline="always")
def _sample_of(distance, row, lines, origins, polynomials, entry):  # type: ignore[no-untyped-def]
    """Convert slant range to a sample, linearly between the polynomials of two lines."""
    following = min(entry + 1, len(lines) - 1)
    below, above = distance - origins[entry], distance - origins[following]
    last = polynomials.shape[1] - 1
    one, other = polynomials[entry, last], polynomials[following, last]
    for k in range(last - 1, -1, -1):
        one = one * below + polynomials[entry, k]
        other = other * above + polynomials[following, k]
    span = lines[following] - lines[entry] if following > entry else 1.0
    weight = min(max((row - lines[entry]) / span, 0.0), 1.0)
    return one * (1.0 - weight) + other * weight
