"""The simulated landscape, and what radar and optical sensors see of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq
from scipy.ndimage import distance_transform_edt, gaussian_filter, label
from scipy.spatial import cKDTree

from floodloom.arrays import Doubles, Mask
from floodloom.sentinel1.bands import decibel_to_power


def smooth_field(draw: np.random.Generator, shape: tuple[int, int], scale: float) -> Doubles:
    """Draw a Gaussian random field of mean 0, variance 1 and a correlation length in px."""
    rows, cols = fftfreq(shape[0])[:, np.newaxis], rfftfreq(shape[1])[np.newaxis]
    transfer = np.exp(-2 * (np.pi * scale) ** 2 * (rows**2 + cols**2))
    field = irfft2(rfft2(draw.standard_normal(shape)) * transfer, s=shape)
    return np.asarray((field - field.mean()) / field.std())


def rough_field(draw: np.random.Generator, shape: tuple[int, int], scale: float) -> Doubles:
    """Draw a field with detail at all scales below `scale`, each half as strong as the last."""
    total = np.zeros(shape)
    weight = 1.0
    while scale >= 2:
        total += weight * smooth_field(draw, shape, scale)
        scale, weight = scale / 2, weight / 2
    return np.asarray(total / total.std())


def patches(draw: np.random.Generator, shape: tuple[int, int], count: int) -> NDArray[np.int_]:
    """Divide a plane into fields: the index of the nearest of `count` random points (y, x)."""
    points = draw.uniform((0, 0), shape, (count, 2))
    grid = np.indices(shape).reshape(2, -1).T
    elongation = np.array([1.0, 1.6])
    _, nearest = cKDTree(points * elongation).query(grid * elongation)
    return np.asarray(nearest).reshape(shape)


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


REFERENCE_ANGLE_DEG = 38.0
_WINDY = 0.9  # of a standard normal field: a fifth of the water is roughened
_EMERGENT = 5  # one flooded field in five stands above the water


@dataclass(frozen=True)
class Surface:
    """Backscatter of a surface at 38°: VV and VH in dB, and dB lost per degree beyond it."""

    vv: float
    vh: float
    slope: float


WATER = Surface(-21.5, -28.5, 0.35)
ROUGH_WATER = Surface(-13.5, -24.5, 0.22)
FLOODED_FOREST = Surface(-4.5, -13.0, 0.08)
FLOODED_CROPS = Surface(-14.0, -20.5, 0.18)
LAND = {
    CROPS: Surface(-11.0, -17.5, 0.13),
    FOREST: Surface(-8.5, -14.0, 0.08),
    URBAN: Surface(-3.0, -10.5, 0.05),
    BARE: Surface(-17.0, -25.0, 0.20),
}


def sigma0(
    landscape: Landscape, flood: bool, incidence_deg: Doubles, seed: int
) -> dict[str, Doubles]:
    """Return the speckle-free backscatter of a landscape.

    Parameters
    ----------
    landscape
        The place.
    flood
        Whether the flood is there.
    incidence_deg
        (y, x) float64, degrees against the vertical.
    seed
        Seed of wind and texture, different for every acquisition.

    Returns
    -------
    dict
        `vv` and `vh`, each (y, x) float64, linear power.
    """
    draw = np.random.default_rng(seed)
    shape = landscape.cover.shape
    texture = 0.8 * smooth_field(draw, shape, 3)
    wind = smooth_field(draw, shape, shape[0] / 15)
    surfaces = _surfaces(landscape, flood, wind)
    dry = ~(landscape.permanent | (landscape.flooded & flood))
    parcels = np.where((landscape.cover == CROPS) & dry, landscape.roughness, 0.0)
    decibel = {}
    for band in ("vv", "vh"):
        level = np.zeros(shape)
        for mask, surface in surfaces:
            value = getattr(surface, band) - surface.slope * (incidence_deg - REFERENCE_ANGLE_DEG)
            level = np.where(mask, value, level)
        decibel[band] = level + texture + parcels
    return {band: decibel_to_power(level) for band, level in decibel.items()}


def _surfaces(
    landscape: Landscape, flood: bool, wind: Doubles
) -> list[tuple[NDArray[np.bool_], Surface]]:
    surfaces = [(landscape.cover == cover, surface) for cover, surface in LAND.items()]
    if flood:
        forest = landscape.flooded & (landscape.cover == FOREST)
        crops = landscape.flooded & (landscape.cover == CROPS)
        shallow = crops & (landscape.field % _EMERGENT == 0)
        surfaces += [
            (landscape.flooded, WATER),
            (landscape.flooded & (wind > _WINDY), ROUGH_WATER),
            (shallow, FLOODED_CROPS),
            (forest, FLOODED_FOREST),
        ]
    surfaces += [
        (landscape.permanent, WATER),
        (landscape.permanent & (wind > _WINDY), ROUGH_WATER),
    ]
    return surfaces


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
