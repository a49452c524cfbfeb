"""Tiles with a known truth: dark water under speckle, optical images that show it plainly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter

from floodloom.raster.recipe import Recipe
from floodloom.tiles.store import tile_dataset

MakeTiles = Callable[..., xr.Dataset]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_tiles() -> MakeTiles:
    def make(
        count: int,
        split: str = "train",
        *,
        size: int = 32,
        seed: int = 0,
        optical: bool = False,
        labelled: bool = True,
        contrast: float = 6.0,
        event: str = "event",
    ) -> xr.Dataset:
        draw = np.random.default_rng(seed)
        fields = gaussian_filter(draw.normal(size=(count, size, size)), (0, 4, 4))
        water = fields > np.quantile(fields, 0.65, axis=(1, 2), keepdims=True)
        speckle = 10 * np.log10(draw.gamma(4.4, 1 / 4.4, (count, 2, size, size)))
        decibel = np.array([-10.0, -16.0]).reshape(1, 2, 1, 1) + speckle
        decibel -= contrast * water[:, np.newaxis]
        image = np.clip((decibel + 30) / 17.5 - 1, -1, 1).astype(np.float32)
        image[:, :, :2] = np.nan
        label = water.astype(np.uint8) if labelled else np.full(water.shape, 255, np.uint8)
        reflectance = None
        if optical:
            reflectance = np.where(water[:, np.newaxis], 0.05, 0.3) + draw.normal(
                0, 0.01, (count, 3, size, size)
            )
            reflectance[:, :, :, -4:] = np.nan
        index = {
            "tile_id": [f"{event}_{split}_{i}" for i in range(count)],
            "event": [event] * count,
            "scene": [f"{event}_{split}"] * count,
            "split": [split] * count,
            "row": [size * (i // 8) for i in range(count)],
            "col": [size * (i % 8) for i in range(count)],
        }
        recipe = Recipe(quantity="gamma0", spacing=10.0).for_inputs(("vv", "vh"))
        channels = ("green", "red", "nir") if optical else ()
        return tile_dataset(image, label, index, recipe, ["dry", "water"], reflectance, channels)

    return make
