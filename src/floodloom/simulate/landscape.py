"""A landscape with a river, lakes and hills, and the flood that fills its lowlands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, label

from floodloom.arrays import Doubles, Mask
from floodloom.simulate.fields import patches, rough_field, smooth_field

CROPS, FOREST, URBAN, BARE = 0, 1, 2, 3
"""Land cover classes; water lies on top of them."""


@dataclass(frozen=True)
class Landscape:
    """A place before and after a flood; all (y, x).

    `elevation` float64, m above the ellipsoid; `above_drainage` float64, m; `cover` int classes;
    `field` int, index of the parcel; `roughness` float64, dB that a parcel is brighter than others;
    `permanent` and `flooded` bool, never both.
    """

    elevation: Doubles
    above_drainage: Doubles
    cover: NDArray[np.int_]
    field: NDArray[np.int_]
    roughness: Doubles
    permanent: Mask
    flooded: Mask


def make_landscape(
    seed: int, side: int, spacing: float, flood_depth: float, relief: float
) -> Landscape:
    """Make a landscape and flood it.

    Parameters
    ----------
    seed
        Seed of everything random.
    side
        Pixels along each side.
    spacing
        Pixel spacing, m.
    flood_depth
        Level of the flood above the drainage, m.
    relief
        Standard deviation of the hills' height, m.

    Returns
    -------
    Landscape
    """
    draw = np.random.default_rng(seed)
    shape = (side, side)
    river = _river(draw, side)
    river_distance = distance_transform_edt(~river) * spacing
    lakes = _lakes(draw, shape, river_distance, spacing)
    distance = np.minimum(river_distance, distance_transform_edt(~lakes) * spacing * 3 + 150)
    above = _height_above_drainage(draw, shape, distance, spacing, relief)
    permanent = river | lakes
    above[permanent] = 0.0
    slope_along = np.linspace(8.0, 0.0, side)[:, np.newaxis]
    elevation = 60.0 + slope_along + gaussian_filter(above, 1.0)
    level = flood_depth + 0.25 * smooth_field(draw, shape, side / 12)
    cover, field = _land_cover(draw, shape, above, spacing)
    return Landscape(
        elevation=elevation,
        above_drainage=above,
        cover=cover,
        field=field,
        roughness=draw.normal(0, 1.6, int(field.max()) + 1)[field],
        permanent=permanent,
        flooded=_connected(above < level, permanent) & ~permanent,
    )


def _river(draw: np.random.Generator, side: int) -> Mask:
    along = np.arange(side)
    phases = draw.uniform(0, 2 * np.pi, 3)
    lengths = side / draw.uniform((0.8, 1.8, 4.0), (1.4, 3.0, 7.0))
    swings = side * np.array([0.13, 0.06, 0.02])
    waves = swings[:, np.newaxis] * np.sin(
        2 * np.pi * along / lengths[:, np.newaxis] + phases[:, np.newaxis]
    )
    centre = side * draw.uniform(0.4, 0.6) + waves.sum(axis=0)
    half_width = 6 + 2 * np.sin(2 * np.pi * along / (side / 5) + phases[0])
    across = np.abs(np.arange(side)[np.newaxis] - centre[:, np.newaxis])
    steepness = np.hypot(1, np.gradient(centre))[:, np.newaxis]
    return np.asarray(across < half_width[:, np.newaxis] * steepness)


def _lakes(
    draw: np.random.Generator, shape: tuple[int, int], river_distance: Doubles, spacing: float
) -> Mask:
    basin = smooth_field(draw, shape, shape[0] / 40)
    candidates = (basin > 1.9) & (river_distance > 60 * spacing)
    parts, count = label(candidates)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    keep = np.flatnonzero(sizes > 60)
    return np.isin(parts, keep[keep > 0])


def _height_above_drainage(
    draw: np.random.Generator,
    shape: tuple[int, int],
    distance: Doubles,
    spacing: float,
    relief: float,
) -> Doubles:
    plain = 900.0 + 350.0 * smooth_field(draw, shape, shape[0] / 8)
    plain = np.clip(plain, 250.0, None)
    rise = np.clip(distance / plain, 0, None)
    lowland = 1.0 + 2.2 * rise + 0.5 * rough_field(draw, shape, 40 * 10 / spacing)
    hills = relief * np.clip(rough_field(draw, shape, shape[0] / 10) + 1.2, 0, None)
    blend = np.clip((rise - 1.1) / 1.6, 0, 1) ** 2
    return np.asarray(np.maximum(lowland, 0.15) + hills * blend)


def _connected(low: Mask, permanent: Mask) -> Mask:
    parts, _ = label(low | permanent)
    wet = np.unique(parts[permanent])
    return np.isin(parts, wet[wet > 0])


def _land_cover(
    draw: np.random.Generator, shape: tuple[int, int], above: Doubles, spacing: float
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    count = max(int(shape[0] * shape[1] * spacing**2 / 90_000), 4)
    field = patches(draw, shape, count)
    cover = np.full(shape, CROPS)
    wooded = smooth_field(draw, shape, 25 * 10 / spacing) + np.clip(above / 25, 0, 1.5)
    cover[wooded > 1.15] = FOREST
    bare = draw.random(count) < 0.08
    cover[bare[field] & (cover == CROPS)] = BARE
    town = smooth_field(draw, shape, 18 * 10 / spacing)
    cover[(town > 2.2) & (above > 2.5) & (above < 25)] = URBAN
    return cover, field
