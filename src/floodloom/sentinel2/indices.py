"""Water indices, and clouds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy
from numpy.typing import NDArray

from floodloom.arrays import Mask

Reflectance = NDArray[np.float32]


def ndwi(green: Reflectance, nir: Reflectance) -> Reflectance:
    """Return (green − nir) / (green + nir), -1..1; NaN where either is NaN or both are 0."""
    return _normalised_difference(green, nir)


def mndwi(green: Reflectance, swir: Reflectance) -> Reflectance:
    """Return (green − swir) / (green + swir), -1..1; NaN where either is NaN or both are 0."""
    return _normalised_difference(green, swir)


def _normalised_difference(one: Reflectance, other: Reflectance) -> Reflectance:
    total = one + other
    safe = np.where(total > 0, total, 1)
    return np.where(total > 0, (one - other) / safe, np.nan).astype(np.float32)


SEEN_CLASSES = (2, 4, 5, 6, 7, 11)
"""Dark, vegetated and bare ground, water, unclassified, snow. What isn't one of them, such as no
data, defects, clouds, their shadows, cirrus and fill values, doesn't show the ground."""

_VISIBLE = ("blue", "green", "red")
_CLOUD_BRIGHTNESS, _CLOUD_WHITENESS = 0.28, 0.3
_SHADOW_NIR = 0.1
_RIM_PX = 3
_SHADOW_REACH_PX = 60
REACH_PX = _SHADOW_REACH_PX + 4
"""How far off a pixel `seen_by_indices` looks."""
Image = NDArray[np.float32]


def seen_by_classes(classes: Image) -> Mask:
    """Return where the scene classification (y, x), NaN = missing, sees the ground."""
    return np.isin(classes, SEEN_CLASSES)


def seen_by_indices(reflectance: Mapping[str, Image]) -> Mask:
    """Return where reflectances alone show neither cloud nor cloud shadow.

    Clouds are bright and white in the visible; their rims are left out, too. A shadow is land that
    is dark in the near infrared near a cloud; water is as dark, so only pixels with a negative
    NDWI count.

    Parameters
    ----------
    reflectance
        Bands (y, x) by name. Without a visible band every pixel with data is seen; without `green`
        and `nir` shadows aren't.
    """
    bands = [reflectance[name] for name in _VISIBLE if name in reflectance]
    data = np.asarray(np.isfinite(np.stack(list(reflectance.values()))).all(axis=0))
    if not bands:
        return data
    visible = np.stack(bands)
    brightness = visible.mean(axis=0)
    whiteness = np.abs(visible - brightness).sum(axis=0) / np.maximum(brightness, 1e-6)
    cloud = data & (brightness > _CLOUD_BRIGHTNESS) & (whiteness < _CLOUD_WHITENESS * len(bands))
    cloud = scipy.ndimage.binary_opening(cloud)  # roofs and sand bars are no clouds
    hidden = scipy.ndimage.binary_dilation(cloud, iterations=_RIM_PX)
    if {"green", "nir"} <= reflectance.keys() and cloud.any():
        near = scipy.ndimage.distance_transform_edt(~cloud) < _SHADOW_REACH_PX
        green, nir = reflectance["green"], reflectance["nir"]
        hidden |= near & (nir < _SHADOW_NIR) & (ndwi(green, nir) < 0)
    seen: Mask = data & ~hidden
    return seen
