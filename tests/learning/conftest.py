"""Tiles with a known truth: dark water under speckle, optical images that show it plainly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter

from floodloom.raster.recipe import Recipe
from floodloom.tiles.store import tile_dataset, write_tiles

MakeTiles = Callable[..., xr.Dataset]


QUICK: dict[str, Any] = {
    "width": 4,
    "epochs": 6,
    "batch": 4,
    "learning_rate": 5e-3,
    "precision": "float32",
}
"""Settings of a stage with which it takes seconds."""


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


@pytest.fixture(scope="module")
def stores(make_tiles, tmp_path_factory) -> dict[str, Path]:
    """Tile stores by name, and their folder; `target` has neither labels nor optical images."""
    folder = tmp_path_factory.mktemp("stores")
    torch.set_num_threads(1)
    tiles = {
        "train": make_tiles(24, optical=True),
        "validation": make_tiles(8, "validation", seed=1, optical=True),
        "target": make_tiles(12, "target", seed=2, labelled=False, event="target"),
        "pairs": make_tiles(8, "target", seed=3, optical=True, event="pairs"),
    }
    for name, dataset in tiles.items():
        write_tiles(dataset, folder / f"{name}.zarr")
    return {name: folder / f"{name}.zarr" for name in tiles} | {"folder": folder}
