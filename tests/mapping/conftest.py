"""Scenes and networks that the tests of mapping share."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import xarray as xr

from floodloom.learning.checkpoint import Checkpoint, save_checkpoint
from floodloom.models.registry import build
from floodloom.raster.recipe import Recipe

PRODUCT = Recipe(quantity="gamma0", spacing=10.0)
INPUTS = PRODUCT.for_inputs(("vv", "vh"))


def untrained(seed: int = 0, *, temperature: float = 1.0, recipe: Recipe = INPUTS, **arguments):
    """A checkpoint with random weights whose probabilities take all values on `backscatter`."""
    torch.manual_seed(seed)
    arguments = {"in_channels": 2, "classes": 2, "width": 4, "depth": 2, **arguments}
    model = build("unet", **arguments)
    image = torch.from_numpy(np.nan_to_num(as_inputs(backscatter(256, 256)).values))[None]
    with torch.no_grad():
        for _ in range(20):
            model.train()(image)
        logits = model.eval()(image)
        difference = logits[:, 1] - logits[:, 0]
        model.head.weight *= 3 / difference.std()
        model.head.bias[1] -= difference.mean()
        model.head.bias *= 3 / difference.std()
    return Checkpoint(
        "unet", arguments, ("dry", "water"), recipe, model.state_dict(), temperature=temperature
    )


@cache
def fitted(steps: int = 60, *, recipe: Recipe = INPUTS, **arguments) -> Checkpoint:
    """A checkpoint that has learnt to see the water of `flooded`, so that it is mostly sure."""
    torch.manual_seed(0)
    arguments = {"in_channels": 2, "classes": 2, "width": 4, "depth": 2, **arguments}
    model = build("unet", **arguments)
    power, water = flooded(128, 128, seed=1)
    image = torch.from_numpy(as_inputs(power).values)[None]
    label = torch.from_numpy(water.astype("int64"))[None]
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(image), label).backward()
        optimiser.step()
    return Checkpoint("unet", arguments, ("dry", "water"), recipe, model.eval().state_dict())


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return [save_checkpoint(untrained(s), folder / f"{s}.safetensors") for s in (0, 1)]


def backscatter(height: int, width: int, seed: int = 2) -> np.ndarray:
    """(band, y, x) float32 linear power with holes and a slanted border without data."""
    draw = np.random.default_rng(seed)
    rows, cols = np.mgrid[:height, :width].astype("float32")
    land = 0.05 + 0.04 * np.sin(rows / 37) * np.cos(cols / 53)
    power = np.stack([land, land / 5]) * draw.gamma(4, 0.25, (2, height, width))
    power[:, cols < rows // 9] = np.nan
    for _ in range(max(height * width // 40_000, 3)):
        row, col = draw.integers(0, (height, width))
        tall, wide = draw.integers(1, 60, 2)
        power[draw.integers(0, 2), row : row + tall, col : col + wide] = np.nan
    return power.astype("float32")


def flooded(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Linear power (band, y, x) float32 of dark water on bright land, and where (y, x) it is."""
    rows, cols = np.mgrid[:height, :width]
    water = np.sin(rows / 23 + seed) * np.cos(cols / 31) > 0.3
    vv = np.where(water, 0.004, 0.06 + 0.02 * np.sin(rows / 37) * np.cos(cols / 53))
    speckle = np.random.default_rng(seed).gamma(4.4, 1 / 4.4, (2, height, width))
    return (np.stack([vv, vv / 5]) * speckle).astype("float32"), water


def as_inputs(power: np.ndarray) -> xr.DataArray:
    """Inputs in -1..1 as the recipe composes them."""
    values = np.clip(10 * np.log10(np.maximum(power, 1e-6)), -30, 5)
    scaled = np.where(np.isnan(power), np.nan, (values + 30) * (2 / 35) - 1)
    return xr.DataArray(scaled.astype("float32"), dims=("band", "y", "x"))
