"""Scenes of two classes whose distributions are known."""

from __future__ import annotations

import numpy as np
import xarray as xr

from floodloom.classical.baseline import WaterMap, map_water
from floodloom.classical.choices import BASELINES
from floodloom.classical.scene import BackscatterScene
from floodloom.simulate.chips import make_chip
from floodloom.tiles.labels import water_labels

LOOKS = 4.4
SIDE = 768


def disc(row: int, col: int, radius: int, side: int = SIDE) -> np.ndarray:
    """Where (y, x) a round lake is."""
    rows, cols = np.mgrid[:side, :side]
    return (rows - row) ** 2 + (cols - col) ** 2 < radius**2


def power(water: np.ndarray, seed: int = 0, *, wet: float = -20.0, dry: float = -9.0) -> np.ndarray:
    """Linear power (y, x) float32 of water and uneven land, dB, with speckle of 4.4 looks."""
    rows, cols = np.mgrid[: water.shape[0], : water.shape[1]]
    land = dry + 1.5 * np.sin(rows / 70) * np.cos(cols / 90)
    speckle = np.random.default_rng(seed).gamma(LOOKS, 1 / LOOKS, water.shape)
    return (10 ** (np.where(water, wet, land) / 10) * speckle).astype(np.float32)


def band(values: np.ndarray, chunks: tuple[int, int] | None = None) -> xr.DataArray:
    """A band of a scene, lazy with chunks."""
    found = xr.DataArray(values, dims=("y", "x"))
    return found if chunks is None else found.chunk({"y": chunks[0], "x": chunks[1]})


def mapped(name: str, scene: BackscatterScene, **arguments: object) -> WaterMap:
    """The map of a baseline."""
    return map_water(scene, name, BASELINES.load(name), arguments)


def iou(percent: np.ndarray, water: np.ndarray) -> float:
    """Intersection over union of the water of a map with the truth."""
    found = (percent >= 50) & (percent != 255)
    return float((found & water).sum() / (found | water).sum())


def simulated_chip(seed: int, side: int = 128) -> tuple[BackscatterScene, np.ndarray]:
    """Upper left part of a chip of the simulator, and where its truth is water."""
    chip = make_chip(seed, 2 * side)
    values = np.where(chip.valid, chip.after, np.nan).astype(np.float32)[:, :side, :side]
    bands = {name: band(one) for name, one in zip(chip.polarisations, values, strict=True)}
    return BackscatterScene(bands), water_labels(chip.label)[:side, :side] == 1
