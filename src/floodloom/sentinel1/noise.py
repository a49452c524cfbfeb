"""Tables of calibration and of thermal noise."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles
from floodloom.errors import InputError
from floodloom.kernels import jit
from floodloom.sentinel1.settings import Coefficient
from floodloom.sentinel1.xml import (
    increasing,
    number,
    numbers,
    positive,
    same_length,
    whole,
    within,
)

_ELEMENTS = {"beta0": "betaNought", "sigma0": "sigmaNought", "gamma0": "gamma"}
MOST_VECTORS = 500
"""An image has one each second of flight, at most 70."""
_MOST_VALUES = 20_000_000
_COEFFICIENTS = (1.0, 1e5)  # beyond, the largest digital number is less than any echo


@dataclass(frozen=True)
class Lut:
    """Values on a grid of lines and pixels: `values` (line, pixel) float64."""

    lines: Doubles
    pixels: Doubles
    values: Doubles

    def across(self, samples: int) -> Doubles:
        """Return the vectors at every sample of a line, (vector, sample) float64.

        Beyond the table's first and last pixel the nearest value holds.
        """
        cols = np.arange(samples, dtype=np.float64)
        return np.stack([np.interp(cols, self.pixels, vector) for vector in self.values])

    def vectors_at(self, lines: Doubles) -> tuple[NDArray[np.int64], Doubles]:
        """Return between which vectors lines lie: the upper one's index and the next one's weight.

        Beyond the table's first and last line the nearest vector holds.
        """
        position = np.interp(lines, self.lines, np.arange(len(self.lines), dtype=np.float64))
        index = np.minimum(position.astype(np.int64), max(len(self.lines) - 2, 0))
        return index, position - index


def calibration_lut(root: ET.Element, quantity: Coefficient, source: str) -> Lut:
    """Read the table A by which pixel values are divided.

    Parameters
    ----------
    root
        Root of the calibration file.
    quantity
        beta0, sigma0, gamma0, or dn for a table of ones.
    source
        Its name, for messages.

    Raises
    ------
    InputError
        If it holds no calibration vector, or a value that nothing can be divided by.

    References
    ----------
    ESA, Radiometric Calibration of S-1 Level-1 Products, ESA-EOPG-CSCOP-TN-0002, section 2.
    """
    if quantity == "dn":
        return Lut(np.zeros(1), np.zeros(1), np.ones((1, 1)))
    vectors, element = root.findall("calibrationVectorList/calibrationVector"), _ELEMENTS[quantity]
    try:
        lut = vector_lut(vectors, element, "calibration vector")
        within(positive(lut.values, element), element, *_COEFFICIENTS)
    except ValueError as error:
        raise InputError(f"{source}: {error}; fetch the product again") from error
    return lut


def vector_lut(vectors: list[ET.Element], element: str, what: str) -> Lut:
    """Put vectors, each with its line, pixels and values, onto one grid.

    Raises
    ------
    ValueError
        If there is none, or one isn't a table of finite numbers on pixels that increase.
    """
    usable = [vector for vector in vectors if (vector.findtext(element) or "").split()]
    if not usable:
        raise ValueError(f"no {what} inside")
    if len(usable) > MOST_VECTORS:
        raise ValueError(f"{len(usable):,} {what}s, more than any image has ({MOST_VECTORS})")
    lines = np.array([number(vector, "line") for vector in usable])
    increasing(lines, f"line of {what}s", strictly=False)
    pixels = [increasing(numbers(vector, "pixel"), "pixel") for vector in usable]
    values = [numbers(vector, element) for vector in usable]
    for own, found in zip(pixels, values, strict=True):
        same_length((own, found), ("pixel", element))
    axis = np.unique(np.concatenate(pixels))
    if len(usable) * len(axis) > _MOST_VALUES:
        raise ValueError(f"{what}s on {len(axis):,} different pixels, more than any image has")
    rows = [np.interp(axis, own, found) for own, found in zip(pixels, values, strict=True)]
    return Lut(lines, axis, np.array(rows))


_MOST_POWER = 65535.0**2  # of the largest digital number
_MOST_FACTOR = 100.0
_FARTHEST = np.iinfo(np.int32).max


@dataclass(frozen=True)
class AzimuthBlock:
    """Azimuth factors of a block of lines and pixels, both ends included."""

    first_line: int
    last_line: int
    first_pixel: int
    last_pixel: int
    lines: Doubles
    factors: Doubles


@dataclass(frozen=True)
class Noise:
    """Noise power of an image in squared digital numbers: range table times azimuth factors."""

    range_lut: Lut
    blocks: tuple[AzimuthBlock, ...]

    @property
    def bounds(self) -> NDArray[np.int64]:
        """First and last line, first and last pixel of each azimuth block, (block, 4)."""
        rows = [(b.first_line, b.last_line, b.first_pixel, b.last_pixel) for b in self.blocks]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    def block_factors(self, lines: Doubles) -> Doubles:
        """Return the factor of each azimuth block at lines, (line, block) float64."""
        factors = [np.interp(lines, block.lines, block.factors) for block in self.blocks]
        return np.stack(factors, axis=-1) if factors else np.empty((len(lines), 0))


@jit()
def azimuth_row(line, bounds, factors, row):  # type: ignore[no-untyped-def]
    """Fill `row` (sample,) with the azimuth factors of one line.

    Samples that no block covers take the nearest block's factor; without any block it is 1.
    """
    if len(bounds) == 0:
        row[:] = 1.0
        return
    row[:] = np.nan
    for block in range(len(bounds) - 1, -1, -1):
        if bounds[block, 0] <= line <= bounds[block, 1]:
            row[max(bounds[block, 2], 0) : bounds[block, 3] + 1] = factors[block]
    for sample in range(len(row)):
        if np.isnan(row[sample]):
            row[sample] = factors[_nearest(line, sample, bounds)]


@jit()
def _nearest(line, sample, bounds):  # type: ignore[no-untyped-def]
    best, least = 0, np.inf
    for block in range(len(bounds)):
        along = max(bounds[block, 0] - line, line - bounds[block, 1], 0)
        across = max(bounds[block, 2] - sample, sample - bounds[block, 3], 0)
        if along + across < least:
            best, least = block, along + across
    return best


def parse_noise(root: ET.Element, source: str) -> Noise:
    """Read a noise file of either dialect.

    Raises
    ------
    InputError
        If it holds no noise vector, or one that isn't a table of finite numbers from 0 on.
    """
    try:
        return _noise(root)
    except ValueError as error:
        raise InputError(f"{source}: {error}; fetch the product again") from error


def _noise(root: ET.Element) -> Noise:
    old = root.findall("noiseVectorList/noiseVector")
    if old:
        return Noise(_range_lut(old, "noiseLut"), ())
    vectors = root.findall("noiseRangeVectorList/noiseRangeVector")
    along = root.findall("noiseAzimuthVectorList/noiseAzimuthVector")
    if len(along) > MOST_VECTORS:
        raise ValueError(f"{len(along):,} noise azimuth vectors, more than any image has")
    blocks = [_azimuth_block(vector) for vector in along]
    return Noise(
        _range_lut(vectors, "noiseRangeLut"), tuple(block for block in blocks if block is not None)
    )


def _range_lut(vectors: list[ET.Element], element: str) -> Lut:
    lut = vector_lut(vectors, element, "noise vector")
    within(lut.values, element, 0.0, _MOST_POWER)
    return lut


def _azimuth_block(vector: ET.Element) -> AzimuthBlock | None:
    lines, factors = numbers(vector, "line"), numbers(vector, "noiseAzimuthLut")
    if factors.size == 0:
        return None
    if factors.size == 1:
        lines = lines[:1] if lines.size == 1 else np.zeros(1)
    same_length((lines, factors), ("line", "noiseAzimuthLut"))
    increasing(lines, "line of noise vectors", strictly=False)
    within(factors, "noiseAzimuthLut", 0.0, _MOST_FACTOR)

    def bound(name: str, default: float) -> int:
        if not (vector.findtext(name) or "").strip():
            return int(default)
        return whole(vector, name, -_FARTHEST, _FARTHEST)

    block = AzimuthBlock(
        bound("firstAzimuthLine", lines[0]),
        bound("lastAzimuthLine", lines[-1]),
        bound("firstRangeSample", 0),
        bound("lastRangeSample", np.iinfo(np.int32).max),
        lines,
        factors,
    )
    if block.last_line < block.first_line or block.last_pixel < block.first_pixel:
        raise ValueError("a noise azimuth vector ends before it begins")
    return block
