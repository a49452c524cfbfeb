"""Pixels at the image's edge that hold no echo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

EROSION = 4
"""Pixels taken off beside every empty margin, where the edge of the swath fades in."""


def empty_margin(dn: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Mark what lies beyond the first and the last non-zero pixel of each line.

    Parameters
    ----------
    dn
        (line, pixel) uint16 digital numbers, whole lines.

    Returns
    -------
    ndarray
        (line, pixel) bool.
    """
    lit = dn > 0
    from_left = np.logical_or.accumulate(lit, axis=1)
    from_right = np.logical_or.accumulate(lit[:, ::-1], axis=1)[:, ::-1]
    margin: NDArray[np.bool_] = ~(from_left & from_right)
    return margin


def eroded_edge(margin: NDArray[np.bool_], pixels: int = EROSION) -> NDArray[np.bool_]:
    """Mark the valid pixels within a distance of an empty margin.

    Parameters
    ----------
    margin
        (line, pixel) bool.
    pixels
        Distance along and across, px.

    Returns
    -------
    ndarray
        (line, pixel) bool, without the margin itself.
    """
    if not margin.any() or pixels == 0:
        return np.zeros_like(margin)
    inside: NDArray[np.bool_] = ~margin
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), dtype=bool)
    edge: NDArray[np.bool_] = inside & ~binary_erosion(inside, kernel, border_value=1)
    return edge
