"""One tiny event that every trial begins from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import torch

from floodloom.learning.checkpoint import Checkpoint, save_checkpoint
from floodloom.mapping.product_set import FloodProducts
from floodloom.models.registry import build
from floodloom.raster.store import open_store, recipe_of
from floodloom.simulate.settings import SimulateSettings
from floodloom.stages.calibrate import calibrate
from floodloom.stages.delineate import delineate
from floodloom.stages.geocode import geocode
from floodloom.stages.simulate import simulate
from floodloom.stages.tile import tile
from floodloom.tiles.settings import TileSettings

from .making import zipped

SIZE = 128


def make_event(folder: Path) -> None:
    """Write good inputs: products, stores, rasters, tiles, a checkpoint and a map."""
    torch.set_num_threads(1)
    rasters = {name: folder / f"{name}.tif" for name in ("dem", "optical", "truth")}
    safes = {f"out_{role}": folder / f"{role}.SAFE" for role in ("before", "after")}
    simulate(**rasters, **safes, settings=SimulateSettings(size=SIZE))
    zipped(folder / "after.SAFE", folder / "after.zip")
    calibrate(safe=folder / "after.SAFE", out=folder / "calibrated.zarr")
    geocode(scene=folder / "calibrated.zarr", dem=rasters["dem"], out=folder / "scene.zarr")
    tile(
        scene=[folder / "scene.zarr"],
        labels=rasters["truth"],
        out=folder / "tiles.zarr",
        settings=TileSettings(size=32),
    )
    _checkpoint(folder)
    _probability(folder)
    made = {"out": "flood.tif", "vectors": "flood.gpkg", "item": "flood.json"}
    products = FloodProducts(**{name: folder / file for name, file in made.items()})
    delineate(probability=[folder / "probability.tif"], products=products)


def _checkpoint(folder: Path) -> None:
    torch.manual_seed(0)
    recipe = recipe_of(open_store(folder / "scene.zarr")).for_inputs(("vv", "vh"))
    arguments = {"in_channels": 2, "classes": 2, "width": 4, "depth": 2}
    weights = build("unet", **arguments).state_dict()
    made = Checkpoint("unet", arguments, ("dry", "water"), recipe, weights)
    save_checkpoint(made, folder / "model.safetensors")


def _probability(folder: Path) -> None:
    """Percent of water: a third dry, a third water, and a margin and a hole without data."""
    with rasterio.open(folder / "truth.tif") as truth:
        profile = {"crs": truth.crs, "transform": truth.transform}
        shape = truth.shape
    percent = np.full(shape, 10, np.uint8)
    percent[:, shape[1] // 3 :] = 90
    percent[:8] = percent[30:40, 30:50] = 255
    tags = {"ACQUISITION_TIME": "2023-05-14T16:58:21", "ORBIT_DIRECTION": "ascending"}
    with rasterio.open(
        folder / "probability.tif",
        "w",
        driver="GTiff",
        height=shape[0],
        width=shape[1],
        count=1,
        dtype="uint8",
        nodata=255,
        **profile,
    ) as raster:
        raster.write(percent, 1)
        raster.update_tags(FLOODLOOM_PRODUCT="water_probability", **tags)
