"""A small event, opened and on disk, for the pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import assign_crs, xr_coords
from shapely.geometry import box

from floodloom.mapping.evidence import DelineateFiles
from floodloom.mapping.product_set import FloodProducts
from floodloom.mapping.settings import DelineateSettings
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import grid_from_bounds, pixel_geobox
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp, write_store
from floodloom.stages.delineate import delineate

GRID = grid_from_bounds((400000, 5000000, 401000, 5000800), 32633, 10.0)
PLAIN = pixel_geobox(80, 100)
TAGS = {
    "FLOODLOOM_PRODUCT": "water_probability",
    "FLOODLOOM_CHECKPOINT": "unet-0",
    "FLOODLOOM_BACKEND": "torch",
    "FLOODLOOM_PRECISION": "float32",
    "FLOODLOOM_SEAM_RATIO": "1.003",
}


def scene(grid: GeoBox, when: str, seed: int = 1) -> xr.Dataset:
    """A scene with a blank rim, a dark lake and layover in a corner."""
    shape = tuple(grid.shape.yx)
    draw = np.random.default_rng(seed)
    vv = draw.gamma(4.4, 0.1 / 4.4, shape).astype("float32")
    vv[20:50, 30:60] *= 0.03
    vv[:4] = np.nan
    flags = np.zeros(shape, "uint8")
    flags[70:, 90:] = 8
    dataset = xr.Dataset({"vv": (("y", "x"), vv), "flags": (("y", "x"), flags)})
    if grid.crs is not None:
        dataset = assign_crs(dataset.assign_coords(xr_coords(grid)), grid.crs)
    dataset = dataset.assign_attrs(
        acquisition_time=when, title="S1A IW GRD", orbit_direction="ascending", relative_orbit=44
    )
    quantity = "display" if grid.crs is None else "gamma0"
    return stamp(dataset, Recipe(quantity=quantity, spacing=10.0))


@dataclass(frozen=True)
class Files:
    """Paths of an event."""

    map: Path
    item: Path
    scene: Path
    before: Path
    probability: Path
    truth: Path


def write_event(
    folder: Path, grid: GeoBox, *, dry: bool = False, zones: Path | None = None
) -> Files:
    """Write everything that a mapped event has."""
    shape = tuple(grid.shape.yx)
    percent = np.full(shape, 3, "uint8")
    percent[20:50, 30:60] = 3 if dry else 97
    percent[:4] = 255
    truth = np.zeros(shape, "uint8")
    truth[20:50, 32:60] = 2
    files = Files(
        folder / "flood.tif",
        folder / "flood.json",
        write_store(scene(grid, "2023-05-14T16:58:21"), folder / "after.zarr"),
        write_store(scene(grid, "2023-05-02T16:58:21", seed=2), folder / "before.zarr"),
        write_cog(percent, folder / "p.tif", geobox=grid, nodata=255, tags=TAGS),
        write_cog(truth, folder / "truth.tif", geobox=grid, nodata=255),
    )
    delineate(
        probability=files.probability,
        products=FloodProducts(
            out=files.map,
            vectors=folder / "flood.gpkg",
            item=files.item,
            areas=folder / "areas.csv",
        ),
        files=DelineateFiles(scene=files.scene, zones=zones),
        settings=DelineateSettings(event=folder.name),
    )
    return files


@pytest.fixture(scope="session")
def event(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """An event on a map grid, with two zones."""
    folder = tmp_path_factory.mktemp("dunlin")
    west, east = box(400000, 5000000, 400450, 5000800), box(400450, 5000000, 401000, 5000800)
    halves = gpd.GeoDataFrame({"name": ["west", "east"]}, geometry=[west, east], crs=32633)
    halves.to_file(folder / "zones.gpkg")
    return write_event(folder, GRID, zones=folder / "zones.gpkg")


@pytest.fixture(scope="session")
def plain_event(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """An event without georeference."""
    return write_event(tmp_path_factory.mktemp("plain"), PLAIN)
