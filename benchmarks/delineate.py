"""`make bench-delineate`: mapping a mosaic and scoring the map, by sides of the mosaic.

Mosaics before and after a simulated flood with a scene's flags, elevations and truth; two CPU
threads, every figure in a process of its own. Needs 1 GB of disk and a quarter of an hour on two
quiet cores. `python -m benchmarks.delineate small` runs all of it on a tiny mosaic and records
nothing.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter, zoom

from benchmarks.neighbours import peak_mib
from benchmarks.own import own
from benchmarks.record import record
from floodloom.mapping.evidence import DelineateFiles
from floodloom.mapping.product_set import FloodProducts
from floodloom.mapping.settings import DelineateSettings
from floodloom.raster.cog import CogProfile, cog_writer
from floodloom.raster.grid import on_grid
from floodloom.raster.recipe import Flag
from floodloom.raster.store import write_store
from floodloom.stages.delineate import delineate
from floodloom.stages.evaluate import evaluate

THREADS = 2
SEED = 0
SIDES = (8192, 25000)
SMALL = (512,)
PART = 4096  # px of the mosaic that are drawn; the rest is their mirror images
STRIP, CHUNK = 512, 2048
PIXEL, POSTING = 10, 30  # m
MARGIN = 200  # px of the elevations around the mosaic
WEST, NORTH = 300_000, 5_400_000
ACQUIRED = "2023-05-14T16:58:21"
SETTINGS = DelineateSettings(maximum_slope=8.0, maximum_height=60.0)

Figures = dict[str, Any]
Bytes = NDArray[np.uint8]


def main() -> None:
    """Take all figures, each in a process of its own."""
    steps = {"delineate": map_flood, "evaluate": score_map}
    if len(sys.argv) > 2:
        print(json.dumps(measured(steps[sys.argv[1]], Path(sys.argv[2]))))
        return
    small = sys.argv[1:] == ["small"]
    with tempfile.TemporaryDirectory(prefix="bench-delineate-") as name:
        rows = [row for side in (SMALL if small else SIDES) for row in taken(Path(name), side)]
    if not small:
        figures = {"threads": THREADS, "rows": rows}
        record("delineate", figures, command="make bench-delineate", seeds=[SEED])


def taken(folder: Path, side: int) -> Iterator[Figures]:
    """Yield the figures of a mosaic of one side."""
    place = folder / str(side)
    write_mosaic(place, side)
    for step in ("delineate", "evaluate"):
        yield {"side": side, "stage": step, **own("delineate", step, place)}


def measured(step: Any, folder: Path) -> Figures:
    """Return seconds, processor seconds and greatest memory of a step, and the load beforehand."""
    load, start = os.getloadavg()[0], time.perf_counter()
    before = os.times()
    step(folder)
    after = os.times()
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": after.user + after.system - before.user - before.system,
        "peak_mib": peak_mib(),
        "load_before": load,
    }


def map_flood(folder: Path) -> None:
    """Delineate with all products but the depth, and every exclusion that elevations allow."""
    names = {"out": "map.tif", "vectors": "map.gpkg", "item": "map.json"}
    names |= {"likelihood": "likelihood.tif", "areas": "areas.csv"}
    delineate(
        probability=[folder / "after.tif"],
        products=FloodProducts(**{key: folder / name for key, name in names.items()}),
        files=DelineateFiles(
            before=(folder / "before.tif",), scene=folder / "scene.zarr", dem=folder / "dem.tif"
        ),
        settings=SETTINGS,
        threads=THREADS,
    )


def score_map(folder: Path) -> None:
    """Score the map."""
    evaluate(
        prediction=[folder / "map.tif"],
        truth=[folder / "truth.tif"],
        out=folder / "scores.json",
        threads=THREADS,
    )


def write_mosaic(folder: Path, side: int) -> None:
    """Write what a map is made from, and its truth."""
    folder.mkdir()
    ground, noise = (_relief(SEED + number) for number in range(2))
    lake, flood = ground < -1.2, ground + 0.2 * noise < -0.3
    layers = {
        "after": (_percent(-0.3 - ground - 0.3 * noise), "water_probability"),
        "before": (_percent(-1.2 - ground - 0.05 * noise), "water_probability"),
        "truth": (np.where(lake, 1, np.where(flood, 2, 0)).astype(np.uint8), "truth"),
    }
    grid = GeoBox((side, side), Affine(PIXEL, 0, WEST, 0, -PIXEL, NORTH), "EPSG:32633")
    for name, (values, product) in layers.items():
        _write(folder / f"{name}.tif", values, grid, product)

    shadow = np.where(noise > 1.6, Flag.LAYOVER.value, np.where(noise < -1.8, Flag.SHADOW.value, 0))
    whole, rest = divmod(side, CHUNK)
    chunks = [(CHUNK,) * whole + ((rest,) if rest else ())] * 2
    empty = np.empty((0, 0), np.uint8)
    flags = da.map_blocks(_block, values=shadow.astype(np.uint8), chunks=chunks, meta=empty)
    scene = xr.Dataset({"flags": on_grid(flags, grid)})
    write_store(scene.assign_attrs(instrument_mode="IW", product_type="GRD"), folder / "scene.zarr")

    posts = side * PIXEL // POSTING + 2 * MARGIN
    corner = WEST - MARGIN * POSTING, NORTH + MARGIN * POSTING
    elevations = GeoBox(
        (posts, posts), Affine(POSTING, 0, corner[0], 0, -POSTING, corner[1]), "EPSG:32633"
    )
    _write(folder / "dem.tif", (150 + 60 * ground + noise).astype(np.float32), elevations, None)


def _relief(seed: int) -> NDArray[np.float32]:
    """Smooth heights of several wavelengths, (y, x), of unit variance."""
    draw = np.random.default_rng(seed)
    total = np.zeros((PART, PART), dtype=np.float32)
    for step, weight in ((512, 1.0), (128, 0.5), (32, 0.2), (8, 0.07)):
        nodes = draw.normal(size=(PART // step,) * 2).astype(np.float32)
        total += weight * zoom(nodes, step, order=1)
    total = gaussian_filter(total, 2)
    return total / total.std()


def _percent(level: NDArray[np.float32]) -> Bytes:
    percent = np.rint(100 / (1 + np.exp(-12 * level))).astype(np.uint8)
    percent[: PART // 40] = 255  # the edge of a swath
    return percent


def _mirrored(values: NDArray[Any], rows: slice, cols: slice) -> NDArray[Any]:
    """Return a part of a raster that is repeated by its mirror images."""
    place = [np.arange(side.start, side.stop) % (2 * PART) for side in (rows, cols)]
    row, col = (np.minimum(one, 2 * PART - 1 - one) for one in place)
    return values[row][:, col]


def _block(values: Bytes, block_info: Any = None) -> Bytes:
    rows, cols = (slice(*ends) for ends in block_info[None]["array-location"])
    return _mirrored(values, rows, cols)


def _write(path: Path, values: NDArray[Any], grid: GeoBox, product: str | None) -> None:
    height, width = grid.shape.yx
    tags = {} if product is None else {"FLOODLOOM_PRODUCT": product, "ACQUISITION_TIME": ACQUIRED}
    nodata = 255 if product else np.nan
    profile = CogProfile(grid, str(values.dtype), nodata, tags=tags)
    with cog_writer(path, profile, threads=THREADS) as raster:
        for row in range(0, height, STRIP):
            rows = slice(row, min(row + STRIP, height))
            part = _mirrored(values, rows, slice(0, width))
            raster.write(part, 1, window=Window(0, row, width, len(part)))


if __name__ == "__main__":
    main()
