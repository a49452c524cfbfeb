"""Look-up tables of the calibration and noise files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles
from floodloom.errors import InputError
from floodloom.sentinel1.checks import (
    increasing,
    number,
    numbers,
    positive,
    same_length,
    within,
)
from floodloom.sentinel1.settings import Coefficient

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
