"""The optical image of a landscape, partly hidden by clouds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from floodloom.simulate.fields import rough_field, smooth_field
from floodloom.simulate.landscape import BARE, CROPS, FOREST, URBAN, Landscape

CHANNELS = ("green", "red", "nir", "swir", "cloud")
"""Bands of the optical image; `cloud` is 1 under cloud."""

_REFLECTANCE = {
    CROPS: (0.09, 0.07, 0.34, 0.20),
    FOREST: (0.05, 0.04, 0.28, 0.12),
    URBAN: (0.16, 0.17, 0.22, 0.25),
    BARE: (0.15, 0.19, 0.25, 0.32),
}
_WATER = (0.075, 0.06, 0.03, 0.012)
_FLOODED_FOREST = (0.05, 0.04, 0.18, 0.05)
_CLOUD = (0.6, 0.6, 0.62, 0.45)


def optical_image(
    landscape: Landscape, flood: bool, cloud_share: float, seed: int
) -> NDArray[np.float32]:
    """Return reflectances and the cloud mask.

    Parameters
    ----------
    landscape
        The place.
    flood
        Whether the flood is there.
    cloud_share
        Share of the image under cloud, 0-1.
    seed
        Seed of clouds and noise.

    Returns
    -------
    ndarray
        (channel, y, x) float32: green, red, nir, swir reflectance 0-1, and cloud 0 or 1.
    """
    draw = np.random.default_rng(seed)
    shape = landscape.cover.shape
    wet = landscape.permanent | (landscape.flooded & flood)
    canopy = landscape.flooded & flood & (landscape.cover == FOREST)
    image = np.zeros((5, *shape))
    thickness = rough_field(draw, shape, shape[0] / 6)
    cloud = thickness > np.quantile(thickness, 1 - cloud_share)
    for channel in range(4):
        values = np.zeros(shape)
        for cover, reflectance in _REFLECTANCE.items():
            values[landscape.cover == cover] = reflectance[channel]
        values[wet] = _WATER[channel]
        values[canopy] = _FLOODED_FOREST[channel]
        values *= 1 + 0.12 * smooth_field(draw, shape, 2)
        image[channel] = np.clip(np.where(cloud, _CLOUD[channel], values), 0, 1)
    image[4] = cloud
    return image.astype(np.float32)
