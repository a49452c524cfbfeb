from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter

from floodloom.raster.grid import grid_from_bounds

GRID = grid_from_bounds((400000, 5000000, 402000, 5002000), 32633, 10.0)
"""200 by 200 px."""


@dataclass(frozen=True)
class Place:
    """One landscape seen by both sensors: water and fields, each with its own brightness."""

    water: NDArray[np.bool_]
    radar: NDArray[np.float32]
    reflectance: NDArray[np.float32]  # green, nir


@pytest.fixture(scope="session")
def grid() -> GeoBox:
    return GRID


@pytest.fixture(scope="session")
def make_place() -> Callable[..., Place]:
    def make(seed: int = 0, side: int = 200) -> Place:
        draw = np.random.default_rng(seed)
        height = gaussian_filter(draw.normal(size=(side, side)), 6)
        fields = gaussian_filter(draw.normal(size=(side, side)), 4) > 0
        water = height < np.quantile(height, 0.3)
        decibel = np.where(water, -20.0, np.where(fields, -9.0, -12.0))
        decibel += 10 * np.log10(draw.gamma(10, 0.1, (side, side)))
        green = np.where(water, 0.08, np.where(fields, 0.06, 0.11))
        nir = np.where(water, 0.03, np.where(fields, 0.35, 0.24))
        image = np.stack([green, nir]) * (1 + 0.03 * draw.normal(size=(2, side, side)))
        return Place(water, decibel.astype(np.float32), image.astype(np.float32))

    return make
