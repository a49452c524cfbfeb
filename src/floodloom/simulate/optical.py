"""What an optical sensor sees of a landscape."""

from __future__ import annotations

import numpy as np

from floodloom.arrays import Floats
from floodloom.simulate.fields import fractal_field
from floodloom.simulate.landscape import Landscape
from floodloom.simulate.place import Cover

CHANNELS = ("green", "red", "nir", "swir", "cloud")
"""Bands of the optical image; `cloud` is 1 under cloud."""

_REFLECTANCE = {
    Cover.CROP: (0.09, 0.07, 0.34, 0.20),
    Cover.GRASS: (0.09, 0.08, 0.30, 0.22),
    Cover.SHRUB: (0.08, 0.08, 0.25, 0.21),
    Cover.FOREST: (0.05, 0.04, 0.28, 0.12),
    Cover.MARSH: (0.07, 0.06, 0.26, 0.13),
    Cover.SAND: (0.24, 0.30, 0.38, 0.45),
    Cover.SOIL: (0.15, 0.19, 0.25, 0.32),
    Cover.ROCK: (0.16, 0.18, 0.22, 0.27),
    Cover.FLAT: (0.17, 0.19, 0.22, 0.20),
    Cover.TOWN: (0.16, 0.17, 0.22, 0.25),
    Cover.ROAD: (0.12, 0.12, 0.14, 0.16),
    Cover.SNOW: (0.75, 0.74, 0.65, 0.08),
    Cover.ICE: (0.45, 0.42, 0.30, 0.04),
    Cover.PADDY: (0.08, 0.06, 0.30, 0.15),
}
_WATER = (0.075, 0.06, 0.03, 0.012)
_FLOODED_FOREST = (0.05, 0.04, 0.18, 0.05)
_CLOUD = (0.6, 0.6, 0.62, 0.45)


def optical_image(landscape: Landscape, flooded: bool, cloud_share: float, seed: int) -> Floats:
    """Return reflectances and the cloud mask.

    Parameters
    ----------
    landscape
        The place.
    flooded
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
    cover, flood = landscape.land.cover, landscape.flood.covered & flooded
    wet = landscape.ground.water | flood
    canopy = flood & (cover == Cover.FOREST)
    side = len(cover)
    thickness = fractal_field(draw, side, 3.4, side / 3)
    cloud = thickness > np.quantile(thickness, 1 - cloud_share)
    table = np.array([_REFLECTANCE[kind] for kind in Cover], dtype=np.float32)
    image = np.zeros((5, side, side), dtype=np.float32)
    for channel in range(4):
        values = table[cover, channel]
        values[wet] = _WATER[channel]
        values[canopy] = _FLOODED_FOREST[channel]
        values *= 1 + np.float32(0.12) * fractal_field(draw, side, 2, 20)
        image[channel] = np.clip(np.where(cloud, _CLOUD[channel], values), 0, 1)
    image[4] = cloud
    return image
