"""The depth of a flood."""

from __future__ import annotations

import numpy as np
import scipy

from floodloom.arrays import Floats, Mask


def flood_depth(water: Mask, flood: Mask, dry: Mask, elevation: Floats) -> Floats:
    """Return the depth of flood water from where its surface meets the ground.

    Every patch of water is as high as its shore: the surface at a pixel is the elevation of the
    nearest pixel of the shore of its patch, after FwDET (Cohen et al. 2018,
    doi 10.1111/1752-1688.12609).

    Parameters
    ----------
    water, flood, dry
        (y, x) bool: all water, the flood among it, and land that is known to be dry.
    elevation
        (y, x) float32, m, NaN = no data.

    Returns
    -------
    ndarray
        (y, x) float32, m, 0 or more on flood; NaN elsewhere, and on patches without a shore.
    """
    depth = np.full(water.shape, np.nan, dtype=np.float32)
    beside_dry = scipy.ndimage.binary_dilation(dry, scipy.ndimage.generate_binary_structure(2, 1))
    shore = water & beside_dry & np.isfinite(elevation)
    if not shore.any():
        return depth
    patches, _ = scipy.ndimage.label(water)
    _, (rows, cols) = scipy.ndimage.distance_transform_edt(~shore, return_indices=True)
    surface = elevation[rows, cols]
    deep = flood & (patches[rows, cols] == patches) & np.isfinite(elevation)
    depth[deep] = np.maximum(surface - elevation, 0)[deep]
    return depth
