"""Look-up tables of the calibration and noise files, evaluated on blocks of the image."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from floodloom.errors import InputError

Coefficient = Literal["beta0", "sigma0", "gamma0"]
"""Backscatter coefficients that a product can be calibrated to."""

_ELEMENTS = {"beta0": "betaNought", "sigma0": "sigmaNought", "gamma0": "gamma"}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lut:
    """Values on a grid of lines and pixels: `values` (line, pixel) float64."""

    lines: Floats
    pixels: Floats
    values: Floats

    def on_block(self, rows: Floats, cols: Floats) -> Floats:
        """Interpolate bilinearly on a block; beyond the table the nearest values hold.

        Parameters
        ----------
        rows, cols
            Lines and pixels of the block.

        Returns
        -------
        ndarray
            (row, col) float64.
        """
        position = np.interp(rows, self.lines, np.arange(len(self.lines)))
        upper = np.minimum(position.astype(int) + 1, len(self.lines) - 1)
        lower = position.astype(int)
        across = np.stack(
            [np.interp(cols, self.pixels, self.values[k]) for k in range(lower[0], upper[-1] + 1)]
        )
        weight = (position - lower)[:, np.newaxis]
        block: Floats = across[lower - lower[0]] * (1 - weight) + across[upper - lower[0]] * weight
        return block


def calibration_lut(root: ET.Element, quantity: Coefficient, source: str) -> Lut:
    """Read the table A by which pixel values are divided.

    Parameters
    ----------
    root
        Root of the calibration file.
    quantity
        beta0, sigma0 or gamma0.
    source
        Its name, for messages.

    Raises
    ------
    InputError
        If it holds no calibration vector.

    References
    ----------
    ESA, Radiometric Calibration of S-1 Level-1 Products, ESA-EOPG-CSCOP-TN-0002, section 2.
    """
    vectors = root.findall("calibrationVectorList/calibrationVector")
    return vector_lut(vectors, _ELEMENTS[quantity], f"{source}: no calibration vector")


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
