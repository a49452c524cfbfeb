"""Look-up tables of the calibration and noise files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from floodloom.errors import InputError

Coefficient = Literal["beta0", "sigma0", "gamma0", "dn"]
"""What a product can be calibrated to; dn leaves the squared digital numbers."""

_ELEMENTS = {"beta0": "betaNought", "sigma0": "sigmaNought", "gamma0": "gamma"}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lut:
    """Values on a grid of lines and pixels: `values` (line, pixel) float64."""

    lines: Floats
    pixels: Floats
    values: Floats

    def across(self, samples: int) -> Floats:
        """Return the vectors at every sample of a line, (vector, sample) float64.

        Beyond the table's first and last pixel the nearest value holds.
        """
        cols = np.arange(samples, dtype=np.float64)
        return np.stack([np.interp(cols, self.pixels, vector) for vector in self.values])

    def vectors_at(self, lines: Floats) -> tuple[NDArray[np.int64], Floats]:
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
    vectors = root.findall("calibrationVectorList/calibrationVector")
    lut = vector_lut(vectors, _ELEMENTS[quantity], f"{source}: no calibration vector")
    if not (lut.values > 0).all():
        raise InputError(
            f"{source}: {_ELEMENTS[quantity]} holds {lut.values.min():g} but all must be above 0; "
            "fetch the product again"
        )
    return lut


def vector_lut(vectors: list[ET.Element], element: str, complaint: str) -> Lut:
    """Put vectors, each with its line, pixels and values, onto one grid."""
    usable = [vector for vector in vectors if (vector.findtext(element) or "").split()]
    if not usable:
        raise InputError(f"{complaint} inside; fetch the product again")
    lines = np.array([float(vector.findtext("line") or 0) for vector in usable])
    pixels = [numbers(vector, "pixel") for vector in usable]
    axis = np.unique(np.concatenate(pixels))
    rows = [
        np.interp(axis, own, numbers(vector, element))
        for own, vector in zip(pixels, usable, strict=True)
    ]
    order = np.argsort(lines, kind="stable")
    return Lut(lines[order], axis, np.array(rows)[order])


def numbers(element: ET.Element, name: str) -> Floats:
    """Parse the numbers in a child element."""
    return np.array((element.findtext(name) or "").split(), dtype=np.float64)
